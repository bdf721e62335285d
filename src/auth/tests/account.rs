//! The user's own account and password.

use axum::extract::{FromRequest, State};
use axum::response::IntoResponse;
use serde_json::json;

use super::support::{App, Held, PASSWORD, id_of, json_request};
use crate::auth::caller::{Client, Submission};
use crate::auth::password;
use crate::store::{PasswordChanged, Revocation, Revoked};

const NEW: &str = "tr0mbone-Kettle";

#[tokio::test]
async fn the_account_is_shown_as_it_is_stored() {
    let app = App::start().await;
    let held = app.sign_up("ann@example.com").await;
    let answer = app.with_token("GET", "/auth/user", &held.access).await;
    assert_eq!((answer.status, answer.json()), (200, held.user));
}

#[tokio::test]
async fn a_change_changes_what_it_names_and_nothing_else() {
    let app = App::start().await;
    let held = app.sign_up("ann@example.com").await;
    let change = async |body| {
        // Each change asks for a token that says how it was before.
        let held = app.log_in("ann@example.com").await;
        app.with_token_and_body("PATCH", "/auth/user", &held.access, &body)
            .await
    };
    let name = change(json!({ "name": " Ann B. Lee " })).await;
    assert_eq!(name.status, 200);
    assert_eq!(
        (&name.json()["name"], &name.json()["email"]),
        (&json!("Ann B. Lee"), &json!("ann@example.com"))
    );
    let email = change(json!({ "email": "ANN@example.org", "roles": ["admin"], "id": 1 })).await;
    let body = email.json();
    assert_eq!(
        (&body["name"], &body["email"]),
        (&json!("Ann B. Lee"), &json!("ann@example.org"))
    );
    assert_eq!((&body["roles"], &body["id"]), (&json!([]), &held.user["id"]));
    let held = app.log_in("ann@example.org").await;
    for nothing in [json!({}), json!({ "email": "ann@example.org" })] {
        let answer = app
            .with_token_and_body("PATCH", "/auth/user", &held.access, &nothing)
            .await;
        assert_eq!(answer.json(), body);
    }
    assert_eq!(app.with_token("GET", "/auth/user", &held.access).await.status, 200);
}

#[tokio::test]
async fn a_change_refuses_every_token_that_says_what_was() {
    let app = App::start().await;
    let (first, second) = (
        app.sign_up("ann@example.com").await,
        app.log_in("ann@example.com").await,
    );
    let change = json!({ "name": "Ann B. Lee" });
    app.with_token_and_body("PATCH", "/auth/user", &first.access, &change)
        .await;
    for held in [&first, &second] {
        let answer = app.with_token("GET", "/auth/user", &held.access).await;
        assert_eq!((answer.status, answer.code().as_str()), (401, "token_revoked"));
        let next = Held::from(&app.try_refresh(&held.refresh).await);
        assert_eq!(app.with_token("GET", "/auth/user", &next.access).await.status, 200);
    }
}

#[tokio::test]
async fn every_bad_field_of_a_change_is_named_and_nothing_changes() {
    let app = App::start().await;
    let held = app.sign_up("ann@example.com").await;
    let change = async |body| {
        app.with_token_and_body("PATCH", "/auth/user", &held.access, &body)
            .await
    };
    let answer = change(json!({ "email": "ann@", "name": "x".repeat(101) })).await;
    assert_eq!(answer.fields(), ["email invalid", "name too_long"]);
    let answer = change(json!({ "email": null, "name": "Other" })).await;
    assert_eq!(answer.fields(), ["email wrong_type"]);
    let answer = app.with_token("GET", "/auth/user", &held.access).await;
    assert_eq!(answer.json(), held.user);
}

#[tokio::test]
async fn an_address_of_another_account_is_taken() {
    let app = App::start().await;
    app.sign_up("bob@example.com").await;
    let held = app.sign_up("ann@example.com").await;
    let body = json!({ "email": "Bob@example.com", "name": "Bob" });
    let answer = app
        .with_token_and_body("PATCH", "/auth/user", &held.access, &body)
        .await;
    assert_eq!((answer.status, answer.code().as_str()), (409, "email_taken"));
    let answer = app.with_token("GET", "/auth/user", &held.access).await;
    assert_eq!(answer.json(), held.user);
}

#[tokio::test]
async fn a_deleted_account_is_gone_with_all_its_sessions() {
    let app = App::start().await;
    let first = app.sign_up("ann@example.com").await;
    let second = app.log_in("ann@example.com").await;
    let answer = app.with_token("DELETE", "/auth/user", &first.access).await;
    assert_eq!((answer.status, answer.bytes.len()), (204, 0));
    for held in [&first, &second] {
        let answer = app.with_token("GET", "/auth/user", &held.access).await;
        assert_eq!((answer.status, answer.code().as_str()), (401, "token_revoked"));
        assert_eq!(app.try_refresh(&held.refresh).await.status, 401);
    }
    assert_eq!(app.try_login("ann@example.com", PASSWORD).await.status, 401);
    let again = app.sign_up("ann@example.com").await;
    assert_ne!(again.user["id"], first.user["id"]);
}

#[tokio::test]
async fn a_new_password_logs_in_and_ends_the_other_sessions() {
    let app = App::start().await;
    let first = app.sign_up("ann@example.com").await;
    let second = app.log_in("ann@example.com").await;
    let body = json!({ "current_password": PASSWORD, "new_password": NEW });
    let answer = app
        .with_token_and_body("POST", "/auth/user/password", &second.access, &body)
        .await;
    assert_eq!((answer.status, answer.bytes.len()), (204, 0));
    assert_eq!(
        app.with_token("GET", "/auth/user", &first.access).await.code(),
        "token_revoked"
    );
    assert_eq!(app.try_refresh(&first.refresh).await.status, 401);
    assert_eq!(app.with_token("GET", "/auth/user", &second.access).await.status, 200);
    assert_eq!(app.try_refresh(&second.refresh).await.status, 200);
    assert_eq!(app.try_login("ann@example.com", PASSWORD).await.status, 401);
    assert_eq!(app.try_login("ann@example.com", NEW).await.status, 200);
}

#[tokio::test]
async fn without_the_current_password_there_is_no_new_one() {
    let app = App::start().await;
    let held = app.sign_up("ann@example.com").await;
    for wrong in ["wrong", "", "a\0b", &"x".repeat(100)] {
        let body = json!({ "current_password": wrong, "new_password": NEW });
        let answer = app
            .with_token_and_body("POST", "/auth/user/password", &held.access, &body)
            .await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (401, "invalid_credentials"),
            "{wrong:?}"
        );
    }
    assert_eq!(app.try_login("ann@example.com", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn a_new_password_is_judged_as_at_sign_up() {
    let app = App::start().await;
    let held = app.sign_up("annabel@example.com").await;
    let change = async |body| {
        app.with_token_and_body("POST", "/auth/user/password", &held.access, &body)
            .await
            .fields()
    };
    assert_eq!(
        change(json!({})).await,
        ["current_password missing", "new_password missing"]
    );
    for (new, code) in [
        ("short", "too_short"),
        ("password1", "too_common"),
        ("annabel@example.com", "too_similar"),
    ] {
        let body = json!({ "current_password": PASSWORD, "new_password": new });
        assert_eq!(change(body).await, [format!("new_password {code}")]);
    }
}

/// Changes the password by a request that was let in before `meanwhile` happened; the code of its refusal.
async fn change_overtaken_by(app: &App, held: &Held, meanwhile: impl Future<Output = ()>) -> String {
    let body = json!({ "current_password": PASSWORD, "new_password": NEW });
    let request = json_request("POST", "/auth/user/password", Some(&held.access), &body);
    let submission = Submission::from_request(request, &app.state).await.unwrap();
    meanwhile.await;
    let refused = password::change(State(app.state.clone()), Client::default(), submission).await;
    let answer = refused.unwrap_err().into_response();
    assert_eq!(answer.status(), 401);
    answer.headers()["x-doorward-error"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_password_reset_while_the_old_one_is_verified_stays_reset() {
    let app = App::start().await;
    let held = app.sign_up("ann@example.com").await;
    let (user, now) = (id_of(&held.user), app.state.clock.now());
    let reset = async {
        let store = &app.state.store;
        let done = store.change_password(user, None, "reset", None, now, now).await;
        assert!(matches!(done, Ok(PasswordChanged::Done(_))));
    };
    assert_eq!(change_overtaken_by(&app, &held, reset).await, "invalid_credentials");
    let stored = app.state.store.user_by_id(user).await.unwrap().unwrap();
    assert_eq!(stored.password_hash.expose(), "reset");
}

#[tokio::test]
async fn a_session_that_ends_while_the_old_password_is_verified_sets_no_new_one() {
    let app = App::start().await;
    let held = app.sign_up("ann@example.com").await;
    let (user, now) = (id_of(&held.user), app.state.clock.now());
    // On another replica, of which this one has not heard.
    let end = async {
        let ended = app.state.store.end_sessions(user, None, now, now).await.unwrap();
        assert_eq!(ended.len(), 1);
    };
    assert_eq!(change_overtaken_by(&app, &held, end).await, "token_revoked");
    assert_eq!(app.try_login("ann@example.com", NEW).await.status, 401);
    assert_eq!(app.try_login("ann@example.com", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn a_token_that_is_revoked_while_the_old_password_is_verified_sets_no_new_one() {
    let app = App::start().await;
    let held = app.sign_up("ann@example.com").await;
    let now = app.state.clock.now();
    let token = app.state.tokens.authenticate(&held.access, now).unwrap().token;
    // By its id: its session lives on.
    let revoke = async {
        let target = Revoked::Token(token);
        let expires_at = app.state.tokens.revoke_until(now);
        app.state.blocklist.apply(&[Revocation { target, expires_at }], now);
    };
    assert_eq!(change_overtaken_by(&app, &held, revoke).await, "token_revoked");
    assert_eq!(app.try_login("ann@example.com", NEW).await.status, 401);
}
