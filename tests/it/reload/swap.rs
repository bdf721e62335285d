//! What a reload changes, and what it leaves alone.

use std::time::Duration;

use crate::support::{Conversation, DEADLINE, Reply, TestGateway, Upstream, eventually, usual_routes, when};

fn public(upstream: &Upstream, path: &str) -> String {
    format!(
        "[upstreams.app]\nservers = [\"{}\"]\n[[routes]]\npath = \"{path}\"\nupstream = \"app\"\nauth = \"none\"\n",
        upstream.url()
    )
}

#[tokio::test]
async fn routes_come_and_go_with_the_configuration() {
    let upstream = Upstream::echo().await;
    let mut gateway = TestGateway::start(&public(&upstream, "/old")).await;
    assert_eq!(gateway.get("/old", None).await.0, 200);
    assert_eq!(gateway.get("/new", None).await.0, 404);
    assert_eq!(gateway.reload(&public(&upstream, "/new")).await, Ok(2));
    assert_eq!(gateway.get("/old", None).await.0, 404);
    assert_eq!(gateway.get("/new", None).await.0, 200);
    assert_eq!(gateway.metric("doorward_config_generation").await, Some(2.0));
    let taken = gateway.metric("doorward_config_reloads_total{result=\"taken\"}").await;
    assert_eq!(taken, Some(1.0));
    assert!(gateway.metric("doorward_config_loaded_timestamp_seconds").await > Some(1.7e9));
}

#[tokio::test]
async fn a_connection_that_is_kept_alive_is_served_by_the_new_routes() {
    let upstream = Upstream::echo().await;
    let mut gateway = TestGateway::start(&public(&upstream, "/old")).await;
    let mut kept = Conversation::open(gateway.address).await;
    kept.send("GET /old HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(kept.answer().await.status, 200);
    gateway.reload(&public(&upstream, "/new")).await.unwrap();
    kept.send("GET /new HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(kept.answer().await.status, 200);
}

#[tokio::test]
async fn a_request_in_flight_to_an_upstream_that_is_gone_from_the_configuration_finishes() {
    let slow = Upstream::start(|_| {
        Reply::Late(
            Duration::from_millis(400),
            b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone".to_vec(),
        )
    })
    .await;
    let other = Upstream::echo().await;
    let mut gateway = TestGateway::start(&public(&slow, "/x")).await;
    let mut busy = Conversation::open(gateway.address).await;
    busy.send("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345")
        .await;
    eventually(DEADLINE, "half of the body is upstream", || async {
        when(slow.raw().first().is_some_and(|bytes| bytes.ends_with(b"12345")))
    })
    .await;
    gateway.reload(&public(&other, "/y")).await.unwrap();
    busy.send("67890").await;
    let answer = busy.answer().await;
    assert_eq!((answer.status, &answer.body[..]), (200, &b"done"[..]));
    assert_eq!(slow.only().body, b"1234567890");
    assert_eq!(gateway.get("/x", None).await.0, 404);
}

#[tokio::test]
async fn a_hundred_reloads_open_no_further_connection_to_the_upstream() {
    let upstream = Upstream::echo().await;
    let mut gateway = TestGateway::start(&public(&upstream, "/0")).await;
    assert_eq!(gateway.get("/0", None).await.0, 200);
    for i in 1..=100 {
        gateway.reload(&public(&upstream, &format!("/{i}"))).await.unwrap();
        assert_eq!(gateway.get(&format!("/{i}"), None).await.0, 200);
    }
    assert_eq!(upstream.raw().len(), 1);
}

#[tokio::test]
async fn new_connections_are_held_to_the_new_limits_and_old_ones_to_those_they_were_made_under() {
    let upstream = Upstream::echo().await;
    let mut gateway = TestGateway::start(&public(&upstream, "/x")).await;
    let long = format!("GET /x HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n\r\n", "y".repeat(4000));
    let mut before = Conversation::open(gateway.address).await;
    before.send(&long).await;
    assert_eq!(before.answer().await.status, 200);
    let small = format!("[server]\nmax_header_bytes = \"2KiB\"\n{}", public(&upstream, "/x"));
    gateway.reload(&small).await.unwrap();
    before.send(&long).await;
    assert_eq!(before.answer().await.status, 200);
    let mut after = Conversation::open(gateway.address).await;
    after.send(&long).await;
    assert_eq!(after.answer().await.status, 431);
}

#[tokio::test]
async fn more_connections_are_taken_as_soon_as_more_are_allowed() {
    let upstream = Upstream::echo().await;
    let with = |max: u32| format!("[server]\nmax_connections = {max}\n{}", public(&upstream, "/x"));
    let mut gateway = TestGateway::start(&with(1)).await;
    let ask = "GET /x HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut first = Conversation::open(gateway.address).await;
    first.send(ask).await;
    assert_eq!(first.answer().await.status, 200);
    let mut second = Conversation::open(gateway.address).await;
    second.send(ask).await;
    gateway.reload(&with(2)).await.unwrap();
    assert_eq!(second.answer().await.status, 200);
}

#[tokio::test]
async fn the_endpoints_move_with_the_configuration_and_the_sessions_stay() {
    let upstream = Upstream::echo().await;
    let mut gateway = TestGateway::start(&usual_routes(&upstream)).await;
    let user = crate::support::Account::sign_up(&gateway).await;
    let moved = format!(
        "[auth]\npath = \"/id\"\nsignup = \"closed\"\n{}",
        usual_routes(&upstream)
    );
    gateway.reload(&moved).await.unwrap();
    assert_eq!(gateway.get("/auth/ping", None).await.0, 404);
    assert_eq!(gateway.get("/id/ping", None).await.0, 200);
    let (status, _) = gateway.post("/id/signup", &serde_json::json!({})).await;
    assert_eq!(status, 403);
    let refresh = serde_json::json!({"refresh_token": user.refresh_token});
    let (status, body) = gateway.post("/id/refresh", &refresh).await;
    assert_eq!(status, 200, "{body}");
    let token = body["access_token"].as_str().unwrap();
    assert_eq!(gateway.get("/c/x", Some(token)).await.0, 200);
}
