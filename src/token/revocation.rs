//! [`Blocklist`]: every unexpired revocation, in memory.
//!
//! A lookup is a memory read. What is applied here stays until it expires: there is no capacity, so nothing is evicted
//! to make room. Other replicas' revocations come by polling the store; when that has failed for too long, the answer
//! is [`Standing::Unknown`] and not a guess.

mod cursor;
mod entries;
mod map;
#[cfg(test)]
mod model;
mod poll;
mod runs;
mod stream;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::config::{self, OnStale};
use crate::id::{KeyDigest, SessionId, TokenId};
use crate::store::Revocation;
use crate::time::{self, Timestamp};

use cursor::Cursor;
use entries::Entries;
use stream::Place;

/// What is known about a token's revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Not revoked, as of the last poll.
    Live,
    /// Revoked.
    Revoked,
    /// Not known to be revoked, but what is known is too old to tell.
    Unknown,
}

/// How old the knowledge of other replicas' revocations is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// At most `revocation.max_staleness`.
    Fresh {
        /// The time since the last poll that succeeded began.
        age: Duration,
    },
    /// More than that.
    Stale {
        /// The time since the last poll that succeeded began.
        age: Duration,
    },
    /// The revocations have never been loaded.
    NeverLoaded,
}

impl Freshness {
    /// How old knowledge is at `now` whose last poll that succeeded, if any, began at `confirmed`.
    fn at(now: Instant, confirmed: Option<Instant>, max_staleness: Duration) -> Self {
        let Some(confirmed) = confirmed else {
            return Self::NeverLoaded;
        };
        let age = now.saturating_duration_since(confirmed);
        if age <= max_staleness {
            Self::Fresh { age }
        } else {
            Self::Stale { age }
        }
    }
}

/// Every unexpired revocation that this replica knows of.
#[derive(Debug)]
pub struct Blocklist {
    entries: Entries,
    config: config::Revocation,
    cursor: Mutex<Cursor>,
    /// Redis: where its stream is read on; `None` before everything was read.
    place: Mutex<Option<Place>>,
    /// Redis: whether all that was lost is written back.
    settled: AtomicBool,
    restored: AtomicU64,
    /// The instant that `confirmed` counts from.
    started: Instant,
    /// Milliseconds from `started` to the beginning of the last poll that succeeded; negative: never loaded.
    confirmed: AtomicI64,
    failures: AtomicU64,
    last_error: Mutex<Option<String>>,
    /// Told of each revocation that is made here and of each reading.
    news: Notify,
}

impl Blocklist {
    /// An empty list, which knows nothing yet: [`Blocklist::load`] it before it is asked.
    #[must_use]
    pub fn new(config: &config::Revocation) -> Self {
        Self {
            entries: Entries::new(),
            config: config.clone(),
            cursor: Mutex::new(Cursor::new(config.overlap)),
            place: Mutex::new(None),
            settled: AtomicBool::new(false),
            restored: AtomicU64::new(0),
            started: time::monotonic(),
            confirmed: AtomicI64::new(-1),
            failures: AtomicU64::new(0),
            last_error: Mutex::new(None),
            news: Notify::new(),
        }
    }

    /// Takes revocations in, effective when this returns. One that is known already is never weakened: neither its
    /// generation nor its time shrinks, whatever the order in which they come.
    pub fn apply(&self, revocations: &[Revocation], now: Timestamp) {
        let at = time::monotonic();
        for revocation in revocations {
            self.entries.apply(revocation, now, at);
        }
        self.news.notify_one();
    }

    /// Waits until there may be a revocation that is not known to whoever waits. For one task.
    pub(super) async fn news(&self) {
        self.news.notified().await;
    }

    /// What is known about a token of this session and generation. Never allocates.
    #[must_use]
    pub fn standing(&self, token: TokenId, session: SessionId, generation: u32) -> Standing {
        if self.is_revoked(token, session, generation) {
            return Standing::Revoked;
        }
        // Whoever handles a request has read the clock for it, after it had come: a gateway that stood still knows so here.
        self.standing_unless_revoked(time::recent())
    }

    /// What is known about what is not known to be revoked.
    pub(super) fn standing_unless_revoked(&self, now: Instant) -> Standing {
        match (self.status_at(now), self.config.on_stale) {
            (Freshness::Fresh { .. }, OnStale::Refuse | OnStale::Allow) | (Freshness::Stale { .. }, OnStale::Allow) => {
                Standing::Live
            }
            // Before the first load there is no "known last" that an operator could prefer to a 503.
            (Freshness::Stale { .. }, OnStale::Refuse) | (Freshness::NeverLoaded, OnStale::Refuse | OnStale::Allow) => {
                Standing::Unknown
            }
        }
    }

    /// Whether a token of this session and generation is known to be revoked.
    #[must_use]
    pub fn is_revoked(&self, token: TokenId, session: SessionId, generation: u32) -> bool {
        self.entries.has_token(token) || self.entries.has_session(session, generation)
    }

    /// Whether this token itself is known to be revoked, whatever became of its session.
    #[must_use]
    pub fn is_token_revoked(&self, token: TokenId) -> bool {
        self.entries.has_token(token)
    }

    /// Whether all tokens of this signing key are known to be revoked. While no key ever was, this costs one memory read.
    #[must_use]
    pub fn is_key_revoked(&self, key: KeyDigest) -> bool {
        self.entries.has_key(key)
    }

    /// How old the knowledge of other replicas' revocations is.
    #[must_use]
    pub fn status(&self) -> Freshness {
        self.status_at(time::monotonic())
    }

    fn status_at(&self, now: Instant) -> Freshness {
        let confirmed = u64::try_from(self.confirmed.load(Ordering::Acquire)).ok();
        let confirmed = confirmed.map(|milliseconds| self.started + Duration::from_millis(milliseconds));
        Freshness::at(now, confirmed, self.config.max_staleness)
    }

    /// Whether the operator lets tokens pass while revocations are not known.
    #[must_use]
    pub fn allows_stale(&self) -> bool {
        self.config.on_stale == OnStale::Allow
    }

    /// How many revocations are held, those among them that expired a short time ago and were not removed yet.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.entries.len()
    }

    /// Whether none is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many polls and full re-reads have failed since the start.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// How many revocations that Redis had lost were written back from here since the start; 0 without a Redis.
    #[must_use]
    pub fn restored(&self) -> u64 {
        self.restored.load(Ordering::Relaxed)
    }

    /// Why the last poll failed; `None` when it succeeded.
    #[must_use]
    pub fn last_error(&self) -> Option<String> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
