//! What every endpoint that wants a token has in common.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::header;
use serde_json::json;

use super::support::{App, Held, PASSWORD, id_of, request};
use crate::auth::endpoints;
use crate::config::OnStale;
use crate::time::monotonic;

/// Method and path of every endpoint that says it is guarded.
fn guarded() -> Vec<(String, String)> {
    let guarded = endpoints::all(true, false).into_iter();
    let guarded = guarded.filter(|endpoint| endpoint.operation.security.is_some());
    let found: Vec<_> = guarded
        .map(|endpoint| {
            (
                endpoint.method.to_string(),
                format!("/auth{}", endpoint.path).replace("{id}", "x"),
            )
        })
        .collect();
    assert_eq!(found.len(), 7);
    found
}

/// Asks every guarded endpoint, with a good body and this header as it is.
async fn ask_all(app: &App, authorization: &[&str]) -> Vec<(u16, String, Option<String>)> {
    let mut answers = Vec::new();
    for (method, path) in guarded() {
        let mut request = request(&method, &path, None).header(header::CONTENT_TYPE, "application/json");
        for value in authorization {
            request = request.header(header::AUTHORIZATION, *value);
        }
        let answer = app.send(request.body(Body::from("{}")).unwrap()).await;
        let challenge = answer.headers.get(header::WWW_AUTHENTICATE);
        answers.push((
            answer.status,
            answer.code(),
            challenge.map(|value| value.to_str().unwrap().to_owned()),
        ));
    }
    answers
}

async fn all_refuse(app: &App, token: &str, code: &str) {
    for (status, got, challenge) in ask_all(app, &[&format!("Bearer {token}")]).await {
        assert_eq!((status, got.as_str()), (401, code));
        let challenge = challenge.unwrap();
        assert!(
            challenge.starts_with("Bearer realm=\"doorward\", error=\"invalid_token\""),
            "{challenge}"
        );
    }
}

#[tokio::test]
async fn without_a_token_the_challenge_names_no_error() {
    let app = App::start().await;
    for authorization in [&[][..], &["Basic YTpi"], &["Token abc"], &[""]] {
        for answer in ask_all(&app, authorization).await {
            let challenge = Some("Bearer realm=\"doorward\"".to_owned());
            assert_eq!(answer, (401, "token_missing".to_owned(), challenge));
        }
    }
}

#[tokio::test]
async fn a_token_that_is_not_intact_is_invalid() {
    let app = App::start().await;
    let Held { access, refresh, .. } = app.sign_up("ann@example.com").await;
    let mut tampered = access.clone();
    tampered.replace_range(
        access.len() - 10..access.len() - 9,
        if &access[access.len() - 10..=access.len() - 10] == "A" {
            "B"
        } else {
            "A"
        },
    );
    for token in [
        "",
        "abc",
        &refresh,
        &tampered,
        &format!("{access} {access}"),
        &format!("{access},"),
    ] {
        all_refuse(&app, token, "token_invalid").await;
    }
}

#[tokio::test]
async fn bearer_and_anything_but_one_token_is_invalid() {
    let app = App::start().await;
    let held = app.sign_up("ann@example.com").await;
    let value = format!("Bearer {}", held.access);
    for authorization in [
        &[&*value, &*value][..],
        &["Basic YTpi", &value],
        &["Bearer"],
        &["Bearer a, Bearer b"],
    ] {
        for (status, code, _) in ask_all(&app, authorization).await {
            assert_eq!((status, code.as_str()), (401, "token_invalid"), "{authorization:?}");
        }
    }
}

#[tokio::test]
async fn the_scheme_is_read_in_any_case() {
    let app = App::start().await;
    let held = app.sign_up("ann@example.com").await;
    for scheme in ["bearer", "BEARER", "Bearer "] {
        let request =
            request("GET", "/auth/user", None).header(header::AUTHORIZATION, format!("{scheme} {}", held.access));
        assert_eq!(
            app.send(request.body(Body::empty()).unwrap()).await.status,
            200,
            "{scheme}"
        );
    }
}

#[tokio::test]
async fn a_token_in_the_query_or_body_is_no_token() {
    let app = App::start().await;
    let held = app.sign_up("ann@example.com").await;
    let path = format!("/auth/user?access_token={}", held.access);
    assert_eq!(app.bare("GET", &path).await.code(), "token_missing");
    let body = json!({ "access_token": held.access });
    assert_eq!(app.post("/auth/user/password", &body).await.code(), "token_missing");
}

#[tokio::test]
async fn an_expired_token_says_so() {
    let app = App::start().await;
    let held = app.sign_up("ann@example.com").await;
    app.shift.advance(Duration::from_secs(15 * 60 + 6));
    all_refuse(&app, &held.access, "token_expired").await;
}

#[tokio::test]
async fn a_disabled_or_deleted_user_is_noticed_before_the_revocation_arrives() {
    let app = App::start().await;
    let disabled = app.sign_up("off@example.com").await;
    let deleted = app.sign_up("gone@example.com").await;
    let now = app.state.clock.now();
    // Written by another replica: this one's blocklist has not heard of it.
    let until = app.state.tokens.revoke_until(now);
    let store = &app.state.store;
    store
        .disable_user(id_of(&disabled.user), until, now)
        .await
        .unwrap()
        .unwrap();
    store
        .delete_user(id_of(&deleted.user), None, until, now)
        .await
        .unwrap()
        .unwrap();
    all_refuse(&app, &disabled.access, "token_revoked").await;
    all_refuse(&app, &deleted.access, "token_revoked").await;
}

#[tokio::test]
async fn a_token_that_is_revoked_before_all_of_the_body_is_there_changes_nothing() {
    let app = Arc::new(App::start().await);
    let changed = json!({ "name": "Mallory", "current_password": PASSWORD, "new_password": "tr0mbone-Kettle" });
    for (method, path) in [("PATCH", "/auth/user"), ("POST", "/auth/user/password")] {
        let owner = app.sign_up(&format!("ann{}@example.com", path.len())).await;
        let held = app.log_in(owner.user["email"].as_str().unwrap()).await;
        let (other, token, rest) = (Arc::clone(&app), held.access.clone(), changed.to_string());
        let body = futures_util::stream::once(async move {
            // The end of the body comes after the answer to the logout.
            let done = other.with_token("POST", "/auth/logout", &token).await;
            assert_eq!(done.status, 204);
            Ok::<_, std::convert::Infallible>(rest)
        });
        let request = request(method, path, Some(&held.access)).header(header::CONTENT_TYPE, "application/json");
        let answer = app.send(request.body(Body::from_stream(body)).unwrap()).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (401, "token_revoked"),
            "{path}"
        );
        let shown = app.with_token("GET", "/auth/user", &owner.access).await;
        assert_eq!(shown.json(), owner.user);
        app.log_in(owner.user["email"].as_str().unwrap()).await;
    }
}

#[tokio::test]
async fn a_session_that_ended_on_another_replica_changes_and_deletes_nothing() {
    let app = App::start().await;
    let owner = app.sign_up("ann@example.com").await;
    let held = app.log_in("ann@example.com").await;
    let now = app.state.clock.now();
    let session = app.state.tokens.authenticate(&held.access, now).unwrap().session;
    // This one's blocklist has not heard of it.
    let until = app.state.tokens.revoke_until(now);
    let ended = app.state.store.end_session(id_of(&held.user), session, until, now);
    ended.await.unwrap().unwrap();
    let change = json!({ "name": "Mallory" });
    for answer in [
        app.with_token_and_body("PATCH", "/auth/user", &held.access, &change)
            .await,
        app.with_token("DELETE", "/auth/user", &held.access).await,
    ] {
        assert_eq!((answer.status, answer.code().as_str()), (401, "token_revoked"));
    }
    let shown = app.with_token("GET", "/auth/user", &owner.access).await;
    assert_eq!((shown.status, shown.json()), (200, owner.user));
}

#[tokio::test]
async fn when_revocations_are_not_known_nobody_is_let_in() {
    let app = App::start_with(|config| {
        config.revocation.max_staleness = Duration::from_millis(200);
        config.revocation.on_stale = OnStale::Refuse;
    })
    .await;
    let held = app.sign_up("ann@example.com").await;
    let deadline = monotonic() + Duration::from_secs(10);
    while app.with_token("GET", "/auth/user", &held.access).await.status == 200 {
        assert!(monotonic() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for (status, code, _) in ask_all(&app, &[&format!("Bearer {}", held.access)]).await {
        assert_eq!((status, code.as_str()), (503, "revocations_unavailable"));
    }
}

#[tokio::test]
async fn a_store_that_is_gone_is_503_and_tells_nothing() {
    let app = App::start().await;
    let held = app.sign_up("ann@example.com").await;
    app.state.store.close().await;
    for (status, code, _) in ask_all(&app, &[&format!("Bearer {}", held.access)]).await {
        assert_eq!((status, code.as_str()), (503, "store_unavailable"));
    }
    let answer = app.try_login("ann@example.com", "x").await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "store_unavailable"));
    assert_eq!(answer.headers["retry-after"], "2");
    let text = String::from_utf8(answer.bytes.to_vec()).unwrap();
    for inside in ["sqlite", "SELECT", "pool", "test.db"] {
        assert!(!text.contains(inside), "{text}");
    }
    assert_eq!(app.bare("GET", "/auth/ping").await.status, 200);
}
