//! Tokens that were verified before, so that each costs one public-key operation and not one per request.
//!
//! Only successes are kept, by a digest of the whole text: a token with another signature is another entry. An entry is
//! gone when its token expires, and sooner when room is needed, which costs a verification and nothing else.

use std::fmt;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest as sha256};
use moka::Expiry;

use super::Accepted;
use crate::time::Timestamp;

/// SHA-256 of a token's text.
pub(super) type Digest = [u8; 32];

/// What counts as one token for the capacity, in bytes: more than one of ours takes. A longer one counts as several, so
/// that the memory is bounded and not only the number.
const UNIT_BYTES: usize = 2 * 1024;

pub(super) fn digest(token: &str) -> Digest {
    let mut digest = [0; 32];
    digest.copy_from_slice(sha256(&SHA256, token.as_bytes()).as_ref());
    digest
}

#[derive(Clone)]
struct Entry {
    accepted: Accepted,
    weight: u32,
    lives_for: Duration,
}

struct UntilExpired;

impl Expiry<Digest, Entry> for UntilExpired {
    fn expire_after_create(&self, _: &Digest, entry: &Entry, _: Instant) -> Option<Duration> {
        Some(entry.lives_for)
    }

    fn expire_after_update(&self, _: &Digest, entry: &Entry, _: Instant, _: Option<Duration>) -> Option<Duration> {
        Some(entry.lives_for)
    }
}

pub(super) struct Cache {
    entries: moka::sync::Cache<Digest, Entry>,
    leeway: Duration,
}

impl Cache {
    /// Room for `capacity` tokens of usual length; an entry lives for `leeway` beyond its token's `exp`.
    pub(super) fn new(capacity: u64, leeway: Duration) -> Self {
        let entries = moka::sync::Cache::builder()
            .max_capacity(capacity)
            .weigher(|_, entry: &Entry| entry.weight)
            .expire_after(UntilExpired)
            .build();
        Self { entries, leeway }
    }

    pub(super) fn get(&self, digest: &Digest) -> Option<Accepted> {
        self.entries.get(digest).map(|entry| entry.accepted)
    }

    pub(super) fn remember(&self, digest: Digest, token_bytes: usize, accepted: Accepted, now: Timestamp) {
        let weight = u32::try_from(token_bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX);
        let lives_for = (accepted.expires_at() + self.leeway).since(now);
        self.entries.insert(
            digest,
            Entry {
                accepted,
                weight,
                lives_for,
            },
        );
    }

    /// Does now what moka does in its own time, so that the length is exact.
    #[cfg(test)]
    pub(super) fn tidy(&self) {
        self.entries.run_pending_tasks();
    }

    pub(super) fn len(&self) -> u64 {
        self.entries.entry_count()
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
