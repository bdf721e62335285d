//! What was not looked at, as there was too much of it.

use std::time::Duration;

use doorward::store::audit::{EventKind, Filter, Recorded};
use serde_json::json;

use super::{all, credentials, post, recorded, send, start};
use crate::support::account::PASSWORD;
use crate::support::{Account, Backend, TestGateway};

/// The one event of a request.
async fn told(gateway: &TestGateway, request: &str) -> Recorded {
    let request_id = Some(request.to_owned());
    let mut events = recorded(gateway, &Filter { request_id, ..all() }, 1).await;
    assert_eq!(events.len(), 1, "{events:?}");
    let event = events.remove(0);
    assert_eq!(event.address, Some("127.0.0.1".parse().unwrap()));
    event
}

/// It is the first of somebody unknown, and says what it was counted by.
fn assert_first(event: &Recorded, kind: EventKind, by: &str) {
    assert_eq!(
        (event.kind.as_str(), event.actor.as_str()),
        (kind.as_str(), "anonymous")
    );
    assert_eq!((event.user, event.session), (None, None));
    assert_eq!(json!(event.details), json!({"by": by, "attempts": 1}));
}

#[tokio::test]
async fn a_password_that_is_not_looked_at_is_recorded() {
    let (gateway, _upstream) = start(Backend::Sqlite, "[throttle]\nfirst_delay = \"1m\"\n").await;
    let account = Account::sign_up(&gateway).await;
    for n in 0..6 {
        let wrong = post("/auth/login", None, credentials(&account.email, "wrong"));
        let status = if n < 5 { 401 } else { 429 };
        assert_eq!(send(&gateway, &format!("guess-{n}"), &wrong).await.0, status);
    }
    let event = told(&gateway, "guess-5").await;
    assert_first(&event, EventKind::LoginThrottled, "known_address");
    let kinds = vec![EventKind::LoginFailed];
    assert_eq!(recorded(&gateway, &Filter { kinds, ..all() }, 5).await.len(), 5);
}

#[tokio::test]
async fn a_sign_up_that_is_not_looked_at_is_recorded() {
    let (gateway, _upstream) = start(Backend::Sqlite, "[throttle]\nsignups_per_address = \"1/h\"\n").await;
    for (name, status) in [("ann", 201), ("bob", 429)] {
        let account = json!({"email": format!("{name}@example.com"), "password": PASSWORD, "name": name});
        assert_eq!(
            send(&gateway, name, &post("/auth/signup", None, account)).await.0,
            status
        );
    }
    let event = told(&gateway, "bob").await;
    assert_first(&event, EventKind::SignupThrottled, "signup_address");
}

#[tokio::test]
async fn a_refresh_token_that_is_not_looked_at_is_recorded() {
    let (gateway, _upstream) = start(Backend::Sqlite, "[throttle]\nbad_refreshes_per_address = \"1/h\"\n").await;
    for (end, status) in [("AA", 401), ("AE", 429)] {
        let token = json!({"refresh_token": format!("{}{end}", "A".repeat(41))});
        assert_eq!(send(&gateway, end, &post("/auth/refresh", None, token)).await.0, status);
    }
    let event = told(&gateway, "AE").await;
    assert_first(&event, EventKind::RefreshThrottled, "bad_refresh");
}

#[tokio::test]
async fn a_change_of_password_that_is_not_looked_at_is_recorded_as_what_its_user_did() {
    let (gateway, _upstream) = start(Backend::Sqlite, "[throttle]\nfirst_delay = \"10m\"\n").await;
    let account = Account::sign_up(&gateway).await;
    let change = json!({"current_password": "wrong", "new_password": "correct horse battery"});
    let change = post("/auth/user/password", Some(&account.token), change);
    for n in 0..6 {
        let status = if n < 5 { 401 } else { 429 };
        assert_eq!(send(&gateway, &format!("change-{n}"), &change).await.0, status);
    }
    let event = told(&gateway, "change-5").await;
    let (kind, actor) = (event.kind.as_str(), event.actor.as_str());
    assert_eq!((kind, actor), ("password_change_throttled", "user"));
    assert_eq!(event.user.map(|user| user.to_string()), Some(account.id));
    let kinds = vec![EventKind::Login];
    let begun = recorded(&gateway, &Filter { kinds, ..all() }, 1).await;
    assert!(
        event.session.is_some() && event.session == begun[0].session,
        "{event:?}"
    );
    assert_eq!(json!(event.details), json!({"by": "known_address", "attempts": 1}));
}

#[tokio::test]
async fn of_a_flood_that_is_not_looked_at_one_event_a_minute_says_how_many_there_were() {
    let (gateway, _upstream) = start(Backend::Sqlite, "[throttle]\nbad_refreshes_per_address = \"1/d\"\n").await;
    let flood = async |id: &str, times: usize| {
        for _ in 0..times {
            let token = json!({"refresh_token": "A".repeat(43)});
            assert_eq!(send(&gateway, id, &post("/auth/refresh", None, token)).await.0, 429);
        }
    };
    let token = json!({"refresh_token": format!("{}E", "A".repeat(42))});
    assert_eq!(
        send(&gateway, "looked-at", &post("/auth/refresh", None, token)).await.0,
        401
    );
    flood("flood", 20).await;
    gateway.shift.advance(Duration::from_mins(1));
    flood("later", 10).await;
    gateway.shift.advance(Duration::from_hours(5));
    flood("last", 1).await;
    // Events are written in the order in which they were noted: what is not there now never is.
    let kinds = vec![EventKind::RefreshThrottled];
    let events = recorded(&gateway, &Filter { kinds, ..all() }, 3).await;
    let told: Vec<_> = events
        .iter()
        .map(|event| (event.request_id.as_deref(), json!(event.details)))
        .collect();
    let of = |id, attempts| (Some(id), json!({"by": "bad_refresh", "attempts": attempts}));
    assert_eq!(told, [of("flood", 1), of("later", 20), of("last", 10)]);
    assert_eq!(
        gateway.metric("doorward_throttled_total{kind=\"bad_refresh\"}").await,
        Some(31.0),
        "each is counted"
    );
}

#[tokio::test]
async fn a_secret_of_another_service_that_is_not_looked_at_is_recorded() {
    let (gateway, _upstream) = start(Backend::Sqlite, "[throttle]\nbad_secrets_per_client = \"1/h\"\n").await;
    for (id, status) in [("first", 401), ("second", 429)] {
        let asked = gateway.http.post(gateway.url("/auth/introspect"));
        let asked = asked.basic_auth("reports", Some("wrong")).header("x-request-id", id);
        let asked = asked.header("content-type", "application/x-www-form-urlencoded");
        let answer = asked.body("token=x").send().await.unwrap();
        assert_eq!(answer.status(), status);
    }
    let event = told(&gateway, "second").await;
    assert_first(&event, EventKind::ClientThrottled, "client");
}

async fn what_is_forgotten_by_command(backend: Backend) {
    let (gateway, _upstream) = start(backend, "").await;
    let account = Account::sign_up(&gateway).await;
    // Who has an account here is counted by that alone.
    for email in [account.email.as_str(), "nobody@example.com"] {
        let wrong = post("/auth/login", None, credentials(email, "wrong"));
        assert_eq!(send(&gateway, "guess", &wrong).await.0, 401);
    }
    for args in [
        format!("users unlock {}", account.email),
        "users unlock --address 127.0.0.1".to_owned(),
        // Nothing is left to forget, and nothing is recorded of it.
        format!("users unlock {}", account.email),
    ] {
        let (done, _, err) = gateway.command(&args).await;
        assert!(done, "{args}: {err}");
    }
    let kinds = vec![EventKind::Unlocked];
    let events = recorded(&gateway, &Filter { kinds, ..all() }, 2).await;
    let [at_account, from_address] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert!(at_account.user.is_some() && from_address.user.is_none());
    assert!(at_account.details["count"].as_u64().unwrap() > 0, "{at_account:?}");
    assert_eq!(from_address.details["about"], "127.0.0.1");
    assert!(events.iter().all(|event| event.actor == "operator"));
}

#[tokio::test]
async fn what_is_forgotten_by_command_is_recorded_on_sqlite() {
    Box::pin(what_is_forgotten_by_command(Backend::Sqlite)).await;
}

#[tokio::test]
async fn what_is_forgotten_by_command_is_recorded_on_mariadb() {
    Box::pin(what_is_forgotten_by_command(Backend::MariaDb)).await;
}
