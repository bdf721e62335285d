//! What is to be done with the keys that are there: pure, so that it may be worked out as often as a transaction is tried.

use std::time::Duration;

use super::{DELETION_GRACE, NewKey, Occasion, PUBLICATION, Successor};
use crate::id::KeyId;
use crate::store::{KeyChange, Revocation, Revoked, StoredKey};
use crate::time::Timestamp;
use crate::token::keys::{is_retired, open, unseal};
use crate::token::{KeyError, MasterKey, revoke_until};

/// Nothing is done where there is no answer.
pub(super) fn answered<T>(planned: Result<(KeyChange, T), KeyError>) -> (KeyChange, Result<T, KeyError>) {
    match planned {
        Ok((change, answer)) => (change, Ok(answer)),
        Err(error) => (KeyChange::default(), Err(error)),
    }
}

/// Whether this master key opens all of them.
pub(super) fn opens_all(keys: &[StoredKey], master: &MasterKey) -> Result<(), KeyError> {
    keys.iter().try_for_each(|key| open(key, master).map(drop))
}

/// See [`rotate_key`](super::rotate_key). Without a new key, only whether there is an occasion counts.
pub(super) fn rotation(
    keys: &[StoredKey],
    master: &MasterKey,
    new: Option<&StoredKey>,
    occasion: Occasion,
    now: Timestamp,
) -> Result<(KeyChange, Option<NewKey>), KeyError> {
    opens_all(keys, master)?;
    let newest = keys.iter().max_by_key(|key| key.not_before);
    match (occasion, newest) {
        (Occasion::Wanted, Some(newest)) if newest.not_before > now => {
            return Err(KeyError::Waiting {
                kid: newest.kid.clone(),
                not_before: newest.not_before,
            });
        }
        (Occasion::Due { after }, Some(newest)) if newest.not_before + after > now + PUBLICATION => {
            return Ok((KeyChange::default(), None));
        }
        (Occasion::Wanted | Occasion::Forced | Occasion::Due { .. }, _) => {}
    }
    let signs_from = if keys.iter().any(|key| key.not_before <= now && !is_retired(key, now)) {
        after_all(keys, now + PUBLICATION)
    } else {
        // Nothing signs now: nobody waits for the end of a cache.
        after_all(keys, now)
    };
    let others_retire_at = revoke_until(signs_from);
    let update = keys.iter().filter(|key| key.retires_at.is_none());
    let change = KeyChange {
        insert: new.map(|new| beginning(new, signs_from)).into_iter().collect(),
        update: update.map(|key| retiring(key, others_retire_at)).collect(),
        revocations: Vec::new(),
    };
    let kid = new.or(newest).map(|key| key.kid.clone());
    Ok((
        change,
        kid.map(|kid| NewKey {
            kid,
            signs_from,
            others_retire_at,
        }),
    ))
}

/// See [`revoke_key`](super::revoke_key).
pub(super) fn revocation(
    keys: &[StoredKey],
    master: &MasterKey,
    kid: &KeyId,
    spare: &StoredKey,
    learned: Duration,
    now: Timestamp,
) -> Result<(KeyChange, Successor), KeyError> {
    let (revoked, others): (Vec<&StoredKey>, Vec<&StoredKey>) = keys.iter().partition(|key| key.kid == *kid);
    let [revoked] = revoked[..] else {
        return Err(KeyError::Unknown {
            kid: kid.clone(),
            known: keys.iter().map(|key| key.kid.clone()).collect(),
        });
    };
    let mut change = KeyChange {
        insert: Vec::new(),
        update: vec![deleted(revoked, now)],
        revocations: vec![Revocation {
            target: Revoked::Key(kid.digest()),
            expires_at: revoke_until(now),
        }],
    };
    // Signs until a key that is made now has been published: it must not retire in that time.
    let bridge = others
        .iter()
        .filter(|key| key.not_before <= now && key.retires_at.is_none_or(|retired| retired > now + PUBLICATION))
        .max_by_key(|key| key.not_before);
    let lasting = others.iter().filter(|key| key.retires_at.is_none());
    let successor = match (lasting.min_by_key(|key| key.not_before), bridge) {
        (Some(lasting), Some(bridge)) => {
            // One that was replaced by the revoked key signs once more, until the key that waits begins.
            let until = revoke_until(lasting.not_before);
            if bridge.retires_at.is_some_and(|retired| retired < until) {
                change.update.push(retiring(bridge, until));
            }
            Successor::Present
        }
        (Some(waiting), None) => {
            // Published since it was made, and known to all replicas once they have read the keys again.
            let signs_from = waiting.not_before.min(now + learned);
            change.update.push(beginning(waiting, signs_from));
            Successor::Hastened {
                kid: waiting.kid.clone(),
                signs_from,
            }
        }
        (None, bridge) => {
            for other in &others {
                open(other, master)?;
            }
            let (signs_from, bridged) = match bridge {
                Some(_) => (after_all(keys, now + PUBLICATION), true),
                None => (now + learned, false),
            };
            // Until then these sign, and must verify what they signed.
            let until = revoke_until(signs_from);
            let bridging = others.iter().filter(|key| {
                let begins = bridge.is_some_and(|bridge| key.not_before >= bridge.not_before);
                begins && key.retires_at.is_some_and(|retired| retired < until)
            });
            change.update.extend(bridging.map(|key| retiring(key, until)));
            change.insert.push(beginning(spare, signs_from));
            Successor::Made {
                kid: spare.kid.clone(),
                signs_from,
                bridged,
            }
        }
    };
    Ok((change, successor))
}

/// See [`reseal_keys`](super::reseal_keys).
pub(super) fn resealing(keys: &[StoredKey], old: &MasterKey, new: &MasterKey) -> Result<(KeyChange, usize), KeyError> {
    let mut update = Vec::with_capacity(keys.len());
    for key in keys {
        if unseal(key, new).is_ok() {
            return Err(KeyError::Resealed(key.kid.clone()));
        }
        let private = unseal(key, old)?;
        let sealed = new.seal(&key.kid, key.algorithm, &private);
        update.push(StoredKey {
            private_sealed: sealed.map_err(|source| KeyError::Seal {
                kid: key.kid.clone(),
                source,
            })?,
            ..key.clone()
        });
    }
    let count = update.len();
    let change = KeyChange {
        update,
        ..KeyChange::default()
    };
    Ok((change, count))
}

/// Deletes those whose time is over.
pub(super) fn deletion(keys: &[StoredKey], now: Timestamp) -> (KeyChange, Vec<KeyId>) {
    let over = keys.iter().filter(|key| is_retired(key, now - DELETION_GRACE));
    let update: Vec<StoredKey> = over.map(|key| deleted(key, now)).collect();
    let kids = update.iter().map(|key| key.kid.clone()).collect();
    let change = KeyChange {
        update,
        ..KeyChange::default()
    };
    (change, kids)
}

/// `at`, or later than any of them begins to sign.
fn after_all(keys: &[StoredKey], at: Timestamp) -> Timestamp {
    let last = keys.iter().map(|key| key.not_before + Duration::from_millis(1)).max();
    last.map_or(at, |last| last.max(at))
}

fn beginning(key: &StoredKey, not_before: Timestamp) -> StoredKey {
    StoredKey {
        not_before,
        ..key.clone()
    }
}

fn retiring(key: &StoredKey, at: Timestamp) -> StoredKey {
    StoredKey {
        retires_at: Some(at),
        ..key.clone()
    }
}

/// Without the private part, sealed as it is.
fn deleted(key: &StoredKey, now: Timestamp) -> StoredKey {
    StoredKey {
        private_sealed: Vec::new(),
        deleted_at: Some(now),
        ..key.clone()
    }
}

/// What a stored key is for, now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Published, and not signing yet.
    Waiting,
    /// New tokens are signed with it.
    Signing,
    /// Its tokens are accepted; another signs.
    Verifying,
    /// Its time is over.
    Retired,
    /// Deleted before its time was over: its tokens are refused.
    Revoked,
    /// Deleted after its time was over.
    Deleted,
}

impl KeyState {
    /// The state as one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Signing => "signing",
            Self::Verifying => "verifying",
            Self::Retired => "retired",
            Self::Revoked => "revoked",
            Self::Deleted => "deleted",
        }
    }
}

/// The state of each of these keys, in their order, given that they are all that there are.
#[must_use]
pub fn key_states(keys: &[StoredKey], now: Timestamp) -> Vec<KeyState> {
    let in_force = |key: &&StoredKey| key.deleted_at.is_none() && key.not_before <= now && !is_retired(key, now);
    let outlives = |key: &StoredKey| key.retires_at.is_none_or(|retired| retired >= revoke_until(now));
    // As the gateway chooses.
    let signing = keys
        .iter()
        .filter(in_force)
        .max_by_key(|key| (outlives(key), key.not_before));
    keys.iter()
        .map(|key| match key.deleted_at {
            Some(deleted) if key.retires_at.is_some_and(|retired| retired <= deleted) => KeyState::Deleted,
            Some(_) => KeyState::Revoked,
            None if is_retired(key, now) => KeyState::Retired,
            None if key.not_before > now => KeyState::Waiting,
            None if signing.is_some_and(|signing| signing.kid == key.kid) => KeyState::Signing,
            None => KeyState::Verifying,
        })
        .collect()
}
