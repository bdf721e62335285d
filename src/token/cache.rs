//! Tokens that were verified before, so that each costs one public-key operation and not one per request.
//!
//! Only successes are kept, each beside the whole text that it stands for: what differs from that in one byte is not known. An
//! entry goes soon after its token has expired, and sooner when room is needed, which costs a verification and nothing else.
//!
//! It is a table of many small sets. A text has one set where it can be, found by a hash that nobody outside can know; whoever
//! asks reads that set alone, and waits only for who puts something into that very set at the same time. When all is full, the
//! one goes that was asked for the longest time ago among those of a few sets. Nothing is done in the background, and a hit
//! writes nothing that others read, but for a number now and then.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use crate::time::monotonic;

/// What counts as one token for the capacity, in bytes: more than one of ours takes. A longer one counts as several, so
/// that the memory is bounded and not only the number.
const UNIT_BYTES: usize = 2 * 1024;

/// How many entries a set has on the average when the table is full, and at the most.
const USUAL: u64 = 4;
const MOST: usize = 16;

/// How many sets get their memory at once, when the first of them is needed.
const BLOCK: usize = 64;

/// Among how many sets beside its own the oldest entry is looked for that makes room for another.
const LOOKED_AT: usize = 3;

/// How many times more it is looked for where those were empty.
const TRIES: usize = 8;

/// How much of the end of a text finds its set: all of a signature of 64 bytes, so that nobody can try the bytes of a token
/// one by one whose signature they don't have.
const TAIL: usize = 96;

/// Values by the text that each was made of. It holds at most the memory of `capacity` usual tokens, two KiB of text and all
/// that is read out of it for each.
pub(super) struct Cache<V> {
    blocks: Box<[OnceLock<Block<V>>]>,
    sets: usize,
    hasher: RandomState,
    capacity: u64,
    /// What the entries count for, and how many they are.
    weight: AtomicU64,
    len: AtomicU64,
    /// How many were ever put in: the time by which it is told who was asked for when.
    turn: AtomicU32,
    /// Where room is made next, beside the place where it is needed.
    hand: AtomicUsize,
}

type Block<V> = Box<[Set<V>]>;
type Set<V> = RwLock<Vec<Slot<V>>>;

struct Slot<V> {
    hash: u64,
    text: Box<str>,
    value: V,
    weight: u64,
    asked: AtomicU32,
    forget_at: Instant,
}

impl<V: Clone> Cache<V> {
    /// Room for `capacity` tokens of usual length.
    pub(super) fn new(capacity: u64) -> Self {
        let sets = usize::try_from(capacity.div_ceil(USUAL)).unwrap_or(usize::MAX).max(1);
        Self {
            blocks: (0..sets.div_ceil(BLOCK)).map(|_| OnceLock::new()).collect(),
            sets,
            hasher: RandomState::new(),
            capacity,
            weight: AtomicU64::new(0),
            len: AtomicU64::new(0),
            turn: AtomicU32::new(0),
            hand: AtomicUsize::new(0),
        }
    }

    /// What this very text stands for.
    pub(super) fn get(&self, text: &[u8]) -> Option<V> {
        let hash = self.hash(text);
        let set = read(self.made(self.place(hash))?);
        let slot = set.iter().find(|slot| slot.is(hash, text))?;
        let turn = self.turn.load(Ordering::Relaxed);
        // Unless it is news, nothing is written that other workers would have to fetch.
        if slot.asked.load(Ordering::Relaxed) != turn {
            slot.asked.store(turn, Ordering::Relaxed);
        }
        Some(slot.value.clone())
    }

    /// Remembers what a text stands for, for so long at the most.
    pub(super) fn remember(&self, text: &str, value: V, lives_for: Duration) {
        let now = monotonic();
        let weight = text.len().div_ceil(UNIT_BYTES).max(1) as u64;
        let Some(forget_at) = now.checked_add(lives_for) else {
            return;
        };
        let hash = self.hash(text.as_bytes());
        let place = self.place(hash);
        // What has expired goes, though its room is not needed: all sets have had their turn after so many new tokens.
        self.tidy_one(self.next(), now);
        if !self.make_room(place, weight, now) {
            return;
        }
        let slot = Slot {
            hash,
            text: text.into(),
            value,
            weight,
            asked: AtomicU32::new(self.turn.fetch_add(1, Ordering::Relaxed).wrapping_add(1)),
            forget_at,
        };
        let mut set = write(self.set(place));
        let before = set.iter().position(|slot| slot.is(hash, text.as_bytes()));
        let before = before.or_else(|| {
            if set.len() < MOST {
                None
            } else {
                self.oldest(&set, now).map(|(_, at)| at)
            }
        });
        let gone = before.map(|at| set.swap_remove(at));
        set.push(slot);
        self.len.fetch_add(1, Ordering::Relaxed);
        drop(set);
        self.let_go(gone.as_slice());
    }

    /// Counts so much more, once what is oldest has gone for it; `false`: there is no room.
    fn make_room(&self, place: usize, weight: u64, now: Instant) -> bool {
        let mut tries = TRIES;
        loop {
            let taken = self.weight.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
                taken.checked_add(weight).filter(|taken| *taken <= self.capacity)
            });
            if taken.is_ok() {
                return true;
            }
            let looked_at = std::iter::once(place).chain((0..LOOKED_AT).map(|_| self.next()));
            let oldest = looked_at.filter_map(|place| {
                let set = read(self.made(place)?);
                let (age, at) = self.oldest(&set, now)?;
                Some((age, place, set[at].hash))
            });
            match oldest.max() {
                Some((_, place, hash)) => self.remove(place, hash),
                None if tries == 0 => return false,
                None => tries -= 1,
            }
        }
    }

    fn remove(&self, place: usize, hash: u64) {
        let mut set = write(self.set(place));
        // Somebody else may have been faster.
        let at = set.iter().position(|slot| slot.hash == hash);
        let gone = at.map(|at| set.swap_remove(at));
        drop(set);
        self.let_go(gone.as_slice());
    }

    /// Which of a set goes first, and its age: one that has expired, or the one that was asked for the longest time ago.
    fn oldest(&self, set: &[Slot<V>], now: Instant) -> Option<(u32, usize)> {
        let turn = self.turn.load(Ordering::Relaxed);
        let age = |slot: &Slot<V>| {
            let age = turn.wrapping_sub(slot.asked.load(Ordering::Relaxed));
            if slot.forget_at <= now { u32::MAX } else { age }
        };
        set.iter().enumerate().map(|(at, slot)| (age(slot), at)).max()
    }

    fn tidy_one(&self, place: usize, now: Instant) {
        let over = |slot: &Slot<V>| slot.forget_at <= now;
        let Some(set) = self.made(place) else { return };
        if !read(set).iter().any(over) {
            return;
        }
        let mut set = write(set);
        let gone: Vec<Slot<V>> = set.extract_if(.., |slot| over(slot)).collect();
        set.shrink_to_fit();
        drop(set);
        self.let_go(&gone);
    }

    /// Takes off what these counted for.
    fn let_go(&self, gone: &[Slot<V>]) {
        let weight = gone.iter().map(|slot| slot.weight).sum();
        self.weight.fetch_sub(weight, Ordering::Relaxed);
        self.len.fetch_sub(gone.len() as u64, Ordering::Relaxed);
    }

    /// Lets go of all that has expired.
    #[cfg(test)]
    pub(super) fn tidy(&self) {
        (0..self.sets).for_each(|place| self.tidy_one(place, monotonic()));
    }

    fn next(&self) -> usize {
        self.hand.fetch_add(1, Ordering::Relaxed) % self.sets
    }

    fn hash(&self, text: &[u8]) -> u64 {
        self.hasher.hash_one(&text[text.len().saturating_sub(TAIL)..])
    }

    fn place(&self, hash: u64) -> usize {
        // The upper half of the product is as evenly spread as the hash.
        let place = (u128::from(hash) * self.sets as u128) >> u64::BITS;
        usize::try_from(place).unwrap_or(0)
    }

    /// A set, if there ever was something in it or in its neighbours.
    fn made(&self, place: usize) -> Option<&Set<V>> {
        self.blocks.get(place / BLOCK)?.get()?.get(place % BLOCK)
    }

    fn set(&self, place: usize) -> &Set<V> {
        let block = self.blocks[place / BLOCK].get_or_init(|| (0..BLOCK).map(|_| RwLock::default()).collect());
        &block[place % BLOCK]
    }
}

impl<V> Cache<V> {
    /// How many are remembered.
    pub(super) fn len(&self) -> u64 {
        self.len.load(Ordering::Relaxed)
    }
}

impl<V> Slot<V> {
    fn is(&self, hash: u64, text: &[u8]) -> bool {
        self.hash == hash && self.text.as_bytes() == text
    }
}

/// The texts are tokens: they are not shown.
impl<V> fmt::Debug for Cache<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

// Each slot is whole at any moment: a thread that panicked has left nothing half done.

fn read<T>(set: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    set.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(set: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    set.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
