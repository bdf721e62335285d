//! Revocation and the cache: seen before is not good for ever.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::forge::{
    NOW, blocklist, claims, config, header, jti, key, session, shared, signed, signed_by, tokens, with,
};
use crate::config::{self, Algorithm, OnStale};
use crate::store::{Revocation, Revoked};
use crate::time;
use crate::token::{Blocklist, KeySet, Refusal, Tokens};

fn revoke(tokens: &Tokens, target: Revoked) {
    let revocation = Revocation {
        target,
        expires_at: tokens.revoke_until(NOW),
    };
    tokens.revocations.apply(&[revocation], NOW);
}

#[test]
fn a_token_that_was_seen_and_then_revoked_is_refused() {
    for target in [
        Revoked::Token(jti()),
        Revoked::Session {
            id: session(),
            up_to: u32::MAX,
        },
    ] {
        let tokens = shared();
        let token = signed(&header(), &claims());
        assert!(tokens.authenticate(&token, NOW).is_ok());
        revoke(&tokens, target);
        for _ in 0..2 {
            assert_eq!(tokens.authenticate(&token, NOW).err(), Some(Refusal::Revoked));
        }
    }
}

#[test]
fn a_token_that_is_first_seen_after_its_revocation_is_refused() {
    let tokens = shared();
    revoke(&tokens, Revoked::Token(jti()));
    let token = signed(&header(), &claims());
    for _ in 0..2 {
        assert_eq!(tokens.authenticate(&token, NOW).err(), Some(Refusal::Revoked));
    }
}

#[test]
fn a_revoked_token_in_another_spelling_is_refused() {
    let tokens = shared();
    revoke(&tokens, Revoked::Token(jti()));
    // The same token, signed anew with its members in another order and with one more.
    let respelled = signed(&with(header(), "x", json!(1)), &with(claims(), "y", json!(2)));
    assert_eq!(tokens.authenticate(&respelled, NOW).err(), Some(Refusal::Revoked));
}

#[test]
fn generations_up_to_the_revoked_one_are_refused_and_later_ones_are_not() {
    let tokens = shared();
    revoke(
        &tokens,
        Revoked::Session {
            id: session(),
            up_to: 3,
        },
    );
    let of = |generation: u32| {
        let token = signed(&header(), &with(claims(), "gen", json!(generation)));
        tokens.authenticate(&token, NOW).err()
    };
    assert_eq!(
        (of(1), of(3), of(4)),
        (Some(Refusal::Revoked), Some(Refusal::Revoked), None)
    );
}

#[test]
fn a_token_that_was_seen_is_refused_once_it_has_expired() {
    let tokens = shared();
    let token = signed(&header(), &claims());
    assert!(tokens.authenticate(&token, NOW).is_ok());
    assert_eq!(
        tokens.authenticate(&token, NOW + Duration::from_mins(10)).err(),
        Some(Refusal::Expired)
    );
}

#[test]
fn a_token_that_was_seen_is_the_same_object_the_next_time() {
    let tokens = tokens(Algorithm::EdDsa);
    let token = signed_by(&key(Algorithm::EdDsa), &claims());
    let seen = [1, 2].map(|_| tokens.authenticate(&token, NOW).unwrap());
    assert!(Arc::ptr_eq(&seen[0], &seen[1]));
}

#[test]
fn a_refused_token_is_not_remembered() {
    let tokens = shared();
    for bad in ["x", "a.b.c", &signed(&header(), &with(claims(), "aud", json!("other")))] {
        assert!(tokens.authenticate(bad, NOW).is_err());
    }
    assert!(
        tokens
            .authenticate(&signed(&header(), &with(claims(), "exp", json!(1))), NOW)
            .is_err()
    );
    tokens.cache.tidy();
    assert_eq!(tokens.remembered(), 0);
}

#[test]
fn the_cache_is_bounded_and_long_tokens_take_more_of_it() {
    let mut config = config(Algorithm::EdDsa);
    config.cache_capacity = 20;
    let tokens = Tokens::new(&config, KeySet::new(vec![key(Algorithm::EdDsa)]), blocklist());
    let fill = |padding: usize| {
        for number in 0..60 {
            let claims = with(with(claims(), "n", json!(number)), "x", json!("y".repeat(padding)));
            assert!(
                tokens
                    .authenticate(&signed_by(&key(Algorithm::EdDsa), &claims), NOW)
                    .is_ok()
            );
        }
        tokens.cache.tidy();
        tokens.remembered()
    };
    assert!((1..=20).contains(&fill(0)));
    let tokens = Tokens::new(&config, KeySet::new(vec![key(Algorithm::EdDsa)]), blocklist());
    for number in 0..60 {
        let claims = with(with(claims(), "n", json!(number)), "x", json!("y".repeat(5_000)));
        assert!(
            tokens
                .authenticate(&signed_by(&key(Algorithm::EdDsa), &claims), NOW)
                .is_ok()
        );
    }
    tokens.cache.tidy();
    assert!((1..=5).contains(&tokens.remembered()), "{}", tokens.remembered());
}

#[test]
fn when_revocations_are_not_known_a_good_token_is_neither_good_nor_bad() {
    let unknown = Arc::new(Blocklist::new(&config::Revocation {
        poll_interval: Duration::from_millis(500),
        overlap: Duration::from_secs(30),
        full_reread: Duration::from_mins(1),
        max_staleness: Duration::from_secs(10),
        on_stale: OnStale::Refuse,
    }));
    let tokens = Tokens::new(
        &config(Algorithm::EdDsa),
        KeySet::new(vec![key(Algorithm::EdDsa)]),
        Arc::clone(&unknown),
    );
    let token = signed_by(&key(Algorithm::EdDsa), &claims());
    assert_eq!(
        tokens.authenticate(&token, NOW).err(),
        Some(Refusal::RevocationsUnknown)
    );
    // A bad one is bad all the same, and so is one that is known to be revoked.
    assert!(matches!(tokens.authenticate("x", NOW), Err(Refusal::Invalid(_))));
    unknown.confirm(time::monotonic());
    assert!(tokens.authenticate(&token, NOW).is_ok());
}

#[test]
fn a_revocation_is_effective_for_all_threads_when_apply_returns() {
    let tokens = tokens(Algorithm::EdDsa);
    for number in 0..50 {
        let token_id = crate::id::TokenId::generate(NOW);
        let token = signed_by(
            &key(Algorithm::EdDsa),
            &with(with(claims(), "jti", json!(token_id)), "n", json!(number)),
        );
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                // Keeps the entry hot until the revocation shows.
                while tokens.authenticate(&token, NOW).is_ok() {}
            });
            revoke(&tokens, Revoked::Token(token_id));
            assert_eq!(tokens.authenticate(&token, NOW).err(), Some(Refusal::Revoked));
            reader.join().unwrap();
        });
    }
}
