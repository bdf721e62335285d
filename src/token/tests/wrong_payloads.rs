//! Payloads that are no plain JSON object, or too much of one.

use serde_json::json;

use super::forge::{SUBJECT, accepted, claims, header, literal, raw, refused, signed, with};
use crate::token::Reason;

#[test]
fn a_member_that_is_there_twice_is_refused_whichever_is_the_good_one() {
    let payload = claims().to_string();
    for extra in [
        r#""sub":"1""#.to_owned(),
        format!(r#""sub":"{SUBJECT}""#),
        format!(r#""s\u0075b":"{SUBJECT}""#),
        r#""exp":1"#.to_owned(),
        r#""x":{"a":1,"a":1}"#.to_owned(),
    ] {
        refused(
            &raw(header().to_string(), payload.replacen('{', &format!("{{{extra},"), 1)),
            Reason::PayloadJson,
        );
        let last = format!("{},{extra}}}", payload.strip_suffix('}').unwrap());
        refused(&raw(header().to_string(), last), Reason::PayloadJson);
    }
}

#[test]
fn a_claim_in_another_case_is_another_claim() {
    let twins = with(with(claims(), "Sub", json!("1")), "SUB", json!("2"));
    accepted(&signed(&header(), &twins));
    refused(&signed(&header(), &with(twins, "sub", None)), Reason::Id);
}

#[test]
fn a_payload_that_is_no_plain_object_is_refused() {
    let payload = claims().to_string();
    let utf16: Vec<u8> = payload.encode_utf16().flat_map(u16::to_le_bytes).collect();
    refused(&raw(header().to_string(), utf16), Reason::PayloadJson);
    refused(&raw(header().to_string(), b"{\"a\":\"\xff\"}"), Reason::PayloadJson);
    for bad in [
        "[]",
        "1",
        "null",
        "true",
        "\"x\"",
        &format!("[{payload}]"),
        &format!("\u{feff}{payload}"),
        &format!("\0{payload}"),
        &format!("{payload}{payload}"),
        &format!("{payload}x"),
        &payload.replace('}', ",}"),
        &payload.replace('}', "/* */}"),
        &payload.replace('"', "'"),
    ] {
        refused(&raw(header().to_string(), bad), Reason::PayloadJson);
    }
    refused(&raw(header().to_string(), "{}"), Reason::Issuer);
    // A token within a token.
    refused(
        &raw(header().to_string(), signed(&header(), &claims())),
        Reason::PayloadJson,
    );
}

#[test]
fn a_deeply_nested_payload_is_refused_quickly() {
    for depth in [200, 2_000] {
        let nested = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        refused(&literal("x", &nested), Reason::PayloadJson);
    }
}

#[test]
fn a_token_of_more_than_8_kib_is_refused_unread() {
    let long = |bytes: usize| signed(&header(), &with(claims(), "x", json!("y".repeat(bytes))));
    refused(&long(27_000), Reason::TooLong);
    accepted(&long(5_000));
}
