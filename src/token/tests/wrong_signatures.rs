//! Signatures that do not fit, and keys that are not keys.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;

use super::forge::{
    NOW, SECRET, accepted, claims, header, jti, key, mac, private, refused, session, signed, signed_by, tokens,
    verdict, with,
};
use crate::config::Algorithm;
use crate::token::compact::encode;
use crate::token::{Reason, Refusal};

const INVALID: Refusal = Refusal::Invalid(Reason::Signature);

/// A token's text up to its last dot, and the bytes of its signature.
fn split(token: &str) -> (&str, Vec<u8>) {
    let (message, signature) = token.rsplit_once('.').unwrap();
    (message, URL_SAFE_NO_PAD.decode(signature).unwrap())
}

#[test]
fn a_mac_by_another_secret_is_refused() {
    let base64 = STANDARD.encode(SECRET);
    let hashed = digest(&SHA256, SECRET);
    let secrets: [&[u8]; 9] = [
        b"",
        b"\0",
        b"changeme",
        b"your-256-bit-secret",
        b"None",
        b"undefined",
        &[SECRET, b"\n"].concat(),
        hashed.as_ref(),
        base64.as_bytes(),
    ];
    for secret in secrets {
        let token = mac(
            hmac::HMAC_SHA256,
            secret,
            header().to_string().as_bytes(),
            claims().to_string().as_bytes(),
        );
        refused(&token, Reason::Signature);
    }
}

#[test]
fn a_mac_with_any_bit_or_length_changed_is_refused() {
    let token = signed(&header(), &claims());
    let (message, signature) = split(&token);
    for at in 0..signature.len() {
        for bit in 0..8 {
            let mut changed = signature.clone();
            changed[at] ^= 1 << bit;
            refused(&format!("{message}.{}", encode(changed)), Reason::Signature);
        }
    }
    for other in [
        &signature[..16],
        &signature[..1],
        &signature[..31],
        &signature.repeat(2),
        &[0; 32],
        &[&signature[..], &[0]].concat(),
    ] {
        refused(&format!("{message}.{}", encode(other)), Reason::Signature);
    }
    let hex = signature
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<Vec<_>>()
        .concat();
    refused(&format!("{message}.{hex}"), Reason::Signature);
}

#[test]
fn a_signature_of_zeros_or_of_edge_values_is_refused_by_every_algorithm() {
    // The order of P-256: r = s = n.
    let n = hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    let identity = [&[1][..], &[0; 63]].concat();
    for algorithm in Algorithm::ALL.iter().copied() {
        let tokens = tokens(algorithm);
        let good = signed_by(&key(algorithm), &claims());
        assert!(verdict(&tokens, &good).is_ok());
        let (message, signature) = split(&good);
        let ones = vec![0xff; signature.len()];
        let mut one = vec![0; signature.len()];
        one[signature.len() - 1] = 1;
        for forged in [
            &vec![0; signature.len()],
            &ones,
            &one,
            &n.repeat(2),
            &identity,
            &vec![0; 64],
            &vec![0; 96],
            &vec![0],
        ] {
            assert_eq!(
                verdict(&tokens, &format!("{message}.{}", encode(forged))),
                Err(INVALID),
                "{algorithm:?}"
            );
        }
    }
}

#[test]
fn a_public_key_is_not_taken_for_a_shared_secret() {
    for algorithm in [
        Algorithm::Rs256,
        Algorithm::Ps256,
        Algorithm::Es256,
        Algorithm::Es384,
        Algorithm::EdDsa,
    ] {
        let (tokens, key) = (tokens(algorithm), key(algorithm));
        let jwk = key.jwk().unwrap();
        let raw: Vec<u8> = ["n", "x", "y"]
            .iter()
            .filter_map(|name| jwk[name].as_str())
            .flat_map(|text| URL_SAFE_NO_PAD.decode(text).unwrap())
            .collect();
        let secrets = [
            jwk.to_string().into_bytes(),
            raw.clone(),
            [&[4], &raw[..]].concat(),
            tokens.jwks().to_vec(),
        ];
        for (name, hash) in [
            ("HS256", hmac::HMAC_SHA256),
            ("HS384", hmac::HMAC_SHA384),
            ("HS512", hmac::HMAC_SHA512),
        ] {
            let confused = with(with(header(), "alg", json!(name)), "kid", json!("k1")).to_string();
            for secret in &secrets {
                let token = mac(hash, secret, confused.as_bytes(), claims().to_string().as_bytes());
                assert_eq!(
                    verdict(&tokens, &token),
                    Err(Refusal::Invalid(Reason::Algorithm)),
                    "{algorithm:?} as {name}"
                );
            }
        }
    }
}

#[test]
fn a_signature_with_the_same_key_but_another_algorithm_is_refused() {
    let rsa = [
        Algorithm::Rs256,
        Algorithm::Rs384,
        Algorithm::Rs512,
        Algorithm::Ps256,
        Algorithm::Ps384,
        Algorithm::Ps512,
    ];
    for ours in rsa {
        for theirs in rsa.into_iter().filter(|theirs| *theirs != ours) {
            let (tokens, key) = (tokens(ours), key(theirs));
            let honest = signed_by(&key, &claims());
            assert_eq!(verdict(&tokens, &honest), Err(Refusal::Invalid(Reason::Algorithm)));
            // The header that our key asks for, over which the other algorithm signed.
            let header = with(with(header(), "alg", json!(ours.as_str())), "kid", json!("k1")).to_string();
            let message = format!("{}.{}", encode(header), encode(claims().to_string()));
            let lying = format!("{message}.{}", key.sign(message.as_bytes()).unwrap());
            assert_eq!(verdict(&tokens, &lying), Err(INVALID), "{theirs:?} as {ours:?}");
        }
    }
}

#[test]
fn a_signature_by_another_key_of_the_same_kind_is_refused() {
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Es384, Algorithm::Hs256] {
        let other = crate::token::key::generate(algorithm).unwrap();
        let other = crate::token::key::Key::from_private(Some("k1".parse().unwrap()), algorithm, &other).unwrap();
        assert_eq!(
            verdict(&tokens(algorithm), &signed_by(&other, &claims())),
            Err(INVALID),
            "{algorithm:?}"
        );
    }
}

#[test]
fn an_ecdsa_signature_in_der_is_refused() {
    let (message, _) = {
        let token = signed_by(&key(Algorithm::Es256), &claims());
        let (message, signature) = split(&token);
        (message.to_owned(), signature)
    };
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, private(Algorithm::Es256)).unwrap();
    for _ in 0..20 {
        let der = pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        assert_eq!(
            verdict(
                &tokens(Algorithm::Es256),
                &format!("{message}.{}", encode(der.as_ref()))
            ),
            Err(INVALID)
        );
    }
}

#[test]
fn an_ecdsa_token_with_the_other_s_is_the_same_token_and_falls_with_it() {
    let n = hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    let tokens = tokens(Algorithm::Es256);
    let token = signed_by(&key(Algorithm::Es256), &claims());
    let (message, mut signature) = split(&token);
    let mut borrow = 0;
    for (s, n) in signature[32..].iter_mut().zip(&n).rev() {
        let difference = i16::from(*n) - i16::from(*s) - borrow;
        borrow = i16::from(difference < 0);
        *s = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    let twin = format!("{message}.{}", encode(signature));
    assert_ne!(twin, token);
    assert_eq!(tokens.authenticate(&twin, NOW).unwrap().token, jti());
    let target = crate::store::Revoked::Token(jti());
    tokens.revocations.apply(
        &[crate::store::Revocation {
            target,
            expires_at: tokens.revoke_until(NOW),
        }],
        NOW,
    );
    for text in [&token, &twin] {
        assert_eq!(verdict(&tokens, text), Err(Refusal::Revoked));
    }
    assert!(
        !tokens
            .revocations
            .is_revoked(crate::id::TokenId::generate(NOW), session(), 1)
    );
}

#[test]
fn swapped_parts_do_not_verify() {
    let one = signed(&header(), &claims());
    let two = signed(&header(), &with(claims(), "name", json!("Bo")));
    accepted(&one);
    accepted(&two);
    let (message, _) = one.rsplit_once('.').unwrap();
    let (_, signature) = two.rsplit_once('.').unwrap();
    refused(&format!("{message}.{signature}"), Reason::Signature);
}

fn hex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digit).collect()
}
