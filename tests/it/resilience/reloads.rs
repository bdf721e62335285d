//! What is known of servers, and who waits for them, across a reload.

use std::sync::atomic::Ordering;

use tokio::task::JoinHandle;

use super::checks::{CHECKS, switched};
use super::{metrics, reasons, route_to};
use crate::support::{Conversation, DEADLINE, Reply, TestGateway, Upstream, eventually, when};

/// A server that answers all but `/up/stall`.
async fn stalling() -> Upstream {
    Upstream::start(|seen| match seen.target.as_str() {
        "/up/stall" => Reply::Stall(Vec::new()),
        _ => Reply::ok("ok"),
    })
    .await
}

/// A request that stays in flight until its connection is dropped.
async fn stall(gateway: &TestGateway) -> Conversation {
    let mut stalled = Conversation::open(gateway.address).await;
    stalled.send("GET /up/stall HTTP/1.1\r\nHost: x\r\n\r\n").await;
    stalled
}

/// A request of which only the status counts.
fn ask_beside(gateway: &TestGateway) -> JoinHandle<u16> {
    let asked = gateway.http.get(gateway.url("/up")).send();
    tokio::spawn(async { asked.await.unwrap().status().as_u16() })
}

/// Until the gateway has so many requests.
async fn has(gateway: &TestGateway, count: f64) {
    eventually(DEADLINE, "they are there", || async {
        when(gateway.metric("doorward_requests_in_flight").await == Some(count))
    })
    .await;
}

async fn in_flight(servers: &[Upstream], count: usize) {
    eventually(DEADLINE, "they are there", || async {
        let stalled = servers.iter().map(|server| server.seen_with("/up/stall").len());
        when(stalled.sum::<usize>() == count)
    })
    .await;
}

#[tokio::test]
async fn a_server_that_is_down_by_its_checks_stays_down_whatever_else_changes() {
    let (sick, well) = switched().await;
    let (other, _) = switched().await;
    let with = |settings: &str| {
        let settings = format!("{CHECKS}health.failures = 1\nbalance = \"round-robin\"\n{settings}\n");
        route_to(&[sick.url(), other.url()], &settings)
    };
    let mut gateway = TestGateway::start(&with("")).await;
    well.store(false, Ordering::SeqCst);
    eventually(DEADLINE, "it is down", || async {
        when(reasons(&gateway).await.contains("its checks fail"))
    })
    .await;
    let before = sick.seen_with("/up").len();
    // Connections depend on the last two, and are made anew.
    for settings in [
        "response_timeout = \"30s\"",
        "retry.attempts = 1",
        "eject.after = 3",
        "health.timeout = \"5s\"",
        "max_requests = 100",
        "connect_timeout = \"3s\"",
        "max_connections = 100",
    ] {
        gateway.reload(&with(settings)).await.unwrap();
        for _ in 0..10 {
            assert_eq!(gateway.get("/up", None).await.0, 200);
        }
        assert_eq!(sick.seen_with("/up").len(), before, "{settings}");
        assert!(reasons(&gateway).await.contains("its checks fail"), "{settings}");
    }
    // And it is still asked.
    well.store(true, Ordering::SeqCst);
    eventually(DEADLINE, "it is up", || async { when(reasons(&gateway).await == "[]") }).await;
}

#[tokio::test]
async fn a_server_is_up_when_nobody_checks_it_any_more() {
    let (sick, well) = switched().await;
    well.store(false, Ordering::SeqCst);
    let config = |settings: &str| route_to(&[sick.url()], settings);
    let mut gateway = TestGateway::start(&config(&format!("{CHECKS}health.failures = 1\n"))).await;
    eventually(DEADLINE, "it is down", || async {
        when(gateway.get("/up", None).await.0 == 503)
    })
    .await;
    gateway.reload(&config("")).await.unwrap();
    for _ in 0..10 {
        assert_eq!(gateway.get("/up", None).await.0, 200);
    }
    assert_eq!(reasons(&gateway).await, "[]");
}

#[tokio::test]
async fn a_server_that_was_asked_the_wrong_thing_is_up_after_the_right_thing_has_passed_once() {
    let server = Upstream::start(|seen| match seen.target.as_str() {
        "/wrong" => Reply::raw("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"),
        _ => Reply::ok("ok"),
    })
    .await;
    let config = |path: &str, interval: &str| {
        let settings = format!(
            "health.path = \"{path}\"\nhealth.interval = \"{interval}\"\nhealth.failures = 1\nhealth.passes = 100\n"
        );
        route_to(&[server.url()], &settings)
    };
    let mut gateway = TestGateway::start(&config("/wrong", "30ms")).await;
    eventually(DEADLINE, "it is down", || async {
        when(gateway.get("/up", None).await.0 == 503)
    })
    .await;
    // The first check comes at once, the second in an hour.
    gateway.reload(&config("/right", "1h")).await.unwrap();
    assert!(reasons(&gateway).await.contains("its checks fail") || !server.seen_with("/right").is_empty());
    eventually(DEADLINE, "it is up", || async {
        when(gateway.get("/up", None).await.0 == 200)
    })
    .await;
    assert_eq!(server.seen_with("/right").len(), 1);
}

#[tokio::test]
async fn an_ejected_server_stays_ejected_until_nothing_is_or_connections_are_made_in_another_way() {
    let sick = Upstream::start(|_| Reply::raw("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")).await;
    let well = Upstream::echo().await;
    let with = |settings: &str| {
        let settings = format!(
            "eject.on_status = \"500\"\neject.time = \"1h\"\neject.max_time = \"1h\"\nbalance = \"round-robin\"\n{settings}\n"
        );
        route_to(&[sick.url(), well.url()], &settings)
    };
    let mut gateway = TestGateway::start(&with("eject.after = 1")).await;
    let ejected = format!(
        "doorward_upstream_server_ejected{{upstream=\"app\",server=\"{}\"}}",
        sick.url()
    );
    let ask_ten = async |gateway: &TestGateway| {
        let before = sick.seen().len();
        for _ in 0..10 {
            gateway.get("/up", None).await;
        }
        sick.seen().len() - before
    };
    assert_eq!(ask_ten(&gateway).await, 1);
    for settings in [
        "response_timeout = \"30s\"\neject.after = 1",
        "retry.attempts = 1\neject.after = 1",
        "slow_start = \"10s\"\neject.after = 2",
    ] {
        gateway.reload(&with(settings)).await.unwrap();
        assert_eq!(ask_ten(&gateway).await, 0, "{settings}");
        assert_eq!(metrics(&gateway).await[&ejected], 1, "{settings}");
    }
    gateway
        .reload(&with("connect_timeout = \"3s\"\neject.after = 2"))
        .await
        .unwrap();
    assert_eq!(ask_ten(&gateway).await, 1, "one finds out whether that has helped");
    gateway.reload(&with("eject.after = 0")).await.unwrap();
    assert_eq!(ask_ten(&gateway).await, 5);
    assert_eq!(metrics(&gateway).await[&ejected], 0);
}

#[tokio::test]
async fn requests_from_before_a_reload_count_for_the_limit_after_it() {
    let servers = [stalling().await];
    let with = |settings: &str| route_to(&[servers[0].url()], &format!("queue = 0\n{settings}\n"));
    let mut gateway = TestGateway::start(&with("max_requests = 2")).await;
    let before = [stall(&gateway).await, stall(&gateway).await];
    in_flight(&servers, 2).await;
    for settings in [
        "max_requests = 2\nresponse_timeout = \"30s\"",
        "max_requests = 2\nconnect_timeout = \"3s\"",
        "max_requests = 1",
    ] {
        gateway.reload(&with(settings)).await.unwrap();
        assert_eq!(gateway.get("/up", None).await.0, 503, "{settings}");
    }
    gateway.reload(&with("max_requests = 3")).await.unwrap();
    assert_eq!(gateway.get("/up", None).await.0, 200);
    gateway.reload(&with("max_requests = 1")).await.unwrap();
    drop(before);
    eventually(DEADLINE, "both places are free", || async {
        when(gateway.get("/up", None).await.0 == 200)
    })
    .await;
}

#[tokio::test]
async fn connections_from_before_a_reload_count_for_the_limit_after_it() {
    let servers = [stalling().await];
    let with = |settings: &str| route_to(&[servers[0].url()], &format!("queue = 0\n{settings}\n"));
    let mut gateway = TestGateway::start(&with("max_connections = 1")).await;
    let _stalled = stall(&gateway).await;
    in_flight(&servers, 1).await;
    for settings in ["response_timeout = \"30s\"", "connect_timeout = \"3s\""] {
        let settings = format!("max_connections = 1\n{settings}");
        gateway.reload(&with(&settings)).await.unwrap();
        assert_eq!(gateway.get("/up", None).await.0, 503, "{settings}");
    }
    gateway.reload(&with("max_connections = 2")).await.unwrap();
    assert_eq!(gateway.get("/up", None).await.0, 200);
}

#[tokio::test]
async fn who_waits_gets_a_place_that_another_configuration_makes() {
    let servers = [stalling().await];
    let with = |settings: &str| {
        let settings = format!("queue = 1\nqueue_timeout = \"1h\"\n{settings}\n");
        route_to(&[servers[0].url()], &settings)
    };
    let mut gateway = TestGateway::start(&with("")).await;
    let cases = [
        ("max_requests = 1", "max_requests = 2"),
        ("max_requests = 1", ""),
        ("max_connections = 1", "max_connections = 2"),
        ("max_connections = 1", ""),
    ];
    for (at, (few, more)) in cases.into_iter().enumerate() {
        gateway.reload(&with(few)).await.unwrap();
        let stalled = stall(&gateway).await;
        in_flight(&servers, at + 1).await;
        let waiting = ask_beside(&gateway);
        has(&gateway, 2.0).await;
        gateway.reload(&with(more)).await.unwrap();
        assert_eq!(waiting.await.unwrap(), 200, "{few}, {more}");
        drop(stalled);
        has(&gateway, 0.0).await;
    }
}

#[tokio::test]
async fn who_waits_gets_the_place_of_a_request_from_before_there_was_a_limit() {
    let servers = [stalling().await, stalling().await];
    let urls = servers.each_ref().map(Upstream::url);
    let with = |settings: &str| {
        let settings = format!("balance = \"round-robin\"\nqueue = 1\nqueue_timeout = \"1h\"\n{settings}\n");
        route_to(&urls, &settings)
    };
    let mut gateway = TestGateway::start(&with("")).await;
    let [first, _second] = [stall(&gateway).await, stall(&gateway).await];
    in_flight(&servers, 2).await;
    gateway.reload(&with("max_requests = 1")).await.unwrap();
    let waiting = ask_beside(&gateway);
    has(&gateway, 3.0).await;
    drop(first);
    assert_eq!(waiting.await.unwrap(), 200);
}

#[tokio::test]
async fn who_waits_for_a_server_that_is_gone_keeps_nobody_from_one_that_has_come() {
    let servers = [stalling().await];
    let other = Upstream::echo().await;
    let settings = "max_requests = 1\nqueue = 1\nqueue_timeout = \"1h\"\n";
    let mut gateway = TestGateway::start(&route_to(&[servers[0].url()], settings)).await;
    let stalled = stall(&gateway).await;
    in_flight(&servers, 1).await;
    let waiting = ask_beside(&gateway);
    has(&gateway, 2.0).await;
    gateway.reload(&route_to(&[other.url()], settings)).await.unwrap();
    for _ in 0..5 {
        assert_eq!(gateway.get("/up", None).await.0, 200);
    }
    drop(stalled);
    assert_eq!(waiting.await.unwrap(), 200, "and it finishes as it began");
    assert_eq!(servers[0].seen().len(), 2);
}

#[tokio::test]
async fn connections_stay_where_nothing_changes_that_they_depend_on() {
    let (server, _) = switched().await;
    let mut gateway = TestGateway::start(&route_to(&[server.url()], "")).await;
    let of_requests = || {
        let raw = server.raw();
        raw.iter().filter(|bytes| bytes.starts_with(b"GET /up")).count()
    };
    for settings in [
        "",
        "response_timeout = \"30s\"",
        "retry.attempts = 1",
        "eject.after = 3\nslow_start = \"1s\"",
        "health.path = \"/\"",
        "max_requests = 5\nqueue = 7",
    ] {
        gateway.reload(&route_to(&[server.url()], settings)).await.unwrap();
        assert_eq!(gateway.get("/up", None).await.0, 200);
        assert_eq!(of_requests(), 1, "{settings}");
    }
    gateway
        .reload(&route_to(&[server.url()], "tcp_keepalive = \"30s\""))
        .await
        .unwrap();
    assert_eq!(gateway.get("/up", None).await.0, 200);
    assert_eq!(of_requests(), 2);
}
