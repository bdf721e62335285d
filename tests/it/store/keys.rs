//! Sealed signing keys.

use std::sync::Arc;

use doorward::config::Algorithm;
use doorward::store::{KeyChange, Revocation, Revoked, StoredKey};
use tokio::sync::Barrier;

use super::{Db, NOW, later, on_both};

on_both!(
    keys_come_back_as_they_were_written_oldest_first,
    a_key_id_is_taken_once,
    replicas_that_start_at_once_make_one_first_key,
    a_deleted_key_is_not_given_and_does_not_count,
    those_who_change_keys_at_once_see_each_others_changes,
    a_change_of_keys_and_its_revocations_happen_together_or_not_at_all,
    a_key_that_was_deleted_is_forgotten_when_told,
);

pub(super) fn key(kid: &str) -> StoredKey {
    StoredKey {
        kid: kid.parse().unwrap(),
        algorithm: Algorithm::EdDsa,
        private_sealed: (0..=255).collect(),
        public_jwk: Some(r#"{"kty":"OKP"}"#.to_owned()),
        not_before: NOW,
        retires_at: None,
        deleted_at: None,
    }
}

async fn keys_come_back_as_they_were_written_oldest_first(db: &Db) {
    let mut written = Vec::new();
    for (n, algorithm) in (0..).zip(Algorithm::ALL) {
        let mut key = key(&format!("key-{n}"));
        key.algorithm = *algorithm;
        key.not_before = later(100 - n);
        key.retires_at = (n % 2 == 0).then_some(later(1000));
        key.public_jwk = key.public_jwk.filter(|_| !algorithm.is_symmetric());
        key.private_sealed.resize(5000, 7);
        db.store.insert_key(&key).await.unwrap();
        written.insert(0, key);
    }
    assert_eq!(db.store.keys().await.unwrap(), written);
}

async fn a_key_id_is_taken_once(db: &Db) {
    db.store.insert_key(&key("a")).await.unwrap();
    db.store.insert_key(&key("A")).await.unwrap();
    let mut other = key("a");
    other.algorithm = Algorithm::Es256;
    assert!(db.store.insert_key(&other).await.is_err());
    assert_eq!(db.store.keys().await.unwrap().len(), 2);
}

async fn replicas_that_start_at_once_make_one_first_key(db: &Db) {
    for round in 0..5 {
        let start = Arc::new(Barrier::new(10));
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..10 {
            let (store, start) = (db.replica().await, Arc::clone(&start));
            tasks.spawn(async move {
                start.wait().await;
                store.insert_first_key(&key(&format!("key-{n}"))).await.unwrap()
            });
        }
        let made = tasks.join_all().await.into_iter().filter(|made| *made).count();
        assert_eq!((made, db.store.keys().await.unwrap().len()), (1, 1), "round {round}");
        assert!(!db.store.insert_first_key(&key("late")).await.unwrap());
        db.run("DELETE FROM signing_keys").await;
    }
}

async fn a_deleted_key_is_not_given_and_does_not_count(db: &Db) {
    let mut deleted = key("gone");
    deleted.deleted_at = Some(NOW);
    db.store.insert_key(&deleted).await.unwrap();
    assert!(db.store.keys().await.unwrap().is_empty());
    assert!(db.store.insert_first_key(&key("first")).await.unwrap());
    assert_eq!(db.store.keys().await.unwrap(), [key("first")]);
}

/// Each adds one unless there are three.
async fn those_who_change_keys_at_once_see_each_others_changes(db: &Db) {
    let start = Arc::new(Barrier::new(10));
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..10 {
        let (store, start) = (db.replica().await, Arc::clone(&start));
        tasks.spawn(async move {
            start.wait().await;
            let plan = |keys: &[StoredKey]| {
                let more = keys.len() < 3;
                let change = KeyChange {
                    insert: if more {
                        vec![key(&format!("key-{n}"))]
                    } else {
                        Vec::new()
                    },
                    ..KeyChange::default()
                };
                (change, more)
            };
            store.change_keys(NOW, plan).await.unwrap()
        });
    }
    let made = tasks.join_all().await.into_iter().filter(|made| *made).count();
    assert_eq!((made, db.store.keys().await.unwrap().len()), (3, 3));
}

async fn a_change_of_keys_and_its_revocations_happen_together_or_not_at_all(db: &Db) {
    db.store.insert_key(&key("old")).await.unwrap();
    let revocation = Revocation {
        target: Revoked::Key(key("old").kid.digest()),
        expires_at: later(1000),
    };
    let deleted = StoredKey {
        private_sealed: Vec::new(),
        deleted_at: Some(later(1)),
        ..key("old")
    };
    let change = |kid: &str| KeyChange {
        insert: vec![key(kid)],
        update: vec![deleted.clone()],
        revocations: vec![revocation],
    };
    // The name is taken.
    let failed = db.store.change_keys(later(1), |_| (change("old"), ())).await;
    assert!(failed.is_err());
    assert_eq!(db.store.keys().await.unwrap(), [key("old")]);
    assert!(db.store.blocked_after(0, 10).await.unwrap().is_empty());

    db.store.change_keys(later(1), |_| (change("new"), ())).await.unwrap();
    assert_eq!(db.store.keys().await.unwrap(), [key("new")]);
    let blocked = db.store.blocked_after(0, 10).await.unwrap();
    assert_eq!((blocked.len(), blocked[0].revocation), (1, revocation));
    assert!(db.store.keys_ever().await.unwrap().contains(&deleted));
}

async fn a_key_that_was_deleted_is_forgotten_when_told(db: &Db) {
    let mut deleted = key("gone");
    deleted.deleted_at = Some(NOW);
    db.store.insert_key(&deleted).await.unwrap();
    db.store.insert_key(&key("kept")).await.unwrap();
    assert_eq!(
        db.store
            .forget_keys(later(0) - std::time::Duration::from_millis(1))
            .await
            .unwrap(),
        0
    );
    assert_eq!(db.store.forget_keys(NOW).await.unwrap(), 1);
    assert_eq!(db.store.keys_ever().await.unwrap(), [key("kept")]);
}
