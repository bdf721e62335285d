//! Headers that ask for what they must not get.

use aws_lc_rs::hmac;
use serde_json::{Value, json};

use super::forge::{accepted, claims, header, raw, refused, signed, with};
use crate::token::Reason;
use crate::token::compact::encode;

#[test]
fn a_plain_token_is_accepted_whatever_the_order_of_its_members() {
    accepted(&signed(&header(), &claims()));
    accepted(&raw(r#"{"typ":"at+jwt","alg":"HS256"}"#, claims().to_string()));
    accepted(&raw(
        " {\n\"alg\" : \"HS256\", \"typ\":\"at+jwt\" } ",
        claims().to_string(),
    ));
}

#[test]
fn header_parameters_that_we_do_not_know_are_ignored() {
    accepted(&signed(&with(header(), "foo", json!({ "bar": [1] })), &claims()));
    accepted(&signed(&with(header(), "x5t", json!("abc")), &claims()));
}

#[test]
fn alg_none_is_refused_in_any_spelling_with_any_signature() {
    for none in [
        "none",
        "None",
        "NONE",
        "nOnE",
        "none ",
        " none",
        "none\0",
        "",
        "null",
        "undefined",
    ] {
        let header = with(header(), "alg", json!(none));
        refused(&signed(&header, &claims()), Reason::Algorithm);
        let message = format!("{}.{}", encode(header.to_string()), encode(claims().to_string()));
        refused(&format!("{message}."), Reason::NotThreeParts);
        refused(&message, Reason::NotThreeParts);
        refused(&format!("{message}.AA"), Reason::Algorithm);
    }
}

#[test]
fn an_alg_that_is_no_string_is_refused_even_with_a_right_mac() {
    for alg in [
        None,
        Some(Value::Null),
        Some(json!(["HS256"])),
        Some(json!({ "a": "HS256" })),
        Some(json!(0)),
        Some(json!(true)),
    ] {
        refused(&signed(&with(header(), "alg", alg), &claims()), Reason::Algorithm);
    }
}

#[test]
fn the_header_does_not_choose_the_algorithm() {
    for (name, algorithm) in [("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)] {
        let header = with(header(), "alg", json!(name)).to_string();
        let payload = claims().to_string();
        let token = super::forge::mac(algorithm, super::forge::SECRET, header.as_bytes(), payload.as_bytes());
        refused(&token, Reason::Algorithm);
    }
    for other in [
        "hs256", "Hs256", "HS-256", "HMAC", "HS224", "SHA256", "RS256", "ES256", "PS256", "EdDSA", "Ed25519", "A128KW",
        "dir", "HS256 ", "HS256\0",
    ] {
        refused(
            &signed(&with(header(), "alg", json!(other)), &claims()),
            Reason::Algorithm,
        );
    }
}

#[test]
fn a_token_of_another_type_is_refused() {
    for typ in [
        None,
        Some(Value::Null),
        Some(json!(1)),
        Some(json!(["at+jwt"])),
        Some(json!("JWT")),
        Some(json!("jwt")),
        Some(json!("JWE")),
        Some(json!("refresh+jwt")),
        Some(json!("")),
        Some(json!("at+jwt ")),
        Some(json!("text/at+jwt")),
    ] {
        refused(&signed(&with(header(), "typ", typ), &claims()), Reason::Type);
    }
    for typ in ["AT+JWT", "application/at+jwt", "Application/At+Jwt"] {
        accepted(&signed(&with(header(), "typ", json!(typ)), &claims()));
    }
}

#[test]
fn any_crit_is_refused() {
    for crit in [
        json!(["exp"]),
        json!(["b64"]),
        json!(["nope"]),
        json!([]),
        json!("exp"),
        json!(null),
        json!(1),
    ] {
        refused(&signed(&with(header(), "crit", crit), &claims()), Reason::Critical);
    }
    let header = with(with(header(), "crit", json!(["x"])), "x", json!(1));
    refused(&signed(&header, &claims()), Reason::Critical);
}

#[test]
fn a_parameter_that_changes_how_the_token_is_read_is_refused() {
    for (name, value) in [
        ("b64", json!(false)),
        ("b64", json!(true)),
        ("enc", json!("A256GCM")),
        ("zip", json!("DEF")),
    ] {
        refused(
            &signed(&with(header(), name, value), &claims()),
            Reason::HeaderParameter,
        );
    }
}

#[test]
fn a_key_that_the_token_brings_is_never_used() {
    let oct = json!({ "kty": "oct", "k": encode([0; 32]) });
    for (name, value) in [
        ("jwk", oct),
        ("jku", json!("http://127.0.0.1:1/jwks")),
        ("x5u", json!("http://127.0.0.1:1/x5u")),
        ("x5c", json!(["MIIB"])),
    ] {
        let header = with(header(), name, value);
        refused(&signed(&header, &claims()), Reason::HeaderParameter);
        let own = super::forge::mac(
            hmac::HMAC_SHA256,
            &[0; 32],
            header.to_string().as_bytes(),
            claims().to_string().as_bytes(),
        );
        refused(&own, Reason::HeaderParameter);
    }
}

#[test]
fn a_kid_names_one_of_our_keys_or_nothing() {
    for kid in [
        "any",
        "",
        "0",
        "k1",
        "../../../../../../dev/null",
        "/dev/null",
        "file:///dev/null",
        "http://127.0.0.1:1/kid",
        "' UNION SELECT 'k' -- ",
        "x' OR 1=1 -- ",
        "$(id)",
        "k1\0",
    ] {
        let header = with(header(), "kid", json!(kid));
        refused(&signed(&header, &claims()), Reason::KeyId);
        for secret in [&b""[..], b"k"] {
            let token = super::forge::mac(
                hmac::HMAC_SHA256,
                secret,
                header.to_string().as_bytes(),
                claims().to_string().as_bytes(),
            );
            refused(&token, Reason::KeyId);
        }
    }
    for kid in [Value::Null, json!(["a"]), json!(1), json!({}), json!(true)] {
        refused(&signed(&with(header(), "kid", kid), &claims()), Reason::KeyId);
    }
}

#[test]
fn a_header_that_is_no_plain_object_is_refused() {
    for bad in [
        "[]",
        "{",
        "null",
        "1",
        "\"HS256\"",
        "\u{feff}{\"alg\":\"HS256\",\"typ\":\"at+jwt\"}",
        r#"{"alg":"HS256","typ":"at+jwt"}{}"#,
        r#"{"alg":"HS256","typ":"at+jwt",}"#,
        r#"{"alg":"HS256","alg":"none","typ":"at+jwt"}"#,
        r#"{"alg":"none","alg":"HS256","typ":"at+jwt"}"#,
        r#"{"alg":"HS256","\u0061lg":"HS256","typ":"at+jwt"}"#,
        r#"{"alg":"HS256","typ":"at+jwt","x":{"a":1,"a":2}}"#,
    ] {
        refused(&raw(bad, claims().to_string()), Reason::HeaderJson);
    }
    refused(&raw("{}", claims().to_string()), Reason::Type);
}
