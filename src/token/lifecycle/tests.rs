//! What is planned for the keys that are there.

use std::time::Duration;

use super::plan::{deletion, resealing, revocation, rotation};
use super::{DELETION_GRACE, KeyState, NewKey, Occasion, PUBLICATION, Successor, key_states};
use crate::config::Algorithm;
use crate::store::{KeyChange, Revoked, StoredKey};
use crate::time::Timestamp;
use crate::token::keys::{make, unseal};
use crate::token::{KeyError, MasterKey, SealError, revoke_until};

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const LEARNED: Duration = Duration::from_secs(2);
const DAY: Duration = Duration::from_hours(24);

fn master() -> MasterKey {
    MasterKey::from_bytes(&[7; 32]).unwrap()
}

fn key(not_before: Timestamp, retires_at: Option<Timestamp>) -> StoredKey {
    StoredKey {
        retires_at,
        ..make(&master(), Algorithm::EdDsa, not_before).unwrap()
    }
}

/// What the store makes of a change.
fn after(keys: &[StoredKey], change: &KeyChange) -> Vec<StoredKey> {
    let changed = |key: &StoredKey| change.update.iter().find(|changed| changed.kid == key.kid).cloned();
    let mut keys: Vec<StoredKey> = keys.iter().map(|key| changed(key).unwrap_or(key.clone())).collect();
    keys.extend(change.insert.iter().cloned());
    keys.retain(|key| key.deleted_at.is_none());
    keys
}

fn rotated(
    keys: &[StoredKey],
    occasion: Occasion,
    now: Timestamp,
) -> Result<(Vec<StoredKey>, Option<NewKey>), KeyError> {
    let (change, made) = rotation(keys, &master(), Some(&key(now, None)), occasion, now)?;
    Ok((after(keys, &change), made))
}

fn revoked(keys: &[StoredKey], at: usize) -> (Vec<StoredKey>, Successor) {
    let spare = key(NOW, None);
    let (change, successor) = revocation(keys, &master(), &keys[at].kid, &spare, LEARNED, NOW).unwrap();
    let [revocation] = change.revocations[..] else {
        panic!("one revocation: {change:?}")
    };
    assert_eq!(revocation.target, Revoked::Key(keys[at].kid.digest()));
    assert_eq!(revocation.expires_at, revoke_until(NOW));
    let gone = change.update.iter().find(|key| key.kid == keys[at].kid).unwrap();
    assert!(
        gone.deleted_at == Some(NOW) && gone.private_sealed.is_empty(),
        "{gone:?}"
    );
    (after(keys, &change), successor)
}

/// At every instant in which one of these signs, the token that it signs then is verified to its end.
fn assert_every_token_lives(keys: &[StoredKey], from: Timestamp) {
    for minutes in 0..4 * 24 * 60 {
        let now = from + Duration::from_mins(minutes);
        let states = key_states(keys, now);
        let signing = states.iter().position(|state| *state == KeyState::Signing);
        let signing = &keys[signing.unwrap_or_else(|| panic!("nothing signs after {minutes} min: {keys:?}"))];
        assert!(
            signing.retires_at.is_none_or(|retired| retired >= now + DAY),
            "a token of {minutes} min outlives its key: {keys:?}"
        );
    }
}

#[test]
fn a_new_key_is_published_before_it_signs_and_those_before_it_verify_their_last_token() {
    let old = key(NOW - DAY, None);
    let (keys, made) = rotated(std::slice::from_ref(&old), Occasion::Wanted, NOW).unwrap();
    let made = made.unwrap();
    assert_eq!(made.signs_from, NOW + PUBLICATION);
    assert_eq!(keys[0].retires_at, Some(made.others_retire_at));
    assert!(made.others_retire_at >= made.signs_from + DAY);
    assert_eq!((&keys[1].kid, keys[1].not_before), (&made.kid, made.signs_from));
    assert_eq!(key_states(&keys, NOW), [KeyState::Signing, KeyState::Waiting]);
    assert_eq!(
        key_states(&keys, made.signs_from),
        [KeyState::Verifying, KeyState::Signing]
    );
    assert_eq!(
        key_states(&keys, made.others_retire_at),
        [KeyState::Retired, KeyState::Signing]
    );
    assert_every_token_lives(&keys, NOW);
}

#[test]
fn a_new_key_is_published_for_longer_than_any_replica_may_take_to_read_it() {
    let reload = |every: &str| {
        let route = "upstreams.a.servers = 'builtin:whoami'\n[[routes]]\npath = '/'\nupstream = 'a'";
        let toml = format!("keys.reload_every = '{every}'\n{route}");
        crate::config::parse(&toml, std::path::Path::new("")).is_ok()
    };
    assert!(reload("60s") && !reload("61s"));
    assert!(PUBLICATION >= Duration::from_secs(60) + super::JWKS_CACHE_LIFE + Duration::from_mins(1));
}

#[test]
fn while_a_key_waits_no_other_is_made_unless_by_force_and_then_it_follows() {
    let (keys, made) = rotated(&[key(NOW - DAY, None)], Occasion::Wanted, NOW).unwrap();
    let waiting = made.unwrap();
    let again = rotated(&keys, Occasion::Wanted, NOW).unwrap_err();
    assert!(
        matches!(again, KeyError::Waiting { kid, not_before } if kid == waiting.kid && not_before == waiting.signs_from)
    );
    let (keys, forced) = rotated(&keys, Occasion::Forced, NOW).unwrap();
    assert!(forced.unwrap().signs_from > waiting.signs_from);
    assert_every_token_lives(&keys, NOW);
    assert!(rotated(&keys, Occasion::Wanted, NOW + PUBLICATION * 2).is_ok());
}

#[test]
fn a_key_is_replaced_by_itself_when_it_has_signed_for_its_time_and_once() {
    let due = Occasion::Due { after: DAY * 90 };
    let keys = [key(NOW - DAY * 90 + PUBLICATION + Duration::from_secs(1), None)];
    assert_eq!(rotated(&keys, due, NOW).unwrap().1, None);
    let (keys, made) = rotated(&keys, due, NOW + Duration::from_secs(1)).unwrap();
    assert_eq!(made.unwrap().signs_from, keys[0].not_before + DAY * 90);
    assert_eq!(
        rotated(&keys, due, NOW + Duration::from_secs(1)).unwrap(),
        (keys.clone(), None)
    );
    assert_every_token_lives(&keys, NOW);
}

#[test]
fn where_nothing_signs_a_new_key_signs_at_once() {
    for keys in [vec![], vec![key(NOW - DAY * 3, Some(NOW - DAY))]] {
        let (keys, made) = rotated(&keys, Occasion::Wanted, NOW).unwrap();
        assert_eq!(made.unwrap().signs_from, NOW);
        assert_eq!(key_states(&keys, NOW).last(), Some(&KeyState::Signing));
    }
}

#[test]
fn no_key_is_made_with_a_master_key_that_does_not_open_the_others() {
    let keys = [key(NOW - DAY, None)];
    let other = MasterKey::from_bytes(&[8; 32]).unwrap();
    let refused = rotation(&keys, &other, None, Occasion::Forced, NOW).unwrap_err();
    assert!(matches!(
        refused,
        KeyError::Seal {
            source: SealError::Open,
            ..
        }
    ));
    let refused = revocation(
        &[keys[0].clone(), key(NOW - DAY, Some(NOW + DAY))],
        &other,
        &keys[0].kid,
        &keys[0],
        LEARNED,
        NOW,
    );
    assert!(matches!(
        refused.unwrap_err(),
        KeyError::Seal {
            source: SealError::Open,
            ..
        }
    ));
}

#[test]
fn the_only_key_that_is_revoked_gets_a_successor_as_soon_as_all_can_know_it() {
    let (keys, successor) = revoked(&[key(NOW - DAY, None)], 0);
    let Successor::Made {
        kid,
        signs_from,
        bridged: false,
    } = successor
    else {
        panic!("{successor:?}")
    };
    assert_eq!(
        (&keys[0].kid, keys[0].not_before, signs_from),
        (&kid, signs_from, NOW + LEARNED)
    );
    assert_every_token_lives(&keys, signs_from);
}

#[test]
fn a_key_that_was_rotated_away_signs_until_the_successor_is_published() {
    let old = key(NOW - DAY * 2, Some(NOW + Duration::from_hours(1)));
    let (keys, successor) = revoked(&[old.clone(), key(NOW - DAY, None)], 1);
    let Successor::Made {
        signs_from,
        bridged: true,
        ..
    } = successor
    else {
        panic!("{successor:?}")
    };
    assert_eq!(signs_from, NOW + PUBLICATION);
    assert_eq!(
        (&keys[0].kid, keys[0].retires_at),
        (&old.kid, Some(revoke_until(signs_from)))
    );
    assert_every_token_lives(&keys, NOW);
    // One that has nearly retired may have done so on a replica whose clock is ahead.
    let (keys, successor) = revoked(&[key(NOW - DAY * 2, Some(NOW + PUBLICATION)), key(NOW - DAY, None)], 1);
    assert!(matches!(successor, Successor::Made { bridged: false, .. }));
    assert_every_token_lives(&keys, NOW + LEARNED);
}

#[test]
fn a_waiting_key_takes_over_early_when_the_one_that_signs_is_revoked() {
    let (keys, made) = rotated(&[key(NOW - DAY, None)], Occasion::Wanted, NOW).unwrap();
    let (keys, successor) = revoked(&keys, 0);
    let kid = made.unwrap().kid;
    assert_eq!(
        successor,
        Successor::Hastened {
            kid,
            signs_from: NOW + LEARNED
        }
    );
    assert_every_token_lives(&keys, NOW + LEARNED);
}

#[test]
fn a_waiting_key_that_is_revoked_is_replaced_and_the_one_before_it_signs_on() {
    let (keys, _) = rotated(&[key(NOW - DAY, None)], Occasion::Wanted, NOW).unwrap();
    let (keys, successor) = revoked(&keys, 1);
    assert!(matches!(successor, Successor::Made { bridged: true, .. }));
    assert_every_token_lives(&keys, NOW);
    // The same with several that wait.
    let (keys, _) = rotated(&keys, Occasion::Forced, NOW).unwrap();
    let (keys, _) = rotated(&keys, Occasion::Forced, NOW).unwrap();
    for at in 1..4 {
        assert_every_token_lives(&revoked(&keys, at).0, NOW);
    }
    let (last_two_gone, _) = revoked(&revoked(&keys, 3).0, 2);
    assert_every_token_lives(&last_two_gone, NOW);
}

#[test]
fn a_key_that_signs_again_while_another_waits_lives_to_verify_what_it_signs() {
    let old = key(NOW - DAY * 2, Some(NOW + Duration::from_hours(1)));
    let (keys, _) = rotated(&[old, key(NOW - DAY, None)], Occasion::Wanted, NOW).unwrap();
    let (keys, successor) = revoked(&keys, 1);
    assert_eq!(successor, Successor::Present);
    assert_every_token_lives(&keys, NOW);
}

#[test]
fn the_revocation_of_a_key_that_signs_no_more_changes_nothing_else() {
    let signing = key(NOW - DAY, None);
    let (keys, successor) = revoked(&[key(NOW - DAY * 2, Some(NOW + DAY)), signing.clone()], 0);
    assert_eq!((keys, successor), (vec![signing], Successor::Present));
}

#[test]
fn an_unknown_key_is_not_revoked_and_the_known_ones_are_named() {
    let keys = [key(NOW, None)];
    let refused = revocation(&keys, &master(), &"other".parse().unwrap(), &keys[0], LEARNED, NOW).unwrap_err();
    assert_eq!(
        refused.to_string(),
        format!("there is no key other; there is {}", keys[0].kid)
    );
    let refused = revocation(&[], &master(), &"other".parse().unwrap(), &keys[0], LEARNED, NOW).unwrap_err();
    assert_eq!(refused.to_string(), "there is no key other; there is none at all");
}

#[test]
fn keys_are_sealed_anew_all_or_none() {
    let new = MasterKey::from_bytes(&[8; 32]).unwrap();
    let keys = [key(NOW, None), key(NOW, Some(NOW + DAY))];
    let (change, count) = resealing(&keys, &master(), &new).unwrap();
    assert_eq!((count, change.update.len()), (2, 2));
    for (key, sealed) in keys.iter().zip(&change.update) {
        assert_eq!(unseal(key, &master()).unwrap(), unseal(sealed, &new).unwrap());
        assert!(unseal(sealed, &master()).is_err());
        assert_eq!((&key.kid, key.retires_at), (&sealed.kid, sealed.retires_at));
    }
    let again = resealing(&change.update, &master(), &new).unwrap_err();
    assert!(matches!(again, KeyError::Resealed(kid) if kid == keys[0].kid));
    let mixed = [keys[0].clone(), change.update[1].clone()];
    assert!(resealing(&mixed, &master(), &MasterKey::from_bytes(&[9; 32]).unwrap()).is_err());
    assert!(matches!(
        resealing(&keys, &master(), &master()),
        Err(KeyError::Resealed(_))
    ));
}

#[test]
fn a_key_is_deleted_once_it_has_retired_for_every_clock() {
    let keys = [key(NOW - DAY, Some(NOW)), key(NOW, None)];
    assert!(deletion(&keys, NOW).1.is_empty());
    let (change, kids) = deletion(&keys, NOW + DELETION_GRACE);
    assert_eq!(kids, [keys[0].kid.clone()]);
    let gone = &change.update[0];
    assert!(gone.private_sealed.is_empty() && gone.deleted_at == Some(NOW + DELETION_GRACE));
    assert!(change.revocations.is_empty());
    assert_eq!(key_states(&change.update, NOW), [KeyState::Deleted]);
}

#[test]
fn a_key_that_was_deleted_in_its_time_was_revoked() {
    for retires_at in [None, Some(NOW + DAY)] {
        let mut gone = key(NOW - DAY, retires_at);
        gone.deleted_at = Some(NOW);
        assert_eq!(
            key_states(&[gone, key(NOW, None)], NOW),
            [KeyState::Revoked, KeyState::Signing]
        );
    }
}
