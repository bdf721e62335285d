//! Passwords: how they change, and what ends with the old one.

use doorward::id::{SessionId, UserId};
use doorward::store::{PasswordChanged, Revocation, Revoked};

use super::{Db, NOW, later, new_session, on_both};

on_both!(
    a_hash_is_upgraded_only_if_it_is_still_the_one_seen,
    a_new_password_ends_the_other_sessions,
    a_password_that_was_replaced_meanwhile_stays_replaced,
    an_ended_session_sets_no_password,
    a_session_that_was_never_stored_sets_a_password_until_it_is_revoked,
);

async fn a_hash_is_upgraded_only_if_it_is_still_the_one_seen(db: &Db) {
    let ann = db.user("ann").await;
    let upgrade = async |seen, new| {
        db.store
            .upgrade_password_hash(ann.id, seen, new, later(1))
            .await
            .unwrap()
    };
    assert!(!upgrade("HASH-OF-ANN", "other").await);
    assert!(upgrade("hash-of-ann", "upgraded").await);
    assert!(!upgrade("hash-of-ann", "other").await);
    let found = db.store.user_by_id(ann.id).await.unwrap().unwrap();
    assert_eq!(found.password_hash.expose(), "upgraded");
}

async fn a_new_password_ends_the_other_sessions(db: &Db) {
    let ann = db.user("ann").await;
    let (here, there) = (db.session(&ann, 1).await, db.session(&ann, 2).await);
    let changed = db
        .store
        .change_password(ann.id, Some("hash-of-ann"), "new", Some(here), later(900), later(1))
        .await
        .unwrap();
    let PasswordChanged::Done(ended) = changed else {
        panic!("{changed:?}")
    };
    assert_eq!(ended.len(), 1);
    assert_eq!(
        ended[0].target,
        Revoked::Session {
            id: there,
            up_to: u32::MAX
        }
    );
    assert_eq!(ended[0].expires_at, later(900));
    let live = db.store.live_sessions(ann.id, later(2)).await.unwrap();
    assert_eq!(live.iter().map(|session| session.id).collect::<Vec<_>>(), [here]);
    let blocked = db.store.blocked_after(0, 10).await.unwrap();
    assert_eq!(
        blocked.iter().map(|blocked| blocked.revocation).collect::<Vec<_>>(),
        ended
    );
    // A login that was checked against the old hash comes too late.
    assert!(db.store.start_session(&new_session(&ann, 3)).await.unwrap().is_none());
    assert_eq!(
        db.store
            .user_by_id(ann.id)
            .await
            .unwrap()
            .unwrap()
            .password_hash
            .expose(),
        "new"
    );
}

async fn hash_of(db: &Db, user: UserId) -> String {
    let user = db.store.user_by_id(user).await.unwrap().unwrap();
    user.password_hash.expose().clone()
}

async fn a_password_that_was_replaced_meanwhile_stays_replaced(db: &Db) {
    let ann = db.user("ann").await;
    let (here, there) = (db.session(&ann, 1).await, db.session(&ann, 2).await);
    assert!(
        db.store
            .upgrade_password_hash(ann.id, "hash-of-ann", "reset", NOW)
            .await
            .unwrap()
    );
    let change = async |seen| {
        db.store
            .change_password(ann.id, seen, "mine", Some(here), later(900), later(1))
            .await
            .unwrap()
    };
    assert_eq!(change(Some("hash-of-ann")).await, PasswordChanged::HashReplaced);
    assert_eq!(hash_of(db, ann.id).await, "reset");
    let live = db.store.live_sessions(ann.id, later(1)).await.unwrap();
    assert_eq!(live.len(), 2, "{there:?} lives on");
    assert!(db.store.blocked_after(0, 10).await.unwrap().is_empty());
    assert!(matches!(change(Some("reset")).await, PasswordChanged::Done(_)));
    assert!(matches!(change(None).await, PasswordChanged::Done(_)));
}

async fn an_ended_session_sets_no_password(db: &Db) {
    let ann = db.user("ann").await;
    let here = db.session(&ann, 1).await;
    db.store.end_sessions(ann.id, None, later(900), NOW).await.unwrap();
    let change = async || {
        db.store
            .change_password(ann.id, Some("hash-of-ann"), "mine", Some(here), later(900), later(1))
            .await
            .unwrap()
    };
    assert_eq!(change().await, PasswordChanged::SessionEnded);
    // Its row goes before its last token has expired.
    assert_eq!(db.store.cleanup(later(1), 10).await.unwrap().sessions, 1);
    assert_eq!(change().await, PasswordChanged::SessionEnded);
    assert_eq!(hash_of(db, ann.id).await, "hash-of-ann");
}

async fn a_session_that_was_never_stored_sets_a_password_until_it_is_revoked(db: &Db) {
    // Another program that shares our secret may have issued its token.
    let ann = db.user("ann").await;
    let foreign = SessionId::generate(NOW);
    let change = async |hash| {
        db.store
            .change_password(ann.id, None, hash, Some(foreign), later(900), later(1))
            .await
            .unwrap()
    };
    assert_eq!(change("first").await, PasswordChanged::Done(Vec::new()));
    let target = Revoked::Session {
        id: foreign,
        up_to: u32::MAX,
    };
    let expires_at = later(900);
    db.store.block(&[Revocation { target, expires_at }], NOW).await.unwrap();
    assert_eq!(change("second").await, PasswordChanged::SessionEnded);
    assert_eq!(hash_of(db, ann.id).await, "first");
}
