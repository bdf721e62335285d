//! Which keys of a set are taken.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::jwks::{self, Ignored, InvalidJwks, IssuerKeys};
use super::key::WeakKey;
use crate::config::Algorithm::{self, EdDsa, Es256, Es384, Ps256, Rs256};

/// The key of RFC 7517, appendix A.1.
const X: &str = "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4";
const Y: &str = "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM";

fn ec(kid: &str) -> Value {
    json!({ "kty": "EC", "crv": "P-256", "kid": kid, "x": X, "y": Y })
}

/// Ed25519 of RFC 8037, appendix A.2.
fn ed(kid: &str) -> Value {
    json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" })
}

/// An odd number of so many bits: to verify nothing with, but no weaker by its looks.
fn rsa(kid: &str, bits: usize, exponent: &[u8]) -> Value {
    let mut n = vec![0xff; bits.div_ceil(8)];
    n[0] >>= (8 - bits % 8) % 8;
    json!({ "kty": "RSA", "kid": kid, "n": URL_SAFE_NO_PAD.encode(n), "e": URL_SAFE_NO_PAD.encode(exponent) })
}

const F4: &[u8] = &[1, 0, 1];

fn with(mut key: Value, name: &str, value: Value) -> Value {
    key[name] = value;
    key
}

fn parse(keys: &[Value], algorithms: &[Algorithm]) -> (IssuerKeys, Vec<(String, Ignored)>) {
    jwks::parse(json!({ "keys": keys }).to_string().as_bytes(), algorithms).unwrap()
}

#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "the keys are made in place")]
fn ignored(key: Value, why: Ignored) {
    let (keys, ignored) = parse(std::slice::from_ref(&key), &[Rs256, Es256, Es384, EdDsa]);
    assert!(keys.is_empty(), "{key}");
    let ignored: Vec<Ignored> = ignored.into_iter().map(|(_, why)| why).collect();
    assert_eq!(ignored, [why], "{key}");
}

#[test]
fn a_key_is_found_by_its_name_and_by_the_algorithms_that_fit_it() {
    let keys = [
        ec("ec"),
        ed("ed"),
        rsa("rsa", 2048, F4),
        with(rsa("only", 3072, F4), "alg", json!("PS256")),
    ];
    let (keys, ignored) = parse(&keys, &[Rs256, Ps256, Es256, EdDsa]);
    assert!(ignored.is_empty(), "{ignored:?}");
    for (kid, algorithm, is_there) in [
        ("ec", Es256, true),
        ("ec", Es384, false),
        ("ec", EdDsa, false),
        ("ed", EdDsa, true),
        ("rsa", Rs256, true),
        ("rsa", Ps256, true),
        ("only", Ps256, true),
        ("only", Rs256, false),
        ("other", Rs256, false),
    ] {
        assert_eq!(
            keys.find(Some(kid), algorithm).is_some(),
            is_there,
            "{kid} {algorithm:?}"
        );
    }
    assert!(keys.find(None, Es256).is_some() && keys.find(None, Rs256).is_some());
    assert!(keys.find(None, Ps256).is_none(), "there are two");
    assert!(keys.find(None, Es384).is_none(), "there is none");
}

#[test]
fn weak_keys_are_not_taken() {
    for bits in [1, 512, 1024, 2040, 2047, 8193, 16_384] {
        ignored(rsa("k", bits, F4), Ignored::Weak(WeakKey::Modulus(bits)));
    }
    for bits in [2048, 2049, 8192] {
        assert_eq!(parse(&[rsa("k", bits, F4)], &[Rs256]).0.len(), 1, "{bits}");
    }
    for exponent in [
        &[3][..],
        &[1],
        &[0],
        &[],
        &[1, 0, 0],
        &[0xff, 0xff],
        &[1, 0, 0, 0, 0, 1],
    ] {
        ignored(rsa("k", 2048, exponent), Ignored::Weak(WeakKey::Exponent));
    }
    let mut n = vec![0xff; 256];
    n[255] = 0xfe;
    let even = with(rsa("k", 2048, F4), "n", json!(URL_SAFE_NO_PAD.encode(n)));
    ignored(even, Ignored::Weak(WeakKey::Malformed));
}

#[test]
fn what_is_no_point_of_its_curve_is_not_taken() {
    let malformed = Ignored::Weak(WeakKey::Malformed);
    ignored(with(ec("k"), "y", json!(X)), malformed);
    ignored(with(ec("k"), "x", json!(&X[..40])), malformed);
    ignored(with(ec("k"), "x", json!(URL_SAFE_NO_PAD.encode([0; 32]))), malformed);
    ignored(with(with(ec("k"), "x", json!("")), "y", json!("")), malformed);
    ignored(with(ed("k"), "x", json!("AAAA")), malformed);
    ignored(with(ec("k"), "crv", json!("P-384")), malformed);
    ignored(with(ec("k"), "crv", json!("P-521")), Ignored::Algorithm);
    ignored(with(ec("k"), "crv", json!("secp256k1")), Ignored::Algorithm);
    ignored(with(ed("k"), "crv", json!("X25519")), Ignored::Algorithm);
}

#[test]
fn what_is_for_something_else_is_not_taken() {
    ignored(with(ec("k"), "use", json!("enc")), Ignored::Use);
    ignored(with(ec("k"), "key_ops", json!(["sign"])), Ignored::Use);
    ignored(with(ec("k"), "key_ops", json!("verify")), Ignored::Use);
    ignored(with(ec("k"), "alg", json!("ECDH-ES")), Ignored::Algorithm);
    ignored(with(ec("k"), "alg", json!("RS256")), Ignored::Algorithm);
    ignored(with(ec("k"), "alg", json!(1)), Ignored::Malformed);
    ignored(with(ec("k"), "kid", json!(1)), Ignored::Malformed);
    ignored(with(ec("k"), "kid", json!("k".repeat(256))), Ignored::Malformed);
    ignored(with(ec("k"), "kty", json!("PQC")), Ignored::Algorithm);
    ignored(json!({ "kid": "k" }), Ignored::Malformed);
    ignored(json!("k"), Ignored::Malformed);
    for private in ["d", "p", "k"] {
        ignored(with(ec("k"), private, json!("AAAA")), Ignored::Private);
    }
    ignored(json!({ "kty": "oct", "kid": "k", "k": "AAAA" }), Ignored::Private);
    let fine = with(with(ec("k"), "use", json!("sig")), "key_ops", json!(["verify", "sign"]));
    let fine = with(
        with(fine, "x5c", json!(["no certificate"])),
        "x5u",
        json!("https://evil.example"),
    );
    assert_eq!(parse(&[fine], &[Es256]).0.len(), 1);
}

#[test]
fn of_two_different_keys_of_one_name_none_is_taken() {
    let other = with(rsa("k", 3072, F4), "kid", json!("k"));
    let (keys, why) = parse(
        &[rsa("k", 2048, F4), other.clone(), rsa("k", 2048, F4), ec("k")],
        &[Rs256, Es256],
    );
    assert!(keys.find(Some("k"), Rs256).is_none() && keys.find(Some("k"), Es256).is_some());
    assert_eq!(why, [("k".to_owned(), Ignored::Ambiguous)]);
    let (keys, why) = parse(&[rsa("k", 2048, F4), rsa("k", 2048, F4)], &[Rs256]);
    assert!(keys.find(Some("k"), Rs256).is_some() && why.is_empty());
}

#[test]
fn a_key_that_stays_is_the_same_object() {
    let old = parse(&[ec("a"), ed("b")], &[Es256, EdDsa]).0;
    let new = parse(&[ed("b"), ec("c")], &[Es256, EdDsa]).0;
    assert!(new.differ_from(&old));
    let kept = std::sync::Arc::clone(old.find(Some("b"), EdDsa).unwrap());
    let gone = std::sync::Arc::clone(old.find(Some("a"), Es256).unwrap());
    let new = new.carrying_over(&old);
    assert!(new.holds(&kept) && !new.holds(&gone));
    assert!(!new.differ_from(&parse(&[ed("b"), ec("c")], &[Es256, EdDsa]).0));
}

#[test]
fn what_is_no_key_set_is_refused() {
    for (text, why) in [
        ("", InvalidJwks::Json),
        ("[]", InvalidJwks::Json),
        (r#"{"keys":[],"keys":[]}"#, InvalidJwks::Json),
        (r#"{"keys":[]} x"#, InvalidJwks::Json),
        ("{}", InvalidJwks::NoKeys),
        (r#"{"keys":{}}"#, InvalidJwks::NoKeys),
    ] {
        assert_eq!(jwks::parse(text.as_bytes(), &[Rs256]).err(), Some(why), "{text}");
    }
    let many = json!({ "keys": vec![ec("k"); 101] }).to_string();
    assert_eq!(jwks::parse(many.as_bytes(), &[Es256]).err(), Some(InvalidJwks::TooMany));
}

/// A value that may or may not be what a member should be.
fn any_member() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(X)),
        Just(json!(Y)),
        Just(json!("AQAB")),
        Just(json!("EC")),
        Just(json!("RSA")),
        Just(json!("OKP")),
        Just(json!("P-256")),
        Just(json!("Ed25519")),
        Just(json!("sig")),
        Just(json!("ES256")),
        Just(json!(["verify"])),
        Just(json!(null)),
        "[A-Za-z0-9_-]{0,400}".prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
    ]
}

proptest! {
    #[test]
    fn no_set_makes_reading_it_panic(
        keys in proptest::collection::vec(
            proptest::collection::btree_map("kty|crv|kid|use|alg|key_ops|n|e|x|y|d|k", any_member(), 0..9),
            0..4,
        ),
    ) {
        let keys: Vec<Value> = keys.into_iter().map(|key| json!(key)).collect();
        let (taken, ignored) = parse(&keys, &[Rs256, Es256, EdDsa]);
        prop_assert!(taken.len() + ignored.len() <= keys.len());
        for key in &keys {
            // Nothing secret was ever taken.
            let secret = key.get("d").is_some() || key.get("k").is_some();
            let kid = key.get("kid").and_then(Value::as_str);
            let alone = parse(std::slice::from_ref(key), &[Rs256, Es256, EdDsa]).0;
            prop_assert!(!secret || alone.is_empty(), "{key} {kid:?}");
        }
    }

    #[test]
    fn no_text_makes_reading_it_panic(text in proptest::collection::vec(any::<u8>(), 0..60)) {
        let _ = jwks::parse(&text, &[Rs256]);
    }

    #[test]
    fn a_point_off_its_curve_is_never_taken(at in 0_usize..32, flip in 1_u8..=255) {
        let mut x = URL_SAFE_NO_PAD.decode(X).unwrap();
        x[at] ^= flip;
        let key = with(ec("k"), "x", json!(URL_SAFE_NO_PAD.encode(x)));
        // Half of all x have a y; that it is this very one is as likely as a guess.
        prop_assert!(parse(&[key], &[Es256]).0.is_empty());
    }
}
