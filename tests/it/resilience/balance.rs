//! Who gets a request.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::{counts, metrics, route_to};
use crate::support::{Account, Conversation, DEADLINE, Reply, TestGateway, Upstream, eventually, when};

async fn three() -> [Upstream; 3] {
    [named("a").await, named("b").await, named("c").await]
}

/// A server that answers with its name.
async fn named(name: &'static str) -> Upstream {
    Upstream::start(move |seen| {
        if seen.target.contains("stall") {
            Reply::Stall(Vec::new())
        } else {
            Reply::ok(name)
        }
    })
    .await
}

#[tokio::test]
async fn turns_follow_the_weights_and_a_weight_of_zero_gets_nothing() {
    let servers = three().await;
    let [a, b, c] = servers.each_ref().map(Upstream::url);
    let urls = [a, format!("{b} weight=3"), format!("{c} weight=0")];
    let gateway = TestGateway::start(&route_to(&urls, "balance = \"round-robin\"")).await;
    let mut order = String::new();
    for _ in 0..8 {
        order += &gateway.get("/up", None).await.1;
    }
    assert_eq!(counts(&servers), [2, 6, 0]);
    assert_eq!(order, "babbbabb", "spread evenly, not one after the other");
}

#[tokio::test]
async fn idle_servers_get_what_their_weights_say() {
    let servers = three().await;
    let [a, b, c] = servers.each_ref().map(Upstream::url);
    let gateway = TestGateway::start(&route_to(&[a, format!("{b} weight=2"), format!("{c} weight=5")], "")).await;
    for _ in 0..400 {
        assert_eq!(gateway.get("/up", None).await.0, 200);
    }
    let counts = counts(&servers);
    // Expected 50, 100 and 250: six standard deviations away is chance no more.
    assert!((10..=90).contains(&counts[0]), "{counts:?}");
    assert!((48..=152).contains(&counts[1]), "{counts:?}");
    assert!((190..=310).contains(&counts[2]), "{counts:?}");
}

#[tokio::test]
async fn a_server_with_requests_in_flight_gets_none_while_another_is_idle() {
    let servers = [named("a").await, named("b").await];
    let urls = servers.each_ref().map(Upstream::url);
    let gateway = TestGateway::start(&route_to(&urls, "")).await;
    let mut stalled = Conversation::open(gateway.address).await;
    stalled
        .send(gateway.fill("GET /up/stall HTTP/1.1\r\nHost: HOST\r\n\r\n", ""))
        .await;
    let busy = eventually(DEADLINE, "one of them has it", || async {
        servers.iter().position(|server| !server.seen().is_empty())
    })
    .await;
    let name = format!("{{upstream=\"app\",server=\"{}\"}}", urls[busy]);
    let in_flight = format!("doorward_upstream_server_requests_in_flight{name}");
    assert_eq!(metrics(&gateway).await[&in_flight], 1);
    for _ in 0..30 {
        assert_eq!(gateway.get("/up", None).await.0, 200);
    }
    assert_eq!(servers[busy].seen().len(), 1);
    drop(stalled);
    eventually(DEADLINE, "it is no longer counted", || async {
        when(metrics(&gateway).await[&in_flight] == 0)
    })
    .await;
}

#[tokio::test]
async fn a_user_stays_with_a_server_through_the_death_and_return_of_another() {
    let servers = three().await;
    let urls = servers.each_ref().map(Upstream::url);
    let settings = "balance = \"hash\"\nhash_by = \"header:X-Session\"\neject.after = 1\neject.time = \"50ms\"\n";
    let gateway = TestGateway::start(&route_to(&urls, settings)).await;
    let ask = async || {
        let mut owners = BTreeMap::new();
        for session in 0..60 {
            let request = gateway.http.get(gateway.url("/up")).header("X-Session", session);
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), 200);
            owners.insert(session, answer.text().await.unwrap());
        }
        owners
    };
    let before = ask().await;
    assert_eq!(ask().await, before);
    let names: BTreeSet<&String> = before.values().collect();
    assert_eq!(names.len(), 3, "sixty sessions are spread: {before:?}");

    let [a, b, c] = servers;
    let address = a.address;
    drop(a);
    let while_gone = ask().await;
    for (session, owner) in &before {
        if owner == "a" {
            assert_ne!(while_gone[session], "a");
        } else {
            assert_eq!(
                &while_gone[session], owner,
                "session {session} had nothing to do with it"
            );
        }
    }
    let listener = eventually(DEADLINE, "the port is free again", || async {
        tokio::net::TcpListener::bind(address).await.ok()
    })
    .await;
    let a = Upstream::on(listener, |_| Reply::ok("a"));
    eventually(DEADLINE, "everybody is back", || async { when(ask().await == before) }).await;
    drop((a, b, c));
}

#[tokio::test]
async fn a_user_of_a_token_and_a_client_address_are_known_again() {
    let servers = three().await;
    let urls = servers.each_ref().map(Upstream::url);
    let by = |by: &str| format!("balance = \"hash\"\nhash_by = {by:?}\n");
    let guarded = route_to(&urls, &by("user")).replace("auth = \"none\"", "");
    let gateway = TestGateway::start(&guarded).await;
    let mut seen = BTreeSet::new();
    for _ in 0..12 {
        let user = Account::sign_up(&gateway).await;
        let owners: BTreeSet<String> = [
            gateway.get("/up", Some(&user.token)).await.1,
            gateway.get("/up/x", Some(&user.token)).await.1,
            gateway.get("/up", Some(&user.log_in(&gateway).await.token)).await.1,
        ]
        .into();
        assert_eq!(owners.len(), 1, "one user, one server: {owners:?}");
        seen.extend(owners);
    }
    assert!(seen.len() > 1, "users are spread");

    let trusting = format!(
        "[server]\ntrusted_proxies = \"127.0.0.1\"\n{}",
        route_to(&urls, &by("ip"))
    );
    let gateway = TestGateway::start(&trusting).await;
    let mut seen = BTreeSet::new();
    for client in 1..30 {
        let mut owners = BTreeSet::new();
        for _ in 0..2 {
            let request = gateway
                .http
                .get(gateway.url("/up"))
                .header("X-Forwarded-For", format!("192.0.2.{client}"));
            owners.insert(request.send().await.unwrap().text().await.unwrap());
        }
        assert_eq!(owners.len(), 1, "one client, one server: {owners:?}");
        seen.extend(owners);
    }
    assert_eq!(seen.len(), 3, "clients are spread");
}
