//! Many reloads while many clients ask.

use std::time::Duration;

use super::load::Load;
use crate::support::process::Process;
use crate::support::{Conversation, DEADLINE, Upstream, eventually, usual_routes, when};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_across_a_hundred_reloads() {
    let (upstream, other) = (Upstream::echo().await, Upstream::echo().await);
    let process = Process::serve(&usual_routes(&upstream)).await;
    let load = Load::on(process.address);
    for reload in 0..100 {
        // The upstream of the route changes with each, and so does the list of routes.
        let upstream = if reload % 2 == 0 { &other } else { &upstream };
        let extra = format!("[[routes]]\npath = \"/extra{reload}\"\nupstream = \"app\"\n");
        process.reload(&format!("{}{extra}", usual_routes(upstream))).await;
    }
    let before = load.answered();
    eventually(DEADLINE, "the clients are still served", || async {
        when(load.answered() > before + 8)
    })
    .await;
    let answered = load.end().await;
    assert!(answered > 100, "{answered}");
    assert!(!other.seen().is_empty() && upstream.faults().is_empty() && other.faults().is_empty());
    assert_eq!(process.generation().await, 101);
}

#[tokio::test]
async fn signals_that_come_at_once_or_while_the_gateway_goes_down_do_no_harm() {
    let upstream = Upstream::start(|_| {
        let late = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone".to_vec();
        crate::support::Reply::Late(Duration::from_millis(500), late)
    })
    .await;
    let mut process = Process::serve(&usual_routes(&upstream)).await;
    process.signal("HUP").await;
    process.signal("HUP").await;
    eventually(DEADLINE, "it was reloaded", || async {
        when(process.generation().await >= 2)
    })
    .await;
    let mut busy = Conversation::open(process.address).await;
    busy.send("GET /public/x HTTP/1.1\r\nHost: x\r\n\r\n").await;
    eventually(DEADLINE, "the request is upstream", || async {
        when(upstream.seen().len() == 1)
    })
    .await;
    process.signal("HUP").await;
    process.signal("TERM").await;
    process.signal("HUP").await;
    assert_eq!(busy.answer().await.status, 200);
    assert!(process.ended().await.success(), "{}", process.log());
}
