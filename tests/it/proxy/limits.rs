//! Limits on size and time, each with its own answer.

use std::time::Duration;

use crate::support::process::Process;
use crate::support::{Conversation, DEADLINE, Reply, TestGateway, Upstream, eventually, exchange, when};

async fn limited(server: &str, route: &str) -> (Upstream, TestGateway) {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&format!(
        "[server]\n{server}\n[upstreams.app]\nservers = [\"{}\"]\n\
         [[routes]]\npath = \"/up\"\nupstream = \"app\"\nauth = \"none\"\n{route}\n\
         [[routes]]\npath = \"/other\"\nupstream = \"app\"\nauth = \"none\"\n",
        upstream.url()
    ))
    .await;
    (upstream, gateway)
}

#[tokio::test]
async fn a_body_beyond_the_route_s_limit_is_413() {
    let (upstream, gateway) = limited("max_body = \"1KiB\"", "max_body = 10").await;
    for (path, length, status) in [
        ("/up", 10, 200),
        ("/up", 11, 413),
        ("/other", 1024, 200),
        ("/other", 1025, 413),
    ] {
        let before = upstream.seen().len();
        let body = "x".repeat(length);
        let raw = format!(
            "POST {path} HTTP/1.1\r\nHost: HOST\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        let ended = exchange(gateway.address, gateway.fill(&raw, "")).await;
        assert_eq!(ended.statuses(), [status], "{path} {length}");
        let chunked = format!(
            "POST {path} HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n\
             5\r\nxxxxx\r\n{:x}\r\n{}\r\n0\r\n\r\n",
            length - 5,
            "x".repeat(length - 5)
        );
        let ended = exchange(gateway.address, gateway.fill(&chunked, "")).await;
        assert_eq!(ended.statuses(), [status], "{path} {length} in chunks");
        if status == 413 {
            assert_eq!(ended.answers[0].problem(), "body_too_large");
            assert_eq!(upstream.seen().len(), before, "no whole request went on");
        }
    }
}

#[tokio::test]
async fn a_head_beyond_the_configured_limits_is_refused() {
    let (upstream, gateway) = limited(
        "max_header_bytes = \"2KiB\"\nmax_headers = 10\nmax_target_bytes = 100",
        "",
    )
    .await;
    let head = |target: &str, lines: &str| {
        gateway.fill(
            &format!("GET {target} HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n{lines}\r\n"),
            "",
        )
    };
    for (request, code) in [
        (
            head("/up", &format!("X: {}\r\n", "a".repeat(2048))),
            "headers_too_large",
        ),
        (head("/up", &"X: 1\r\n".repeat(9)), "headers_too_large"),
        (head(&format!("/up/{}", "a".repeat(97)), ""), "target_too_long"),
    ] {
        let ended = exchange(gateway.address, request).await;
        assert_eq!(ended.answers[0].problem(), code);
    }
    assert!(upstream.seen().is_empty());
    for request in [
        head("/up", &format!("X: {}\r\n", "a".repeat(1800))),
        head("/up", &"X: 1\r\n".repeat(8)),
        head(&format!("/up/{}", "a".repeat(96)), ""),
    ] {
        assert_eq!(exchange(gateway.address, request).await.statuses(), [200]);
    }
}

#[tokio::test]
async fn a_head_that_takes_too_long_is_given_up() {
    let (_upstream, gateway) = limited("header_timeout = \"300ms\"", "").await;
    let mut conversation = Conversation::open(gateway.address).await;
    conversation.send("GET /up HTTP/1.1\r\nHost: ").await;
    let ended = conversation.until_end().await;
    // RFC 9110, section 15.5.9 lets a server say so, or just close.
    for answer in ended.answers {
        assert_eq!(answer.problem(), "request_timeout");
    }
}

#[tokio::test]
async fn a_connection_that_idles_is_closed() {
    let (_upstream, gateway) = limited("keep_alive = \"300ms\"", "").await;
    let mut conversation = Conversation::open(gateway.address).await;
    conversation
        .send(gateway.fill("GET /up HTTP/1.1\r\nHost: HOST\r\n\r\n", ""))
        .await;
    assert_eq!(conversation.answer().await.status, 200);
    let ended = conversation.until_end().await;
    assert!(ended.answers.is_empty() && ended.rest.is_empty(), "{ended:?}");
}

#[tokio::test]
async fn a_client_that_pauses_within_its_body_is_given_up() {
    let (upstream, gateway) = limited("body_idle_timeout = \"300ms\"", "").await;
    let mut conversation = Conversation::open(gateway.address).await;
    conversation
        .send(gateway.fill("POST /up HTTP/1.1\r\nHost: HOST\r\nContent-Length: 10\r\n\r\n12345", ""))
        .await;
    let ended = conversation.until_end().await;
    for answer in &ended.answers {
        assert_eq!(answer.problem(), "request_timeout");
    }
    assert!(upstream.seen().is_empty());
    eventually(DEADLINE, "the upstream is let go", || async {
        when(upstream.open_connections() == 0)
    })
    .await;
}

#[tokio::test]
async fn an_exchange_that_takes_longer_than_its_route_allows_is_504() {
    let upstream = Upstream::start(|seen| match seen.target.as_str() {
        "/up/late" => Reply::Late(
            Duration::from_secs(60),
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec(),
        ),
        "/up/half" => Reply::Stall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345".to_vec()),
        _ => Reply::ok("own"),
    })
    .await;
    let gateway = TestGateway::start(&format!(
        "[upstreams.app]\nservers = [\"{}\"]\n\
         [[routes]]\npath = \"/up\"\nupstream = \"app\"\nauth = \"none\"\ntimeout = \"400ms\"\n",
        upstream.url()
    ))
    .await;
    let get = |path: &str| gateway.fill(&format!("GET {path} HTTP/1.1\r\nHost: HOST\r\n\r\n"), "");
    let mut conversation = Conversation::open(gateway.address).await;
    conversation.send(get("/up/late")).await;
    assert_eq!(conversation.answer().await.problem(), "upstream_timeout");
    // A head that was sent cannot be taken back: the body breaks off.
    let ended = exchange(gateway.address, get("/up/half")).await;
    assert!(ended.answers.is_empty(), "{ended:?}");
    assert!(ended.rest.ends_with(b"12345"), "{ended:?}");
}

#[tokio::test]
async fn a_client_that_stops_sending_to_our_own_endpoints_is_408_as_well() {
    let (_upstream, gateway) = limited("body_idle_timeout = \"100ms\"", "").await;
    let raw =
        "POST /auth/login HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
    let ended = exchange(gateway.address, gateway.fill(raw, "")).await;
    assert_eq!(ended.statuses(), [408]);
    assert_eq!(ended.answers[0].problem(), "request_timeout");
    assert_eq!(ended.answers[0].header("connection"), Some("close"));
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_and_do_no_harm() {
    let (_upstream, gateway) = limited("max_connections = 3", "").await;
    let get = gateway.fill("GET /up HTTP/1.1\r\nHost: HOST\r\n\r\n", "");
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut conversation = Conversation::open(gateway.address).await;
        conversation.send(&get).await;
        assert_eq!(conversation.answer().await.status, 200);
        held.push(conversation);
    }
    let mut one_more = Conversation::open(gateway.address).await;
    one_more.send(&get).await;
    drop(held);
    // It was made to wait, or was turned away; in either case there is room for others afterwards.
    eventually(DEADLINE, "room again", || async {
        let answer = gateway.http.get(gateway.url("/up")).send().await;
        when(answer.is_ok_and(|answer| answer.status() == 200))
    })
    .await;
}

#[tokio::test]
async fn as_many_files_are_open_as_the_system_allows() {
    let upstream = Upstream::echo().await;
    let process = Process::serve(&crate::support::usual_routes(&upstream)).await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", process.id())).unwrap();
    let row = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let numbers: Vec<&str> = row.split_whitespace().skip(3).take(2).collect();
    assert_eq!(numbers[0], numbers[1], "{row}");
    assert_ne!(numbers[0], "128");
}

#[tokio::test]
async fn a_client_that_asks_first_is_told_of_a_body_that_is_too_large_before_it_sends_it() {
    let (upstream, gateway) = limited("", "max_body = 10").await;
    for (lines, first) in [
        ("Content-Length: 11", 413),
        ("Content-Length: 11\r\nContent-Encoding: gzip", 413),
        ("Content-Length: 10\r\nContent-Encoding: gzip", 100),
        ("Transfer-Encoding: chunked", 100),
    ] {
        let mut conversation = Conversation::open(gateway.address).await;
        let raw = format!("POST /up HTTP/1.1\r\nHost: HOST\r\nExpect: 100-continue\r\n{lines}\r\n\r\n");
        conversation.send(gateway.fill(&raw, "")).await;
        let answer = conversation.answer().await;
        assert_eq!(answer.status, first, "{lines}");
        if first == 413 {
            assert_eq!(answer.problem(), "body_too_large");
            assert_eq!(answer.header("connection"), Some("close"));
        }
    }
    assert!(upstream.seen().is_empty());
}
