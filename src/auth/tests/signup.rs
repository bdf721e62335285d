//! Sign-up.

use serde_json::{Value, json};

use super::support::{App, PASSWORD, id_of, request};
use crate::config::Signup;

fn account(email: &str) -> Value {
    json!({ "email": email, "password": PASSWORD, "name": " Ann Lee " })
}

#[tokio::test]
async fn a_sign_up_answers_with_tokens_and_the_user_in_normal_form() {
    let app = App::start().await;
    let answer = app.post("/auth/signup", &account(" Ann@Example.COM ")).await;
    assert_eq!(answer.status, 201);
    let body = answer.json();
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["expires_in"], 900);
    assert_eq!(body["user"]["email"], "ann@example.com");
    assert_eq!(body["user"]["name"], "Ann Lee");
    assert_eq!(body["user"]["roles"], json!([]));
    assert!(body["user"]["created_at"].as_str().unwrap().ends_with('Z'));
    let members: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!(
        members,
        ["access_token", "expires_in", "refresh_token", "token_type", "user"]
    );
    let members: Vec<&String> = body["user"].as_object().unwrap().keys().collect();
    assert_eq!(members, ["created_at", "email", "id", "name", "roles"]);
    assert_eq!(
        app.with_token("GET", "/auth/user", &answer.text("access_token"))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn every_bad_field_of_a_sign_up_is_named_at_once() {
    let app = App::start().await;
    let answer = app.post("/auth/signup", &json!({})).await;
    assert_eq!(answer.fields(), ["email missing", "password missing", "name missing"]);
    let answer = app
        .post("/auth/signup", &json!({ "email": 1, "password": [], "name": null }))
        .await;
    assert_eq!(
        answer.fields(),
        ["email wrong_type", "password wrong_type", "name wrong_type"]
    );
    let answer = app
        .post(
            "/auth/signup",
            &json!({ "email": "ann@", "password": "short", "name": "\n" }),
        )
        .await;
    assert_eq!(
        answer.fields(),
        ["email invalid", "name too_short", "password too_short"]
    );
}

#[tokio::test]
async fn a_bad_password_is_told_what_is_bad() {
    let app = App::start().await;
    for (password, code) in [
        ("password1".to_owned(), "too_common"),
        ("ann.lee@example.com".to_owned(), "too_similar"),
        ("Annabel Lee".to_owned(), "too_similar"),
        ("correct\0horse-battery".to_owned(), "invalid"),
        ("correct-horse-".repeat(6), "too_long"),
    ] {
        let body = json!({ "email": "ann.lee@example.com", "password": password, "name": "Annabel Lee" });
        let answer = app.post("/auth/signup", &body).await;
        assert_eq!(answer.fields(), [format!("password {code}")], "{password}");
        let text = String::from_utf8(answer.bytes.to_vec()).unwrap();
        assert!(!text.contains(&password), "the answer repeats the password");
    }
}

#[tokio::test]
async fn an_address_can_be_taken_once_in_whatever_spelling() {
    let app = App::start().await;
    app.sign_up("ann@example.com").await;
    for same in ["ann@example.com", "ANN@EXAMPLE.COM", " ann@example.com"] {
        let answer = app.post("/auth/signup", &account(same)).await;
        assert_eq!((answer.status, answer.code().as_str()), (409, "email_taken"), "{same}");
    }
}

#[tokio::test]
async fn of_sign_ups_at_once_with_one_address_one_wins() {
    let app = App::start().await;
    let body = account("ann@example.com");
    let answers = futures_util::future::join_all((0..8).map(|_| app.post("/auth/signup", &body))).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409, 409, 409, 409, 409]);
}

#[tokio::test]
async fn a_closed_sign_up_is_closed_whatever_is_sent() {
    let app = App::start_with(|config| config.auth.signup = Signup::Closed).await;
    for body in [account("ann@example.com"), json!({}), json!([])] {
        let answer = app.post("/auth/signup", &body).await;
        assert_eq!((answer.status, answer.code().as_str()), (403, "signup_closed"));
    }
    assert_eq!(app.try_login("ann@example.com", PASSWORD).await.status, 401);
}

#[tokio::test]
async fn members_that_nobody_asked_for_grant_nothing() {
    let app = App::start().await;
    let mut body = account("ann@example.com");
    body["roles"] = json!(["admin"]);
    body["id"] = json!("00000000-0000-7000-8000-000000000000");
    let answer = app.post("/auth/signup", &body).await;
    assert_eq!(answer.json()["user"]["roles"], json!([]));
    assert_ne!(answer.json()["user"]["id"], body["id"]);
}

#[tokio::test]
async fn the_stored_hash_is_a_bcrypt_of_the_configured_cost() {
    let app = App::start().await;
    let held = app.sign_up("ann@example.com").await;
    let user = app.state.store.user_by_id(id_of(&held.user)).await.unwrap().unwrap();
    assert!(user.password_hash.expose().starts_with("$2b$04$"));
}

#[tokio::test]
async fn a_sign_up_whose_client_goes_away_leaves_all_or_nothing() {
    let app = App::start().await;
    let body = account("ann@example.com");
    for patience in [0, 1, 3, 10] {
        let wait = std::time::Duration::from_millis(patience);
        let _ = tokio::time::timeout(wait, app.post("/auth/signup", &body)).await;
    }
    // Whatever came of those: the address has one account that works, or none and is free.
    let status = app.post("/auth/signup", &body).await.status;
    assert!([201, 409].contains(&status), "{status}");
    assert_eq!(app.try_login("ann@example.com", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn a_full_queue_for_hashing_is_503_with_retry_after() {
    let app = App::start_with(|config| {
        config.passwords.bcrypt_cost = 11;
        config.passwords.concurrency = 1;
        config.passwords.queue = 0;
    })
    .await;
    let body = json!({ "email": "ann@example.com", "password": PASSWORD });
    let answers = futures_util::future::join_all((0..4).map(|_| app.post("/auth/login", &body))).await;
    let busy: Vec<_> = answers.iter().filter(|answer| answer.status == 503).collect();
    assert_eq!(busy.len(), 3);
    assert_eq!(busy[0].code(), "busy");
    assert_eq!(busy[0].headers["retry-after"], "1");
    // The queue is not stuck.
    assert_eq!(app.post("/auth/login", &body).await.status, 401);
}

#[tokio::test]
async fn a_session_remembers_where_it_began() {
    let app = App::start().await;
    let body = account("ann@example.com").to_string();
    let agent = "é\t".repeat(400);
    let sent = request("POST", "/auth/signup", None)
        .header("content-type", "application/json")
        .header("user-agent", agent.as_bytes());
    let mut sent = sent.body(axum::body::Body::from(body)).unwrap();
    let value = http::HeaderValue::from_bytes(agent.as_bytes()).unwrap();
    sent.headers_mut().insert("user-agent", value);
    let token = app.send(sent).await.text("access_token");
    let sessions = app.with_token("GET", "/auth/sessions", &token).await.json();
    assert_eq!(sessions[0]["ip"], "203.0.113.7");
    assert_eq!(sessions[0]["user_agent"], "é".repeat(256));
}
