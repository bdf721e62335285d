//! What can be made of a good token by whoever knows the public key alone.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::super::book::Entry;
use super::super::http1::hold_at;
use super::super::place::Place;
use super::mint::{N, respelled};
use super::request;
use crate::support::idp::{Signer, encode};
use crate::support::{Account, Backend};

/// A good token in its parts.
struct Parts {
    header: Value,
    claims: Value,
    message: String,
    signature: Vec<u8>,
}

impl Parts {
    fn of(token: &str) -> Self {
        let parts: Vec<Vec<u8>> = token
            .split('.')
            .map(|part| URL_SAFE_NO_PAD.decode(part).unwrap())
            .collect();
        Self {
            header: serde_json::from_slice(&parts[0]).unwrap(),
            claims: serde_json::from_slice(&parts[1]).unwrap(),
            message: token.rsplit_once('.').unwrap().0.to_owned(),
            signature: parts[2].clone(),
        }
    }

    /// The token with another member in its header, or its claims, and the old signature.
    fn altered(&self, header: Option<(&str, Value)>, claim: Option<(&str, Value)>) -> String {
        format!("{}.{}", self.unsigned(header, claim), encode(&self.signature))
    }

    fn unsigned(&self, header: Option<(&str, Value)>, claim: Option<(&str, Value)>) -> String {
        let (mut head, mut claims) = (self.header.clone(), self.claims.clone());
        if let Some((name, value)) = header {
            head[name] = value;
        }
        if let Some((name, value)) = claim {
            claims[name] = value;
        }
        format!("{}.{}", encode(head.to_string()), encode(claims.to_string()))
    }
}

/// The public key in every form in which a program could take it for a shared secret.
fn public_forms(jwks: &str) -> Vec<Vec<u8>> {
    let set: Value = serde_json::from_str(jwks).unwrap();
    let jwk = &set["keys"][0];
    let part = |name: &str| jwk[name].as_str().map(|text| URL_SAFE_NO_PAD.decode(text).unwrap());
    let key = match (part("n"), part("x"), part("y")) {
        (Some(n), _, _) => {
            let n = der(2, &[&[0][..], &n].concat());
            let key = der(0x30, &[n, der(2, &part("e").unwrap())].concat());
            let name = [0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 1, 5, 0];
            der(0x30, &[&name[..], &der(3, &[&[0][..], &key].concat())].concat())
        }
        (None, Some(x), Some(y)) => {
            let p256: &[u8] = &[
                0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7,
            ];
            let p384: &[u8] = &[
                0x30, 0x10, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 5, 0x2b, 0x81, 4, 0, 0x22,
            ];
            let curve = if x.len() == 32 { p256 } else { p384 };
            let point = der(3, &[&[0, 4][..], &x, &y].concat());
            der(0x30, &[curve, &point].concat())
        }
        (None, x, None) => {
            let x = x.expect("the key of Ed25519");
            der(
                0x30,
                &[
                    &[0x30, 5, 6, 3, 0x2b, 0x65, 0x70][..],
                    &der(3, &[&[0][..], &x].concat()),
                ]
                .concat(),
            )
        }
        (None, None, Some(_)) => unreachable!("a point has two coordinates"),
    };
    let base64 = STANDARD.encode(&key);
    let lines: Vec<&str> = base64
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----",
        lines.join("\n")
    );
    vec![
        jwks.as_bytes().to_vec(),
        jwk.to_string().into_bytes(),
        part("n").or_else(|| part("x")).unwrap(),
        format!("{pem}\n").into_bytes(),
        pem.into_bytes(),
        base64.into_bytes(),
        key,
    ]
}

/// An element of DER.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let bytes = length.to_be_bytes();
    let bytes = &bytes[bytes.iter().position(|byte| *byte != 0).unwrap()..];
    let long = u8::try_from(0x80 | bytes.len()).unwrap();
    let length = if length < 128 {
        bytes.to_vec()
    } else {
        [&[long], bytes].concat()
    };
    [&[tag][..], &length, content].concat()
}

/// What is made of it, each with a name.
fn forged(algorithm: &str, parts: &Parts, jwks: &str) -> Vec<(String, String)> {
    let mut forged = Vec::new();
    for alg in [
        "none", "None", "NONE", "", "HS256", "RS256", "PS256", "ES256", "ES384", "EdDSA", "RS512",
    ] {
        if alg != algorithm {
            let name = Some(("alg", json!(alg)));
            forged.push((format!("{alg:?} and its signature"), parts.altered(name.clone(), None)));
            forged.push((format!("{alg:?} and none"), parts.unsigned(name, None) + "."));
        }
    }
    for (alg, hash) in [
        ("HS256", hmac::HMAC_SHA256),
        ("HS384", hmac::HMAC_SHA384),
        ("HS512", hmac::HMAC_SHA512),
    ] {
        for (form, secret) in public_forms(jwks).iter().enumerate() {
            let message = parts.unsigned(Some(("alg", json!(alg))), None);
            let mac = hmac::sign(&hmac::Key::new(hash, secret), message.as_bytes());
            forged.push((
                format!("{alg} by the public key, form {form}"),
                format!("{message}.{}", encode(mac)),
            ));
        }
    }
    let size = parts.signature.len();
    let mut flipped = parts.signature.clone();
    flipped[size - 1] ^= 1;
    for (name, signature) in [
        ("zeros", vec![0; size]),
        ("ones", vec![0xff; size]),
        ("nothing", Vec::new()),
        ("the order of P-256 twice", N.repeat(2)),
        ("the identity point", [&[1][..], &[0; 63]].concat()),
        ("its first half", parts.signature[..size / 2].to_vec()),
        ("itself twice", parts.signature.repeat(2)),
        ("a bit of it flipped", flipped),
        ("a zero before it", [&[0][..], &parts.signature].concat()),
    ] {
        forged.push((
            format!("signed with {name}"),
            format!("{}.{}", parts.message, encode(signature)),
        ));
    }
    for (name, value) in [
        ("exp", json!(4_102_444_800_u64)),
        ("sub", json!("0190a000-0000-7000-8000-000000000042")),
        ("roles", json!(["admin"])),
    ] {
        forged.push((format!("another {name}"), parts.altered(None, Some((name, value)))));
    }
    for kid in ["", "0", "../../dev/null", "' OR 1=1 -- ", "http://127.0.0.1:1/"] {
        forged.push((format!("kid {kid:?}"), parts.altered(Some(("kid", json!(kid))), None)));
    }
    if algorithm != "ES384" {
        let alg = ["RS256", "PS256", "ES256", "EdDSA"]
            .into_iter()
            .find(|alg| *alg == algorithm);
        let stranger = Signer::new("stranger", alg.expect("one that strangers sign with"));
        forged.push((
            "a stranger's key".to_owned(),
            stranger.sign_as(&parts.header, &parts.claims),
        ));
        for (name, value) in [
            ("jwk", stranger.jwk()),
            ("jku", json!("http://127.0.0.1:1/jwks")),
            ("x5u", json!("http://127.0.0.1:1/x5u")),
        ] {
            let mut header = parts.header.clone();
            header[name] = value;
            forged.push((
                format!("a stranger's key and {name}"),
                stranger.sign_as(&header, &parts.claims),
            ));
        }
    }
    forged
}

/// Other spellings of a good token, which are refused or are that token.
fn respellings(token: &str) -> Vec<(String, String)> {
    let (message, signature) = token.rsplit_once('.').unwrap();
    let bits = [0, 4, 2][signature.len() % 4 % 3];
    let mut spelled: Vec<(String, String)> = (1..1 << bits)
        .map(|bits| {
            (
                format!("other bits, {bits}"),
                format!("{message}.{}", respelled(signature, bits)),
            )
        })
        .collect();
    for (name, text) in [
        ("padded", format!("{token}=")),
        ("padded twice", format!("{token}==")),
        ("a blank behind", format!("{token}\t")),
        ("a dot behind", format!("{token}.")),
    ] {
        spelled.push((name.to_owned(), text));
    }
    spelled
}

/// The twin of a token signed with ECDSA on P-256: s for n - s, and as good.
fn twin(parts: &Parts) -> String {
    let mut signature = parts.signature.clone();
    let mut borrow = 0;
    for (s, n) in signature[32..].iter_mut().zip(&N).rev() {
        let difference = i16::from(*n) - i16::from(*s) - borrow;
        borrow = i16::from(difference < 0);
        *s = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    format!("{}.{}", parts.message, encode(signature))
}

async fn at(backend: Backend, algorithm: &str) -> Vec<String> {
    let place = Place::with(backend, &format!("[tokens]\nalgorithm = \"{algorithm}\"\n")).await;
    let (_, jwks) = place.gateway.get("/auth/.well-known/jwks.json", None).await;
    let parts = Parts::of(&place.user.token);
    let mut entries: Vec<Entry> = forged(algorithm, &parts, &jwks)
        .iter()
        .map(|(name, token)| request(format!("{algorithm}, {name}"), token, "401"))
        .collect();
    // Another session of the same user, which ends, in whatever spelling it comes again.
    let ended: Account = place.user.log_in(&place.gateway).await;
    let other = Parts::of(&ended.token);
    assert_eq!(place.gateway.get("/c/x", Some(&ended.token)).await.0, 200);
    if algorithm == "ES256" {
        assert_eq!(
            place.gateway.get("/c/x", Some(&twin(&other))).await.0,
            200,
            "{algorithm}"
        );
        entries.push(request(format!("{algorithm}, the twin, ended"), &twin(&other), "401"));
    }
    place.gateway.log_out(&ended.token).await;
    entries.push(request(format!("{algorithm}, ended"), &ended.token, "401"));
    for (name, token) in respellings(&ended.token) {
        entries.push(request(format!("{algorithm}, ended, {name}"), &token, "401"));
    }
    hold_at(&place, &entries).await
}

#[tokio::test]
async fn nobody_makes_a_token_of_a_public_key_or_a_good_token_of_one_that_ended() {
    let on = async |backend| {
        let mut broken = Vec::new();
        for algorithm in ["EdDSA", "ES256", "ES384", "RS256", "PS256"] {
            broken.extend(at(backend, algorithm).await);
        }
        broken
    };
    let (sqlite, mariadb) = tokio::join!(on(Backend::Sqlite), on(Backend::MariaDb));
    let broken = [sqlite, mariadb].concat();
    assert!(broken.is_empty(), "{} broke:\n{}", broken.len(), broken.join("\n"));
}
