//! What looks like a token of another issuer and is none, or not for us, or not any more.

use std::time::Duration;

use aws_lc_rs::hmac;
use serde_json::{Value, json};

use super::{gateway, get, good, refused, routes, with};
use crate::support::idp::{Idp, Mood, Signer, encode, key_set, now};
use crate::support::{TestGateway, Upstream};

#[tokio::test]
async fn a_token_with_wrong_claims_is_refused() {
    let (upstream, signer) = (Upstream::echo().await, Signer::new("k1", "RS256"));
    let idp = Idp::start(&[&signer]).await;
    let gateway = gateway(&upstream, &idp, "").await;
    let invalid = [
        ("iss", json!("https://id.example.com")),
        ("iss", json!(format!("{}/", idp.issuer()))),
        ("iss", json!([idp.issuer()])),
        ("iss", json!(null)),
        ("aud", json!("other")),
        ("aud", json!("api2")),
        ("aud", json!([])),
        ("aud", json!(["api", 1])),
        ("aud", json!({ "api": true })),
        ("sub", json!("")),
        ("sub", json!(7)),
        ("sub", json!("ann\nroot")),
        ("exp", json!("4102444800")),
        ("exp", json!(1e300)),
        ("exp", json!(-1)),
        ("exp", json!(253_402_300_800_i64)),
        ("nbf", json!(now() + 600)),
        ("nbf", json!("0")),
        ("iat", json!(now() + 600)),
        ("iat", json!([])),
        (
            "events",
            json!({ "http://schemas.openid.net/event/backchannel-logout": {} }),
        ),
    ];
    for (name, value) in invalid {
        let token = signer.sign(&with(idp.claims(), name, value.clone()));
        assert_eq!(
            get(&gateway, "/corp", &token).await,
            refused("token_invalid"),
            "{name}: {value}"
        );
    }
    for name in ["iss", "aud", "sub", "exp"] {
        let token = signer.sign(&with(idp.claims(), name, None));
        assert_eq!(
            get(&gateway, "/corp", &token).await,
            refused("token_invalid"),
            "without {name}"
        );
    }
    let expired = signer.sign(&with(idp.claims(), "exp", json!(now() - 60)));
    assert_eq!(get(&gateway, "/corp", &expired).await, refused("token_expired"));
    assert!(upstream.seen().is_empty());

    // And one that was good, and is remembered, when its time is over.
    let token = signer.sign(&idp.claims());
    assert_eq!(get(&gateway, "/corp", &token).await, good());
    gateway.shift.advance(Duration::from_secs(3700));
    assert_eq!(get(&gateway, "/corp", &token).await, refused("token_expired"));
}

#[tokio::test]
async fn a_token_with_a_wrong_header_is_refused() {
    let (upstream, signer) = (Upstream::echo().await, Signer::new("k1", "RS256"));
    let idp = Idp::start(&[&signer]).await;
    let gateway = gateway(&upstream, &idp, "").await;
    let header = json!({ "alg": "RS256", "typ": "JWT", "kid": "k1" });
    for (name, value) in [
        ("alg", json!("none")),
        ("alg", json!("RS512")),
        ("alg", json!("PS256")),
        ("alg", json!("rs256")),
        ("alg", json!(null)),
        ("kid", json!("../k1")),
        ("kid", json!("K1")),
        ("kid", json!(["k1"])),
        ("typ", json!("logout+jwt")),
        ("typ", json!("dpop+jwt")),
        ("typ", json!(1)),
        ("crit", json!([])),
        ("b64", json!(true)),
        ("jwk", Signer::new("k1", "RS256").jwk()),
        ("jku", json!("https://evil.example/keys")),
        ("x5u", json!("https://evil.example/cert")),
        ("x5c", json!([])),
    ] {
        let token = signer.sign_as(&with(header.clone(), name, value.clone()), &idp.claims());
        assert_eq!(
            get(&gateway, "/corp", &token).await,
            refused("token_invalid"),
            "{name}: {value}"
        );
    }
    assert!(upstream.seen().is_empty());
    assert_eq!(
        get(&gateway, "/corp", &signer.sign_as(&header, &idp.claims())).await,
        good()
    );
}

/// A token signed with this as if it were a shared secret.
fn mac(secret: &[u8], header: &Value, claims: &Value) -> String {
    let message = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
    format!("{message}.{}", encode(mac))
}

#[tokio::test]
async fn a_public_key_is_never_taken_for_a_secret_and_no_signature_for_another() {
    let (upstream, signer) = (Upstream::echo().await, Signer::new("k1", "RS256"));
    let idp = Idp::start(&[&signer]).await;
    let gateway = gateway(&upstream, &idp, "").await;
    let jwk = signer.jwk();
    let header = json!({ "alg": "HS256", "typ": "JWT", "kid": "k1" });
    for secret in [jwk["n"].as_str().unwrap().to_owned(), jwk.to_string(), String::new()] {
        let token = mac(secret.as_bytes(), &header, &idp.claims());
        assert_eq!(get(&gateway, "/corp", &token).await, refused("token_invalid"));
    }
    let good_one = signer.sign(&idp.claims());
    let (front, signature) = good_one.rsplit_once('.').unwrap();
    let (head, payload) = front.split_once('.').unwrap();
    let other = encode(with(idp.claims(), "sub", json!("root")).to_string());
    let stranger = Signer::new("k1", "RS256").sign(&idp.claims());
    for forged in [
        format!("{front}."),
        format!("{head}.{other}.{signature}"),
        format!(
            "{}.{payload}.{signature}",
            encode(json!({ "alg": "none", "kid": "k1" }).to_string())
        ),
        format!("{front}.{}", &signature[4..]),
        format!("{front}.{signature}="),
        stranger,
    ] {
        assert_eq!(
            get(&gateway, "/corp", &forged).await,
            refused("token_invalid"),
            "{forged}"
        );
    }
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn the_keys_of_one_issuer_verify_no_tokens_of_another_even_of_the_same_kid() {
    let upstream = Upstream::echo().await;
    let (of_corp, of_partner) = (Signer::new("k1", "RS256"), Signer::new("k1", "RS256"));
    let (corp, partner) = (Idp::start(&[&of_corp]).await, Idp::start(&[&of_partner]).await);
    let more = "\n[[routes]]\npath = '/partner'\nupstream = 'app'\nissuers = ['partner']\n\
        [[routes]]\npath = '/all'\nupstream = 'app'\nissuers = ['partner', 'self', 'corp']\n";
    let toml = routes(&upstream) + more + &corp.toml("corp", "") + &partner.toml("partner", "");
    let gateway = TestGateway::start(&toml).await;
    let (genuine, theirs) = (of_corp.sign(&corp.claims()), of_partner.sign(&partner.claims()));
    for _ in 0..2 {
        assert_eq!(get(&gateway, "/corp", &genuine).await, good());
        assert_eq!(get(&gateway, "/partner", &theirs).await, good());
        assert_eq!(get(&gateway, "/all", &genuine).await, good());
        assert_eq!(get(&gateway, "/all", &theirs).await, good());
        assert_eq!(get(&gateway, "/partner", &genuine).await, refused("token_invalid"));
        assert_eq!(get(&gateway, "/corp", &theirs).await, refused("token_invalid"));
    }
    // The partner claims to be the corporation, and the other way round.
    for path in ["/corp", "/partner", "/all"] {
        for forged in [of_partner.sign(&corp.claims()), of_corp.sign(&partner.claims())] {
            assert_eq!(get(&gateway, path, &forged).await, refused("token_invalid"), "{path}");
        }
    }
}

#[tokio::test]
async fn keys_that_are_weak_private_or_for_something_else_verify_nothing() {
    let upstream = Upstream::echo().await;
    let (signer, other) = (Signer::new("k1", "RS256"), Signer::new("k2", "RS256"));
    let idp = Idp::start(&[&signer]).await;
    let jwk = signer.jwk();
    let twins = json!({ "keys": [jwk, with(other.jwk(), "kid", json!("k1"))] });
    for keys in [
        json!({ "keys": [with(jwk.clone(), "use", json!("enc"))] }),
        json!({ "keys": [with(jwk.clone(), "key_ops", json!(["encrypt"]))] }),
        json!({ "keys": [with(jwk.clone(), "alg", json!("RS512"))] }),
        json!({ "keys": [with(jwk.clone(), "kty", json!("EC"))] }),
        json!({ "keys": [with(jwk.clone(), "d", json!("AQAB"))] }),
        json!({ "keys": [with(jwk.clone(), "e", json!("Aw"))] }),
        json!({ "keys": [{ "kty": "oct", "kid": "k1", "k": "c2VjcmV0" }] }),
        json!({ "keys": [{ "kty": "RSA", "kid": "k1", "e": "AQAB", "n": encode([0xc3; 128]) }] }),
        json!({ "keys": [] }),
        twins,
    ] {
        idp.set(Mood::Keys(keys.clone()));
        let gateway = gateway(&upstream, &idp, "").await;
        let answer = get(&gateway, "/corp", &signer.sign(&idp.claims())).await;
        assert_eq!(answer, refused("token_invalid"), "{keys}");
    }
    // One bad key among good ones costs nobody but its owner.
    let mut keys = key_set(&[&signer]);
    let list = keys["keys"].as_array_mut().unwrap();
    list.extend([
        json!("no key"),
        json!({ "kty": "RSA" }),
        with(other.jwk(), "use", json!("enc")),
    ]);
    idp.set(Mood::Keys(keys));
    let gateway = gateway(&upstream, &idp, "").await;
    assert_eq!(get(&gateway, "/corp", &signer.sign(&idp.claims())).await, good());
    assert_eq!(
        get(&gateway, "/corp", &other.sign(&idp.claims())).await,
        refused("token_invalid")
    );
}
