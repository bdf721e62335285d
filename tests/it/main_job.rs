//! The gateway's main job, on each database: sign up, log in, reach a backend as oneself, log out, be refused.

use serde_json::{Value, json};

use crate::support::account::PASSWORD;
use crate::support::{Account, Backend, DEADLINE, TestGateway, Upstream, eventually, usual_routes, when};

async fn the_main_job(backend: Backend) {
    let upstream = Upstream::echo().await;
    let mut gateway = TestGateway::start_on(backend, &usual_routes(&upstream)).await;

    let (status, body) = gateway.get("/c/orders", None).await;
    assert_eq!(status, 401);
    assert_eq!(problem_code(&body), "token_missing");
    assert!(upstream.seen().is_empty(), "an anonymous request reached the upstream");

    let signed_up = Account::sign_up_as(&gateway, "Ada@Example.COM", "Ada Lovelace").await;
    assert_eq!(signed_up.email, "ada@example.com");
    let user = signed_up.log_in(&gateway).await;
    assert_eq!(user.id, signed_up.id);

    let (status, body) = gateway.get("/c/orders?page=2", Some(&user.token)).await;
    assert_eq!(status, 200, "{body}");
    let seen: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(seen["target"], "/c/orders?page=2");
    assert_eq!(seen["headers"]["x-auth-user-id"], user.id);
    assert_eq!(seen["headers"]["x-auth-email"], "ada@example.com");
    assert_eq!(seen["headers"]["x-auth-name"], "Ada Lovelace");
    assert!(seen["headers"]["x-auth-session"].is_string(), "{seen}");
    assert_eq!(
        seen["headers"]["authorization"],
        Value::Null,
        "the token is not for the upstream"
    );

    let spoofed = gateway
        .http
        .get(gateway.url("/c/orders"))
        .bearer_auth(&user.token)
        .header("X-Auth-User-Id", "00000000-0000-7000-8000-000000000000")
        .header("X-Auth-Roles", "admin")
        .send()
        .await
        .unwrap();
    let seen: Value = spoofed.json().await.unwrap();
    assert_eq!(seen["headers"]["x-auth-user-id"], user.id);
    assert_ne!(seen["headers"]["x-auth-roles"], "admin");

    for tampered in tampered(&user.token) {
        let (status, body) = gateway.get("/c/orders", Some(&tampered)).await;
        assert_eq!(status, 401, "{tampered}");
        assert_eq!(problem_code(&body), "token_invalid", "{tampered}");
    }

    gateway.log_out(&user.token).await;
    let (status, body) = gateway.get("/c/orders", Some(&user.token)).await;
    assert_eq!(status, 401);
    assert_eq!(problem_code(&body), "token_revoked");
    let (status, body) = gateway
        .post("/auth/refresh", &json!({"refresh_token": user.refresh_token}))
        .await;
    assert_eq!((status, &body["code"]), (401, &json!("invalid_refresh_token")));

    let (status, _) = gateway.get("/c/orders", Some(&signed_up.token)).await;
    assert_eq!(status, 200, "the other session lives on");

    gateway.restart().await;
    let (status, body) = gateway.get("/c/orders", Some(&user.token)).await;
    assert_eq!((status, problem_code(&body).as_str()), (401, "token_revoked"));
    let (status, _) = gateway.get("/c/orders", Some(&signed_up.token)).await;
    assert_eq!(status, 200, "keys and sessions outlive a restart");
    gateway.stop().await;
}

#[tokio::test]
async fn a_user_signs_up_logs_in_gets_through_logs_out_and_is_refused_on_sqlite() {
    Box::pin(the_main_job(Backend::Sqlite)).await;
}

#[tokio::test]
async fn a_user_signs_up_logs_in_gets_through_logs_out_and_is_refused_on_mariadb() {
    Box::pin(the_main_job(Backend::MariaDb)).await;
}

async fn sessions_end_as_they_should(backend: Backend) {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start_on(backend, &usual_routes(&upstream)).await;
    let first = Account::sign_up(&gateway).await;
    let second = first.log_in(&gateway).await;
    let third = first.log_in(&gateway).await;

    // A refresh token that is used again after its successor ends its session: one of the two users of it stole it.
    let (status, body) = gateway
        .post("/auth/refresh", &json!({"refresh_token": first.refresh_token}))
        .await;
    assert_eq!(status, 200, "{body}");
    let refreshed = Account::from_tokens(&body);
    assert_ne!(refreshed.refresh_token, first.refresh_token);
    assert_eq!(gateway.get("/c/1", Some(&refreshed.token)).await.0, 200);
    for (presented, expected) in [(&refreshed, 200), (&first, 401)] {
        let (status, _) = gateway
            .post("/auth/refresh", &json!({"refresh_token": presented.refresh_token}))
            .await;
        assert_eq!(status, expected);
    }
    for token in [&first.token, &refreshed.token] {
        let (status, body) = gateway.get("/c/1", Some(token)).await;
        assert_eq!((status, problem_code(&body).as_str()), (401, "token_revoked"));
    }
    assert_eq!(gateway.get("/c/1", Some(&second.token)).await.0, 200);

    // `others` leaves the session that asks, `all` leaves none.
    let log_out = |scope: &str, token: &str| {
        gateway
            .http
            .post(gateway.url(&format!("/auth/logout?scope={scope}")))
            .bearer_auth(token)
            .send()
    };
    assert_eq!(log_out("others", &second.token).await.unwrap().status(), 204);
    assert_eq!(gateway.get("/c/1", Some(&third.token)).await.0, 401);
    assert_eq!(gateway.get("/c/1", Some(&second.token)).await.0, 200);
    let fourth = first.log_in(&gateway).await;
    assert_eq!(log_out("all", &second.token).await.unwrap().status(), 204);
    for token in [&second.token, &fourth.token] {
        assert_eq!(gateway.get("/c/1", Some(token)).await.0, 401);
    }

    // Login, logout and login within one second: the new token works.
    let fifth = first.log_in(&gateway).await;
    gateway.log_out(&fifth.token).await;
    let sixth = first.log_in(&gateway).await;
    assert_eq!(gateway.get("/c/1", Some(&fifth.token)).await.0, 401);
    assert_eq!(gateway.get("/c/1", Some(&sixth.token)).await.0, 200);

    // A new password ends the other sessions.
    let seventh = first.log_in(&gateway).await;
    let response = gateway
        .http
        .post(gateway.url("/auth/user/password"))
        .bearer_auth(&sixth.token)
        .json(&json!({"current_password": PASSWORD, "new_password": "another-marmot-93-teapot"}))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 204);
    assert_eq!(gateway.get("/c/1", Some(&seventh.token)).await.0, 401);
    assert_eq!(gateway.get("/c/1", Some(&sixth.token)).await.0, 200);

    // A deleted user is nobody, at once.
    let deleted = gateway
        .http
        .delete(gateway.url("/auth/user"))
        .bearer_auth(&sixth.token)
        .send()
        .await
        .unwrap();
    assert_eq!(deleted.status(), 204);
    assert_eq!(gateway.get("/c/1", Some(&sixth.token)).await.0, 401);
    let (status, body) = gateway
        .post("/auth/login", &json!({"email": first.email, "password": PASSWORD}))
        .await;
    assert_eq!((status, &body["code"]), (401, &json!("invalid_credentials")));
}

#[tokio::test]
async fn an_ended_session_is_refused_however_it_ended_on_sqlite() {
    sessions_end_as_they_should(Backend::Sqlite).await;
}

#[tokio::test]
async fn an_ended_session_is_refused_however_it_ended_on_mariadb() {
    sessions_end_as_they_should(Backend::MariaDb).await;
}

#[tokio::test]
async fn a_logout_on_one_replica_is_known_to_the_other() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start_on(Backend::MariaDb, &usual_routes(&upstream)).await;
    let replica = gateway.replica().await;
    let user = Account::sign_up(&gateway).await;
    assert_eq!(
        replica.get("/c/1", Some(&user.token)).await.0,
        200,
        "one database, one set of keys"
    );
    gateway.log_out(&user.token).await;
    assert_eq!(
        gateway.get("/c/1", Some(&user.token)).await.0,
        401,
        "known here at once"
    );
    eventually(DEADLINE, "the other replica knows", || async {
        when(replica.get("/c/1", Some(&user.token)).await.0 == 401)
    })
    .await;
}

#[tokio::test]
async fn a_token_ends_with_its_time_and_a_refresh_gives_a_new_one() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&usual_routes(&upstream)).await;
    let user = Account::sign_up(&gateway).await;
    assert_eq!(gateway.get("/c/1", Some(&user.token)).await.0, 200);

    // Fifteen minutes, and the leeway of five seconds.
    gateway.shift.advance(std::time::Duration::from_secs(15 * 60 + 6));
    let (status, body) = gateway.get("/c/1", Some(&user.token)).await;
    assert_eq!((status, problem_code(&body).as_str()), (401, "token_expired"));

    let (status, body) = gateway
        .post("/auth/refresh", &json!({"refresh_token": user.refresh_token}))
        .await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(gateway.get("/c/1", body["access_token"].as_str()).await.0, 200);
}

fn problem_code(body: &str) -> String {
    let body: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error} in {body:?}"));
    body["code"]
        .as_str()
        .unwrap_or_else(|| panic!("no code in {body}"))
        .to_owned()
}

/// The token with one thing changed, in each of its parts.
fn tampered(token: &str) -> Vec<String> {
    let swap = |c: char| if c == 'A' { 'B' } else { 'A' };
    let mut made: Vec<String> = Vec::new();
    for (part, text) in token.split('.').enumerate() {
        for at in [0, text.len() / 2, text.len() - 1] {
            let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
            parts[part] = text
                .char_indices()
                .map(|(i, c)| if i == at { swap(c) } else { c })
                .collect();
            made.push(parts.join("."));
        }
    }
    made.push(format!("{token}="));
    made.push(format!("{token}."));
    made.push(token.rsplit_once('.').unwrap().0.to_owned() + ".");
    made
}
