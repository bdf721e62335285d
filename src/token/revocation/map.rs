//! [`Map`]: ids of 16 bytes with what is refused of each, compact and sharded.
//!
//! An entry takes 29 bytes and its share of the free room, 33 to 67 in all. A lookup takes one lock of 1024, which others
//! hold for as long as one insertion takes, or the tidying of a thousandth of the map. Ids may be chosen by whoever shares a
//! secret with us, so the hash is a keyed one (`SipHash`), for the shard as well as within it.

use std::collections::HashMap;
use std::collections::hash_map::{Entry as Place, RandomState};
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Of how many steps one walk through the whole map consists.
pub(super) const STEPS: usize = 64;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Id(pub(super) [u8; 16]);

impl Hash for Id {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Without the length, which a slice would add.
        state.write(&self.0);
    }
}

/// What is refused of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The last generation that is refused. What has no generations counts as `u32::MAX`.
    pub(super) up_to: u32,
    /// When it may be forgotten, in seconds of the monotonic clock since a moment that the owner of the map knows.
    pub(super) forget_at: u32,
    /// When all that it covers has expired, in seconds since 1970, rounded down.
    pub(super) expires_at: u32,
}

impl Entry {
    /// The stronger of both in each respect.
    fn merge(self, other: Self) -> Self {
        Self {
            up_to: self.up_to.max(other.up_to),
            forget_at: self.forget_at.max(other.forget_at),
            expires_at: self.expires_at.max(other.expires_at),
        }
    }

    /// Whether `other` would add nothing. An entry of the same expiry may have to live longer than this one: when it was
    /// read again, the wall clock had been set back.
    fn covers(self, other: Self) -> bool {
        self.up_to >= other.up_to && self.forget_at >= other.forget_at && self.expires_at >= other.expires_at
    }
}

type Shard = HashMap<Id, Entry, RandomState>;

pub(super) struct Map {
    shards: Box<[RwLock<Shard>]>,
    hasher: RandomState,
    len: AtomicU64,
}

impl Map {
    /// An empty map in so many parts. Of one that stays empty, a lookup is the read of one number.
    pub(super) fn new(shards: usize) -> Self {
        let hasher = RandomState::new();
        let shard = |_| RwLock::new(HashMap::with_hasher(hasher.clone()));
        Self {
            shards: (0..shards.max(1)).map(shard).collect(),
            hasher,
            len: AtomicU64::new(0),
        }
    }

    pub(super) fn get(&self, id: Id) -> Option<Entry> {
        if self.len() == 0 {
            return None;
        }
        read(self.shard(id)).get(&id).copied()
    }

    /// Takes an entry in, effective when this returns. One that is there is never weakened. Where the map needs to be
    /// written, the entry lives for `spare` seconds longer than it has to.
    pub(super) fn apply(&self, id: Id, entry: Entry, spare: u32) {
        let shard = self.shard(id);
        if read(shard).get(&id).is_some_and(|known| known.covers(entry)) {
            return;
        }
        let entry = Entry {
            forget_at: entry.forget_at.saturating_add(spare),
            ..entry
        };
        match write(shard).entry(id) {
            Place::Occupied(mut known) => {
                let merged = known.get().merge(entry);
                known.insert(merged);
            }
            Place::Vacant(place) => {
                place.insert(entry);
                // Under the lock, so that it is never less than what has been removed.
                self.len.fetch_add(1, Ordering::AcqRel);
            }
        }
    }

    /// Forgets what may be forgotten at `now` in one of the [`STEPS`] parts of the map, and gives back memory that a peak
    /// has left. Whoever looks something up meanwhile waits for one shard at the most.
    pub(super) fn tidy(&self, step: usize, now: u32) {
        for shard in self.part(step) {
            let over = |entry: &Entry| entry.forget_at <= now;
            if !read(shard).values().any(over) {
                continue;
            }
            let mut shard = write(shard);
            let before = shard.len();
            shard.retain(|_, entry| !over(entry));
            if shard.len() * 4 < shard.capacity() {
                let room = shard.len() * 2;
                shard.shrink_to(room);
            }
            self.len.fetch_sub((before - shard.len()) as u64, Ordering::AcqRel);
        }
    }

    /// Calls `found` with each entry of one of the [`STEPS`] parts of the map. Who writes meanwhile waits for one shard at the
    /// most; what is written meanwhile may be missing.
    pub(super) fn each(&self, step: usize, mut found: impl FnMut(Id, Entry)) {
        for shard in self.part(step) {
            for (id, entry) in &*read(shard) {
                found(*id, *entry);
            }
        }
    }

    fn part(&self, step: usize) -> impl Iterator<Item = &RwLock<Shard>> {
        let part = self.shards.len().div_ceil(STEPS);
        self.shards.iter().skip(step * part).take(part)
    }

    pub(super) fn len(&self) -> u64 {
        self.len.load(Ordering::Acquire)
    }

    /// How many entries fit without more memory.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.shards.iter().map(|shard| read(shard).capacity()).sum()
    }

    fn shard(&self, id: Id) -> &RwLock<Shard> {
        // Bits that say nothing about the place within the shard: that is chosen by the lowest and the seven highest.
        let hash = usize::try_from(self.hasher.hash_one(id) >> 32 & 0xff_ffff).unwrap_or(0);
        &self.shards[hash % self.shards.len()]
    }
}

// Each entry is whole at any moment: a thread that panicked has left nothing half done.

fn read(shard: &RwLock<Shard>) -> RwLockReadGuard<'_, Shard> {
    shard.read().unwrap_or_else(PoisonError::into_inner)
}

fn write(shard: &RwLock<Shard>) -> RwLockWriteGuard<'_, Shard> {
    shard.write().unwrap_or_else(PoisonError::into_inner)
}
