//! A keyring and a real store.

mod replica;

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use replica::{Replica, revocation_config, tokens_config, wait};

use crate::config::Algorithm;
use crate::store::{KeyChange, Revocation, Revoked, StoredKey};
use crate::time::Timestamp;
use crate::token::keys::make;
use crate::token::{
    Blocklist, KeySet, MasterKey, Occasion, PUBLICATION, Reason, Refusal, Tokens, reseal_keys, revoke_key,
    revoke_until, rotate_key,
};

const LEARNED: Duration = Duration::from_secs(2);

#[tokio::test]
async fn a_new_key_is_published_at_once_and_signs_when_it_is_time() {
    let replica = Replica::first().await;
    let before = replica.issue();
    let kid = replica.rotate().await;
    assert!(!replica.published(&kid));
    assert!(replica.refresh().await);
    assert!(replica.published(&kid));
    assert_eq!(replica.tokens.signing_with(replica.now()).unwrap().0, Algorithm::EdDsa);
    replica.shift.advance(PUBLICATION);
    assert_eq!(replica.tokens.signing_with(replica.now()).unwrap().0, Algorithm::Es256);
    assert_eq!(replica.refusal(&before), None, "the key before it verifies on");
    assert_eq!(replica.refusal(&replica.issue()), None);
}

#[tokio::test]
async fn keys_that_did_not_change_are_not_opened_again() {
    let replica = Replica::first().await;
    let token = replica.issue();
    let first = replica.tokens.authenticate(&token, replica.now()).unwrap();
    assert!(replica.refresh().await);
    // Not even the master key is needed.
    std::fs::remove_file(replica.path("master.key")).unwrap();
    assert!(replica.refresh().await);
    let again = replica.tokens.authenticate(&token, replica.now()).unwrap();
    assert!(Arc::ptr_eq(&first, &again), "what a key verified stays known");
}

#[tokio::test]
async fn the_first_key_signs_also_where_the_clock_is_behind_that_of_whoever_made_it() {
    let replica = Replica::first().await;
    let behind = replica.now() - Duration::from_secs(30);
    assert!(replica.tokens.signing_with(behind).is_some());
}

#[tokio::test]
async fn a_token_of_a_key_that_can_not_be_looked_for_is_not_called_invalid() {
    let replica = Replica::first().await;
    let token = replica.issue();
    // As one that the database has not answered for too long, while others got a new key.
    let blocklist = Arc::new(Blocklist::new(&revocation_config()));
    let cut_off = Tokens::new(&tokens_config(), KeySet::new(Vec::new()), Arc::clone(&blocklist));
    let refusal = |token: &str| cut_off.authenticate(token, replica.now()).err();
    assert_eq!(refusal(&token), Some(Refusal::RevocationsUnknown));
    assert_eq!(refusal("a.b.c"), Some(Refusal::Invalid(Reason::Base64)));
    blocklist.load(&replica.store, replica.now()).await.unwrap();
    assert_eq!(refusal(&token), Some(Refusal::Invalid(Reason::KeyId)));
}

#[tokio::test]
async fn a_key_whose_row_is_gone_is_dropped() {
    let replica = Replica::first().await;
    let token = replica.issue();
    let deleted = |keys: &[StoredKey]| {
        let gone = |key: &StoredKey| StoredKey {
            deleted_at: Some(Timestamp::from_unix_ms(1)),
            ..key.clone()
        };
        let change = KeyChange {
            update: keys.iter().map(gone).collect(),
            ..Default::default()
        };
        (change, ())
    };
    replica.store.change_keys(replica.now(), deleted).await.unwrap();
    assert!(replica.refresh().await);
    assert_eq!(replica.refusal(&token), Some(Refusal::Invalid(Reason::KeyId)));
}

#[tokio::test]
async fn a_key_that_does_not_open_takes_nothing_away_and_is_told() {
    let replica = Replica::first().await;
    let token = replica.issue();
    let other = MasterKey::from_bytes(&[8; 32]).unwrap();
    let foreign = make(&other, Algorithm::EdDsa, replica.now()).unwrap();
    replica.store.insert_key(&foreign).await.unwrap();
    let good = make(&replica.master(), Algorithm::EdDsa, replica.now() + PUBLICATION).unwrap();
    replica.store.insert_key(&good).await.unwrap();
    for failures in 1..3 {
        assert!(!replica.refresh().await);
        let trouble = replica.keyring.trouble().unwrap();
        assert!(trouble.contains(foreign.kid.as_str()), "{trouble}");
        assert_eq!(replica.keyring.failures(), failures);
    }
    assert_eq!(replica.refusal(&token), None);
    assert!(replica.published(&good.kid) && !replica.published(&foreign.kid));
}

#[tokio::test]
async fn a_master_key_file_that_was_replaced_after_resealing_is_read_again() {
    let replica = Replica::first().await;
    assert!(replica.refresh().await);
    let token = replica.issue();
    let first = replica.tokens.authenticate(&token, replica.now()).unwrap();
    let new = MasterKey::load_or_create(&replica.path("new.key")).unwrap();
    let count = reseal_keys(&replica.store, &replica.master(), &new, replica.now()).await;
    assert_eq!(count.unwrap(), 1);

    assert!(!replica.refresh().await);
    assert!(replica.keyring.trouble().is_some());
    assert_eq!(replica.refusal(&token), None);
    assert_eq!(replica.refusal(&replica.issue()), None, "it signs on as well");
    let (master, now) = (replica.master(), replica.now());
    let refused = rotate_key(&replica.store, &master, Algorithm::EdDsa, Occasion::Forced, now).await;
    assert!(refused.is_err(), "nobody makes a key with the old master key");

    std::fs::rename(replica.path("new.key"), replica.path("master.key")).unwrap();
    assert!(replica.refresh().await);
    assert_eq!(replica.keyring.trouble(), None);
    let again = replica.tokens.authenticate(&token, replica.now()).unwrap();
    assert!(Arc::ptr_eq(&first, &again), "it is the same key");
    let kid = replica.rotate().await;
    assert!(replica.refresh().await && replica.published(&kid));
}

#[tokio::test]
async fn a_key_that_does_not_open_any_more_still_retires_when_its_row_says_so() {
    let replica = Replica::first().await;
    let token = replica.issue();
    let kid = replica.rotate().await;
    let new = MasterKey::from_bytes(&[8; 32]).unwrap();
    reseal_keys(&replica.store, &replica.master(), &new, replica.now())
        .await
        .unwrap();
    assert!(!replica.refresh().await);
    assert_eq!(replica.refusal(&token), None);
    assert!(!replica.published(&kid), "it was never held");
    replica.shift.advance(Duration::from_hours(25));
    let late = replica.tokens.signing_with(replica.now());
    assert_eq!(late, None, "the key has retired");
}

#[tokio::test]
async fn a_store_that_fails_takes_no_key_away_but_one_that_is_revoked() {
    let replica = Replica::first().await;
    let token = replica.issue();
    let kid = replica.kids().await.remove(0);
    replica.store.close().await;
    assert!(!replica.refresh().await);
    assert!(replica.published(&kid));
    assert_eq!(replica.refusal(&token), None);
    let revocation = Revocation {
        target: Revoked::Key(kid.digest()),
        expires_at: revoke_until(replica.now()),
    };
    replica.blocklist.apply(&[revocation], replica.now());
    assert!(!replica.refresh().await);
    assert!(!replica.published(&kid));
    assert_eq!(replica.refusal(&token), Some(Refusal::Revoked));
}

#[tokio::test]
async fn a_revoked_key_is_refused_and_its_successor_signs() {
    let replica = Replica::first().await;
    let token = replica.issue();
    let kid = replica.kids().await.remove(0);
    let (store, master, now) = (&replica.store, replica.master(), replica.now());
    revoke_key(store, &master, Algorithm::EdDsa, &kid, LEARNED, &replica.clock)
        .await
        .unwrap();
    replica.blocklist.poll_once(store, now).await.unwrap();
    assert_eq!(replica.refusal(&token), Some(Refusal::Revoked));

    let stop = replica.run();
    wait("the successor", || {
        !replica.published(&kid) && replica.tokens.key_count() == 1
    })
    .await;
    assert_eq!(replica.tokens.signing_with(replica.now()), None);
    // Whoever logs in now waits.
    let signing = replica.tokens.until_signing(&replica.clock);
    tokio::pin!(signing);
    assert!((&mut signing).now_or_never().is_none());
    replica.shift.advance(LEARNED);
    signing.await;
    assert_eq!(replica.refusal(&replica.issue()), None);
    assert_eq!(replica.refusal(&token), Some(Refusal::Revoked));
    stop.send_replace(true);
    // One that starts later loads it no more.
    let later = replica.another(None).await;
    assert_eq!(later.refusal(&token), Some(Refusal::Revoked));
    assert!(!later.published(&kid));
}

#[tokio::test]
async fn a_revocation_of_a_key_has_the_keys_read_again_at_once() {
    let replica = Replica::first().await;
    let stop = replica.run();
    let kid = replica.kids().await.remove(0);
    let new = replica.rotate().await;
    let revocation = Revocation {
        target: Revoked::Key(kid.digest()),
        expires_at: revoke_until(replica.now()),
    };
    replica.blocklist.apply(&[revocation], replica.now());
    wait("the new key", || replica.published(&new)).await;
    assert!(!replica.published(&kid));
    stop.send_replace(true);
}

#[tokio::test]
async fn a_token_of_an_unknown_key_has_the_keys_read_again() {
    let here = Replica::first().await;
    let there = here.another(None).await;
    let stop = there.run();
    here.rotate().await;
    assert!(here.refresh().await);
    here.shift.advance(PUBLICATION);
    let token = here.issue();
    wait("the new key", || there.refusal(&token).is_none()).await;
    stop.send_replace(true);
}

#[tokio::test]
async fn of_replicas_that_rotate_by_themselves_one_makes_the_key_and_all_learn_it() {
    let every = Duration::from_hours(24 * 90);
    let first = Replica::first().await;
    let replicas = [
        first.another(Some(every)).await,
        first.another(Some(every)).await,
        first.another(Some(every)).await,
    ];
    for replica in &replicas {
        assert!(replica.refresh().await);
    }
    assert_eq!(first.kids().await.len(), 1);
    first.shift.advance(every.saturating_sub(PUBLICATION));
    let rounds = replicas.iter().map(Replica::refresh);
    assert!(
        futures_util::future::join_all(rounds)
            .await
            .into_iter()
            .all(|done| done)
    );
    let kids = first.kids().await;
    assert_eq!(kids.len(), 2);
    for replica in &replicas {
        assert!(replica.refresh().await && replica.published(&kids[1]));
    }
    assert_eq!(first.kids().await.len(), 2);

    // The old one goes by itself when its last token has expired.
    let old = first.store.keys().await.unwrap().remove(0);
    first
        .shift
        .advance(old.retires_at.unwrap().since(first.now()) + Duration::from_mins(2));
    let rounds = replicas.iter().map(Replica::refresh);
    assert!(
        futures_util::future::join_all(rounds)
            .await
            .into_iter()
            .all(|done| done)
    );
    assert_eq!(first.kids().await, kids[1..]);
    let ever = first.store.keys_ever().await.unwrap();
    assert!(
        ever[0].private_sealed.is_empty() && ever[0].deleted_at.is_some(),
        "{ever:?}"
    );
    assert!(replicas.iter().all(|replica| !replica.published(&kids[0])));
}
