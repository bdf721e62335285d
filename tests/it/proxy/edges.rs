//! What went wrong once, between one connection and the next.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::{Conversation, DEADLINE, Reply, TestGateway, Upstream, eventually, exchange, when, within};

fn routes(server: &str, servers: &str, route: &str) -> String {
    format!(
        "[server]\n{server}\n[upstreams.app]\nservers = [{servers}]\n\
         [[routes]]\npath = \"/up\"\nupstream = \"app\"\nauth = \"none\"\n{route}\n\
         [[routes]]\npath = \"/guarded\"\nupstream = \"app\"\n"
    )
}

async fn in_front_of(upstream: &Upstream, server: &str, route: &str) -> TestGateway {
    TestGateway::start(&routes(server, &format!("\"{}\"", upstream.url()), route)).await
}

#[tokio::test]
async fn a_refusal_is_sent_although_more_of_the_body_has_come() {
    let upstream = Upstream::echo().await;
    let gateway = in_front_of(&upstream, "", "").await;
    let raw = "POST /guarded HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n";
    let ended = exchange(gateway.address, raw).await;
    assert_eq!(ended.statuses(), [401]);
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn a_get_with_a_chunked_body_keeps_it_and_its_limit() {
    let upstream = Upstream::echo().await;
    let gateway = in_front_of(&upstream, "", "max_body = 5").await;
    let chunked = |body: &str| {
        let length = body.len();
        format!(
            "GET /up HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n"
        )
    };
    assert_eq!(exchange(gateway.address, chunked("hello")).await.statuses(), [200]);
    assert_eq!(upstream.seen()[0].body, b"hello");
    assert_eq!(exchange(gateway.address, chunked("hello!")).await.statuses(), [413]);
    assert_eq!(upstream.seen().len(), 1);
}

#[tokio::test]
async fn an_upload_that_was_answered_early_holds_no_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let gateway = TestGateway::start(&routes("", &format!("\"http://{address}\""), "")).await;
    let mut client = Conversation::open(gateway.address).await;
    client
        .send("POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\nabc")
        .await;
    let (mut server, _) = within("a connection", listener.accept()).await.unwrap();
    let mut head = [0; 4096];
    let _ = server.read(&mut head).await.unwrap();
    server
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno")
        .await
        .unwrap();
    let answer = client.answer().await;
    assert_eq!(
        (&answer.body[..], answer.header("connection")),
        (&b"no"[..], Some("close"))
    );
    let gone = async {
        let mut rest = [0; 4096];
        while server.read(&mut rest).await.is_ok_and(|n| n > 0) {}
    };
    within("the upstream's connection ends", gone).await;
    within("the client's connection ends", client.until_end()).await;
}

#[tokio::test]
async fn a_server_that_hangs_up_at_once_is_asked_once_and_then_the_next_one() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = std::sync::Arc::clone(&asked);
    let _server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            drop(stream);
        }
    });
    let alone = TestGateway::start(&routes("", &format!("\"http://{address}\""), "")).await;
    let raw = "POST /up HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let ended = exchange(alone.address, raw).await;
    assert_eq!(ended.answers[0].problem(), "upstream_unreachable");
    assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_server_that_is_gone_is_passed_over_even_if_a_connection_to_it_was_kept() {
    let (gone, there) = (Upstream::echo().await, Upstream::echo().await);
    let servers = format!("\"{}\", \"{}\"", gone.url(), there.url());
    let config =
        routes("workers = 1", &servers, "").replace("[upstreams.app]", "[upstreams.app]\nbalance = \"round-robin\"");
    let gateway = TestGateway::start(&config).await;
    let raw = "GET /up HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    for _ in 0..4 {
        assert_eq!(exchange(gateway.address, raw).await.statuses(), [200]);
    }
    assert_eq!((gone.seen().len(), there.seen().len()), (2, 2), "in turn");
    drop(gone);
    for _ in 0..6 {
        assert_eq!(exchange(gateway.address, raw).await.statuses(), [200]);
    }
}

#[tokio::test]
async fn the_cap_on_connections_starves_nobody() {
    let upstream = Upstream::echo().await;
    let gateway = in_front_of(&upstream, "workers = 4\nmax_connections = 1", "").await;
    for _ in 0..20 {
        let raw = "GET /up HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        assert_eq!(exchange(gateway.address, raw).await.statuses(), [200]);
    }
}

#[tokio::test]
async fn a_204_that_announces_a_body_is_not_relayed() {
    for head in ["Content-Length: 6", "Transfer-Encoding: chunked"] {
        let answer = format!("HTTP/1.1 204 No Content\r\n{head}\r\n\r\n");
        let upstream = Upstream::start(move |_| Reply::raw(&answer)).await;
        let gateway = in_front_of(&upstream, "", "").await;
        let raw = "GET /up HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let ended = exchange(gateway.address, raw).await;
        assert_eq!(ended.answers[0].problem(), "upstream_invalid", "{head}");
    }
}

#[tokio::test]
async fn an_http_1_0_answer_that_breaks_off_does_not_look_whole() {
    let upstream =
        Upstream::start(|_| Reply::Last(b"HTTP/1.0 200 OK\r\nContent-Length: 10\r\n\r\nhalf".to_vec())).await;
    let gateway = in_front_of(&upstream, "", "").await;
    let ended = exchange(gateway.address, "GET /up HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(ended.answers.is_empty(), "{ended:?}");
    assert!(ended.rest.starts_with(b"HTTP/1.1 200"), "{ended:?}");
}

#[tokio::test]
async fn a_good_request_is_answered_before_the_broken_one_behind_it_ends_the_connection() {
    let upstream = Upstream::echo().await;
    let gateway = in_front_of(&upstream, "", "").await;
    let raw = "GET /up/good HTTP/1.1\r\nHost: x\r\n\r\n\
               POST /up/bad HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZ\r\n";
    let ended = exchange(gateway.address, raw).await;
    assert_eq!(ended.statuses(), [200, 400]);
    assert_eq!(upstream.seen().len(), 1);
}

#[tokio::test]
async fn a_connection_idles_out_after_an_answer_that_took_longer_than_that() {
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone".to_vec();
    let upstream = Upstream::start(move |_| Reply::Late(Duration::from_millis(900), answer.clone())).await;
    let gateway = in_front_of(&upstream, "keep_alive = \"300ms\"", "").await;
    let mut conversation = Conversation::open(gateway.address).await;
    conversation.send("GET /up HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(conversation.answer().await.body, b"done");
    within("the idle connection ends", conversation.until_end()).await;
}

#[tokio::test]
async fn te_trailers_is_said_for_the_upstream_s_connection() {
    let upstream = Upstream::echo().await;
    let gateway = in_front_of(&upstream, "", "").await;
    let raw = "GET /up HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nConnection: close, TE\r\n\r\n";
    assert_eq!(exchange(gateway.address, raw).await.statuses(), [200]);
    let seen = upstream.seen().remove(0);
    assert_eq!(
        (seen.header("te"), seen.header("connection")),
        (Some("trailers"), Some("te"))
    );
}

#[tokio::test]
async fn a_client_s_own_failure_is_not_counted_as_the_upstream_s() {
    let upstream = Upstream::echo().await;
    let gateway = in_front_of(&upstream, "", "max_body = 3").await;
    let raw = "POST /up HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    assert_eq!(exchange(gateway.address, raw).await.statuses(), [413]);
    eventually(DEADLINE, "the request is counted", || async {
        let metrics = gateway.http.get(gateway.admin_url("/metrics")).send().await.ok()?;
        let metrics = metrics.text().await.ok()?;
        when(metrics.contains("status=\"413\"") && !metrics.contains("doorward_upstream_errors_total{"))
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_will_close_is_announced_and_one_that_will_not_stays() {
    let upstream = Upstream::echo().await;
    let gateway = in_front_of(&upstream, "", "").await;
    for (unread, status) in [
        ("POST /guarded HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n", 401),
        (
            "POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n\r\n",
            415,
        ),
        (
            "POST /nowhere HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n",
            404,
        ),
    ] {
        let mut conversation = Conversation::open(gateway.address).await;
        conversation.send(unread).await;
        let answer = conversation.answer().await;
        assert_eq!(
            (answer.status, answer.header("connection")),
            (status, Some("close")),
            "{unread}"
        );
        within("the connection ends", conversation.until_end()).await;
    }
    let mut conversation = Conversation::open(gateway.address).await;
    for (read, status) in [
        ("POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", 200),
        (
            "POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
            422,
        ),
        ("GET /guarded HTTP/1.1\r\nHost: x\r\n\r\n", 401),
        ("GET /up HTTP/1.1\r\nHost: x\r\n\r\n", 200),
    ] {
        conversation.send(read).await;
        let answer = conversation.answer().await;
        assert_eq!((answer.status, answer.header("connection")), (status, None), "{read}");
    }
}

#[tokio::test]
async fn an_upload_goes_on_while_its_early_answer_is_not_read() {
    const SIZE: usize = 32 << 20;
    let (address, _server) = crate::support::upstream::each(|stream| async move {
        let (mut read, mut write) = stream.into_split();
        let mut head = [0; 1024];
        let _ = read.read(&mut head).await;
        // An answer begins at once and is written while the request is read, by different hands.
        let answer = async move {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n");
            let _ = write.write_all(head.as_bytes()).await;
            let part = vec![b'a'; 64 << 10];
            for _ in 0..SIZE / part.len() {
                let _ = write.write_all(&part).await;
            }
            write
        };
        let upload = async move {
            let mut space = vec![0; 64 << 10];
            while read.read(&mut space).await.is_ok_and(|n| n > 0) {}
        };
        tokio::join!(answer, upload);
    })
    .await;
    let gateway = TestGateway::start(&routes(
        "body_idle_timeout = \"2s\"",
        &format!("\"http://{address}\""),
        "",
    ))
    .await;
    let mut client = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
    let head = format!("POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: {SIZE}\r\n\r\n");
    client.write_all(head.as_bytes()).await.unwrap();
    let body = vec![b'b'; SIZE];
    // As most simple clients do: first all of the request, then the answer.
    within("the upload ends", client.write_all(&body))
        .await
        .expect("the upload is taken");
    let mut came = 0;
    let mut space = vec![0; 64 << 10];
    while came < SIZE {
        let n = within("more of the answer", client.read(&mut space)).await.unwrap();
        assert!(n > 0, "the answer breaks off after {came}");
        came += n;
    }
}

#[tokio::test]
async fn an_upload_that_breaks_off_never_looks_whole_though_its_early_answer_is_not_read() {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let (address, _server) = crate::support::upstream::each(move |stream| {
        let tell = tell.clone();
        async move {
            let (mut read, mut write) = stream.into_split();
            let (mut seen, mut space) = (Vec::new(), [0; 4096]);
            let n = read.read(&mut space).await.unwrap_or(0);
            seen.extend_from_slice(&space[..n]);
            // More than anybody takes.
            let answer = async move {
                let mut sent = write.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
                while sent.is_ok() {
                    sent = write.write_all(&[b'a'; 16 << 10]).await;
                }
            };
            let upload = async move {
                let _ = tell.send((false, seen.clone()));
                while let Ok(n @ 1..) = read.read(&mut space).await {
                    seen.extend_from_slice(&space[..n]);
                    let _ = tell.send((false, seen.clone()));
                }
                let _ = tell.send((true, seen));
            };
            tokio::join!(answer, upload);
        }
    })
    .await;
    let gateway = TestGateway::start(&routes("", &format!("\"http://{address}\""), "")).await;
    let mut client = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
    let head = "POST /up HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
    client.write_all(head.as_bytes()).await.unwrap();
    while !within("the beginning is upstream", told.recv())
        .await
        .unwrap()
        .1
        .ends_with(b"3\r\nabc\r\n")
    {}
    client.write_all(b"no size\r\n").await.unwrap();
    let seen = loop {
        let (ended, seen) = within("the upload ends", told.recv()).await.unwrap();
        if ended {
            break seen;
        }
    };
    assert!(seen.ends_with(b"3\r\nabc\r\n"), "{}", String::from_utf8_lossy(&seen));
}

#[tokio::test]
async fn a_hint_has_no_header_that_its_route_removes() {
    let upstream = Upstream::start(|_| {
        Reply::raw(
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nX-Secret: 1\r\n\r\n\
             HTTP/1.1 200 OK\r\nX-Secret: 1\r\nContent-Length: 2\r\n\r\nok",
        )
    })
    .await;
    let gateway = in_front_of(&upstream, "", "response_headers = { remove = [\"X-Secret\"] }").await;
    let mut client = Conversation::open(gateway.address).await;
    client.send("GET /up HTTP/1.1\r\nHost: x\r\n\r\n").await;
    for status in [103, 200] {
        let answer = client.answer().await;
        assert_eq!((answer.status, answer.header("x-secret")), (status, None));
    }
}
