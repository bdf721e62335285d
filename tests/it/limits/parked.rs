//! Connections that idle for long.

use std::time::Duration;

use crate::support::process::Process;
use crate::support::{Conversation, DEADLINE, Upstream, eventually, usual_routes, when};

/// Longer than most clients leave a connection alone and go on with it.
const LONG: Duration = Duration::from_secs(6);

const ASK: &str = "GET /public/x HTTP/1.1\r\nHost: x\r\n\r\n";

#[tokio::test]
async fn a_connection_that_idled_for_long_brings_requests_as_if_it_had_not() {
    let upstream = Upstream::echo().await;
    let mut process = Process::serve(&usual_routes(&upstream)).await;
    let mut used = Conversation::open(process.address).await;
    let mut fresh = Conversation::open(process.address).await;
    let mut last = Conversation::open(process.address).await;
    used.send(ASK).await;
    assert_eq!(used.answer().await.status, 200);
    // It is time itself that is waited for.
    tokio::time::sleep(LONG).await;
    used.send(&ASK[..1]).await;
    fresh.send(format!("{ASK}{ASK}")).await;
    used.send(format!("{}{ASK}", &ASK[1..])).await;
    for conversation in [&mut used, &mut fresh] {
        for _ in 0..2 {
            assert_eq!(conversation.answer().await.status, 200);
        }
    }
    // A bad head is refused as it always is.
    used.send("GET /public/x HTTP/1.1\nHost: x\r\n\r\n").await;
    assert_eq!(used.answer().await.status, 400);
    // And one more request is taken when the gateway stops, with word that it is the last.
    process.signal("TERM").await;
    eventually(DEADLINE, "the listener is closed", || async {
        when(tokio::net::TcpStream::connect(process.address).await.is_err())
    })
    .await;
    last.send(ASK).await;
    let answer = last.answer().await;
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    assert!(process.ended().await.success(), "{}", process.log());
}

#[tokio::test]
async fn a_connection_that_idled_for_long_is_closed_in_its_time() {
    let upstream = Upstream::echo().await;
    let process = Process::serve(&format!("[server]\nkeep_alive = \"7s\"\n{}", usual_routes(&upstream))).await;
    let mut used = Conversation::open(process.address).await;
    used.send(ASK).await;
    assert_eq!(used.answer().await.status, 200);
    let ended = used.until_end().await;
    assert!(ended.answers.is_empty() && ended.rest.is_empty(), "{ended:?}");
}
