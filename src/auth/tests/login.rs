//! Login.

use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use super::support::{App, PASSWORD, id_of};
use crate::auth::begin::begin;
use crate::auth::caller::Client;
use crate::config::Backend;
use crate::rules::throttle::Delays;
use crate::store::{RolesChange, Store, UserChange};
use crate::token::{MasterKey, load_keys};

#[tokio::test]
async fn a_login_answers_with_tokens_and_the_user() {
    let app = App::start().await;
    app.add_user("ann@example.com", 4).await;
    let answer = app.try_login(" ANN@example.com ", PASSWORD).await;
    assert_eq!(answer.status, 200);
    let body = answer.json();
    assert_eq!(body["user"]["roles"], json!(["admin"]));
    assert_eq!(
        (&body["token_type"], &body["expires_in"]),
        (&json!("Bearer"), &json!(900))
    );
}

#[tokio::test]
async fn unknown_wrong_disabled_and_impossible_get_the_same_bytes() {
    let app = App::start().await;
    app.sign_up("ann@example.com").await;
    let disabled = app.sign_up("off@example.com").await;
    app.disable(id_of(&disabled.user)).await;
    let long = "x".repeat(5000);
    let answers = [
        app.try_login("nobody@example.com", PASSWORD).await,
        app.try_login("ann@example.com", "correct-horse-batterz").await,
        app.try_login("off@example.com", PASSWORD).await,
        app.try_login("off@example.com", "wrong").await,
        app.try_login("no address at all", PASSWORD).await,
        app.try_login("", "").await,
        app.try_login("ann@example.com", &format!("{PASSWORD}\0")).await,
        app.try_login("ann@example.com", &long).await,
    ];
    for answer in &answers {
        assert_eq!((answer.status, answer.code().as_str()), (401, "invalid_credentials"));
        assert_eq!(answer.bytes, answers[0].bytes);
        assert_eq!(answer.headers, answers[0].headers);
    }
}

#[tokio::test]
async fn every_refused_login_costs_one_bcrypt() {
    let app = App::start_with(|config| config.passwords.bcrypt_cost = 10).await;
    app.add_user("ann@example.com", 10).await;
    app.add_user("cheap@example.com", 5).await;
    let off = app.add_user("off@example.com", 5).await;
    app.disable(off).await;
    let broken = app.add_user("broken@example.com", 4).await;
    let (now, until) = (app.state.clock.now(), app.state.clock.now());
    let stored = app
        .state
        .store
        .change_password(broken, None, "not a hash", None, until, now);
    stored.await.unwrap();

    let long = "x".repeat(100);
    let refused = [
        ("nobody@example.com", PASSWORD),
        ("no address at all", PASSWORD),
        ("ann@example.com", "wrong"),
        ("ann@example.com", &long),
        ("ann@example.com", "a\0b"),
        ("cheap@example.com", "wrong"),
        ("off@example.com", PASSWORD),
        ("broken@example.com", PASSWORD),
    ];
    for (email, password) in refused {
        let before = app.state.hasher.rounds_spent();
        assert_eq!(app.try_login(email, password).await.status, 401);
        assert_eq!(
            app.state.hasher.rounds_spent() - before,
            1 << 10,
            "{email} {password:?}"
        );
    }
}

#[tokio::test]
async fn a_login_that_has_to_wait_costs_no_bcrypt_and_gets_the_same_bytes_whoever_it_is_for() {
    let app = App::start_with(|config| {
        // Longer than the test takes, so that all waits are the longest.
        config.throttle.delays = Some(Delays {
            free: 2,
            first: Duration::from_hours(10),
            most: Duration::from_hours(10),
            forget: Duration::from_hours(20),
        });
    })
    .await;
    app.add_user("ann@example.com", 4).await;
    let off = app.add_user("off@example.com", 4).await;
    app.disable(off).await;
    let emails = [
        "ann@example.com",
        "off@example.com",
        "nobody@example.com",
        "no address at all",
    ];
    for email in emails {
        for _ in 0..2 {
            assert_eq!(app.try_login(email, "wrong").await.status, 401);
        }
    }
    let before = app.state.hasher.rounds_spent();
    let mut told = Vec::new();
    for email in emails {
        for password in [PASSWORD, "wrong", "a\0b"] {
            let answer = app.try_login(email, password).await;
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (429, "too_many_attempts"),
                "{email}"
            );
            assert!(answer.headers.contains_key("retry-after"));
            told.push(answer.bytes);
        }
    }
    assert!(told.iter().all(|bytes| *bytes == told[0]));
    assert_eq!(app.state.hasher.rounds_spent(), before);
}

#[tokio::test]
async fn a_login_without_its_fields_is_told_so() {
    let app = App::start().await;
    let answer = app.post("/auth/login", &json!({ "email": null })).await;
    assert_eq!(answer.fields(), ["email wrong_type", "password missing"]);
}

#[tokio::test]
async fn a_hash_of_another_cost_is_upgraded_at_login_and_only_then() {
    let app = App::start().await;
    let user = app.add_user("ann@example.com", 6).await;
    let stored = async || {
        let user = app.state.store.user_by_id(user).await.unwrap().unwrap();
        user.password_hash.expose().clone()
    };
    app.try_login("ann@example.com", "wrong").await;
    assert!(stored().await.starts_with("$2b$06$"));
    app.log_in("ann@example.com").await;
    let upgraded = stored().await;
    assert!(upgraded.starts_with("$2b$04$"));
    app.log_in("ann@example.com").await;
    assert_eq!(stored().await, upgraded, "a hash of the right cost stays");
}

#[tokio::test]
async fn a_hash_made_by_another_program_logs_in() {
    let app = App::start().await;
    let user = app.add_user("ann@example.com", 4).await;
    for prefix in ["$2a$", "$2b$", "$2y$"] {
        let hash = bcrypt_of_u_star_u(prefix);
        let now = app.state.clock.now();
        let stored = app.state.store.change_password(user, None, &hash, None, now, now);
        stored.await.unwrap();
        assert_eq!(app.try_login("ann@example.com", "U*U").await.status, 200, "{prefix}");
    }
}

/// From the test vectors of `crypt_blowfish`.
fn bcrypt_of_u_star_u(prefix: &str) -> String {
    format!("{prefix}05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW")
}

#[tokio::test]
async fn logins_at_once_that_find_an_outdated_hash_all_succeed() {
    // Eight at once would be three more than may be under way.
    let app = App::start_with(|config| config.throttle.delays = None).await;
    app.add_user("ann@example.com", 6).await;
    let answers = futures_util::future::join_all((0..8).map(|_| app.try_login("ann@example.com", PASSWORD))).await;
    for answer in answers {
        assert_eq!(answer.status, 200);
    }
}

#[tokio::test]
async fn a_changed_address_logs_in_and_the_old_one_does_not() {
    let app = App::start().await;
    let held = app.sign_up("ann@example.com").await;
    let change = UserChange {
        email: Some("ann@example.org".parse().unwrap()),
        name: None,
    };
    let now = app.state.clock.now();
    app.state
        .store
        .update_user(id_of(&held.user), None, &change, now, now)
        .await
        .unwrap();
    assert_eq!(app.try_login("ann@example.com", PASSWORD).await.status, 401);
    assert_eq!(app.try_login("ann@example.org", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn a_login_in_flight_gets_the_roles_address_and_name_of_the_moment_when_it_succeeds() {
    let app = App::start().await;
    let id = app.add_user("ann@example.com", 4).await;
    let (store, now) = (&app.state.store, app.state.clock.now());
    // As it was when the password was verified.
    let seen = store.user_by_id(id).await.unwrap().unwrap();
    assert_eq!(seen.roles.len(), 1);
    let none = RolesChange {
        clear: true,
        ..RolesChange::default()
    };
    store.change_roles(id, &none, now, now).await.unwrap().unwrap();
    let change = UserChange {
        email: Some("ann@example.org".parse().unwrap()),
        name: Some("Ann B. Lee".parse().unwrap()),
    };
    store.update_user(id, None, &change, now, now).await.unwrap().unwrap();
    let begun = begin(&app.state, &seen, &Client::default()).await.unwrap().unwrap();
    let body = serde_json::to_value(&begun).unwrap();
    let token = body["access_token"].as_str().unwrap();
    let identity = &app.state.tokens.authenticate(token, now).unwrap().identity;
    assert_eq!(identity.roles, []);
    assert_eq!(
        (&identity.email, &identity.name),
        (&"ann@example.org".parse().ok(), &"Ann B. Lee".parse().ok())
    );
    assert_eq!(body["user"]["roles"], json!([]));
    assert_eq!(body["user"]["email"], "ann@example.org");
}

#[tokio::test]
async fn a_login_that_cannot_be_signed_leaves_no_session_behind() {
    let app = App::start().await;
    let id = app.add_user("ann@example.com", 4).await;
    let now = app.state.clock.now();
    let mut config = app.state.config.store.clone();
    let empty = TempDir::new().unwrap();
    config.backend = Backend::Sqlite(empty.path().join("empty.db"));
    let keyless = Store::connect(&config).await.unwrap();
    keyless.migrate_up(now).await.unwrap();
    let master = MasterKey::from_bytes(&[7; 32]).unwrap();
    let none = load_keys(&keyless, &master, now).await.unwrap();
    app.state.tokens.replace_keys(&none);
    let answer = app.try_login("ann@example.com", PASSWORD).await;
    assert_eq!((answer.status, answer.code().as_str()), (500, "internal"));
    assert!(app.state.store.live_sessions(id, now).await.unwrap().is_empty());
}
