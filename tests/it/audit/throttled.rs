//! What was not looked at, as there was too much of it.

use doorward::store::audit::{EventKind, Filter};
use serde_json::json;

use super::{all, credentials, post, recorded, send, start};
use crate::support::account::PASSWORD;
use crate::support::{Account, Backend, TestGateway};

/// The one event of a request: its kind and who did it.
async fn told(gateway: &TestGateway, request: &str) -> (String, String) {
    let request_id = Some(request.to_owned());
    let events = recorded(gateway, &Filter { request_id, ..all() }, 1).await;
    let [event] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!(event.address, Some("127.0.0.1".parse().unwrap()));
    assert_eq!((event.user, json!(event.details)), (None, json!({})));
    (event.kind.clone(), event.actor.clone())
}

fn anonymous(kind: EventKind) -> (String, String) {
    (kind.as_str().to_owned(), "anonymous".to_owned())
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
    assert_eq!(told(&gateway, "guess-5").await, anonymous(EventKind::LoginThrottled));
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
    assert_eq!(told(&gateway, "bob").await, anonymous(EventKind::SignupThrottled));
}

#[tokio::test]
async fn a_refresh_token_that_is_not_looked_at_is_recorded() {
    let (gateway, _upstream) = start(Backend::Sqlite, "[throttle]\nbad_refreshes_per_address = \"1/h\"\n").await;
    for (end, status) in [("AA", 401), ("AE", 429)] {
        let token = json!({"refresh_token": format!("{}{end}", "A".repeat(41))});
        assert_eq!(send(&gateway, end, &post("/auth/refresh", None, token)).await.0, status);
    }
    assert_eq!(told(&gateway, "AE").await, anonymous(EventKind::RefreshThrottled));
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
    assert_eq!(told(&gateway, "second").await, anonymous(EventKind::ClientThrottled));
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
