//! Keys and revocations in a real store.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::watch;

use super::forge::{NOW, blocklist, claims, config, header, jti, session, signed, signed_by};
use crate::config::{self, Algorithm, Backend, OnStale};
use crate::secret::Secret;
use crate::store::{Revocation, Revoked, Store};
use crate::time::{self, Clock};
use crate::token::{
    Blocklist, Freshness, KeyError, KeySet, MasterKey, Refusal, SealError, Tokens, create_key, ensure_first_key,
    load_keys,
};

async fn open(path: &Path) -> Store {
    let store = Store::connect(&config::Store {
        backend: Backend::Sqlite(path.join("test.db")),
        revocations: config::Revocations::Database,
        max_connections: 4,
        connect_timeout: Duration::from_secs(5),
        query_timeout: Duration::from_secs(5),
        migrate_on_start: true,
        cleanup_every: Duration::from_mins(1),
        cleanup_batch: 1000,
    })
    .await
    .unwrap();
    store.migrate_up(NOW).await.unwrap();
    store
}

async fn fresh() -> (TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    (directory, store)
}

fn master() -> MasterKey {
    MasterKey::from_bytes(&[7; 32]).unwrap()
}

fn revocation_config() -> config::Revocation {
    config::Revocation {
        poll_interval: Duration::from_millis(5),
        overlap: Duration::from_secs(30),
        full_reread: Duration::from_mins(1),
        max_staleness: Duration::from_secs(10),
        on_stale: OnStale::Refuse,
    }
}

/// A verifier as a replica that has just started has it.
async fn replica(store: &Store) -> Tokens {
    let blocklist = Blocklist::new(&revocation_config());
    blocklist.load(store, NOW).await.unwrap();
    let keys = KeySet::from_secret(Algorithm::Hs256, &Secret::new(super::forge::SECRET.to_vec())).unwrap();
    Tokens::new(&config(Algorithm::Hs256), keys, Arc::new(blocklist))
}

#[tokio::test]
async fn keys_survive_a_restart_for_every_algorithm() {
    let (directory, store) = fresh().await;
    let mut kids = Vec::new();
    for algorithm in Algorithm::ALL {
        let key = crate::token::keys::make(&master(), *algorithm, NOW).unwrap();
        store.insert_key(&key).await.unwrap();
        kids.push((*algorithm, key.kid));
    }
    store.close().await;
    let keys = load_keys(&open(directory.path()).await, &master(), NOW).await.unwrap();
    assert_eq!(keys.len(), kids.len());
    let signed: Vec<String> = kids
        .iter()
        .map(|(algorithm, kid)| {
            let key = keys.find(Some(kid.as_str())).unwrap();
            assert_eq!(key.algorithm(), *algorithm);
            signed_by(key, &claims())
        })
        .collect();
    let tokens = Tokens::new(&config(Algorithm::EdDsa), keys, blocklist());
    assert!(signed.iter().all(|token| tokens.authenticate(token, NOW).is_ok()));
}

#[tokio::test]
async fn no_private_key_lies_open_in_the_database() {
    let (directory, store) = fresh().await;
    let kid = create_key(&store, &master(), Algorithm::EdDsa, NOW).await.unwrap();
    let stored = store.keys().await.unwrap().remove(0);
    let private = master().open(&kid, Algorithm::EdDsa, &stored.private_sealed).unwrap();
    store.close().await;
    for file in std::fs::read_dir(directory.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(private.len()).any(|window| window == &private[..]));
    }
}

#[tokio::test]
async fn replicas_that_start_at_once_make_one_key() {
    let (_directory, store) = fresh().await;
    let master = master();
    let starts = (0..6).map(|_| ensure_first_key(&store, &master, Algorithm::EdDsa, NOW));
    let made = futures_util::future::join_all(starts).await;
    assert_eq!(
        made.into_iter().filter(|made| made.as_ref().unwrap().is_some()).count(),
        1
    );
    assert_eq!(store.keys().await.unwrap().len(), 1);
    assert_eq!(
        ensure_first_key(&store, &master, Algorithm::Es256, NOW).await.unwrap(),
        None
    );
}

#[tokio::test]
async fn a_store_whose_keys_do_not_open_with_this_master_key_says_which() {
    let (_directory, store) = fresh().await;
    let kid = create_key(&store, &master(), Algorithm::EdDsa, NOW).await.unwrap();
    let other = MasterKey::from_bytes(&[8; 32]).unwrap();
    let error = load_keys(&store, &other, NOW).await.unwrap_err();
    assert!(matches!(error, KeyError::Seal { kid: named, source: SealError::Open } if named == kid));
}

#[tokio::test]
async fn a_retired_key_is_not_loaded() {
    let (_directory, store) = fresh().await;
    create_key(&store, &master(), Algorithm::EdDsa, NOW).await.unwrap();
    let mut retired = crate::token::keys::make(&master(), Algorithm::EdDsa, NOW).unwrap();
    retired.retires_at = Some(NOW + Duration::from_mins(1));
    store.insert_key(&retired).await.unwrap();
    let loaded = async |now| load_keys(&store, &master(), now).await.unwrap().len();
    assert_eq!(loaded(NOW).await, 2);
    assert_eq!(loaded(NOW + Duration::from_mins(1)).await, 1);
}

#[tokio::test]
async fn a_revoked_token_is_refused_after_a_restart() {
    for target in [
        Revoked::Token(jti()),
        Revoked::Session {
            id: session(),
            up_to: 1,
        },
    ] {
        let (directory, store) = fresh().await;
        let token = signed(&header(), &claims());
        let before = replica(&store).await;
        assert!(before.authenticate(&token, NOW).is_ok());
        let revocation = Revocation {
            target,
            expires_at: before.revoke_until(NOW),
        };
        store.block(&[revocation], NOW).await.unwrap();
        store.close().await;
        let after = replica(&open(directory.path()).await).await;
        assert_eq!(after.authenticate(&token, NOW).err(), Some(Refusal::Revoked));
    }
}

#[tokio::test]
async fn a_revocation_by_one_replica_reaches_another_that_polls() {
    let (_directory, store) = fresh().await;
    let here = Arc::new(Blocklist::new(&revocation_config()));
    let keys = KeySet::from_secret(Algorithm::Hs256, &Secret::new(super::forge::SECRET.to_vec())).unwrap();
    let tokens = Tokens::new(&config(Algorithm::Hs256), keys, Arc::clone(&here));
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(Arc::clone(&here).run(store.clone(), Clock::system(), stopped));
    let deadline = time::monotonic() + Duration::from_secs(10);
    let wait = async |what: &str, condition: &dyn Fn() -> bool| {
        while !condition() {
            assert!(time::monotonic() < deadline, "{what}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    wait("a load", &|| here.status() != Freshness::NeverLoaded).await;
    let token = signed(&header(), &claims());
    assert!(tokens.authenticate(&token, NOW).is_ok());
    let target = Revoked::Token(jti());
    let revocation = Revocation {
        target,
        expires_at: tokens.revoke_until(Clock::system().now()),
    };
    store.block(&[revocation], NOW).await.unwrap();
    wait("a poll", &|| {
        tokens.authenticate(&token, NOW).err() == Some(Refusal::Revoked)
    })
    .await;
    stop.send(true).unwrap();
    running.await.unwrap();
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_reported_and_not_taken_for_an_empty_one() {
    let (_directory, store) = fresh().await;
    store.close().await;
    let blocklist = Blocklist::new(&revocation_config());
    assert!(blocklist.load(&store, NOW).await.is_err());
    assert!(blocklist.poll_once(&store, NOW).await.is_err());
    assert_eq!((blocklist.failures(), blocklist.status()), (2, Freshness::NeverLoaded));
    assert!(load_keys(&store, &master(), NOW).await.is_err());
}
