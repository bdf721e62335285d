//! The revocations themselves, in a concurrent map whose entries expire.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::sync::Cache;

use crate::id::{KeyDigest, SessionId, TokenId};
use crate::store::{Revocation, Revoked};
use crate::time::{self, Timestamp};

/// How long an entry lives at the least, even if it seems to have expired already: a wall clock may be wrong for a
/// while and be set back, and then the token would be good again. Longer than the usual interval between full re-reads.
const AT_LEAST: Duration = Duration::from_mins(5);

/// How much longer than it has to an entry lives, so that the next polls, which work its end out anew from both clocks and
/// get it a little later, find that it lives long enough.
const SPARE: Duration = Duration::from_mins(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Target {
    Token(TokenId),
    Session(SessionId),
    Key(KeyDigest),
}

/// A token and a key count as generation `u32::MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    up_to: u32,
    expires_at: Timestamp,
    /// When it may be forgotten, by the monotonic clock: moka's.
    forget_at: Instant,
}

impl Entry {
    /// The stronger of both in each respect.
    fn merge(self, other: Self) -> Self {
        Self {
            up_to: self.up_to.max(other.up_to),
            expires_at: self.expires_at.max(other.expires_at),
            forget_at: self.forget_at.max(other.forget_at),
        }
    }

    /// Whether `other` would add nothing. An entry of the same expiry may have to live longer than this one: when it was
    /// read again, the wall clock had been set back.
    fn covers(self, other: Self) -> bool {
        self.up_to >= other.up_to && self.expires_at >= other.expires_at && self.forget_at >= other.forget_at
    }

    /// The same entry, with time to spare.
    fn with_spare(self) -> Self {
        Self {
            forget_at: self.forget_at + SPARE,
            ..self
        }
    }
}

struct UntilForgotten;

impl Expiry<Target, Entry> for UntilForgotten {
    fn expire_after_create(&self, _: &Target, entry: &Entry, created_at: Instant) -> Option<Duration> {
        Some(entry.forget_at.saturating_duration_since(created_at))
    }

    fn expire_after_update(
        &self,
        _: &Target,
        entry: &Entry,
        updated_at: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(entry.forget_at.saturating_duration_since(updated_at))
    }
}

pub(super) struct Entries {
    cache: Cache<Target, Entry>,
    /// Whether a signing key was ever revoked: until then, nobody has to look for one.
    any_key: AtomicBool,
}

impl Entries {
    pub(super) fn new() -> Self {
        // No capacity: with one, moka may refuse or evict an entry, and a revocation would be forgotten.
        Self {
            cache: Cache::builder().expire_after(UntilForgotten).build(),
            any_key: AtomicBool::new(false),
        }
    }

    pub(super) fn apply(&self, revocation: &Revocation, now: Timestamp) {
        let (target, up_to) = match revocation.target {
            Revoked::Token(id) => (Target::Token(id), u32::MAX),
            Revoked::Session { id, up_to } => (Target::Session(id), up_to),
            Revoked::Key(digest) => (Target::Key(digest), u32::MAX),
        };
        let lives_for = revocation.expires_at.since(now).max(AT_LEAST);
        let entry = Entry {
            up_to,
            expires_at: revocation.expires_at,
            forget_at: time::monotonic() + lives_for,
        };
        // Polls bring the same rows again and again: most need no write.
        if self.cache.get(&target).is_some_and(|known| known.covers(entry)) {
            return;
        }
        let entry = entry.with_spare();
        self.cache
            .entry(target)
            .and_upsert_with(|known| known.map_or(entry, |known| known.into_value().merge(entry)));
        if let Target::Key(_) = target {
            self.any_key.store(true, Ordering::Release);
        }
    }

    pub(super) fn has_token(&self, token: TokenId) -> bool {
        // Unlike `get`, this leaves no trace in moka's read log: it costs a lookup and nothing later.
        self.cache.contains_key(&Target::Token(token))
    }

    pub(super) fn has_session(&self, session: SessionId, generation: u32) -> bool {
        let target = Target::Session(session);
        self.cache.contains_key(&target) && self.cache.get(&target).is_some_and(|entry| generation <= entry.up_to)
    }

    pub(super) fn has_key(&self, key: KeyDigest) -> bool {
        self.any_key.load(Ordering::Acquire) && self.cache.contains_key(&Target::Key(key))
    }

    /// Removes what has expired, so that no request has to.
    pub(super) fn tidy(&self) {
        self.cache.run_pending_tasks();
    }

    pub(super) fn len(&self) -> u64 {
        self.cache.entry_count()
    }
}

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entries").field("len", &self.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn session(id: SessionId, up_to: u32, seconds: u64) -> Revocation {
        Revocation {
            target: Revoked::Session { id, up_to },
            expires_at: NOW + Duration::from_secs(seconds),
        }
    }

    #[test]
    fn a_session_is_refused_up_to_its_generation() {
        let entries = Entries::new();
        let id = SessionId::generate(NOW);
        entries.apply(&session(id, 3, 900), NOW);
        assert!(entries.has_session(id, 1) && entries.has_session(id, 3));
        assert!(!entries.has_session(id, 4));
        assert!(!entries.has_session(SessionId::generate(NOW), 1));
    }

    #[test]
    fn a_token_and_a_session_of_the_same_bytes_are_two_things() {
        let entries = Entries::new();
        let id = SessionId::generate(NOW);
        entries.apply(&session(id, u32::MAX, 900), NOW);
        assert!(!entries.has_token(TokenId::from_bytes(*id.as_bytes())));
    }

    #[test]
    fn a_revocation_that_seems_expired_is_kept_until_clocks_can_have_agreed() {
        let entries = Entries::new();
        let id = SessionId::generate(NOW);
        entries.apply(&session(id, 1, 0), NOW + Duration::from_hours(1));
        entries.tidy();
        assert!(entries.has_session(id, 1));
    }

    #[test]
    fn nothing_is_evicted_to_make_room() {
        let entries = Entries::new();
        let tokens: Vec<TokenId> = (0..50_000).map(|_| TokenId::generate(NOW)).collect();
        for token in &tokens {
            let target = Revoked::Token(*token);
            entries.apply(
                &Revocation {
                    target,
                    expires_at: NOW + Duration::from_mins(15),
                },
                NOW,
            );
        }
        entries.tidy();
        assert!(tokens.iter().all(|token| entries.has_token(*token)));
        assert_eq!(entries.len(), 50_000);
    }

    #[test]
    fn an_expiry_never_shrinks() {
        let entries = Entries::new();
        let id = SessionId::generate(NOW);
        let known = || entries.cache.get(&Target::Session(id)).unwrap();
        entries.apply(&session(id, 1, 9_000), NOW);
        let before = known();
        entries.apply(&session(id, 5, 900), NOW);
        assert_eq!(known(), Entry { up_to: 5, ..before });
    }

    #[test]
    fn a_revocation_that_seemed_expired_lives_to_its_end_once_the_clock_is_set_back() {
        let entries = Entries::new();
        let id = SessionId::generate(NOW);
        let revoked = session(id, 1, 3_600);
        entries.apply(&revoked, NOW + Duration::from_hours(2));
        entries.apply(&revoked, NOW);
        let known = entries.cache.get(&Target::Session(id)).unwrap();
        assert!(known.forget_at > time::monotonic() + Duration::from_secs(3_590));
    }

    #[test]
    fn the_same_revocation_read_again_is_not_written_again() {
        let entries = Entries::new();
        let id = SessionId::generate(NOW);
        let known = || entries.cache.get(&Target::Session(id)).unwrap();
        entries.apply(&session(id, 1, 10), NOW);
        let before = known();
        std::thread::sleep(Duration::from_millis(2));
        entries.apply(&session(id, 1, 10), NOW);
        assert_eq!(known(), before);
    }

    proptest! {
        #[test]
        fn revocations_add_up_in_any_order(generations in proptest::collection::vec((0_u32..9, 1_u64..9_000), 1..9)) {
            let entries = Entries::new();
            let id = SessionId::generate(NOW);
            for (up_to, seconds) in &generations {
                entries.apply(&session(id, *up_to, *seconds), NOW);
            }
            let highest = generations.iter().map(|(up_to, _)| *up_to).max().unwrap();
            let latest = generations.iter().map(|(_, seconds)| *seconds).max().unwrap();
            prop_assert!(entries.has_session(id, highest) && !entries.has_session(id, highest + 1));
            let known = entries.cache.get(&Target::Session(id)).unwrap();
            prop_assert_eq!(known.expires_at, NOW + Duration::from_secs(latest));
        }
    }

    #[test]
    fn concurrent_revocations_of_one_session_leave_the_highest() {
        for _ in 0..200 {
            let entries = Entries::new();
            let id = SessionId::generate(NOW);
            std::thread::scope(|scope| {
                for up_to in 1..=4 {
                    let entries = &entries;
                    scope.spawn(move || entries.apply(&session(id, up_to, 900), NOW));
                }
            });
            assert!(entries.has_session(id, 4));
        }
    }
}
