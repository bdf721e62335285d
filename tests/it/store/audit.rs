//! The audit trail: what is recorded with a change is there exactly when the change is, and stays.

use std::net::IpAddr;
use std::time::Duration;

use doorward::config::Audit;
use doorward::id::UserId;
use doorward::store::audit::{Actor, Event, EventKind, Filter, Order, Recorded};
use doorward::store::{PasswordChanged, Refreshed, Store, UserChange};
use doorward::time::Timestamp;
use serde_json::json;

use super::{Db, NOW, later, new_session, new_user, on_both, only, rotation};
use crate::support::{DEADLINE, eventually, when};

on_both!(
    a_change_and_its_event_are_there_together_or_not_at_all,
    endings_that_share_a_transaction_are_recorded_one_by_one,
    what_changes_nothing_records_nothing,
    an_event_says_who_whom_when_and_whence,
    only_old_events_are_removed,
    events_are_removed_as_soon_as_they_are_a_day_old_and_none_before,
    what_is_switched_off_records_nothing_and_goes_on,
);

/// Everything, the oldest first.
pub(super) fn all() -> Filter {
    Filter {
        user: None,
        kinds: Vec::new(),
        since: None,
        until: None,
        network: None,
        request_id: None,
        after: None,
        order: Order::OldestFirst,
        limit: 100_000,
    }
}

pub(super) async fn kinds(store: &Store) -> Vec<String> {
    let events = store.audit_events(&all()).await.unwrap();
    events.into_iter().map(|event| event.kind).collect()
}

/// Records what comes next as this, done by a user.
pub(super) fn recording(store: &Store, kind: EventKind) -> Store {
    store.recording(Event::new(kind, Actor::User, NOW))
}

pub(super) fn failed(second: u64) -> Event {
    Event::new(EventKind::LoginFailed, Actor::Anonymous, later(second))
}

async fn a_change_and_its_event_are_there_together_or_not_at_all(db: &Db) {
    let store = &db.store;
    recording(store, EventKind::Signup)
        .create_user(&new_user("ann"))
        .await
        .unwrap();
    let taken = recording(store, EventKind::Signup).create_user(&new_user("ann")).await;
    assert!(taken.is_err());
    assert_eq!(kinds(store).await, ["signup"]);

    // A change whose event can't be written is none.
    db.run("ALTER TABLE audit_events RENAME TO hidden").await;
    let refused = recording(store, EventKind::Signup).create_user(&new_user("bob")).await;
    assert!(refused.is_err());
    assert_eq!(store.list_users(None, 10).await.unwrap().len(), 1);
    db.run("ALTER TABLE hidden RENAME TO audit_events").await;
    recording(store, EventKind::Signup)
        .create_user(&new_user("bob"))
        .await
        .unwrap();
    assert_eq!(kinds(store).await, ["signup", "signup"]);

    // Each call is dropped a little later than the one before, up to after its end.
    for n in 0..60_u8 {
        let (store, user) = (recording(store, EventKind::Signup), new_user(&format!("user{n}")));
        let call = store.create_user(&user);
        drop(tokio::time::timeout(Duration::from_micros(u64::from(n) * 100), call).await);
    }
    // Behind whatever was dropped while it was committed.
    eventually(DEADLINE, "as many events as users", || async {
        when(kinds(store).await.len() == store.list_users(None, 100).await.unwrap().len())
    })
    .await;
}

async fn endings_that_share_a_transaction_are_recorded_one_by_one(db: &Db) {
    let ann = db.user("ann").await;
    let mut sessions = Vec::new();
    for token in 0..40 {
        sessions.push(db.session(&ann, token).await);
    }
    let mut tasks = tokio::task::JoinSet::new();
    for session in sessions.iter().chain(&sessions).copied() {
        let store = db.store.clone();
        let user = ann.id;
        tasks.spawn(async move {
            let event = Event::new(EventKind::Logout, Actor::User, NOW).about(user).of(session);
            let ended = store.recording(event).end_session(user, session, later(900), NOW).await;
            ended.unwrap().is_some()
        });
    }
    let ended = tasks.join_all().await;
    assert_eq!(ended.into_iter().filter(|ended| *ended).count(), 40);
    let events = db.store.audit_events(&all()).await.unwrap();
    let mut recorded: Vec<_> = events.iter().map(|event| event.session.unwrap()).collect();
    recorded.sort_unstable();
    sessions.sort_unstable();
    assert_eq!(recorded, sessions, "each once");
}

async fn what_changes_nothing_records_nothing(db: &Db) {
    let ann = db.user("ann").await;
    let session = db.session(&ann, 1).await;
    let nobody = UserId::generate(NOW);
    let store = |kind| recording(&db.store, kind);
    let until = later(900);
    let same = UserChange {
        name: Some(ann.name.clone()),
        ..UserChange::default()
    };
    let updated = store(EventKind::UserChanged)
        .update_user(ann.id, None, &same, until, NOW)
        .await;
    assert!(updated.unwrap().unwrap().revoked.is_empty());
    store(EventKind::RolesChanged)
        .change_roles(ann.id, &only(&[]), until, NOW)
        .await
        .unwrap();
    let change = store(EventKind::PasswordChanged);
    let changed = change
        .change_password(ann.id, Some("other"), "new", None, until, NOW)
        .await;
    assert_eq!(changed.unwrap(), PasswordChanged::HashReplaced);
    let deleted = store(EventKind::UserDeleted)
        .delete_user(nobody, None, until, NOW)
        .await;
    assert!(deleted.unwrap().is_none());
    assert!(!store(EventKind::UserEnabled).enable_user(nobody, NOW).await.unwrap());
    let ended = store(EventKind::SessionEnded)
        .end_session(nobody, session, until, NOW)
        .await;
    assert!(ended.unwrap().is_none());
    let mut refused = new_session(&ann, 2);
    refused.password_hash = doorward::secret::Secret::new("replaced".to_owned());
    assert!(store(EventKind::Login).start_session(&refused).await.unwrap().is_none());
    let replay = store(EventKind::RefreshReplayed);
    for (presented, successor) in [(1, 2), (2, 3)] {
        let done = replay
            .rotate_refresh_token(&rotation(presented, successor, NOW))
            .await
            .unwrap();
        assert!(matches!(done, Refreshed::Rotated { .. }), "{done:?}");
    }
    assert!(kinds(&db.store).await.is_empty());
    let done = replay.rotate_refresh_token(&rotation(1, 4, NOW)).await.unwrap();
    assert!(matches!(done, Refreshed::Replayed { .. }), "{done:?}");
    replay.rotate_refresh_token(&rotation(1, 5, NOW)).await.unwrap();
    let events = db.store.audit_events(&all()).await.unwrap();
    let [event] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!((event.user, event.session), (Some(ann.id), Some(session)));
}

async fn an_event_says_who_whom_when_and_whence(db: &Db) {
    let ann = db.user("ann").await;
    let change = UserChange {
        email: Some("ann@example.org".parse().unwrap()),
        ..UserChange::default()
    };
    for (address, actor) in [
        ("192.0.2.7", Actor::User),
        ("2001:db8::7", Actor::Client("reports".to_owned())),
    ] {
        let event = Event {
            address: Some(address.parse().unwrap()),
            request_id: Some(format!("request-{address}")),
            ..Event::new(EventKind::UserChanged, actor, later(5))
        };
        let change = UserChange {
            name: Some(format!("Ann {address}").parse().unwrap()),
            ..change.clone()
        };
        let store = db.store.recording(event);
        store
            .update_user(ann.id, None, &change, later(900), NOW)
            .await
            .unwrap()
            .unwrap();
    }
    let events = db.store.audit_events(&all()).await.unwrap();
    let [first, second] = events.as_slice() else {
        panic!("{events:?}")
    };
    let expected = Recorded {
        seq: first.seq,
        at: later(5),
        kind: "user_changed".to_owned(),
        outcome: Some(EventKind::UserChanged.outcome()),
        user: Some(ann.id),
        session: None,
        actor: "user".to_owned(),
        actor_name: None,
        address: Some(IpAddr::from([192, 0, 2, 7])),
        request_id: Some("request-192.0.2.7".to_owned()),
        details: json!({"fields": ["email", "name"], "former_email": "ann@example.com"})
            .as_object()
            .unwrap()
            .clone(),
    };
    assert_eq!(*first, expected);
    assert_eq!(second.address, Some("2001:db8::7".parse().unwrap()));
    assert_eq!(
        (second.actor.as_str(), second.actor_name.as_deref()),
        ("client", Some("reports"))
    );
    assert_eq!(json!(second.details), json!({"fields": ["name"]}));
}

async fn only_old_events_are_removed(db: &Db) {
    let store = &db.store;
    let retention = Duration::from_hours(30 * 24);
    store.audit_by(&Audit {
        retention,
        ..Audit::default()
    });
    let now = doorward::time::Clock::system().now();
    let ages = [0, 1, 29, 31, 32, 33, 400].map(|days| Duration::from_hours(days * 24));
    for age in ages {
        let mut user = new_user(&format!("user{}", age.as_secs()));
        user.now = now;
        let event = Event::new(EventKind::Signup, Actor::User, now - age);
        store.recording(event).create_user(&user).await.unwrap();
    }
    let removed = store.cleanup(now, 2).await.unwrap();
    assert_eq!(removed.audit_events, 4);
    let left = store.audit_events(&all()).await.unwrap();
    let left: Vec<Timestamp> = left.iter().map(|event| event.at).collect();
    assert_eq!(left, ages[..3].iter().map(|age| now - *age).collect::<Vec<_>>());
    assert_eq!(store.cleanup(now, 2).await.unwrap().audit_events, 0);
}

async fn events_are_removed_as_soon_as_they_are_a_day_old_and_none_before(db: &Db) {
    const DAY: Duration = Duration::from_hours(24);
    let store = &db.store;
    store.audit_by(&Audit {
        retention: DAY,
        ..Audit::default()
    });
    let clock = doorward::time::Clock::system();
    // One after the other turns a day old within the next three seconds.
    let first = clock.now() - DAY;
    for number in 0..50 {
        let mut user = new_user(&format!("user{number}"));
        user.now = first + DAY;
        let at = first + Duration::from_millis(60 * number);
        let event = Event::new(EventKind::Signup, Actor::User, at);
        store.recording(event).create_user(&user).await.unwrap();
    }
    eventually(DEADLINE, "all are removed", || async {
        let now = clock.now();
        let removed = store
            .cleanup(now, 2)
            .await
            .expect("none that has to stay is in a batch");
        let left = store.audit_events(&all()).await.unwrap();
        let young = (0..50).filter(|number| first + Duration::from_millis(60 * number) > now - DAY);
        assert!(left.len() >= young.count(), "{now} {removed:?} {left:?}");
        when(left.is_empty())
    })
    .await;
}

async fn what_is_switched_off_records_nothing_and_goes_on(db: &Db) {
    let store = db.replica().await;
    let switched = |on| {
        store.audit_by(&Audit {
            store: on,
            ..Audit::default()
        });
    };
    switched(false);
    let ann = recording(&store, EventKind::Signup).create_user(&new_user("ann")).await;
    let ann = ann.unwrap();
    let session = db.session(&ann, 1).await;
    let recorded = recording(&store, EventKind::Logout);
    let ended = recorded.end_session(ann.id, session, later(900), NOW).await;
    assert!(ended.unwrap().is_some());
    store.note(failed(1));
    switched(true);
    store.note(failed(2));
    store.close().await;
    let events = db.store.audit_events(&all()).await.unwrap();
    assert_eq!(events.iter().map(|event| event.at).collect::<Vec<_>>(), [later(2)]);
}

#[tokio::test]
async fn sqlite_refuses_to_change_an_event_and_to_remove_one_of_the_last_day() {
    let db = Db::sqlite().await;
    let now = doorward::time::Clock::system().now();
    for age in [Duration::ZERO, Duration::from_hours(25)] {
        let mut user = new_user(&format!("user{}", age.as_secs()));
        user.now = now;
        let event = Event::new(EventKind::Signup, Actor::User, now - age);
        db.store.recording(event).create_user(&user).await.unwrap();
    }
    for (statement, why) in [
        ("UPDATE audit_events SET kind = 'x'", "not changed"),
        ("DELETE FROM audit_events", "last day"),
        ("REPLACE INTO audit_events SELECT * FROM audit_events", "not changed"),
    ] {
        let refused = db.try_run(statement).await.unwrap_err();
        assert!(refused.contains(why), "{statement}: {refused}");
    }
    db.try_run("DELETE FROM audit_events WHERE seq = 2").await.unwrap();
    assert_eq!(kinds(&db.store).await.len(), 1);
}
