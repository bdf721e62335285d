//! Bodies: streamed both ways, with back-pressure, trailers, and `Expect: 100-continue`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::support::answer::find;
use crate::support::process::Process;
use crate::support::upstream::each;
use crate::support::{
    Account, Conversation, DEADLINE, Reply, TestGateway, Upstream, eventually, usual_routes, when, within,
};

fn open_route(address: std::net::SocketAddr) -> String {
    format!(
        "[upstreams.app]\nservers = [\"http://{address}\"]\n\
         [[routes]]\npath = \"/up\"\nupstream = \"app\"\nauth = \"none\"\n"
    )
}

/// Reads until the end of a head, and gives what came behind it.
async fn read_head(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = find(&bytes, b"\r\n\r\n") {
            return bytes.split_off(end + 4);
        }
        let mut buffer = [0; 4096];
        let n = stream.read(&mut buffer).await.unwrap();
        assert_ne!(n, 0, "the head ended early: {:?}", String::from_utf8_lossy(&bytes));
        bytes.extend_from_slice(&buffer[..n]);
    }
}

#[tokio::test]
async fn a_request_body_is_passed_on_as_it_comes() {
    let arrived = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&arrived);
    let (address, _server) = each(move |mut stream| {
        let count = Arc::clone(&count);
        async move {
            let early = read_head(&mut stream).await;
            count.fetch_add(early.len() as u64, Ordering::SeqCst);
            let mut buffer = [0; 4096];
            while count.load(Ordering::SeqCst) < 10 {
                let n = stream.read(&mut buffer).await.unwrap();
                count.fetch_add(n as u64, Ordering::SeqCst);
            }
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                .await
                .unwrap();
            let _ = stream.read(&mut buffer).await;
        }
    })
    .await;
    let gateway = TestGateway::start(&open_route(address)).await;
    let mut conversation = Conversation::open(gateway.address).await;
    conversation
        .send(gateway.fill("POST /up HTTP/1.1\r\nHost: HOST\r\nContent-Length: 10\r\n\r\n12345", ""))
        .await;
    // The first half is there before the second is sent.
    let half = || async { when(arrived.load(Ordering::SeqCst) == 5) };
    eventually(DEADLINE, "half of the body", half).await;
    conversation.send("67890").await;
    assert_eq!(conversation.answer().await.body, b"ok");
}

#[tokio::test]
async fn an_answer_is_passed_on_as_it_comes() {
    let go_on = Arc::new(Notify::new());
    let wait = Arc::clone(&go_on);
    let (address, _server) = each(move |mut stream| {
        let wait = Arc::clone(&wait);
        async move {
            read_head(&mut stream).await;
            let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
            stream.write_all(head).await.unwrap();
            stream.write_all(b"7\r\ndata: 1\r\n").await.unwrap();
            wait.notified().await;
            stream.write_all(b"7\r\ndata: 2\r\n0\r\n\r\n").await.unwrap();
            let _ = stream.read(&mut [0; 16]).await;
        }
    })
    .await;
    let gateway = TestGateway::start(&open_route(address)).await;
    let mut conversation = Conversation::open(gateway.address).await;
    conversation
        .send(gateway.fill("GET /up HTTP/1.1\r\nHost: HOST\r\n\r\n", ""))
        .await;
    within("the first event", async {
        while find(conversation.pending(), b"data: 1").is_none() {
            assert!(conversation.read_some().await);
        }
    })
    .await;
    go_on.notify_one();
    assert_eq!(conversation.answer().await.body, b"data: 1data: 2");
}

/// More than the kernel's buffers of four sockets hold.
const MUCH: u64 = 512 * 1024 * 1024;

#[tokio::test]
async fn a_slow_reader_holds_an_upload_back() {
    let (go_on, resume) = (Arc::new(Notify::new()), Arc::new(AtomicU64::new(0)));
    let wait = Arc::clone(&go_on);
    let received = Arc::clone(&resume);
    let (address, _server) = each(move |mut stream| {
        let (wait, received) = (Arc::clone(&wait), Arc::clone(&received));
        async move {
            let early = read_head(&mut stream).await;
            received.fetch_add(early.len() as u64, Ordering::SeqCst);
            wait.notified().await;
            let mut buffer = vec![0; 256 * 1024];
            while received.load(Ordering::SeqCst) < MUCH {
                let n = stream.read(&mut buffer).await.unwrap();
                assert_ne!(n, 0, "the upload was cut short");
                received.fetch_add(n as u64, Ordering::SeqCst);
            }
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
                .await
                .unwrap();
            let _ = stream.read(&mut buffer).await;
        }
    })
    .await;
    let process = Process::serve(&open_route(address)).await;
    let stream = TcpStream::connect(process.address).await.unwrap();
    let (mut read, mut write) = stream.into_split();
    let head = format!("POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: {MUCH}\r\n\r\n");
    write.write_all(head.as_bytes()).await.unwrap();
    let sent = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&sent);
    let upload = tokio::spawn(async move {
        let block = vec![b'x'; 64 * 1024];
        while counter.load(Ordering::SeqCst) < MUCH {
            write.write_all(&block).await.unwrap();
            counter.fetch_add(block.len() as u64, Ordering::SeqCst);
        }
        write
    });
    // The sender comes to a stand, long before the end, because nobody reads.
    let stalled = stalls(&sent).await;
    assert!(
        stalled < MUCH / 4,
        "{stalled} bytes were taken in, and nobody read them"
    );
    go_on.notify_one();
    let mut peak = process.resident_bytes();
    let mut answer = Vec::new();
    let reading = async {
        let mut buffer = [0; 1024];
        while !answer.ends_with(b"done") {
            let n = read.read(&mut buffer).await.unwrap();
            assert_ne!(n, 0, "{:?}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&buffer[..n]);
        }
    };
    tokio::pin!(reading);
    while tokio::time::timeout(Duration::from_millis(20), reading.as_mut())
        .await
        .is_err()
    {
        peak = peak.max(process.resident_bytes());
    }
    upload.await.unwrap();
    assert!(peak < 50 * 1024 * 1024, "{peak} bytes of memory for an upload");
}

#[tokio::test]
async fn a_slow_client_holds_a_download_back() {
    let sent = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&sent);
    let (address, _server) = each(move |mut stream| {
        let counter = Arc::clone(&counter);
        async move {
            read_head(&mut stream).await;
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {MUCH}\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            let block = vec![b'x'; 64 * 1024];
            while counter.load(Ordering::SeqCst) < MUCH {
                stream.write_all(&block).await.unwrap();
                counter.fetch_add(block.len() as u64, Ordering::SeqCst);
            }
            let _ = stream.read(&mut [0; 16]).await;
        }
    })
    .await;
    let process = Process::serve(&open_route(address)).await;
    let mut stream = TcpStream::connect(process.address).await.unwrap();
    stream.write_all(b"GET /up HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let stalled = stalls(&sent).await;
    assert!(
        stalled < MUCH / 4,
        "{stalled} bytes were taken in, and nobody read them"
    );

    let mut received = read_head(&mut stream).await.len() as u64;
    let (mut buffer, mut peak) = (vec![0; 256 * 1024], 0);
    while received < MUCH {
        let n = stream.read(&mut buffer).await.unwrap();
        assert_ne!(n, 0, "the download was cut short");
        if received / (16 << 20) != (received + n as u64) / (16 << 20) {
            peak = peak.max(process.resident_bytes());
        }
        received += n as u64;
    }
    assert_eq!(received, MUCH);
    assert!(peak < 50 * 1024 * 1024, "{peak} bytes of memory for a download");
}

/// Waits until the counter has risen and then stands still; gives where it stands.
async fn stalls(counter: &AtomicU64) -> u64 {
    let (mut last, mut still) = (0, 0);
    within("back-pressure", async {
        loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let now = counter.load(Ordering::SeqCst);
            still = if now == last && now > 0 { still + 1 } else { 0 };
            last = now;
            if still == 10 {
                return now;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_client_that_goes_away_takes_its_request_with_it() {
    let upstream = Upstream::start(|_| Reply::Stall(Vec::new())).await;
    let gateway = TestGateway::start(&usual_routes(&upstream)).await;
    let mut conversation = Conversation::open(gateway.address).await;
    conversation
        .send(gateway.fill("GET /public/x HTTP/1.1\r\nHost: HOST\r\n\r\n", ""))
        .await;
    eventually(DEADLINE, "the upstream has the request", || async {
        when(upstream.seen().len() == 1)
    })
    .await;
    drop(conversation);
    eventually(DEADLINE, "the upstream is let go", || async {
        when(upstream.open_connections() == 0)
    })
    .await;
}

#[tokio::test]
async fn trailers_pass_both_ways() {
    let upstream = Upstream::start(|_| {
        Reply::raw(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n2\r\nok\r\n0\r\n\
             X-T: 1\r\nContent-Length: 9\r\nSet-Cookie: a=b\r\n\r\n",
        )
    })
    .await;
    let gateway = TestGateway::start(&usual_routes(&upstream)).await;
    let mut conversation = Conversation::open(gateway.address).await;
    let raw = "POST /public/x HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\nTE: trailers\r\n\
        Connection: TE\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 9\r\n\r\n";
    conversation.send(gateway.fill(raw, "")).await;
    let answer = conversation.answer().await;
    let seen = upstream.only();
    assert_eq!(seen.body, b"hi");
    assert_eq!(seen.trailers, [("x-sum".to_owned(), "9".to_owned())]);
    assert_eq!(seen.header("te"), Some("trailers"));
    assert_eq!(answer.body, b"ok");
    let x_t = ("x-t".to_owned(), "1".to_owned());
    assert!(answer.trailers.contains(&x_t), "{answer:?}");
    assert!(
        !answer.trailers.iter().any(|(name, _)| name == "content-length"),
        "{answer:?}"
    );

    // A client that did not ask for trailers gets the body all the same.
    conversation
        .send(gateway.fill("GET /public/x HTTP/1.1\r\nHost: HOST\r\n\r\n", ""))
        .await;
    assert_eq!(conversation.answer().await.body, b"ok");
}

#[tokio::test]
async fn a_client_that_expects_100_gets_it_only_when_its_body_is_wanted() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&usual_routes(&upstream)).await;
    let user = Account::sign_up(&gateway).await;
    let head = |credentials: &str, path: &str| {
        let raw = format!(
            "POST {path} HTTP/1.1\r\nHost: HOST\r\n{credentials}Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"
        );
        gateway.fill(&raw, &user.token)
    };
    for (credentials, path, status) in [
        ("", "/c/x", 401),
        ("Authorization: Bearer x\r\n", "/c/x", 401),
        ("Authorization: Bearer TOKEN\r\n", "/admin/x", 403),
        ("", "/nowhere", 404),
        ("", "/c/../x", 400),
    ] {
        let mut conversation = Conversation::open(gateway.address).await;
        conversation.send(head(credentials, path)).await;
        let answer = conversation.answer().await;
        assert_eq!(answer.status, status, "at once, and without a 100: {answer:?}");
    }
    assert!(upstream.seen().is_empty());

    let mut conversation = Conversation::open(gateway.address).await;
    for _ in 0..2 {
        conversation.send(head("Authorization: Bearer TOKEN\r\n", "/c/x")).await;
        assert_eq!(conversation.answer().await.status, 100);
        conversation.send("hello").await;
        let answer = conversation.answer().await;
        assert_eq!((answer.status, answer.json()["body"].as_str()), (200, Some("hello")));
    }
    // One that does not wait is served too.
    conversation
        .send(head("Authorization: Bearer TOKEN\r\n", "/c/x") + "hello")
        .await;
    let mut answer = conversation.answer().await;
    if answer.status == 100 {
        answer = conversation.answer().await;
    }
    assert_eq!((answer.status, answer.json()["body"].as_str()), (200, Some("hello")));
    for seen in upstream.seen() {
        assert_eq!(seen.all("expect"), [""; 0], "the gateway has answered it");
    }

    // The endpoints that we own answer it as well.
    let body = format!("{{\"email\":\"{}\",\"password\":\"x\"}}", user.email);
    let mut conversation = Conversation::open(gateway.address).await;
    let raw = format!(
        "POST /auth/login HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    conversation.send(gateway.fill(&raw, "")).await;
    assert_eq!(conversation.answer().await.status, 100);
    conversation.send(body).await;
    assert_eq!(conversation.answer().await.status, 401);
}

#[tokio::test]
async fn an_expectation_that_nobody_knows_is_refused_or_ignored() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&usual_routes(&upstream)).await;
    for expect in ["200-ok", "y 100-continue", "100-continue, 200-ok", ""] {
        let before = upstream.seen().len();
        let raw = format!(
            "POST /public/x HTTP/1.1\r\nHost: HOST\r\nExpect: {expect}\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
        );
        let ended = crate::support::exchange(gateway.address, gateway.fill(&raw, "")).await;
        let status = ended.statuses();
        assert!(
            status == [200] || status == [417] || status == [400],
            "{expect}: {ended:?}"
        );
        assert!(upstream.seen().len() <= before + 1);
    }
}
