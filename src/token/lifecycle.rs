//! What becomes of signing keys in the store: the first is made, another replaces it, one is revoked, all are sealed anew,
//! retired ones are deleted.
//!
//! A new key is published at once and signs once every cached JWK Set has been read again; the keys before it verify until
//! the last token that they may have signed has expired. What is to be done is worked out by pure functions from the keys
//! that are there, under the turn of [`Store::change_keys`]: of several who do it at once, each sees what the one before
//! did.

mod plan;
#[cfg(test)]
mod tests;

use std::time::Duration;

use super::key;
use super::keys::{make, seal};
use super::{CLOCK_SKEW, KeyError, MasterKey};
use crate::config::Algorithm;
use crate::id::KeyId;
use crate::store::{Store, StoredKey};
use crate::time::{Clock, Timestamp};

pub use plan::{KeyState, key_states};

/// How long others may keep our JWK Set: the `max-age` that it is sent with.
pub const JWKS_CACHE_LIFE: Duration = Duration::from_mins(5);

/// The longest `keys.reload_every` that any configuration allows.
const MAX_RELOAD_EVERY: Duration = Duration::from_mins(1);

/// How long a new key is published before it signs. By then every replica holds it, and everybody who verifies our tokens
/// has asked for the keys again.
pub const PUBLICATION: Duration =
    Duration::from_secs(JWKS_CACHE_LIFE.as_secs() + MAX_RELOAD_EVERY.as_secs() + CLOCK_SKEW.as_secs());

/// How long after it retired a key is deleted: replicas' clocks differ.
const DELETION_GRACE: Duration = CLOCK_SKEW;

/// How long the row of a deleted key is kept, without its private part.
const REMEMBERED: Duration = Duration::from_hours(30 * 24);

/// A key that was made to replace others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewKey {
    /// Its name.
    pub kid: KeyId,
    /// When it begins to sign.
    pub signs_from: Timestamp,
    /// When the keys before it retire.
    pub others_retire_at: Timestamp,
}

/// What followed from the revocation of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Successor {
    /// Another key signs, or will as planned.
    Present,
    /// A key that was waiting begins to sign earlier.
    Hastened {
        /// Which.
        kid: KeyId,
        /// When.
        signs_from: Timestamp,
    },
    /// A key was made.
    Made {
        /// Which.
        kid: KeyId,
        /// When it begins to sign.
        signs_from: Timestamp,
        /// Whether another signs until then.
        bridged: bool,
    },
}

/// When a key is made to replace the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// An operator wants it. Refused while one that was made before waits to sign.
    Wanted,
    /// An operator wants it, whatever waits.
    Forced,
    /// The newest key has signed for this long, or will have by the time that a new one may sign.
    Due {
        /// How long.
        after: Duration,
    },
}

/// Makes the first key. It signs at once.
pub async fn create_key(
    store: &Store,
    master: &MasterKey,
    algorithm: Algorithm,
    now: Timestamp,
) -> Result<KeyId, KeyError> {
    // Before the key is made: whoever holds a wrong master key should hear of that.
    plan::opens_all(&store.keys().await?, master)?;
    let made = ensure_first_key(store, master, algorithm, now).await?;
    made.ok_or(KeyError::NotFirst)
}

/// Makes a key if the store has none. Of replicas that start at once, one makes it; `None`: this one did not. It signs at
/// once, also on a replica whose clock is behind ours.
pub async fn ensure_first_key(
    store: &Store,
    master: &MasterKey,
    algorithm: Algorithm,
    now: Timestamp,
) -> Result<Option<KeyId>, KeyError> {
    if !store.keys().await?.is_empty() {
        return Ok(None);
    }
    let key = make(master, algorithm, now - CLOCK_SKEW)?;
    Ok(store.insert_first_key(&key).await?.then_some(key.kid))
}

/// Makes a key that replaces the others: published at once, it signs after [`PUBLICATION`]; those before it retire when
/// the last token that they may have signed has expired. `None`: there was no occasion. Refused unless the master key
/// opens every key that is there: whoever holds one of two master keys could not open the other's keys.
pub async fn rotate_key(
    store: &Store,
    master: &MasterKey,
    algorithm: Algorithm,
    occasion: Occasion,
    now: Timestamp,
) -> Result<Option<NewKey>, KeyError> {
    // Whether it comes to nothing is seen without making a key, which takes a while.
    if plan::rotation(&store.keys().await?, master, None, occasion, now)?
        .1
        .is_none()
    {
        return Ok(None);
    }
    let key = make_aside(master, algorithm, now).await?;
    store
        .change_keys(now, |keys| {
            plan::answered(plan::rotation(keys, master, Some(&key), occasion, now))
        })
        .await?
}

/// Revokes a key: every replica refuses its tokens as soon as it knows, and none loads it any more. Where no other key
/// signs now or will, one is made; where none could sign by now, it begins after `learned`, by when every replica has read
/// the keys again because of the revocation.
pub async fn revoke_key(
    store: &Store,
    master: &MasterKey,
    algorithm: Algorithm,
    kid: &KeyId,
    learned: Duration,
    clock: &Clock,
) -> Result<Successor, KeyError> {
    let key = make_aside(master, algorithm, clock.now()).await?;
    // Not from before it was made: that may have taken as long as the replicas are given.
    let now = clock.now();
    store
        .change_keys(now, |keys| {
            plan::answered(plan::revocation(keys, master, kid, &key, learned, now))
        })
        .await?
}

/// Seals all keys with another master key, or none if one does not open with the old one. Says how many there are.
pub async fn reseal_keys(store: &Store, old: &MasterKey, new: &MasterKey, now: Timestamp) -> Result<usize, KeyError> {
    store
        .change_keys(now, |keys| plan::answered(plan::resealing(keys, old, new)))
        .await?
}

/// Deletes the keys whose time is over, their private parts above all, and forgets those that were deleted long ago. Says
/// which it deleted.
pub(super) async fn delete_retired(store: &Store, now: Timestamp) -> Result<Vec<KeyId>, KeyError> {
    let deleted = store.change_keys(now, |keys| plan::deletion(keys, now)).await?;
    store.forget_keys(now - REMEMBERED).await?;
    Ok(deleted)
}

/// Whether [`delete_retired`] would delete one of these.
pub(super) fn is_deletion_due(keys: &[StoredKey], now: Timestamp) -> bool {
    !plan::deletion(keys, now).1.is_empty()
}

/// Makes a key off the async threads.
async fn make_aside(master: &MasterKey, algorithm: Algorithm, now: Timestamp) -> Result<StoredKey, KeyError> {
    let private = tokio::task::spawn_blocking(move || key::generate(algorithm)).await;
    seal(master, algorithm, &private.map_err(|_| KeyError::Generate)??, now)
}
