//! What the operator does by commands.

use doorward::store::audit::{EventKind, Filter};
use serde_json::{Value, json};

use super::{all, recorded, start};
use crate::support::account::PASSWORD;
use crate::support::{Backend, TestGateway};

async fn run(gateway: &TestGateway, args: &str) -> String {
    let (done, out, err) = gateway.command(args).await;
    assert!(done, "{args}: {out}{err}");
    out.trim().to_owned()
}

async fn every_command(backend: Backend) {
    let (gateway, _upstream) = start(backend, "").await;
    std::fs::write(gateway.path("password"), PASSWORD).unwrap();
    let add = "users add --email ann@example.com --name Ann --role a --password-file password";
    let id = run(&gateway, add).await;
    for args in [
        "users disable ann@example.com",
        "users enable ann@example.com",
        "users roles ann@example.com --add b --remove a",
        // Nothing changes.
        "users roles ann@example.com --add b",
        "users roles ann@example.com",
        "users password ann@example.com --password-file password",
        "users remove ann@example.com",
    ] {
        run(&gateway, args).await;
    }
    let user = Some(id.parse().unwrap());
    let events = recorded(&gateway, &Filter { user, ..all() }, 6).await;
    let said: Vec<_> = events
        .iter()
        .map(|event| (event.kind.as_str(), json!(event.details)))
        .collect();
    let expected = [
        ("user_added", json!({"roles": ["a"]})),
        ("user_disabled", json!({"sessions_ended": 0})),
        ("user_enabled", json!({})),
        ("roles_changed", json!({"former_roles": ["a"], "roles": ["b"]})),
        ("password_changed", json!({"sessions_ended": 0})),
        ("user_deleted", json!({"sessions_ended": 0})),
    ];
    assert_eq!(said, expected);

    let created = recorded(&gateway, &of(EventKind::KeyCreated), 1).await;
    let first = created[0].details["keys_made"][0].as_str().unwrap().to_owned();
    let second = run(&gateway, "keys rotate").await;
    run(&gateway, &format!("keys revoke {first}")).await;
    run(&gateway, "keys reseal --new-master-key-file other.key --create").await;
    for (kind, details) in [
        (EventKind::KeyRotated, json!({"keys_made": [second]})),
        (EventKind::KeyRevoked, json!({"keys_deleted": [first]})),
        (EventKind::KeysResealed, json!({})),
    ] {
        let [event] = &recorded(&gateway, &of(kind), 1).await[..] else {
            panic!("{kind}")
        };
        assert_eq!(json!(event.details), details, "{kind}");
    }
    let since = Filter {
        kinds: EventKind::ALL
            .iter()
            .copied()
            .filter(|kind| !matches!(kind, EventKind::Started | EventKind::KeyCreated))
            .collect(),
        ..all()
    };
    for event in recorded(&gateway, &since, 9).await {
        assert_eq!(
            (event.actor.as_str(), event.address, &event.request_id),
            ("operator", None, &None)
        );
        assert!(event.actor_name.as_deref().unwrap().contains("uid "), "{event:?}");
    }
}

fn of(kind: EventKind) -> Filter {
    Filter {
        kinds: vec![kind],
        ..all()
    }
}

#[tokio::test]
async fn whatever_the_operator_does_is_recorded_on_sqlite() {
    Box::pin(every_command(Backend::Sqlite)).await;
}

#[tokio::test]
async fn whatever_the_operator_does_is_recorded_on_mariadb() {
    Box::pin(every_command(Backend::MariaDb)).await;
}

#[tokio::test]
async fn the_trail_is_read_by_command() {
    let (gateway, _upstream) = start(Backend::Sqlite, "").await;
    std::fs::write(gateway.path("password"), PASSWORD).unwrap();
    let mut ids = Vec::new();
    for name in ["ann", "bob"] {
        let add = format!("users add --email {name}@example.com --name {name} --password-file password");
        ids.push(run(&gateway, &add).await);
    }
    recorded(&gateway, &all(), 4).await;
    run(&gateway, "users roles bob@example.com --add admin").await;
    run(&gateway, "users remove ann@example.com").await;
    let json = async |args: &str| {
        let out = run(&gateway, &format!("audit --json {args}")).await;
        serde_json::from_str::<Vec<Value>>(&out).unwrap()
    };
    let kinds = |events: &[Value]| {
        let kinds = events.iter().map(|event| event["event"].as_str().unwrap().to_owned());
        kinds.collect::<Vec<_>>()
    };
    let of_bob = json("--user bob@example.com").await;
    assert_eq!(kinds(&of_bob), ["roles_changed", "user_added"]);
    assert_eq!(of_bob[0]["user"], ids[1]);
    assert_eq!(
        (&of_bob[0]["actor"], &of_bob[0]["outcome"]),
        (&json!("operator"), &json!("success"))
    );
    assert_eq!(of_bob[0]["details"]["roles"], json!(["admin"]));
    assert_eq!(
        kinds(&json(&format!("--oldest-first --user {}", ids[0])).await),
        ["user_added", "user_deleted"]
    );
    assert_eq!(json("--event user_added --event user_deleted").await.len(), 3);
    assert!(json("--since 2100-01-01T00:00:00Z").await.is_empty());
    assert!(json("--until 24h").await.is_empty());
    assert_eq!(json("--since 1h --event roles_changed").await.len(), 1);
    assert!(json("--address 192.0.2.0/24").await.is_empty());
    assert!(json("--request-id nothing").await.is_empty());
    let every = json("").await;
    let first = json("--limit 2").await;
    assert_eq!(first, every[..2]);
    let after = first[1]["seq"].as_i64().unwrap();
    assert_eq!(json(&format!("--limit 2 --after {after}")).await, every[2..4]);

    let (done, out, err) = gateway.command("audit --user bob@example.com --limit 1").await;
    assert!(done && err.contains("there may be more: --after "), "{err}");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 2, "{out}");
    assert!(lines[0].starts_with("SEQ") && lines[0].contains("EVENT"), "{out}");
    for part in ["roles_changed", &ids[1], "operator ", "roles=[\"admin\"]"] {
        assert!(lines[1].contains(part), "{part}: {out}");
    }
    let (done, _, err) = gateway.command("audit --user ann@example.com").await;
    assert!(!done && err.contains("one that was deleted has its id"), "{err}");
    for bad in [
        "--limit 0",
        "--limit 10001",
        "--event logins",
        "--since yesterday",
        "--address here",
        "--after x",
    ] {
        let (done, out, err) = gateway.command(&format!("audit {bad}")).await;
        assert!(!done && out.is_empty() && err.contains("error:"), "{bad}: {err}");
    }
}
