//! What is recorded of whence a request comes and of what the gateway does by itself, and what becomes of it in time.

use std::time::Duration;

use doorward::store::audit::{EventKind, Filter, Outcome};
use serde_json::json;

use super::{all, credentials, post, recorded, send, start};
use crate::support::account::PASSWORD;
use crate::support::{Backend, DEADLINE, eventually};

#[tokio::test]
async fn who_nobody_trusts_does_not_say_where_a_request_comes_from() {
    let (gateway, _upstream) = start(Backend::Sqlite, "").await;
    let wrong = post("/auth/login", None, credentials("nobody@example.com", PASSWORD));
    send(&gateway, "bad id", &wrong).await;
    let kinds = vec![EventKind::LoginFailed];
    let events = recorded(&gateway, &Filter { kinds, ..all() }, 1).await;
    assert_eq!(events[0].address, Some("127.0.0.1".parse().unwrap()));
    let id = events[0].request_id.as_deref().unwrap();
    assert!(
        id.len() == 29 && !id.contains("bad"),
        "an id that could upset a log is replaced: {id}"
    );
}

#[tokio::test]
async fn a_disabled_account_is_told_from_a_wrong_password_in_the_trail_alone() {
    let (gateway, _upstream) = start(Backend::Sqlite, "").await;
    let account = crate::support::Account::sign_up(&gateway).await;
    let (done, ..) = gateway.command(&format!("users disable {}", account.email)).await;
    assert!(done);
    let body = credentials(&account.email, PASSWORD);
    let (status, answer) = send(&gateway, "r", &post("/auth/login", None, body)).await;
    assert_eq!((status, &answer["code"]), (401, &json!("invalid_credentials")));
    let kinds = vec![EventKind::LoginFailed];
    let events = recorded(&gateway, &Filter { kinds, ..all() }, 1).await;
    assert_eq!(json!(events[0].details), json!({"reason": "disabled"}));
    assert_eq!(events[0].outcome, Some(Outcome::Failure));
}

#[tokio::test]
async fn a_gateway_records_its_start_its_first_key_and_each_reload() {
    let (mut gateway, upstream) = start(Backend::Sqlite, "").await;
    let routes = crate::support::usual_routes(&upstream);
    let valid = format!("[auth]\nsignup = \"closed\"\n{routes}");
    assert_eq!(gateway.reload(&valid).await, Ok(2));
    gateway
        .reload(&format!("[server]\nworkers = 3\n{routes}"))
        .await
        .unwrap_err();
    let events = recorded(&gateway, &all(), 4).await;
    let mut said: Vec<_> = events
        .iter()
        .map(|event| (event.kind.as_str(), event.actor.as_str()))
        .collect();
    said.sort_unstable();
    let system = ["config_refused", "config_reloaded", "key_created", "started"].map(|kind| (kind, "system"));
    assert_eq!(said, system);
    let details = |kind: &str| {
        let event = events.iter().find(|event| event.kind == kind);
        json!(event.unwrap().details)
    };
    assert_eq!(details("config_reloaded"), json!({"generation": 2}));
    assert_eq!(details("started"), json!({"version": env!("CARGO_PKG_VERSION")}));
    let problem = details("config_refused")["problem"].as_str().unwrap().to_owned();
    assert!(problem.contains("server.workers"), "{problem}");
    assert_eq!(details("key_created")["keys_made"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn keys_that_are_replaced_and_deleted_by_themselves_are_recorded() {
    let toml = "[keys]\nrotate_every = \"2d\"\nreload_every = \"100ms\"\n";
    let (gateway, _upstream) = start(Backend::Sqlite, toml).await;
    gateway.shift.advance(Duration::from_hours(24 * 3));
    let kinds = vec![EventKind::KeyCreated, EventKind::KeyRotated];
    let made = recorded(&gateway, &Filter { kinds, ..all() }, 2).await;
    assert_eq!(made[1].actor, "system");
    gateway.shift.advance(Duration::from_hours(26));
    let kinds = vec![EventKind::KeyDeleted];
    let deleted = recorded(&gateway, &Filter { kinds, ..all() }, 1).await;
    assert_eq!(deleted[0].details["keys_deleted"], made[0].details["keys_made"]);
}

#[tokio::test]
async fn old_events_are_removed_while_the_gateway_runs() {
    let toml = "[store]\ncleanup_every = \"100ms\"\n[audit]\nretention = \"30d\"\n";
    let (gateway, _upstream) = start(Backend::MariaDb, toml).await;
    crate::support::Account::sign_up(&gateway).await;
    recorded(&gateway, &all(), 4).await;
    gateway.shift.advance(Duration::from_hours(24 * 20));
    let late = crate::support::Account::sign_up(&gateway).await;
    gateway.shift.advance(Duration::from_hours(24 * 20));
    let store = gateway.store().await;
    let left = eventually(DEADLINE, "what is old is removed", || async {
        let events = store.audit_events(&all()).await.unwrap();
        (events.len() == 2).then_some(events)
    })
    .await;
    let user = Some(late.id.parse().unwrap());
    assert!(left.iter().all(|event| event.user == user), "{left:?}");
}

#[tokio::test]
async fn a_refused_login_is_answered_whatever_becomes_of_its_event() {
    let (gateway, _upstream) = start(Backend::MariaDb, "").await;
    recorded(&gateway, &all(), 2).await;
    let database = gateway.database();
    database.run("RENAME TABLE audit_events TO hidden").await;
    for n in 0..4 {
        let wrong = post("/auth/login", None, credentials("nobody@example.com", PASSWORD));
        assert_eq!(send(&gateway, &format!("r{n}"), &wrong).await.0, 401);
    }
    let counted = eventually(DEADLINE, "what is not recorded is counted", || async {
        let counted = gateway.metric("doorward_audit_events_dropped_total").await;
        counted.filter(|counted| *counted > 0.0)
    })
    .await;
    // A change that can't be recorded is none.
    let account = json!({"email": "ann@example.com", "password": PASSWORD, "name": "Ann"});
    assert_eq!(
        send(&gateway, "s", &post("/auth/signup", None, account.clone()))
            .await
            .0,
        500
    );
    database.run("RENAME TABLE hidden TO audit_events").await;
    assert_eq!(send(&gateway, "s", &post("/auth/signup", None, account)).await.0, 201);
    let kinds = vec![EventKind::NotRecorded];
    let events = recorded(&gateway, &Filter { kinds, ..all() }, 1).await;
    let told = events[0].details["count"].as_f64().unwrap();
    assert!((counted..=4.0).contains(&told), "{counted} {told}");
}
