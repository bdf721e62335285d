//! Keys: made, sealed, published, replaced.

use std::time::Duration;

use serde_json::Value;

use super::forge::{NOW, blocklist, claims, config, private, shared, signed_by};
use crate::config::Algorithm;
use crate::id::KeyId;
use crate::secret::Secret;
use crate::time::Timestamp;
use crate::token::key::{Key, generate};
use crate::token::keys::{make, open};
use crate::token::{KeyError, KeySet, MasterKey, Reason, Refusal, SealError, Tokens};

fn named(kid: &str, algorithm: Algorithm) -> Key {
    Key::from_private(Some(kid.parse().unwrap()), algorithm, private(algorithm)).unwrap()
}

fn published(keys: Vec<Key>) -> Vec<Value> {
    let jwks: Value = serde_json::from_slice(&KeySet::new(keys).jwks()).unwrap();
    jwks["keys"].as_array().unwrap().clone()
}

#[test]
fn a_key_that_was_made_sealed_and_stored_signs_after_it_was_opened() {
    let master = MasterKey::from_bytes(&[7; 32]).unwrap();
    for algorithm in Algorithm::ALL.iter().copied() {
        let stored = make(&master, algorithm, NOW).unwrap();
        assert_eq!(stored.not_before, NOW);
        assert_eq!(stored.public_jwk.is_none(), algorithm.is_symmetric());
        let token = signed_by(&open(&stored, &master).unwrap(), &claims());
        let keys = KeySet::new(vec![open(&stored, &master).unwrap()]);
        let tokens = Tokens::new(&config(algorithm), keys, blocklist());
        assert!(tokens.authenticate(&token, NOW).is_ok(), "{algorithm:?}");
    }
}

#[test]
fn the_kid_of_a_public_key_is_its_thumbprint_and_that_of_a_secret_says_nothing() {
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Es384, Algorithm::Rs256] {
        let name = || Key::name_for(algorithm, private(algorithm)).unwrap();
        assert_eq!(name(), name());
        assert_eq!(name().as_str().len(), 43);
    }
    let name = || Key::name_for(Algorithm::Hs256, private(Algorithm::Hs256)).unwrap();
    assert_ne!(name(), name());
}

#[test]
fn a_stored_key_opens_with_its_own_master_key_and_as_what_it_is() {
    let master = MasterKey::from_bytes(&[7; 32]).unwrap();
    let mut stored = make(&master, Algorithm::EdDsa, NOW).unwrap();
    let other = MasterKey::from_bytes(&[8; 32]).unwrap();
    let error = open(&stored, &other).unwrap_err();
    assert!(matches!(
        &error,
        KeyError::Seal {
            source: SealError::Open,
            ..
        }
    ));
    assert!(error.to_string().contains(stored.kid.as_str()));
    stored.algorithm = Algorithm::Hs256;
    assert!(open(&stored, &master).is_err());
}

#[test]
fn a_public_key_that_was_changed_in_the_store_is_not_believed() {
    let master = MasterKey::from_bytes(&[7; 32]).unwrap();
    let mut stored = make(&master, Algorithm::EdDsa, NOW).unwrap();
    let honest = published(vec![open(&stored, &master).unwrap()]);
    stored.public_jwk = make(&master, Algorithm::EdDsa, NOW).unwrap().public_jwk;
    assert_eq!(published(vec![open(&stored, &master).unwrap()]), honest);
}

#[test]
fn the_key_set_publishes_each_public_key_with_its_use_and_algorithm() {
    let members = |key: &Value| {
        let mut names: Vec<String> = key.as_object().unwrap().keys().cloned().collect();
        names.sort_unstable();
        names.join(" ")
    };
    for (algorithm, kty, crv, expected) in [
        (Algorithm::EdDsa, "OKP", Some("Ed25519"), "alg crv kid kty use x"),
        (Algorithm::Es256, "EC", Some("P-256"), "alg crv kid kty use x y"),
        (Algorithm::Es384, "EC", Some("P-384"), "alg crv kid kty use x y"),
        (Algorithm::Rs512, "RSA", None, "alg e kid kty n use"),
        (Algorithm::Ps256, "RSA", None, "alg e kid kty n use"),
    ] {
        let [key] = &published(vec![named("k1", algorithm)])[..] else {
            panic!("one key")
        };
        // Exactly these: no private member.
        assert_eq!(members(key), expected);
        assert_eq!((key["kty"].as_str(), key["crv"].as_str()), (Some(kty), crv));
        assert_eq!(
            (&key["alg"], &key["use"], &key["kid"]),
            (&algorithm.as_str().into(), &"sig".into(), &"k1".into())
        );
    }
}

#[test]
fn a_verifier_that_knows_only_the_key_set_verifies_our_tokens() {
    use jsonwebtoken::{DecodingKey, Validation, decode, jwk::JwkSet};
    for algorithm in Algorithm::ALL
        .iter()
        .copied()
        .filter(|algorithm| !algorithm.is_symmetric())
    {
        let set: JwkSet = serde_json::from_slice(&KeySet::new(vec![named("k1", algorithm)]).jwks()).unwrap();
        let jwk = set.find("k1").unwrap();
        let mut validation = Validation::new(algorithm.as_str().parse().unwrap());
        validation.set_audience(&["doorward"]);
        let key = DecodingKey::from_jwk(jwk).unwrap();
        let token = signed_by(&named("k1", algorithm), &claims());
        assert!(decode::<Value>(&token, &key, &validation).is_ok(), "{algorithm:?}");
    }
}

#[test]
fn shared_secrets_are_never_published() {
    let keys = [Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512].map(|algorithm| named("k1", algorithm));
    assert_eq!(published(keys.into()), Vec::<Value>::new());
    assert_eq!(shared().jwks(), r#"{"keys":[]}"#);
}

#[test]
fn a_secret_shorter_than_its_hash_is_refused() {
    for (algorithm, bytes) in [(Algorithm::Hs256, 32), (Algorithm::Hs384, 48), (Algorithm::Hs512, 64)] {
        let of = |bytes: usize| KeySet::from_secret(algorithm, &Secret::new(vec![b'x'; bytes])).is_ok();
        assert!(
            of(bytes) && of(bytes + 100) && !of(bytes - 1) && !of(0),
            "{algorithm:?}"
        );
    }
    assert!(KeySet::from_secret(Algorithm::Rs256, &Secret::new(vec![b'x'; 64])).is_err());
}

#[test]
fn a_private_key_of_another_kind_or_cut_short_is_refused() {
    for algorithm in Algorithm::ALL
        .iter()
        .copied()
        .filter(|algorithm| !algorithm.is_symmetric())
    {
        for other in [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Es384, Algorithm::Rs256] {
            let fits = Key::from_private(None, algorithm, private(other)).is_ok();
            let same_kind = private(other) == private(algorithm);
            assert_eq!(fits, same_kind, "{other:?} as {algorithm:?}");
        }
        let whole = private(algorithm);
        for len in (0..whole.len()).step_by(13) {
            assert!(
                Key::from_private(None, algorithm, &whole[..len]).is_err(),
                "{algorithm:?}"
            );
        }
    }
}

#[test]
fn nothing_of_a_key_is_printed() {
    let key = format!("{:?}", named("k1", Algorithm::Hs256));
    assert_eq!(key, "Key { kid: Some(KeyId(\"k1\")), algorithm: Hs256, .. }");
}

#[test]
fn the_newest_key_in_force_signs_and_all_verify() {
    let at = |seconds: u64| NOW + Duration::from_secs(seconds);
    let fresh = |algorithm, kid: &str, not_before, retires_at| {
        let key = Key::from_private(
            Some(kid.parse::<KeyId>().unwrap()),
            algorithm,
            &generate(algorithm).unwrap(),
        );
        key.unwrap().within(not_before, retires_at)
    };
    let keys = KeySet::new(vec![
        fresh(Algorithm::EdDsa, "old", at(0), None),
        fresh(Algorithm::Es256, "new", at(100), None),
        fresh(Algorithm::EdDsa, "short", at(200), Some(at(300))),
    ]);
    let signer = |now: Timestamp| {
        keys.signing_key(now, |_| true)
            .and_then(|key| key.kid())
            .map(KeyId::as_str)
    };
    assert_eq!(signer(NOW - Duration::from_secs(61)), None);
    // No key is ever made to begin so late: the clock was set back.
    assert_eq!(
        signer(NOW - crate::token::PUBLICATION - Duration::from_secs(61)),
        Some("old")
    );
    // By a clock that is behind, and where no other signs.
    assert_eq!(signer(NOW - Duration::from_secs(60)), Some("old"));
    assert!(keys.in_force(NOW - Duration::from_secs(1), |_| true).is_none());
    assert_eq!(signer(at(0)), Some("old"));
    assert_eq!(signer(at(100)), Some("new"));
    // A token of the one that retires in a moment could not be verified to its end.
    assert_eq!(signer(at(200)), Some("new"));
    let short = KeySet::new(vec![fresh(Algorithm::EdDsa, "short", at(200), Some(at(300)))]);
    let signer = |now: Timestamp| short.signing_key(now, |_| true).is_some();
    assert!(signer(at(200)) && !signer(at(300)));
}

#[test]
fn a_token_of_a_key_that_is_gone_is_refused_even_if_it_was_seen_before() {
    let token = signed_by(&named("k1", Algorithm::EdDsa), &claims());
    let tokens = Tokens::new(
        &config(Algorithm::EdDsa),
        KeySet::new(vec![named("k1", Algorithm::EdDsa)]),
        blocklist(),
    );
    let first = tokens.authenticate(&token, NOW).unwrap();

    let both = KeySet::new(vec![named("k1", Algorithm::EdDsa), named("k2", Algorithm::Es256)]);
    tokens.replace_keys(&both);
    let second = tokens.authenticate(&token, NOW).unwrap();
    assert!(
        std::sync::Arc::ptr_eq(&first, &second),
        "a key that stays keeps what it verified"
    );

    tokens.replace_keys(&KeySet::new(vec![named("k2", Algorithm::Es256)]));
    assert_eq!(
        tokens.authenticate(&token, NOW).err(),
        Some(Refusal::Invalid(Reason::KeyId))
    );
}

#[test]
fn a_key_of_the_same_name_with_another_private_half_is_another_key() {
    let token = signed_by(&named("k1", Algorithm::EdDsa), &claims());
    let tokens = Tokens::new(
        &config(Algorithm::EdDsa),
        KeySet::new(vec![named("k1", Algorithm::EdDsa)]),
        blocklist(),
    );
    assert!(tokens.authenticate(&token, NOW).is_ok());
    let other = generate(Algorithm::EdDsa).unwrap();
    let other = Key::from_private(Some("k1".parse().unwrap()), Algorithm::EdDsa, &other).unwrap();
    tokens.replace_keys(&KeySet::new(vec![other]));
    assert_eq!(
        tokens.authenticate(&token, NOW).err(),
        Some(Refusal::Invalid(Reason::Signature))
    );
}

#[test]
fn a_retired_key_verifies_no_more() {
    let key = || named("k1", Algorithm::EdDsa).within(NOW, Some(NOW + Duration::from_mins(5)));
    let token = signed_by(&key(), &claims());
    let tokens = Tokens::new(&config(Algorithm::EdDsa), KeySet::new(vec![key()]), blocklist());
    assert!(tokens.authenticate(&token, NOW).is_ok());
    let later = NOW + Duration::from_mins(5);
    assert_eq!(
        tokens.authenticate(&token, later).err(),
        Some(Refusal::Invalid(Reason::KeyId))
    );
}
