//! A second gateway listens beside the first, which is then told to stop, and nobody is turned away.

use std::net::TcpListener;

use super::load::Load;
use crate::support::process::{Process, free_address};
use crate::support::{Conversation, DEADLINE, Reply, Upstream, eventually, usual_routes, when};

const ASK: &str = "GET /public/x HTTP/1.1\r\nHost: x\r\n\r\n";

fn shared(upstream: &Upstream) -> String {
    format!("[server]\nreuse_port = true\nworkers = 2\n{}", usual_routes(upstream))
}

/// Waits until this one is ready: whoever is asked at the address says who it is.
async fn is_up(process: &Process) {
    eventually(DEADLINE, "it is ready", || async {
        let said = process.ready().await;
        when(said["process"] == process.id() && said["ready"] == true)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_one_gateway_after_another_is_started_beside_the_last() {
    let upstream = Upstream::echo().await;
    let mut process = Process::serve(&shared(&upstream)).await;
    let load = Load::on(process.address);
    for round in 1..=4 {
        let next = process.beside(&format!("log{round}"));
        is_up(&next).await;
        let before = load.answered();
        eventually(DEADLINE, "both serve", || async { when(load.answered() > before + 20) }).await;
        process.signal("TERM").await;
        assert!(process.ended().await.success(), "{}", process.log());
        let before = load.answered();
        eventually(DEADLINE, "the next one serves", || async {
            when(load.answered() > before + 20)
        })
        .await;
        process = next;
    }
    assert!(load.end().await > 160);
    process.signal("TERM").await;
    assert!(process.ended().await.success(), "{}", process.log());
}

#[tokio::test]
async fn a_gateway_that_goes_leaves_the_private_listener_to_the_other_and_finishes_its_requests() {
    let upstream = Upstream::start(|_| {
        let late = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone".to_vec();
        Reply::Late(std::time::Duration::from_secs(1), late)
    })
    .await;
    let mut process = Process::serve(&shared(&upstream)).await;
    let mut busy = Conversation::open(process.address).await;
    busy.send(ASK).await;
    eventually(DEADLINE, "the request is upstream", || async {
        when(upstream.seen().len() == 1)
    })
    .await;
    let next = process.beside("next");
    is_up(&next).await;
    process.signal("TERM").await;
    let gone = tokio::spawn(async move {
        let status = process.ended().await;
        assert!(status.success(), "{}", process.log());
    });
    // A probe must not hear of the one that goes that nobody is ready.
    while !gone.is_finished() {
        let said = next.ready().await;
        assert_eq!(said["ready"], true, "{said}");
    }
    gone.await.unwrap();
    assert_eq!(busy.answer().await.status, 200);
    assert_eq!(next.ready().await["process"], next.id());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_starts_slowly_and_fails_takes_no_connection() {
    let upstream = Upstream::echo().await;
    let process = Process::serve(&shared(&upstream)).await;
    // A database that never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("mysql://user@{}/doorward", silent.local_addr().unwrap());
    process.rewrite(&format!(
        "[store]\nurl = \"{url}\"\nconnect_timeout = \"1s\"\n{}",
        shared(&upstream)
    ));
    let load = Load::on(process.address);
    let mut next = process.beside("next");
    assert!(!next.ended().await.success());
    assert!(next.log().contains("database"), "{}", next.log());
    let before = load.answered();
    eventually(DEADLINE, "the first one serves", || async {
        when(load.answered() > before + 20)
    })
    .await;
    load.end().await;
    assert_eq!(process.ready().await["process"], process.id());
}

#[tokio::test]
async fn a_reload_lets_another_gateway_in_beside_or_keeps_it_out() {
    let upstream = Upstream::echo().await;
    let alone = format!("[server]\nworkers = 2\n{}", usual_routes(&upstream));
    let process = Process::serve(&alone).await;
    let mut refused = process.beside("refused");
    assert!(!refused.ended().await.success());
    let why = refused.log();
    assert!(
        why.contains(&format!("{} can't be listened on", process.address)) && why.contains("server.reuse_port"),
        "{why}"
    );
    process.reload(&shared(&upstream)).await;
    let next = process.beside("next");
    is_up(&next).await;
    // One that does not want to share keeps out of what the others share.
    process.rewrite(&alone);
    let mut refused = process.beside("refused");
    assert!(!refused.ended().await.success());
    assert!(refused.log().contains("server.reuse_port"), "{}", refused.log());
}

#[tokio::test]
async fn what_is_no_gateway_does_not_share() {
    let upstream = Upstream::echo().await;
    let process = Process::serve(&shared(&upstream)).await;
    let taken = TcpListener::bind(free_address()).unwrap();
    let address = taken.local_addr().unwrap();
    process.rewrite(&format!(
        "[server]\nlisten = \"{address}\"\nreuse_port = true\n{}",
        usual_routes(&upstream)
    ));
    let mut next = process.beside("next");
    assert!(!next.ended().await.success());
    let why = next.log();
    assert!(
        why.contains(&format!("{address} can't be listened on")) && why.contains("no gateway of the same user"),
        "{why}"
    );
}
