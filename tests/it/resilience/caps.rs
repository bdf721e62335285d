//! Requests in flight are bounded, and so are those that wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;

use super::route_to;
use crate::streams::sockets::{Echo, Socket, granted};
use crate::support::upstream::each;
use crate::support::{Account, DEADLINE, Reply, TestGateway, Upstream, eventually, when};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn no_server_has_more_requests_than_it_may_and_the_queue_loses_none() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counter, peak) = (Arc::clone(&now), Arc::clone(&most));
    let (address, _server) = each(move |mut stream| {
        let (now, most) = (Arc::clone(&counter), Arc::clone(&peak));
        async move {
            let mut head = [0; 4096];
            while matches!(stream.read(&mut head).await, Ok(n) if n > 0) {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(10)).await;
                now.fetch_sub(1, Ordering::SeqCst);
                let answer = stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                    .await;
                if answer.is_err() {
                    return;
                }
            }
        }
    })
    .await;
    let settings = "max_requests = 3\nqueue_timeout = \"20s\"\n";
    // Two workers: the bound is one for all.
    let config = format!(
        "[server]\nworkers = 2\n{}",
        route_to(&[format!("http://{address}")], settings)
    );
    let gateway = TestGateway::start(&config).await;
    let asked = join_all((0..60).map(|_| gateway.get("/up", None))).await;
    assert!(asked.iter().all(|(status, _)| *status == 200), "{asked:?}");
    assert_eq!(most.load(Ordering::SeqCst), 3, "all places were used, and no more");
}

#[tokio::test]
async fn a_full_queue_and_a_long_wait_are_503_with_retry_after() {
    let server = Upstream::start(|seen| match seen.target.as_str() {
        "/up/stall" => Reply::Stall(Vec::new()),
        _ => Reply::ok("ok"),
    })
    .await;
    let settings = "max_requests = 1\nqueue = 2\nqueue_timeout = \"400ms\"\n";
    let gateway = TestGateway::start(&route_to(&[server.url()], settings)).await;
    let stalled = gateway.http.get(gateway.url("/up/stall")).send();
    let stalled = tokio::spawn(stalled);
    eventually(DEADLINE, "it is there", || async { when(server.seen().len() == 1) }).await;
    let asked = join_all((0..6).map(|_| async {
        let answer = gateway.http.get(gateway.url("/up")).send().await.unwrap();
        assert_eq!(answer.headers()["x-doorward-error"], "upstream_unavailable");
        assert!(answer.headers().contains_key("retry-after"));
        answer.status().as_u16()
    }))
    .await;
    assert_eq!(asked, [503; 6]);
    assert_eq!(server.seen().len(), 1, "none of them came through");
    // The place is free once the client has gone.
    stalled.abort();
    eventually(DEADLINE, "requests pass again", || async {
        when(gateway.get("/up", None).await.0 == 200)
    })
    .await;
}

#[tokio::test]
async fn a_tunnel_takes_its_place_until_it_ends() {
    let echo = Echo::answering(|head| {
        let other = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned();
        if head.starts_with("GET /ws") {
            format!("{}hello", granted(head))
        } else {
            other
        }
    })
    .await;
    let config = echo
        .routes("")
        .replacen("servers =", "max_requests = 1\nqueue = 0\nservers =", 1);
    let gateway = TestGateway::start(&config).await;
    let user = Account::sign_up(&gateway).await;
    let ask = async || gateway.get("/plain", Some(&user.token)).await.0;
    assert_eq!(ask().await, 200);
    let mut socket = Socket::open(&gateway, "/ws", &user.token).await;
    socket.echoes("one").await;
    assert_eq!(ask().await, 503, "the place is taken");
    socket.echoes("two").await;
    assert_eq!(ask().await, 503, "and stays taken");
    socket.end().await;
    socket.until_end().await;
    eventually(DEADLINE, "the place is free", || async { when(ask().await == 200) }).await;
}
