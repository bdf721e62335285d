//! Assertions: kept while they are good, never longer than what they rest on.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::forge::{ISSUER, NOW, blocklist, claims, config, key, private, signed_by, tokens, with};
use crate::config::Algorithm;
use crate::id::{Identity, KeyId};
use crate::rules::policy::{Access, AuthMode, Permit, TrustedIssuers, decide};
use crate::store::{Revocation, Revoked};
use crate::time::Timestamp;
use crate::token::key::{Key, generate};
use crate::token::{Accepted, AssertionError, KeySet, Reason, Refusal, Tokens, Verified, read_unverified};

fn permit(who: Option<&Arc<Identity>>) -> Permit {
    let access = Access {
        auth: AuthMode::Optional,
        issuers: TrustedIssuers::own(),
        roles: Vec::new(),
        claims: Map::new(),
    };
    decide(&access, who).unwrap()
}

/// A token with these claims, verified.
fn verified(tokens: &Tokens, claims: &Value) -> Arc<Verified> {
    let token = signed_by(&key(Algorithm::EdDsa), claims);
    tokens.authenticate(&token, NOW).unwrap()
}

fn assert(tokens: &Tokens, token: &Arc<Verified>, audience: &str, now: Timestamp) -> Bytes {
    let accepted = Accepted::Own(Arc::clone(token));
    let assertion = tokens.assert(&permit(Some(&token.identity)), &accepted, audience, now);
    assertion.unwrap().unwrap()
}

fn text(assertion: &Bytes) -> &str {
    std::str::from_utf8(assertion).unwrap()
}

fn claim(assertion: &Bytes, name: &str) -> Value {
    read_unverified(text(assertion)).unwrap().claims[name].clone()
}

fn after(seconds: u64) -> Timestamp {
    NOW + Duration::from_secs(seconds)
}

#[test]
fn an_assertion_says_who_to_whom_and_for_a_minute() {
    let tokens = tokens(Algorithm::EdDsa);
    let assertion = assert(&tokens, &verified(&tokens, &claims()), "orders", NOW);
    let read = read_unverified(text(&assertion)).unwrap();
    let header = json!({ "alg": "EdDSA", "typ": "doorward-assertion+jwt", "kid": "k1" });
    assert_eq!(Value::Object(read.header), header);
    let expected = json!({
        "iss": ISSUER, "aud": "orders", "sub": claims()["sub"], "sid": claims()["sid"], "iat": NOW.unix_seconds(),
        "exp": NOW.unix_seconds() + 60, "name": "Al", "email": "a@example.test", "roles": ["user"],
    });
    assert_eq!(Value::Object(read.claims), expected);
}

#[test]
fn an_assertion_is_no_access_token() {
    let tokens = tokens(Algorithm::EdDsa);
    let token = verified(&tokens, &claims());
    // Not even where the upstream is called as our audience is.
    for audience in ["orders", "doorward"] {
        let assertion = assert(&tokens, &token, audience, NOW);
        let refused = tokens.authenticate(text(&assertion), NOW).unwrap_err();
        assert_eq!(refused, Refusal::Invalid(Reason::Type));
        assert_eq!(
            tokens.read(text(&assertion)).unwrap_err(),
            Refusal::Invalid(Reason::Type)
        );
    }
}

#[test]
fn an_assertion_is_kept_until_half_of_its_time_is_over() {
    let tokens = tokens(Algorithm::EdDsa);
    let token = verified(&tokens, &claims());
    let first = assert(&tokens, &token, "orders", NOW);
    let other = assert(&tokens, &token, "bills", NOW);
    assert_ne!(first, other);
    assert_eq!(claim(&other, "aud"), "bills");
    for seconds in [0, 1, 29] {
        assert_eq!(assert(&tokens, &token, "orders", after(seconds)), first);
        assert_eq!(assert(&tokens, &token, "bills", after(seconds)), other);
    }
    let second = assert(&tokens, &token, "orders", after(30));
    assert_eq!(claim(&second, "exp"), NOW.unix_seconds() + 90);
    assert_eq!(assert(&tokens, &token, "orders", after(59)), second);
    // A clock that was set back does not make it live longer.
    let earlier = assert(&tokens, &token, "orders", NOW - Duration::from_hours(1));
    assert_eq!(claim(&earlier, "exp"), NOW.unix_seconds() - 3540);
}

#[test]
fn an_assertion_does_not_outlive_its_token_and_is_not_signed_again_for_that() {
    let tokens = tokens(Algorithm::EdDsa);
    let end = NOW.unix_seconds() + 20;
    let token = verified(&tokens, &with(claims(), "exp", json!(end)));
    let first = assert(&tokens, &token, "orders", NOW);
    assert_eq!(claim(&first, "exp"), end);
    assert_eq!(assert(&tokens, &token, "orders", after(19)), first);
    // Within the leeway.
    let late = assert(&tokens, &token, "orders", after(50));
    assert_eq!(claim(&late, "exp"), end);
}

#[test]
fn nobody_is_asserted_but_whom_the_permit_names() {
    let tokens = tokens(Algorithm::EdDsa);
    let token = verified(&tokens, &claims());
    let other = verified(&tokens, &with(claims(), "name", json!("Bo")));
    for permit in [permit(None), permit(Some(&other.identity))] {
        let token = Accepted::Own(Arc::clone(&token));
        assert!(tokens.assert(&permit, &token, "orders", NOW).unwrap().is_none());
    }
}

#[test]
fn a_key_that_is_gone_signs_nothing_more_and_what_it_signed_is_not_sent() {
    let tokens = tokens(Algorithm::EdDsa);
    let token = verified(&tokens, &claims());
    let first = assert(&tokens, &token, "orders", NOW);
    let named = |kid: &str, not_before| {
        let private = generate(Algorithm::Es256).unwrap();
        let key = Key::from_private(Some(kid.parse().unwrap()), Algorithm::Es256, &private).unwrap();
        key.within(not_before, None)
    };
    let kid = |assertion: &Bytes| read_unverified(text(assertion)).unwrap().header["kid"].clone();
    // A newer key beside it: what was signed stays good, and the newer one signs what comes.
    tokens.replace_keys(&KeySet::new(vec![key(Algorithm::EdDsa), named("k2", NOW)]));
    assert_eq!(assert(&tokens, &token, "orders", after(1)), first);
    assert_eq!(kid(&assert(&tokens, &token, "bills", after(1))), "k2");
    assert_eq!(kid(&assert(&tokens, &token, "orders", after(30))), "k2");
    // The newer one is taken back: what it signed goes with it.
    tokens.replace_keys(&KeySet::new(vec![key(Algorithm::EdDsa)]));
    for audience in ["orders", "bills"] {
        assert_eq!(kid(&assert(&tokens, &token, audience, after(31))), "k1");
    }
}

#[test]
fn a_revoked_key_vouches_for_nothing_more() {
    let tokens = tokens(Algorithm::EdDsa);
    let token = verified(&tokens, &claims());
    let private = generate(Algorithm::Es256).unwrap();
    let newer = Key::from_private(Some("k2".parse().unwrap()), Algorithm::Es256, &private).unwrap();
    tokens.replace_keys(&KeySet::new(vec![key(Algorithm::EdDsa), newer.within(NOW, None)]));
    let kid = || {
        let assertion = assert(&tokens, &token, "orders", after(1));
        read_unverified(text(&assertion)).unwrap().header["kid"].clone()
    };
    assert_eq!(kid(), "k2");
    let revocation = Revocation {
        target: Revoked::Key("k2".parse::<KeyId>().unwrap().digest()),
        expires_at: tokens.revoke_until(NOW),
    };
    tokens.revocations.apply(&[revocation], NOW);
    assert_eq!(kid(), "k1");
}

#[test]
fn only_a_key_that_others_can_verify_with_signs() {
    let shared = Key::from_private(Some("k2".parse().unwrap()), Algorithm::Hs256, private(Algorithm::Hs256)).unwrap();
    let keys = KeySet::new(vec![key(Algorithm::EdDsa), shared.within(NOW, None)]);
    let tokens = Tokens::new(&config(Algorithm::EdDsa), keys, blocklist());
    let token = verified(&tokens, &claims());
    let assertion = assert(&tokens, &token, "orders", NOW);
    assert_eq!(read_unverified(text(&assertion)).unwrap().header["alg"], "EdDSA");

    let retired = key(Algorithm::EdDsa).within(NOW, Some(after(10)));
    tokens.replace_keys(&KeySet::new(vec![retired]));
    let accepted = Accepted::Own(Arc::clone(&token));
    let refused = tokens.assert(&permit(Some(&token.identity)), &accepted, "orders", after(10));
    assert!(matches!(refused, Err(AssertionError::NoPublishedKey)), "{refused:?}");
}

#[test]
fn a_key_that_begins_to_sign_in_a_moment_is_one_to_start_with() {
    let can_assert = |key: Key| KeySet::new(vec![key]).can_assert(NOW);
    let within = |from, until| key(Algorithm::EdDsa).within(from, until);
    assert!(can_assert(within(NOW, None)));
    // As the successor of the only key, when that was revoked.
    assert!(can_assert(within(after(2), None)));
    // As one that was made by a rotation.
    assert!(!can_assert(within(after(420), None)));
    assert!(!can_assert(within(NOW, Some(NOW))));
    let shared = Key::from_private(Some("k2".parse().unwrap()), Algorithm::Hs256, private(Algorithm::Hs256)).unwrap();
    assert!(!can_assert(shared.within(NOW, None)));
}

#[test]
fn few_assertions_are_kept_and_none_is_shown() {
    let tokens = tokens(Algorithm::EdDsa);
    let token = verified(&tokens, &claims());
    for number in 0..50 {
        assert(&tokens, &token, &format!("upstream{number}"), NOW);
    }
    let latest = assert(&tokens, &token, "upstream49", after(1));
    assert_eq!(claim(&latest, "iat"), NOW.unix_seconds());
    let shown = format!("{token:?}");
    assert!(shown.contains("Assertions { kept: 8 }"), "{shown}");
    assert!(!shown.contains(text(&latest)), "{shown}");
}
