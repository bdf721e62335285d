//! Sign-ups: a user and their first session at once.

use std::time::Duration;

use doorward::store::audit::{Actor, Event, EventKind};
use doorward::store::{NewSession, NewUser, Store, WriteUserError};
use tokio::task::JoinSet;

use super::audit::{kinds, recording};
use super::{Db, NOW, new_session, new_user, on_both};
use crate::support::{DEADLINE, eventually, when};

on_both!(
    a_sign_up_makes_a_user_with_a_session_and_records_both,
    a_sign_up_that_fails_at_its_last_step_leaves_no_account,
    of_sign_ups_with_one_address_one_has_an_account_and_a_session,
    a_sign_up_that_is_dropped_has_happened_wholly_or_not_at_all,
);

fn pair(name: &str, token: u8) -> (NewUser, NewSession) {
    let user = new_user(name);
    let session = new_session(&user.made(), token);
    (user, session)
}

async fn sign_up(store: &Store, user: &NewUser, session: &NewSession) -> Result<(), WriteUserError> {
    let begins = Event::new(EventKind::Login, Actor::User, NOW);
    recording(store, EventKind::Signup)
        .sign_up(user, session, &begins)
        .await
}

async fn a_sign_up_makes_a_user_with_a_session_and_records_both(db: &Db) {
    let (user, session) = pair("ann", 1);
    sign_up(&db.store, &user, &session).await.unwrap();
    let ann = db.store.user_by_id(user.id).await.unwrap().expect("a user");
    assert_eq!(format!("{ann:?}"), format!("{:?}", user.made()));
    let live = db.store.live_sessions(ann.id, NOW).await.unwrap();
    assert_eq!(live.iter().map(|live| live.id).collect::<Vec<_>>(), [session.id]);
    assert!(matches!(db.rotate(1, 2).await, super::Refreshed::Rotated { .. }));
    let events = db.store.audit_events(&super::audit::all()).await.unwrap();
    let told = events
        .iter()
        .map(|event| (event.kind.as_str(), event.user, event.session));
    let expected = [
        ("signup", Some(ann.id), None),
        ("login", Some(ann.id), Some(session.id)),
    ];
    assert_eq!(told.collect::<Vec<_>>(), expected);
}

async fn a_sign_up_that_fails_at_its_last_step_leaves_no_account(db: &Db) {
    let (user, session) = pair("ann", 1);
    for hidden in ["sessions", "refresh_tokens", "audit_events"] {
        db.run(&format!("ALTER TABLE {hidden} RENAME TO hidden")).await;
        let refused = sign_up(&db.store, &user, &session).await;
        assert!(
            matches!(refused, Err(WriteUserError::Store(_))),
            "{hidden}: {refused:?}"
        );
        db.run(&format!("ALTER TABLE hidden RENAME TO {hidden}")).await;
        assert!(db.store.list_users(None, 10).await.unwrap().is_empty(), "{hidden}");
    }
    assert!(kinds(&db.store).await.is_empty());
    sign_up(&db.store, &user, &session).await.unwrap();
}

async fn of_sign_ups_with_one_address_one_has_an_account_and_a_session(db: &Db) {
    let mut tasks = JoinSet::new();
    for token in 0..20 {
        let (store, (user, session)) = (db.store.clone(), pair("ann", token));
        tasks.spawn(async move {
            match sign_up(&store, &user, &session).await {
                Ok(()) => Some(session.id),
                Err(WriteUserError::EmailTaken) => None,
                Err(other) => panic!("{other:?}"),
            }
        });
    }
    let begun: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
    let users = db.store.list_users(None, 10).await.unwrap();
    assert_eq!(users.len(), 1);
    let live = db.store.live_sessions(users[0].id, NOW).await.unwrap();
    assert_eq!(live.iter().map(|live| live.id).collect::<Vec<_>>(), begun);
    assert_eq!(kinds(&db.store).await, ["signup", "login"]);
}

async fn a_sign_up_that_is_dropped_has_happened_wholly_or_not_at_all(db: &Db) {
    // Each call is dropped a little later than the one before, up to after its end.
    for n in 0..60 {
        let (user, session) = pair(&format!("user{n}"), n);
        let call = sign_up(&db.store, &user, &session);
        drop(tokio::time::timeout(Duration::from_micros(u64::from(n) * 100), call).await);
    }
    // One that was dropped while it was committed may take a moment to be there.
    eventually(DEADLINE, "as many sessions as users, and events of both", || async {
        let users = db.store.list_users(None, 100).await.unwrap();
        let mut sessions = 0;
        for user in &users {
            sessions += db.store.live_sessions(user.id, NOW).await.unwrap().len();
        }
        when((sessions, kinds(&db.store).await.len()) == (users.len(), 2 * users.len()))
    })
    .await;
}
