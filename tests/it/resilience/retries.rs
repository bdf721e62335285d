//! Sending again: only where it is safe, and never so often that it makes an outage worse.

use std::sync::Arc;
use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{metrics, route_to};
use crate::support::upstream::{Aborting, each};
use crate::support::{Reply, TestGateway, Upstream};

/// The methods of the requests that reached a server.
type Reached = Arc<Mutex<Vec<String>>>;

/// A server that reads a request, whole if it is small, and ends the connection.
async fn killed() -> (String, Reached, Aborting) {
    let reached = Reached::default();
    let noted = Arc::clone(&reached);
    let (address, server) = each(move |mut stream| {
        let noted = Arc::clone(&noted);
        async move {
            let mut buffer = vec![0; 1 << 20];
            let mut request = Vec::new();
            // The body is `end` at the end, if there is one.
            while !request.ends_with(b"\r\n\r\n") && !request.ends_with(b"end") {
                match stream.read(&mut buffer).await {
                    Ok(n) if n > 0 => request.extend_from_slice(&buffer[..n]),
                    _ => return,
                }
            }
            let text = String::from_utf8_lossy(&request);
            noted.lock().unwrap().push(text.split(' ').next().unwrap().to_owned());
        }
    })
    .await;
    (format!("http://{address}"), reached, server)
}

const NEVER_EJECT: &str = "eject.after = 0\nbalance = \"round-robin\"\n";

async fn ask(gateway: &TestGateway, method: &str, body: String) -> (u16, String) {
    let request = gateway.http.request(method.parse().unwrap(), gateway.url("/up"));
    let answer = request.body(body).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn a_request_that_may_be_done_twice_is_sent_to_another_server_with_its_whole_body() {
    let live = Upstream::echo().await;
    let (dead, reached, _server) = killed().await;
    let gateway = TestGateway::start(&route_to(&[dead, live.url()], NEVER_EJECT)).await;
    for method in ["GET", "PUT", "DELETE", "OPTIONS", "PUT", "PUT"] {
        let body = if method == "PUT" {
            "x".repeat(50_000) + "end"
        } else {
            String::new()
        };
        let (status, text) = ask(&gateway, method, body.clone()).await;
        assert_eq!(status, 200, "{method}");
        let seen: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&seen["method"], &seen["body"]), (&method.into(), &body.into()));
    }
    assert!(
        reached.lock().unwrap().contains(&"PUT".to_owned()),
        "the dead server had some"
    );
    assert!(live.faults().is_empty(), "{:?}", live.faults());
}

#[tokio::test]
async fn a_post_is_never_sent_twice_and_a_body_too_long_to_keep_neither() {
    let live = Upstream::echo().await;
    let (dead, reached, _server) = killed().await;
    let settings = format!("{NEVER_EJECT}retry.body_limit = \"1KiB\"\n");
    let gateway = TestGateway::start(&route_to(&[dead, live.url()], &settings)).await;
    for (method, body) in [
        ("POST", "end".to_owned()),
        ("PATCH", String::new()),
        ("PUT", "x".repeat(2000) + "end"),
    ] {
        let mut statuses = Vec::new();
        let before = (reached.lock().unwrap().len(), live.seen().len());
        for _ in 0..6 {
            statuses.push(ask(&gateway, method, body.clone()).await.0);
        }
        let after = (reached.lock().unwrap().len(), live.seen().len());
        let (to_dead, to_live) = (after.0 - before.0, after.1 - before.1);
        assert_eq!((to_dead, to_live), (3, 3), "{method}: six requests are six");
        assert_eq!(statuses.iter().filter(|status| **status == 502).count(), 3, "{method}");
    }
}

#[tokio::test]
async fn an_outage_of_all_servers_is_not_multiplied_by_retries() {
    let (a, reached_a, _a) = killed().await;
    let (b, reached_b, _b) = killed().await;
    let settings = format!("{NEVER_EJECT}retry.attempts = 5\nretry.floor = 1\n");
    let gateway = TestGateway::start(&route_to(&[a, b], &settings)).await;
    for _ in 0..300 {
        assert_eq!(ask(&gateway, "GET", String::new()).await.0, 502);
    }
    let reached = reached_a.lock().unwrap().len() + reached_b.lock().unwrap().len();
    // A fifth, and one a second for the ten seconds that count; were the window to move on, as much again at most.
    assert!((300 + 10..=2 * (300 + 60 + 10) - 300).contains(&reached), "{reached}");
    let retries = metrics(&gateway).await["doorward_upstream_retries_total{upstream=\"app\"}"];
    assert_eq!(retries, reached as u64 - 300, "each is told of");
}

#[tokio::test]
async fn a_server_alone_gets_the_request_again_on_another_connection() {
    let first = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let (address, _server) = each(move |mut stream| {
        let first = Arc::clone(&first);
        async move {
            let _ = stream.read(&mut [0; 4096]).await;
            if !first.swap(false, std::sync::atomic::Ordering::SeqCst) {
                let _ = stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                    .await;
            }
        }
    })
    .await;
    let gateway = TestGateway::start(&route_to(&[format!("http://{address}")], "")).await;
    assert_eq!(ask(&gateway, "GET", String::new()).await.0, 200);
}

#[tokio::test]
async fn an_answer_is_asked_for_again_elsewhere_where_the_configuration_says_so() {
    let sick = Upstream::start(|_| Reply::raw("HTTP/1.1 503 No\r\nContent-Length: 4\r\n\r\nsick")).await;
    let live = Upstream::echo().await;
    let settings = format!("{NEVER_EJECT}retry.on_status = \"503\"\n");
    let gateway = TestGateway::start(&route_to(&[sick.url(), live.url()], &settings)).await;
    for _ in 0..6 {
        assert_eq!(ask(&gateway, "GET", String::new()).await.0, 200);
    }
    assert!(!sick.seen().is_empty());
    let mut posted = Vec::new();
    for _ in 0..6 {
        posted.push(ask(&gateway, "POST", String::new()).await);
    }
    assert_eq!(
        posted
            .iter()
            .filter(|answer| **answer == (503, "sick".to_owned()))
            .count(),
        3
    );

    let alone = TestGateway::start(&route_to(&[sick.url()], &settings)).await;
    let before = sick.seen().len();
    assert_eq!(
        ask(&alone, "GET", String::new()).await,
        (503, "sick".to_owned()),
        "there is no other"
    );
    assert_eq!(sick.seen().len(), before + 1);
}
