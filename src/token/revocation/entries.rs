//! The revocations themselves: what is refused, and for how long it must be remembered.
//!
//! The memory of one goes by the monotonic clock, so that no step of the wall clock shortens it. Nothing is evicted to make
//! room; what has expired is removed by [`Entries::tidy`], on the task that polls, and never by a request.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::map::{Entry, Id, Map, STEPS};
use crate::id::{KeyDigest, SessionId, TokenId};
use crate::store::{Revocation, Revoked};
use crate::time::{self, Timestamp};

/// How long an entry lives at the least, even if it seems to have expired already: a wall clock may be wrong for a
/// while and be set back, and then the token would be good again. Longer than the usual interval between full re-reads.
const AT_LEAST: Duration = Duration::from_mins(5);

/// How much longer than it has to an entry lives, in seconds, so that the next polls, which work its end out anew from both
/// clocks and get it a little later, find that it lives long enough: most need no write.
const SPARE: u32 = 60;

/// A million entries make shards of a thousand.
const SHARDS: usize = 1024;

pub(super) struct Entries {
    tokens: Map,
    sessions: Map,
    /// Few or none, and asked for with each token.
    keys: Map,
    /// What the maps count seconds from.
    started: Instant,
    /// Which part is tidied next.
    step: AtomicUsize,
}

impl Entries {
    pub(super) fn new() -> Self {
        Self {
            tokens: Map::new(SHARDS),
            sessions: Map::new(SHARDS),
            keys: Map::new(1),
            started: time::monotonic(),
            step: AtomicUsize::new(0),
        }
    }

    /// `at` is when this happens, and `now` the same moment or one before it: then the entry lives longer than it has to.
    pub(super) fn apply(&self, revocation: &Revocation, now: Timestamp, at: Instant) {
        let lives_for = revocation.expires_at.since(now).max(AT_LEAST);
        let forget_at = self.seconds(at, lives_for);
        let (map, up_to) = match revocation.target {
            Revoked::Token(_) => (&self.tokens, u32::MAX),
            Revoked::Session { up_to, .. } => (&self.sessions, up_to),
            Revoked::Key(_) => (&self.keys, u32::MAX),
        };
        let id = Id(*revocation.target.value());
        let entry = Entry {
            up_to,
            forget_at,
            expires_at: u32::try_from(revocation.expires_at.unix_seconds().max(0)).unwrap_or(u32::MAX),
        };
        map.apply(id, entry, SPARE);
    }

    /// The seconds from the start to so long after `at`, rounded up. A token of a time that they can't count to is
    /// remembered for as long as this process can live: 136 years.
    fn seconds(&self, at: Instant, after: Duration) -> u32 {
        let since = at.saturating_duration_since(self.started).saturating_add(after);
        u32::try_from(since.as_secs()).map_or(u32::MAX, |seconds| seconds.saturating_add(1))
    }

    // An entry that has expired and was not removed yet refuses what has expired as well: no lookup asks a clock.

    pub(super) fn has_token(&self, token: TokenId) -> bool {
        self.tokens.get(Id(*token.as_bytes())).is_some()
    }

    pub(super) fn has_session(&self, session: SessionId, generation: u32) -> bool {
        let entry = self.sessions.get(Id(*session.as_bytes()));
        entry.is_some_and(|entry| generation <= entry.up_to)
    }

    pub(super) fn has_key(&self, key: KeyDigest) -> bool {
        self.keys.get(Id(*key.as_bytes())).is_some()
    }

    /// Those that `wanted` takes in one of the [`STEPS`] parts of the whole, each as it is known now, with its true expiry
    /// to the second. A million entries at once would hold up whatever else the thread has to do.
    pub(super) fn snapshot(&self, step: usize, wanted: impl Fn(&Revocation) -> bool) -> Vec<Revocation> {
        let mut found = Vec::new();
        let mut look = |map: &Map, target: fn([u8; 16], u32) -> Revoked| {
            map.each(step, |id, entry| {
                let revocation = Revocation {
                    target: target(id.0, entry.up_to),
                    expires_at: Timestamp::from_unix_seconds(entry.expires_at.into()),
                };
                if wanted(&revocation) {
                    found.push(revocation);
                }
            });
        };
        look(&self.tokens, |id, _| Revoked::Token(TokenId::from_bytes(id)));
        look(&self.sessions, |id, up_to| Revoked::Session {
            id: SessionId::from_bytes(id),
            up_to,
        });
        look(&self.keys, |id, _| Revoked::Key(KeyDigest::from_bytes(id)));
        found
    }

    /// Removes what has expired from one part of the whole: all of it has been gone through after [`STEPS`] calls.
    pub(super) fn tidy(&self, at: Instant) {
        let step = self.step.fetch_add(1, Ordering::Relaxed) % STEPS;
        let now = u32::try_from(at.saturating_duration_since(self.started).as_secs()).unwrap_or(u32::MAX);
        for map in [&self.tokens, &self.sessions, &self.keys] {
            map.tidy(step, now);
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.tokens.len() + self.sessions.len() + self.keys.len()
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

    impl Entries {
        fn take(&self, revocation: &Revocation, now: Timestamp) {
            self.apply(revocation, now, time::monotonic());
        }

        /// A snapshot of all parts.
        fn all(&self, wanted: impl Fn(&Revocation) -> bool) -> Vec<Revocation> {
            (0..STEPS).flat_map(|step| self.snapshot(step, &wanted)).collect()
        }

        fn known(&self, id: SessionId) -> Entry {
            self.sessions.get(Id(*id.as_bytes())).unwrap()
        }

        /// Removes what has expired so long after the start, from all parts.
        fn tidy_after(&self, time: Duration) {
            (0..STEPS).for_each(|_| self.tidy(self.started + time));
        }
    }

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
        entries.take(&session(id, 3, 900), NOW);
        assert!(entries.has_session(id, 1) && entries.has_session(id, 3));
        assert!(!entries.has_session(id, 4));
        assert!(!entries.has_session(SessionId::generate(NOW), 1));
    }

    #[test]
    fn a_token_a_session_and_a_key_of_the_same_bytes_are_three_things() {
        let id = SessionId::generate(NOW);
        let (token, key) = (
            TokenId::from_bytes(*id.as_bytes()),
            KeyDigest::from_bytes(*id.as_bytes()),
        );
        let targets = [
            Revoked::Token(token),
            Revoked::Session { id, up_to: 1 },
            Revoked::Key(key),
        ];
        for target in targets {
            let entries = Entries::new();
            let expires_at = NOW + AT_LEAST;
            entries.take(&Revocation { target, expires_at }, NOW);
            let found = [
                entries.has_token(token),
                entries.has_session(id, 1),
                entries.has_key(key),
            ];
            assert_eq!(found, targets.map(|other| other == target));
            entries.tidy_after(AT_LEAST * 2);
            assert_eq!(entries.len(), 0);
        }
    }

    #[test]
    fn a_revocation_that_seems_expired_is_kept_until_clocks_can_have_agreed() {
        let entries = Entries::new();
        let id = SessionId::generate(NOW);
        entries.take(&session(id, 1, 0), NOW + Duration::from_hours(1));
        entries.tidy_after(AT_LEAST);
        assert!(entries.has_session(id, 1));
    }

    #[test]
    fn nothing_is_evicted_to_make_room() {
        let entries = Entries::new();
        let tokens: Vec<TokenId> = (0..50_000).map(|_| TokenId::generate(NOW)).collect();
        for token in &tokens {
            let target = Revoked::Token(*token);
            entries.take(
                &Revocation {
                    target,
                    expires_at: NOW + Duration::from_mins(15),
                },
                NOW,
            );
        }
        entries.tidy_after(Duration::from_mins(15));
        assert!(tokens.iter().all(|token| entries.has_token(*token)));
        assert_eq!(entries.len(), 50_000);
    }

    #[test]
    fn what_has_expired_is_removed_a_part_at_a_time_and_its_memory_given_back() {
        let entries = Entries::new();
        for number in 0..100_000 {
            entries.take(
                &session(SessionId::generate(NOW), 1, if number % 100 == 0 { 9_000 } else { 900 }),
                NOW,
            );
        }
        let (peak, later) = (
            entries.sessions.capacity(),
            entries.started + Duration::from_secs(1_000),
        );
        let mut before = entries.len();
        for _ in 0..STEPS {
            entries.tidy(later);
            let removed = before - entries.len();
            assert!((1..=100_000 / STEPS as u64 * 2).contains(&removed), "{removed} at once");
            before = entries.len();
        }
        assert_eq!(before, 1_000);
        assert!(entries.sessions.capacity() < peak / 10);
        entries.tidy_after(Duration::from_secs(10_000));
        assert_eq!((entries.len(), entries.sessions.capacity()), (0, 0));
    }

    #[test]
    fn a_revocation_until_the_end_of_all_time_is_kept() {
        let (entries, id) = (Entries::new(), SessionId::generate(NOW));
        let expires_at = Timestamp::from_unix_ms(i64::MAX);
        let target = Revoked::Session { id, up_to: 1 };
        entries.take(&Revocation { target, expires_at }, NOW);
        entries.tidy_after(Duration::from_hours(24 * 365 * 100));
        assert!(entries.has_session(id, 1));
    }

    #[test]
    fn an_id_is_found_whatever_it_is_made_of() {
        // As one could choose them who shares a secret with us: nothing but the last, the first or a middle byte differs.
        let entries = Entries::new();
        let chosen = |place: usize| {
            (0..=255).map(move |byte| {
                let mut id = [7; 16];
                id[place] = byte;
                TokenId::from_bytes(id)
            })
        };
        let ids: Vec<TokenId> = [0, 7, 15].into_iter().flat_map(chosen).collect();
        for id in ids.iter().step_by(2) {
            let target = Revoked::Token(*id);
            let expires_at = NOW + AT_LEAST;
            entries.take(&Revocation { target, expires_at }, NOW);
        }
        let sevens = TokenId::from_bytes([7; 16]);
        for (number, id) in ids.iter().enumerate() {
            // The one that is all sevens is among each of the three, every time at an odd place.
            assert_eq!(entries.has_token(*id), number % 2 == 0 && *id != sevens, "{id}");
        }
    }

    #[test]
    fn a_snapshot_has_every_revocation_as_it_is_known() {
        let entries = Entries::new();
        let id = SessionId::generate(NOW);
        let targets = [
            Revoked::Token(TokenId::generate(NOW)),
            Revoked::Key(KeyDigest::from_bytes([7; 16])),
            Revoked::Session { id, up_to: 3 },
        ];
        let expires_at = NOW + Duration::from_mins(15);
        for target in targets {
            entries.take(&Revocation { target, expires_at }, NOW);
        }
        entries.take(&session(id, 1, 9_000), NOW);
        let known = entries.all(|_| true);
        assert_eq!(known.len(), 3);
        for target in &targets[..2] {
            assert!(known.contains(&Revocation {
                target: *target,
                expires_at
            }));
        }
        assert!(
            known.contains(&session(id, 3, 9_000)),
            "the stronger of both in each respect"
        );
        assert_eq!(
            entries.all(|known| known.expires_at > expires_at),
            [session(id, 3, 9_000)]
        );
    }

    #[test]
    fn a_snapshot_is_taken_a_part_at_a_time() {
        let entries = Entries::new();
        for _ in 0..100_000 {
            entries.take(&session(SessionId::generate(NOW), 1, 900), NOW);
        }
        let parts: Vec<usize> = (0..STEPS).map(|step| entries.snapshot(step, |_| true).len()).collect();
        assert_eq!(parts.iter().sum::<usize>(), 100_000);
        let most = 100_000 / STEPS * 2;
        assert!(parts.iter().all(|part| *part <= most), "{parts:?}");
    }

    #[test]
    fn an_expiry_never_shrinks() {
        let entries = Entries::new();
        let id = SessionId::generate(NOW);
        entries.take(&session(id, 1, 9_000), NOW);
        let before = entries.known(id);
        entries.take(&session(id, 5, 900), NOW);
        assert_eq!(entries.known(id), Entry { up_to: 5, ..before });
    }

    #[test]
    fn a_revocation_that_seemed_expired_lives_to_its_end_once_the_clock_is_set_back() {
        let entries = Entries::new();
        let id = SessionId::generate(NOW);
        let revoked = session(id, 1, 3_600);
        entries.take(&revoked, NOW + Duration::from_hours(2));
        entries.take(&revoked, NOW);
        entries.tidy_after(Duration::from_secs(3_600));
        assert!(entries.has_session(id, 1));
    }

    #[test]
    fn the_same_revocation_read_again_is_not_written_again() {
        let entries = Entries::new();
        let id = SessionId::generate(NOW);
        entries.take(&session(id, 1, 10), NOW);
        let before = entries.known(id);
        std::thread::sleep(Duration::from_millis(2));
        entries.take(&session(id, 1, 10), NOW);
        assert_eq!(entries.known(id), before);
    }

    proptest! {
        #[test]
        fn revocations_add_up_in_any_order(generations in proptest::collection::vec((0_u32..9, 1_u64..9_000), 1..9)) {
            let entries = Entries::new();
            let id = SessionId::generate(NOW);
            for (up_to, seconds) in &generations {
                entries.take(&session(id, *up_to, *seconds), NOW);
            }
            let highest = generations.iter().map(|(up_to, _)| *up_to).max().unwrap();
            let latest = generations.iter().map(|(_, seconds)| *seconds).max().unwrap();
            prop_assert!(entries.has_session(id, highest) && !entries.has_session(id, highest + 1));
            entries.tidy_after(Duration::from_secs(latest));
            prop_assert!(entries.has_session(id, highest));
            entries.tidy_after(Duration::from_secs(latest.max(AT_LEAST.as_secs()) + u64::from(SPARE) + 2));
            prop_assert!(!entries.has_session(id, 0));
            prop_assert_eq!(entries.len(), 0);
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
                    scope.spawn(move || entries.take(&session(id, up_to, 900), NOW));
                }
            });
            assert!(entries.has_session(id, 4));
        }
    }
}
