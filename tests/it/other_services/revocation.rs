//! What becomes of tokens that other services revoke.

use std::time::Duration;

use serde_json::json;

use super::{ask_as, assert_inactive, config, introspect, revoke, start};
use crate::support::{Account, DEADLINE, TestGateway, Upstream, eventually, when};

/// The status and code of a guarded route for this token.
async fn guarded(gateway: &TestGateway, token: &str) -> (u16, String) {
    let request = gateway.http.get(gateway.url("/c")).bearer_auth(token);
    let answer = request.send().await.unwrap();
    let code = answer.headers().get("x-doorward-error");
    let code = code.map(|code| code.to_str().unwrap().to_owned());
    (answer.status().as_u16(), code.unwrap_or_default())
}

async fn assert_revoked(gateway: &TestGateway, token: &str) {
    assert_eq!(guarded(gateway, token).await, (401, "token_revoked".to_owned()));
}

async fn revoked_in_time(replica: &TestGateway, token: &str) {
    eventually(DEADLINE, "the replica refuses the token", || async {
        when(guarded(replica, token).await == (401, "token_revoked".to_owned()))
    })
    .await;
}

#[tokio::test]
async fn a_revoked_access_token_is_refused_everywhere_and_its_session_lives() {
    let (mut gateway, _upstream) = start().await;
    let replica = gateway.replica().await;
    let user = Account::sign_up(&gateway).await;
    for on in [&gateway, &replica] {
        assert_eq!(guarded(on, &user.token).await.0, 200);
    }
    revoke(&gateway, &user.token).await;
    assert_revoked(&gateway, &user.token).await;
    assert_inactive(&gateway, &user.token).await;
    revoked_in_time(&replica, &user.token).await;
    // Again, and where it was not revoked: the same answer.
    revoke(&gateway, &user.token).await;
    revoke(&replica, &user.token).await;

    let (status, next) = gateway
        .post("/auth/refresh", &json!({"refresh_token": user.refresh_token}))
        .await;
    assert_eq!(status, 200, "{next}");
    let next = Account::from_tokens(&next);
    assert_eq!(guarded(&gateway, &next.token).await.0, 200);
    gateway.restart().await;
    assert_revoked(&gateway, &user.token).await;
    assert_eq!(guarded(&gateway, &next.token).await.0, 200);
}

#[tokio::test]
async fn a_revoked_refresh_token_ends_its_session_everywhere() {
    let (mut gateway, _upstream) = start().await;
    let replica = gateway.replica().await;
    let user = Account::sign_up(&gateway).await;
    let other = user.log_in(&gateway).await;
    assert_eq!(guarded(&replica, &user.token).await.0, 200);
    revoke(&gateway, &user.refresh_token).await;
    assert_revoked(&gateway, &user.token).await;
    assert_inactive(&gateway, &user.token).await;
    assert_inactive(&gateway, &user.refresh_token).await;
    assert_inactive(&replica, &user.refresh_token).await;
    let (status, answer) = replica
        .post("/auth/refresh", &json!({"refresh_token": user.refresh_token}))
        .await;
    assert_eq!((status, &answer["code"]), (401, &"invalid_refresh_token".into()));
    revoked_in_time(&replica, &user.token).await;
    revoke(&gateway, &user.refresh_token).await;
    gateway.restart().await;
    assert_revoked(&gateway, &user.token).await;
    // One session is one session.
    assert_eq!(guarded(&gateway, &other.token).await.0, 200);
    assert_eq!(introspect(&gateway, &other.refresh_token).await["active"], true);
}

#[tokio::test]
async fn a_used_refresh_token_still_ends_its_session() {
    let (gateway, _upstream) = start().await;
    let user = Account::sign_up(&gateway).await;
    let (_, next) = gateway
        .post("/auth/refresh", &json!({"refresh_token": user.refresh_token}))
        .await;
    let next = Account::from_tokens(&next);
    revoke(&gateway, &user.refresh_token).await;
    assert_revoked(&gateway, &next.token).await;
    assert_inactive(&gateway, &next.refresh_token).await;
}

#[tokio::test]
async fn a_refresh_token_whose_session_another_replica_ended_is_refused_here_once_it_is_answered() {
    let (gateway, _upstream) = start().await;
    // One that does not hear of anything by itself.
    let deaf = gateway
        .replica_with("[revocation]\npoll_interval = \"1m\"\nmax_staleness = \"1h\"\n")
        .await;
    let user = Account::sign_up(&gateway).await;
    gateway.log_out(&user.token).await;
    assert_eq!(guarded(&deaf, &user.token).await.0, 200);
    revoke(&deaf, &user.refresh_token).await;
    assert_revoked(&deaf, &user.token).await;
}

#[tokio::test]
async fn what_is_no_token_is_revoked_without_a_word() {
    let (gateway, _upstream) = start().await;
    let user = Account::sign_up(&gateway).await;
    let (front, _) = user.token.rsplit_once('.').unwrap();
    for garbage in ["x", "a.b.c", &"A".repeat(43), &format!("{front}.AAAA"), "ü"] {
        revoke(&gateway, garbage).await;
    }
    assert_eq!(guarded(&gateway, &user.token).await.0, 200);
    gateway.shift.advance(Duration::from_mins(16));
    revoke(&gateway, &user.token).await;
    gateway.shift.advance(Duration::from_hours(40 * 24));
    revoke(&gateway, &user.token).await;
    revoke(&gateway, &user.refresh_token).await;
}

#[tokio::test]
async fn a_token_whose_key_can_not_be_opened_here_is_not_said_to_be_revoked() {
    let upstream = Upstream::echo().await;
    let toml = format!("{}\n[keys]\nreload_every = \"200ms\"\n", config(&upstream));
    let gateway = TestGateway::start(&toml).await;
    std::fs::copy(gateway.path("data/master.key"), gateway.path("data/old.key")).unwrap();
    let behind = gateway
        .replica_with("[keys]\nmaster_key_file = \"data/old.key\"\n")
        .await;
    let (done, _, error) = gateway
        .command("keys reseal --new-master-key-file data/new.key --create")
        .await;
    assert!(done, "{error}");
    std::fs::rename(gateway.path("data/new.key"), gateway.path("data/master.key")).unwrap();
    let (done, kid, error) = gateway.command("keys rotate").await;
    assert!(done, "{error}");
    eventually(DEADLINE, "the new key is published", || async {
        when(
            gateway
                .get("/auth/.well-known/jwks.json", None)
                .await
                .1
                .contains(kid.trim()),
        )
    })
    .await;
    gateway.shift.advance(Duration::from_mins(8));
    let user = Account::sign_up(&gateway).await;
    assert_eq!(guarded(&gateway, &user.token).await.0, 200);

    let answer = ask_as(&behind, "both", "/auth/revoke", &user.token).await;
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
    assert_eq!(guarded(&gateway, &user.token).await.0, 200, "it was not revoked");
    revoke(&gateway, &user.token).await;
    assert_revoked(&gateway, &user.token).await;
}
