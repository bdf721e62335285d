//! What is under way when its token expires or is revoked ends, within the bound for revocations.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::support::{Events, Listener};
use crate::support::mariadb::{Database, Server};
use crate::support::{Account, Backend, Conversation, DEADLINE, TestGateway, eventually, when};

/// How many exchanges were ended with this code.
pub(super) async fn ended(gateway: &TestGateway, code: &str) -> u64 {
    let answer = gateway.http.get(gateway.admin_url("/metrics")).send().await.unwrap();
    let text = answer.text().await.unwrap();
    let line = format!("doorward_exchanges_ended_total{{code=\"{code}\"}} ");
    let count = text.lines().find_map(|found| found.strip_prefix(&line));
    count.map_or(0, |count| count.parse().unwrap())
}

#[tokio::test]
async fn a_logout_ends_the_streams_of_its_session_and_no_other() {
    let events = Events::start().await;
    let gateway = TestGateway::start(&events.routes()).await;
    let user = Account::sign_up(&gateway).await;
    let other = user.log_in(&gateway).await;
    let first = Listener::open(&gateway, "/e/1", &user.token).await;
    let second = Listener::open(&gateway, "/e/2", &user.token).await;
    let mut others = Listener::open(&gateway, "/e/3", &other.token).await;
    gateway.log_out(&user.token).await;
    first.breaks_off().await;
    second.breaks_off().await;
    events.until_open(1).await;
    events.send("still here");
    others.sees("data: still here").await;
    assert_eq!(ended(&gateway, "token_revoked").await, 2);
}

#[tokio::test]
async fn a_logout_on_another_replica_ends_a_stream() {
    let events = Events::start().await;
    let gateway = TestGateway::start_on(Backend::MariaDb, &events.routes()).await;
    let replica = gateway.replica().await;
    let user = Account::sign_up(&gateway).await;
    let stream = Listener::open(&replica, "/e/1", &user.token).await;
    gateway.log_out(&user.token).await;
    stream.breaks_off().await;
    events.until_open(0).await;
}

#[tokio::test]
async fn a_stream_ends_when_its_token_expires_though_the_session_was_refreshed() {
    let events = Events::start().await;
    let gateway = TestGateway::start(&events.routes()).await;
    let user = Account::sign_up(&gateway).await;
    let mut old = Listener::open(&gateway, "/e/1", &user.token).await;
    gateway.shift.advance(Duration::from_secs(600));
    let (status, fresh) = gateway
        .post("/auth/refresh", &json!({"refresh_token": user.refresh_token}))
        .await;
    assert_eq!(status, 200, "{fresh}");
    let fresh = Account::from_tokens(&fresh);
    let mut young = Listener::open(&gateway, "/e/2", &fresh.token).await;
    events.send("both");
    old.sees("data: both").await;
    young.sees("data: both").await;

    gateway.shift.advance(Duration::from_secs(400));
    old.breaks_off().await;
    events.until_open(1).await;
    events.send("one");
    young.sees("data: one").await;
    assert_eq!(ended(&gateway, "token_expired").await, 1);
}

#[tokio::test]
async fn a_route_may_let_streams_finish() {
    let events = Events::start().await;
    let gateway = TestGateway::start(&events.routes()).await;
    let user = Account::sign_up(&gateway).await;
    let ended = Listener::open(&gateway, "/e/1", &user.token).await;
    let mut kept = Listener::open(&gateway, "/finish/1", &user.token).await;
    gateway.log_out(&user.token).await;
    ended.breaks_off().await;
    events.send("to the end");
    kept.sees("data: to the end").await;
    let (status, _) = gateway.get("/finish/2", Some(&user.token)).await;
    assert_eq!(status, 401, "a new request is judged as ever");
}

#[tokio::test]
async fn whoever_waits_for_an_answer_learns_that_the_token_was_revoked() {
    let events = Events::start().await;
    let gateway = TestGateway::start(&events.routes()).await;
    let user = Account::sign_up(&gateway).await;
    let begin = |rest: &str| {
        let raw = format!("GET /e/poll HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer TOKEN\r\n{rest}");
        gateway.fill(&raw, &user.token)
    };
    let mut poll = Conversation::open(gateway.address).await;
    poll.send(begin("\r\n")).await;
    let mut upload = Conversation::open(gateway.address).await;
    let post = begin("Content-Length: 1000\r\n\r\nonly a part").replace("GET", "POST");
    upload.send(post).await;
    events.until_open(2).await;
    gateway.log_out(&user.token).await;
    for conversation in [&mut poll, &mut upload] {
        let answer = conversation.answer().await;
        assert_eq!((answer.status, answer.problem().as_str()), (401, "token_revoked"));
    }
    events.until_open(0).await;
}

#[tokio::test]
async fn streams_end_when_revocations_are_not_known_any_more() {
    let events = Events::start().await;
    let server = Arc::new(Server::start().await);
    let database = Database::create_in(&server).await;
    let impatient = "[store]\nconnect_timeout = \"500ms\"\nquery_timeout = \"500ms\"\n\
        [revocation]\npoll_interval = \"100ms\"\nmax_staleness = \"1s\"\n";
    let gateway = TestGateway::start_with(&format!("{impatient}{}", events.routes()), Some(database)).await;
    let user = Account::sign_up(&gateway).await;
    let stream = Listener::open(&gateway, "/e/1", &user.token).await;
    server.freeze();
    stream.breaks_off().await;
    server.thaw();
    assert_eq!(ended(&gateway, "revocations_unavailable").await, 1);
}

#[tokio::test]
async fn streams_end_with_the_account_and_with_the_key() {
    let events = Events::start().await;
    let gateway = TestGateway::start(&events.routes()).await;
    let user = Account::sign_up(&gateway).await;
    let other = Account::sign_up(&gateway).await;
    let stream = Listener::open(&gateway, "/e/1", &user.token).await;
    let (done, _, said) = gateway.command(&format!("users disable {}", user.email)).await;
    assert!(done, "{said}");
    stream.breaks_off().await;

    let stream = Listener::open(&gateway, "/e/2", &other.token).await;
    let (_, keys, _) = gateway.command("keys list --json").await;
    let keys: serde_json::Value = serde_json::from_str(&keys).unwrap();
    let kid = keys[0]["kid"].as_str().unwrap_or_else(|| panic!("{keys}"));
    let (done, _, said) = gateway.command(&format!("keys revoke {kid}")).await;
    assert!(done, "{said}");
    stream.breaks_off().await;
}

#[tokio::test]
async fn a_thousand_streams_end_at_once() {
    let events = Events::start().await;
    let gateway = TestGateway::start(&events.routes()).await;
    let user = Account::sign_up(&gateway).await;
    let streams = (0..1000).map(|_| Listener::open(&gateway, "/e/1", &user.token));
    let streams = futures_util::future::join_all(streams).await;
    assert!(watched(&gateway).await >= 1000);
    gateway.log_out(&user.token).await;
    futures_util::future::join_all(streams.into_iter().map(Listener::breaks_off)).await;
    assert_eq!(ended(&gateway, "token_revoked").await, 1000);
    eventually(DEADLINE, "nothing is watched any more", || async {
        when(watched(&gateway).await == 0)
    })
    .await;
}

/// How many exchanges are watched.
async fn watched(gateway: &TestGateway) -> u64 {
    let answer = gateway.http.get(gateway.admin_url("/metrics")).send().await.unwrap();
    let text = answer.text().await.unwrap();
    let count = text
        .lines()
        .find_map(|line| line.strip_prefix("doorward_exchanges_watched "));
    count.unwrap_or_else(|| panic!("{text}")).parse().unwrap()
}
