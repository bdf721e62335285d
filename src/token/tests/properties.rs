//! What holds for every token and every text.

use proptest::prelude::*;
use proptest::sample::select;

use super::forge::{NOW, SUBJECT, claims, header, key, private, raw, shared, signed, signed_by, tokens};
use crate::config::Algorithm;
use crate::token::key::Key;
use crate::token::{Blocklist, KeySet, Tokens, read_unverified};

#[test]
fn flipping_any_bit_of_a_token_makes_it_refused() {
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Hs256] {
        let tokens = tokens(algorithm);
        let token = signed_by(&key(algorithm), &claims());
        assert!(tokens.authenticate(&token, NOW).is_ok());
        for at in 0..token.len() {
            for bit in 0..7 {
                let mut changed = token.clone().into_bytes();
                changed[at] ^= 1 << bit;
                let changed = String::from_utf8(changed).unwrap();
                assert!(
                    tokens.authenticate(&changed, NOW).is_err(),
                    "{algorithm:?}: bit {bit} of {at}"
                );
            }
        }
    }
}

/// Every claim that is looked at, and one that is not.
const CLAIMS: [&str; 13] = [
    "sub", "jti", "sid", "gen", "iat", "exp", "nbf", "iss", "aud", "email", "name", "roles", "x",
];

proptest! {
    #[test]
    fn changing_a_token_of_any_algorithm_makes_it_refused(
        algorithm in select(Algorithm::ALL),
        at in any::<prop::sample::Index>(),
        to in "[A-Za-z0-9_.=-]",
    ) {
        let token = signed_by(&key(algorithm), &claims());
        let mut changed = token.clone();
        let at = at.index(token.len());
        changed.replace_range(at..=at, &to);
        prop_assert_eq!(tokens(algorithm).authenticate(&changed, NOW).is_ok(), changed == token);
    }

    #[test]
    fn arbitrary_text_is_refused_and_never_panics(
        text in "\\PC{0,80}|[A-Za-z0-9_.-]{0,300}|e[A-Za-z0-9_-]{0,60}(\\.[A-Za-z0-9_-]{0,60}){2}",
    ) {
        prop_assert!(shared().authenticate(&text, NOW).is_err());
        let _ = read_unverified(&text);
    }

    #[test]
    fn arbitrary_bytes_with_a_right_mac_are_refused_and_never_panic(
        head in proptest::collection::vec(any::<u8>(), 1..100),
        payload in proptest::collection::vec(any::<u8>(), 1..100),
    ) {
        prop_assert!(shared().authenticate(&raw(&head, claims().to_string()), NOW).is_err());
        prop_assert!(shared().authenticate(&raw(header().to_string(), &payload), NOW).is_err());
    }

    #[test]
    fn a_claim_of_any_value_is_refused_or_says_who_it_was_issued_to(
        name in select(&CLAIMS[..]),
        value in json_text(),
    ) {
        let payload = claims().to_string();
        // The claim as issued gets another name, and one with a text of our choice as its value comes first.
        let payload = payload.replace(&format!("\"{name}\":"), "\"@\":");
        let payload = payload.replacen('{', &format!("{{\"{name}\":{value},"), 1);
        if let Ok(verified) = shared().authenticate(&raw(header().to_string(), payload), NOW) {
            prop_assert!(name == "sub" || verified.user.to_string() == SUBJECT);
            prop_assert!(!verified.identity.name.as_ref().unwrap().as_str().chars().any(char::is_control));
            prop_assert!(!verified.identity.email.as_ref().unwrap().as_str().chars().any(char::is_control));
        }
    }
}

fn json_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "-?[0-9]{1,25}(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,4})?",
        "\"[ -~]{0,40}\"",
        "\"(\\\\u00[01][0-9a-f]|[a-z@.]){0,12}\"",
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("[]".to_owned()),
        Just("{}".to_owned()),
    ]
}

#[test]
fn tokens_and_their_parts_can_be_shared_between_threads() {
    fn shared_between_threads<T: Send + Sync>() {}
    shared_between_threads::<Tokens>();
    shared_between_threads::<KeySet>();
    shared_between_threads::<Blocklist>();
}

#[test]
fn what_is_not_verified_can_be_read_but_says_so_by_its_type() {
    let token = signed(&header(), &claims());
    let (message, _) = token.rsplit_once('.').unwrap();
    let read = read_unverified(&format!("{message}.AAAA")).unwrap();
    assert_eq!(read.claims["sub"], SUBJECT);
    assert!(read_unverified(message).is_err());
}

#[test]
fn a_key_without_a_name_is_found_by_tokens_without_a_kid_alone() {
    let nameless = Key::from_private(None, Algorithm::EdDsa, private(Algorithm::EdDsa)).unwrap();
    let token = signed_by(&nameless, &claims());
    assert!(tokens(Algorithm::EdDsa).authenticate(&token, NOW).is_err());
}
