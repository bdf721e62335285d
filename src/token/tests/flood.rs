//! The cache of verified tokens under a flood: what is refused leaves no trace, and what is good takes no more room than
//! there is, nor the place of what is asked for all the time.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::forge::{NOW, SECRET, blocklist, claims, config, header, key, shared, signed, signed_by, tokens, with};
use crate::config::Algorithm;
use crate::secret::Secret;
use crate::token::{KeySet, Tokens, Verified};

const CAPACITY: u64 = 500;

/// A verifier with the shared secret and room for [`CAPACITY`] tokens.
fn small() -> Tokens {
    let keys = KeySet::from_secret(Algorithm::Hs256, &Secret::new(SECRET.to_vec())).unwrap();
    let mut config = config(Algorithm::Hs256);
    config.cache_capacity = CAPACITY;
    Tokens::new(&config, keys, blocklist())
}

/// A good token like no other.
fn good(number: usize) -> String {
    signed(&header(), &with(claims(), "n", json!(number)))
}

fn seen(tokens: &Tokens, token: &str) -> Arc<Verified> {
    tokens.authenticate(token, NOW).unwrap()
}

#[test]
fn a_flood_of_invalid_tokens_leaves_nothing_in_memory_and_what_was_there_in_place() {
    let tokens = small();
    let token = good(0);
    let before = seen(&tokens, &token);
    for number in 0..2 * usize::try_from(CAPACITY).unwrap() {
        let with = |name: &str, value: Value| signed(&header(), &with(with(claims(), "n", json!(number)), name, value));
        let (body, _) = token.rsplit_once('.').unwrap();
        for bad in [
            format!("{number}"),
            format!("{body}.{number:043}"),
            with("aud", json!("another")),
            with("exp", json!(NOW.unix_seconds() - 1)),
            with("nbf", json!(NOW.unix_seconds() + 60)),
        ] {
            assert!(tokens.authenticate(&bad, NOW).is_err(), "{bad}");
        }
    }
    tokens.cache.tidy();
    assert_eq!(tokens.remembered(), 1);
    assert!(Arc::ptr_eq(&before, &seen(&tokens, &token)));
}

/// Asks for each of these so often in turn, two tokens that nobody asks for again before each: how many were verified again,
/// and how many are still there afterwards.
fn through_a_flood(tokens: &Tokens, hot: &[String], times: usize, first: usize) -> (usize, usize) {
    let mut last: Vec<Option<Arc<Verified>>> = vec![None; hot.len()];
    let mut again = 0;
    let mut same = |index: usize| {
        let now = seen(tokens, &hot[index]);
        let same = last[index].replace(Arc::clone(&now));
        same.is_none_or(|before| Arc::ptr_eq(&before, &now))
    };
    for number in 0..hot.len() * times {
        for flood in [0, 1] {
            seen(tokens, &good(first + 2 * number + flood));
        }
        again += usize::from(!same(number % hot.len()));
    }
    (again, (0..hot.len()).filter(|index| same(*index)).count())
}

#[test]
fn a_flood_of_good_tokens_neither_outgrows_the_cache_nor_drives_out_what_is_in_use() {
    let tokens = small();
    let users: Vec<String> = (0..50).map(good).collect();
    // Twenty times as many as there is room for.
    let (again, kept) = through_a_flood(&tokens, &users, 100, 1_000);
    assert!(
        again <= 50 && kept >= 45,
        "{again} of 5000 were verified again, {kept} of 50 kept"
    );
    assert!(
        (1..=CAPACITY).contains(&tokens.remembered_now()),
        "{}",
        tokens.remembered()
    );
    // Those who come when the cache is full of the flood are at home soon.
    let newcomers: Vec<String> = (50..100).map(good).collect();
    let (again, kept) = through_a_flood(&tokens, &newcomers, 100, 100_000);
    assert!(
        again <= 500 && kept >= 45,
        "{again} of 5000 were verified again, {kept} of 50 kept"
    );
    assert!(
        (1..=CAPACITY).contains(&tokens.remembered_now()),
        "{}",
        tokens.remembered()
    );
}

#[test]
fn one_signature_does_not_vouch_for_another_over_the_same_claims() {
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
        let tokens = tokens(algorithm);
        let token = signed_by(&key(algorithm), &claims());
        let first = seen(&tokens, &token);
        let (body, signature) = token.rsplit_once('.').unwrap();
        // Every other spelling of the signature, and none at all.
        for at in 0..signature.len() {
            let mut other: Vec<u8> = signature.into();
            other[at] = if other[at] == b'A' { b'B' } else { b'A' };
            let other = String::from_utf8(other).unwrap();
            assert!(tokens.authenticate(&format!("{body}.{other}"), NOW).is_err(), "{at}");
        }
        assert!(tokens.authenticate(&format!("{body}."), NOW).is_err());
        assert!(Arc::ptr_eq(&first, &seen(&tokens, &token)));
        assert_eq!(tokens.remembered_now(), 1);
    }
}

#[test]
fn a_token_that_was_signed_again_is_verified_again() {
    // ECDSA signs with a random number: the same claims, and another text.
    let tokens = tokens(Algorithm::Es256);
    let [one, other] = [1, 2].map(|_| signed_by(&key(Algorithm::Es256), &claims()));
    assert_ne!(one, other);
    let [first, second] = [&one, &other].map(|token| seen(&tokens, token));
    assert!(!Arc::ptr_eq(&first, &second));
    assert_eq!(tokens.remembered_now(), 2);
}

#[test]
fn a_token_is_forgotten_at_its_end_and_does_not_wait_for_room_to_be_needed() {
    let tokens = shared();
    let soon = signed(&header(), &with(claims(), "exp", json!(NOW.unix_seconds() + 1)));
    seen(&tokens, &soon);
    assert_eq!(tokens.remembered_now(), 1);
    let deadline = crate::time::monotonic() + Duration::from_secs(20);
    while tokens.remembered_now() > 0 {
        assert!(crate::time::monotonic() < deadline, "it has expired");
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Tokens {
    /// How many are remembered, to the last one.
    fn remembered_now(&self) -> u64 {
        self.cache.tidy();
        self.remembered()
    }
}
