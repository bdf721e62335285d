//! What is told of a token.

use std::time::Duration;

use serde_json::{Value, json};

use super::{ask_as, assert_inactive, config, introspect, start};
use crate::support::mariadb::{Database, Server};
use crate::support::{Account, DEADLINE, TestGateway, Upstream, eventually, when};

/// The claims of an access token, unverified.
fn claims(token: &str) -> Value {
    let read = doorward::token::read_unverified(token).unwrap();
    Value::Object(read.claims)
}

#[tokio::test]
async fn a_live_access_token_tells_whose_it_is() {
    let (gateway, _upstream) = start().await;
    let user = Account::sign_up(&gateway).await;
    let mut expected = claims(&user.token);
    expected["active"] = true.into();
    expected["token_use"] = "access_token".into();
    expected["token_type"] = "Bearer".into();
    expected["username"] = user.email.as_str().into();
    let answer = introspect(&gateway, &user.token).await;
    assert_eq!(answer, expected);
    assert_eq!((&answer["sub"], &answer["roles"]), (&user.id.into(), &json!([])));
}

#[tokio::test]
async fn a_live_refresh_token_is_told_from_an_access_token_and_not_used_up() {
    let (gateway, _upstream) = start().await;
    let user = Account::sign_up(&gateway).await;
    let access = claims(&user.token);
    for _ in 0..2 {
        let answer = introspect(&gateway, &user.refresh_token).await;
        assert_eq!(
            (&answer["active"], &answer["token_use"]),
            (&true.into(), &"refresh_token".into())
        );
        assert_eq!(
            (&answer["sub"], &answer["sid"], &answer["iss"]),
            (&access["sub"], &access["sid"], &access["iss"])
        );
        assert_eq!(answer["username"], user.email.as_str());
        assert_eq!(answer["iat"], access["iat"]);
        let week = 7 * 24 * 3600;
        assert_eq!(answer["exp"].as_i64(), access["iat"].as_i64().map(|iat| iat + week));
        // Nobody is let in by it.
        assert!(answer["token_type"].is_null() && answer["aud"].is_null(), "{answer}");
    }
    let (status, next) = gateway
        .post("/auth/refresh", &json!({"refresh_token": user.refresh_token}))
        .await;
    assert_eq!(status, 200);
    assert_inactive(&gateway, &user.refresh_token).await;
    // Asked about, and not presented again: the session lives.
    let next = Account::from_tokens(&next);
    assert_eq!(introspect(&gateway, &next.refresh_token).await["active"], true);
    gateway.log_out(&next.token).await;
    assert_inactive(&gateway, &next.refresh_token).await;
}

#[tokio::test]
async fn of_what_is_no_live_token_nothing_is_told() {
    let (gateway, _upstream) = start().await;
    let user = Account::sign_up(&gateway).await;
    let (front, signature) = user.token.rsplit_once('.').unwrap();
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    for garbage in [
        "x".to_owned(),
        "\u{0}".to_owned(),
        "ü € 𝄞".to_owned(),
        "a.b.c".to_owned(),
        "A".repeat(43),
        "A".repeat(8000),
        format!("{front}.{flipped}{}", &signature[1..]),
        format!("{} ", user.token),
        format!("Bearer {}", user.token),
    ] {
        assert_inactive(&gateway, &garbage).await;
    }
    let other = user.log_in(&gateway).await;
    gateway.log_out(&other.token).await;
    assert_inactive(&gateway, &other.token).await;
    assert_inactive(&gateway, &other.refresh_token).await;

    gateway.shift.advance(Duration::from_mins(16));
    assert_inactive(&gateway, &user.token).await;
    assert_eq!(introspect(&gateway, &user.refresh_token).await["active"], true);
    gateway.shift.advance(Duration::from_hours(8 * 24));
    assert_inactive(&gateway, &user.refresh_token).await;
}

#[tokio::test]
async fn the_tokens_of_a_user_who_is_gone_are_not_live_on_any_replica() {
    let (gateway, _upstream) = start().await;
    let replica = gateway.replica().await;
    let user = Account::sign_up(&gateway).await;
    assert_eq!(introspect(&replica, &user.token).await["active"], true);
    let delete = gateway.http.delete(gateway.url("/auth/user")).bearer_auth(&user.token);
    assert_eq!(delete.send().await.unwrap().status(), 204);
    assert_inactive(&gateway, &user.token).await;
    assert_inactive(&gateway, &user.refresh_token).await;
    assert_inactive(&replica, &user.refresh_token).await;
    eventually(DEADLINE, "the replica knows", || async {
        when(introspect(&replica, &user.token).await == json!({"active": false}))
    })
    .await;
}

#[tokio::test]
async fn what_is_not_known_is_not_said() {
    let upstream = Upstream::echo().await;
    let server = std::sync::Arc::new(Server::start().await);
    let database = Database::create_in(&server).await;
    let impatient = "[store]\nconnect_timeout = \"500ms\"\nquery_timeout = \"500ms\"\n";
    let config = config(&upstream).replace("[revocation]\n", "[revocation]\nmax_staleness = \"1s\"\n");
    let gateway = TestGateway::start_with(&format!("{impatient}{config}"), Some(database)).await;
    let user = Account::sign_up(&gateway).await;
    server.freeze();
    let answer = eventually(DEADLINE, "revocations are not known", || async {
        let answer = ask_as(&gateway, "asks", "/auth/introspect", &user.token).await;
        (answer.status() == 503).then_some(answer)
    })
    .await;
    assert_eq!(answer.headers()["x-doorward-error"], "revocations_unavailable");
    assert!(answer.headers().contains_key("retry-after"));
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["error"], "temporarily_unavailable");
    // A refresh token is looked up, and nothing can be.
    for path in ["/auth/introspect", "/auth/revoke"] {
        let answer = ask_as(&gateway, "both", path, &user.refresh_token).await;
        assert_eq!(answer.headers()["x-doorward-error"], "store_unavailable", "{path}");
        assert!(answer.status() == 503 && answer.headers().contains_key("retry-after"));
    }
    // Nor is a token revoked while nobody would remember it.
    let answer = ask_as(&gateway, "both", "/auth/revoke", &user.token).await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["x-doorward-error"]),
        (503, &"store_unavailable".parse().unwrap())
    );
    server.thaw();
    eventually(DEADLINE, "the token is live again", || async {
        let answer = ask_as(&gateway, "asks", "/auth/introspect", &user.token).await;
        when(answer.status() == 200)
    })
    .await;
}
