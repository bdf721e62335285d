//! A token that was seen before is judged as if it had not been, whatever has changed meanwhile.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use super::forge::{NOW, blocklist, claims, config, header, key, shared, signed, signed_by, tokens, with};
use crate::config::{self, Algorithm, OnStale};
use crate::store::{Revocation, Revoked};
use crate::time;
use crate::token::{Accepted, Blocklist, KeySet, Reason, Refusal, Tokens};

/// A verifier that has seen this token, and the token.
fn known() -> (Tokens, String) {
    let tokens = tokens(Algorithm::EdDsa);
    let token = signed_by(&key(Algorithm::EdDsa), &claims());
    let seen = [1, 2].map(|_| tokens.authenticate(&token, NOW).unwrap());
    assert!(Arc::ptr_eq(&seen[0], &seen[1]));
    (tokens, token)
}

#[test]
fn a_known_token_is_refused_at_its_end_and_before_its_beginning() {
    let (tokens, token) = known();
    let at = |seconds: u64| tokens.authenticate(&token, NOW + Duration::from_secs(seconds)).err();
    assert_eq!(
        [at(599), at(600), at(86_400)],
        [None, Some(Refusal::Expired), Some(Refusal::Expired)]
    );
    let early = tokens.authenticate(&token, NOW - Duration::from_mins(2)).err();
    assert_eq!(early, Some(Refusal::Invalid(Reason::NotYetValid)));
}

#[test]
fn a_known_token_of_a_key_that_is_revoked_or_gone_is_refused() {
    let (tokens, token) = known();
    tokens.replace_keys(&KeySet::new(vec![key(Algorithm::Es256)]));
    assert!(matches!(tokens.authenticate(&token, NOW), Err(Refusal::Invalid(_))));
    tokens.replace_keys(&KeySet::new(vec![key(Algorithm::EdDsa)]));
    assert!(tokens.authenticate(&token, NOW).is_ok());
    let target = Revoked::Key(key(Algorithm::EdDsa).digest().unwrap());
    let expires_at = NOW + Duration::from_hours(1);
    tokens.revocations.apply(&[Revocation { target, expires_at }], NOW);
    assert_eq!(tokens.authenticate(&token, NOW).err(), Some(Refusal::Revoked));
}

#[test]
fn a_known_token_is_judged_anew_under_other_settings() {
    let (tokens, token) = known();
    let before = tokens.authenticate(&token, NOW).unwrap();
    let renewed = |config: config::Tokens| tokens.renewed(&config, Arc::clone(&tokens.issuers));
    let elsewhere = config::Tokens {
        audience: "elsewhere".to_owned(),
        ..config(Algorithm::EdDsa)
    };
    let refused = renewed(elsewhere).authenticate(&token, NOW).err();
    assert_eq!(refused, Some(Refusal::Invalid(Reason::Audience)));
    let other = config::Tokens {
        issuer: "https://other.test/auth".to_owned(),
        ..config(Algorithm::EdDsa)
    };
    let refused = renewed(other).authenticate(&token, NOW).err();
    assert_eq!(refused, Some(Refusal::Invalid(Reason::Issuer)));
    let same = renewed(config(Algorithm::EdDsa)).authenticate(&token, NOW).unwrap();
    assert!(Arc::ptr_eq(&before, &same), "nothing has changed");
}

#[test]
fn a_known_token_is_neither_good_nor_bad_once_revocations_are_not_known() {
    let stale = Arc::new(Blocklist::new(&config::Revocation {
        poll_interval: Duration::from_millis(500),
        overlap: Duration::from_secs(30),
        full_reread: Duration::from_mins(1),
        max_staleness: Duration::from_millis(200),
        on_stale: OnStale::Refuse,
    }));
    let keys = KeySet::new(vec![key(Algorithm::EdDsa)]);
    let tokens = Tokens::new(&config(Algorithm::EdDsa), keys, Arc::clone(&stale));
    let token = signed_by(&key(Algorithm::EdDsa), &claims());
    stale.confirm(time::monotonic());
    let _ = tokens.authenticate(&token, NOW);
    let deadline = time::monotonic() + Duration::from_secs(20);
    while tokens.authenticate(&token, NOW).is_ok() {
        assert!(time::monotonic() < deadline, "it has grown stale");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(
        tokens.authenticate(&token, NOW).err(),
        Some(Refusal::RevocationsUnknown)
    );
}

/// What becomes of a text: whose it is, or why it is refused.
fn verdict(tokens: &Tokens, text: &str) -> Result<Arc<crate::id::Identity>, Refusal> {
    let accepted = tokens.authenticate(text, NOW).map(Accepted::Own);
    accepted.map(|accepted| Arc::clone(accepted.identity()))
}

proptest! {
    /// Parts of tokens in every combination: most have the signature of another, and the same length.
    #[test]
    fn what_is_known_changes_no_verdict(picks in proptest::collection::vec((0_usize..4, 0_usize..4, 0_usize..4), 1..12)) {
        let expired = json!(NOW.unix_seconds() - 1);
        let tokens: Vec<String> = [("n", json!(1)), ("n", json!(2)), ("name", json!("Bo")), ("exp", expired)]
            .into_iter()
            .map(|(name, value)| signed(&header(), &with(claims(), name, value)))
            .collect();
        let part = |token: usize, part: usize| tokens[token].split('.').nth(part).unwrap();
        let long = shared();
        for (first, second, third) in picks {
            let text = format!("{}.{}.{}", part(first, 0), part(second, 1), part(third, 2));
            prop_assert_eq!(verdict(&long, &text), verdict(&shared(), &text), "{}", text);
        }
    }
}

#[test]
fn a_verifier_that_may_remember_nothing_judges_alike() {
    let mut config = config(Algorithm::EdDsa);
    config.cache_capacity = 0;
    let tokens = Tokens::new(&config, KeySet::new(vec![key(Algorithm::EdDsa)]), blocklist());
    let token = signed_by(&key(Algorithm::EdDsa), &claims());
    let seen = [1, 2].map(|_| tokens.authenticate(&token, NOW).unwrap());
    assert!(!Arc::ptr_eq(&seen[0], &seen[1]) && tokens.remembered() == 0);
    assert_eq!(seen[0].identity, seen[1].identity);
}
