//! Other ways to write a token, none of which is ours.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::json;

use super::forge::{claims, header, raw, refused, signed, with};
use crate::token::Reason;
use crate::token::compact::encode;

#[test]
fn padding_blanks_and_escapes_are_refused() {
    let token = signed(&header(), &claims());
    for tail in ["=", "==", "%3D", "\n", "\r\n", " ", "\t", "\0", "+", "/", "ä"] {
        refused(&format!("{token}{tail}"), Reason::Base64);
    }
    for head in [" ", "\n", "\u{feff}", "Bearer "] {
        refused(&format!("{head}{token}"), Reason::Base64);
    }
    refused(&token.replace('.', "=."), Reason::Base64);
    refused(&token.replacen('.', "\n.", 1), Reason::Base64);
}

#[test]
fn the_same_signature_with_other_unused_bits_is_refused() {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let token = signed(&header(), &claims());
    let last = ALPHABET.find(&token[token.len() - 1..]).unwrap();
    // 32 bytes leave two bits of the last character unused.
    for bits in 1..4 {
        let other = &ALPHABET[last + bits..=last + bits];
        refused(&format!("{}{other}", &token[..token.len() - 1]), Reason::Base64);
    }
}

#[test]
fn more_or_fewer_parts_are_refused() {
    let token = signed(&header(), &claims());
    let (message, signature) = token.rsplit_once('.').unwrap();
    for bad in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        "...".to_owned(),
        ".".repeat(8_000),
        "a".to_owned(),
        "null".to_owned(),
        "undefined".to_owned(),
        "Bearer".to_owned(),
        "{}".to_owned(),
        message.to_owned(),
        format!("{message}."),
        format!("{token}."),
        format!(".{token}"),
        format!("{token}.{signature}"),
        format!("{token}.{signature}.{signature}"),
        token.replace('.', "%2E"),
        token.replace('.', "\u{3002}"),
        token.replace('.', "．"),
        encode(&token),
    ] {
        refused(&bad, Reason::NotThreeParts);
    }
}

#[test]
fn the_standard_alphabet_is_refused() {
    // Names that make the payload's encoding use the two characters in which the alphabets differ.
    let claims = with(claims(), "x", json!("~~~???>>>ÿÿÿ")).to_string();
    let standard = STANDARD_NO_PAD.encode(&claims);
    assert!(standard.contains(['+', '/']));
    let token = raw(header().to_string(), &claims);
    let mut parts = token.split('.');
    let (first, last) = (parts.next().unwrap(), parts.next_back().unwrap());
    refused(&format!("{first}.{standard}.{last}"), Reason::Base64);
}

#[test]
fn the_json_serialisations_are_refused() {
    let token = signed(&header(), &claims());
    let parts: Vec<&str> = token.split('.').collect();
    let flattened = json!({ "protected": parts[0], "payload": parts[1], "signature": parts[2] });
    let signature = json!({ "protected": parts[0], "signature": parts[2] });
    let general = json!({ "payload": parts[1], "signatures": [signature] });
    for object in [flattened, general] {
        refused(&object.to_string(), Reason::NotThreeParts);
        refused(&encode(object.to_string()), Reason::NotThreeParts);
    }
}

#[test]
fn an_encrypted_token_is_refused() {
    for header in [
        json!({ "alg": "dir", "enc": "A256GCM" }),
        json!({ "alg": "dir", "enc": "A128CBC-HS256", "typ": "at+jwt" }),
        json!({ "alg": "PBES2-HS256+A128KW", "enc": "A256GCM", "p2c": 2_000_000_000, "p2s": "AAAA" }),
    ] {
        let header = encode(header.to_string());
        for key in ["", "AAAA"] {
            refused(&format!("{header}.{key}.AAAA.AAAA.AAAA"), Reason::NotThreeParts);
        }
    }
}

#[test]
fn a_junk_character_anywhere_is_refused() {
    let token = signed(&header(), &claims());
    for at in (0..token.len()).filter(|at| at % 7 == 0) {
        for junk in ["!", "\0", "\u{200b}", "*"] {
            let mut changed = token.clone();
            changed.insert_str(at, junk);
            refused(&changed, Reason::Base64);
        }
    }
}
