//! nginx, four times, and SIGKILL.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use doorward::time::monotonic;
use futures_util::future::join_all;
use tokio::task::JoinHandle;

use super::load::{AT_ONCE, Seen, both};
use super::route_to;
use crate::support::nginx::Nginx;
use crate::support::{DEADLINE, TestGateway, eventually, when, within};

/// What nginx takes 30 times a second, and lets wait until then: so nearly all that clients have in flight is at a server.
const PACED: &str = "location / { limit_req zone=paced burst=1000; try_files /small =404; error_page 405 =200 /posted; }\n\
                     location = /posted { return 200 \"posted\"; }";

async fn four() -> Vec<Nginx> {
    let servers = join_all((0..4).map(|_| Nginx::start(PACED))).await;
    for server in &servers {
        std::fs::write(server.file("small"), "small").unwrap();
    }
    servers
}

async fn in_front_of(servers: &[Nginx]) -> TestGateway {
    let addresses: Vec<_> = servers.iter().map(|server| server.address).collect();
    TestGateway::start(&route_to(
        &addresses,
        "eject.time = \"200ms\"\neject.max_time = \"1s\"\n",
    ))
    .await
}

/// Waits until each has answered so many more.
async fn busy(servers: &[Nginx]) {
    let before: Vec<usize> = servers.iter().map(Nginx::served).collect();
    eventually(DEADLINE, "all are busy", || async {
        when(
            servers
                .iter()
                .zip(&before)
                .all(|(server, before)| server.served() >= before + 10),
        )
    })
    .await;
}

async fn seen_by(clients: [JoinHandle<Seen>; 2]) -> [Seen; 2] {
    let [wrk, h2load] = clients;
    [
        within("wrk", wrk).await.unwrap(),
        within("h2load", h2load).await.unwrap(),
    ]
}

/// A client that remembers of each answer when it was asked for, when it came and whether it was 200.
async fn witness(
    gateway: Arc<TestGateway>,
    method: &'static str,
    until: Arc<AtomicBool>,
) -> Vec<(Instant, Instant, bool)> {
    let mut answers = Vec::new();
    while !until.load(Ordering::SeqCst) {
        let asked = monotonic();
        let request = gateway.http.request(method.parse().unwrap(), gateway.url("/x"));
        let answer = request.send().await.expect("an answer, whichever");
        answers.push((asked, monotonic(), answer.status() == 200));
    }
    answers
}

#[tokio::test]
async fn with_half_of_nginx_killed_posts_fail_that_were_in_flight_and_no_others() {
    let mut servers = four().await;
    let gateway = Arc::new(in_front_of(&servers).await);
    let until = Arc::new(AtomicBool::new(false));
    let witnesses: Vec<_> = (0..4)
        .map(|_| tokio::spawn(witness(Arc::clone(&gateway), "POST", Arc::clone(&until))))
        .collect();
    let clients = both(&gateway, "POST", "/x", 3, 120);
    busy(&servers).await;
    let killed = monotonic();
    let (dying, living) = servers.split_at_mut(2);
    join_all(dying.iter_mut().map(Nginx::kill)).await;
    let dead = monotonic();
    assert!(
        clients.iter().all(|client| !client.is_finished()),
        "they were busy then"
    );
    busy(living).await;
    let mut failed = 0;
    for seen in seen_by(clients).await {
        // A POST is not sent twice: what waits at a server that dies has failed. It dies once.
        assert!(
            seen.bad <= 2 * AT_ONCE && seen.broken == 0 && seen.good > 30,
            "{seen:?}"
        );
        failed += seen.bad;
    }
    until.store(true, Ordering::SeqCst);
    for witness in witnesses {
        for (asked, answered, well) in within("the witness", witness).await.unwrap() {
            assert!(well || (asked < dead && answered > killed), "it was not in flight");
            failed += u64::from(!well);
        }
    }
    assert!(failed > 0, "something was in flight");
}

#[tokio::test]
async fn with_half_of_nginx_killed_no_get_fails_and_with_all_of_it_each_is_refused_until_it_is_back() {
    let mut servers = four().await;
    let gateway = in_front_of(&servers).await;
    let clients = both(&gateway, "GET", "/x", 3, 120);
    busy(&servers).await;
    join_all(servers[..2].iter_mut().map(Nginx::kill)).await;
    assert!(
        clients.iter().all(|client| !client.is_finished()),
        "they were busy then"
    );
    busy(&servers[2..]).await;
    for seen in seen_by(clients).await {
        assert!(seen.bad == 0 && seen.broken == 0 && seen.good > 30, "{seen:?}");
    }

    join_all(servers[2..].iter_mut().map(Nginx::kill)).await;
    for seen in seen_by(both(&gateway, "GET", "/x", 1, 60)).await {
        assert!(seen.good == 0 && seen.broken == 0 && seen.bad > 20, "{seen:?}");
    }
    for method in ["GET", "POST"] {
        let answer = gateway
            .http
            .request(method.parse().unwrap(), gateway.url("/x"))
            .send()
            .await
            .unwrap();
        let (status, code) = (answer.status().as_u16(), answer.headers()["x-doorward-error"].clone());
        let refused = [(502, "upstream_unreachable"), (503, "upstream_unavailable")];
        assert!(
            refused
                .iter()
                .any(|refused| (status, code.to_str().unwrap()) == *refused),
            "{status} {code:?}"
        );
    }

    join_all(servers.iter_mut().map(Nginx::start_again)).await;
    // Each may first be found out about by one request; then all of them have to do.
    eventually(DEADLINE, "all are used again", || async {
        let before: Vec<usize> = servers.iter().map(Nginx::served).collect();
        for _ in 0..24 {
            if gateway.get("/x", None).await.0 != 200 {
                return None;
            }
        }
        when(
            servers
                .iter()
                .zip(before)
                .all(|(server, before)| server.served() > before),
        )
    })
    .await;
    for seen in seen_by(both(&gateway, "GET", "/x", 1, 60)).await {
        assert!(seen.bad == 0 && seen.broken == 0 && seen.good > 20, "{seen:?}");
    }
}
