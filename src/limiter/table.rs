//! [`Table`]: what is remembered of clients, in bounded memory, so that whoever comes under many names gains nothing by it.
//!
//! An entry is 24 bytes, whatever the client is called: clients are known by a keyed hash of 128 bits, which nobody outside can
//! aim at. One that has its whole burst back says nothing and is removed when more room is needed. Nobody else is: a newcomer who
//! finds no room is counted together with all others of its part of the table who found none, so a flood of new clients slows
//! down newcomers, and lets nobody off.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::id::Principal;
use crate::rules::gcra::{Quota, Verdict};

/// How many parts the table has: requests wait for one another only within one.
const SHARDS: usize = 64;

/// How long a part is not looked through again for what can be removed, in nanoseconds.
const REST: u64 = 100_000_000;

/// What a client is counted by, beside the name of the limit.
#[derive(Hash)]
pub(super) enum Key<'a> {
    Everybody(&'a str),
    Address(&'a str, IpAddr),
    User(&'a str, &'a Principal),
}

/// A text that no two keys share: neither the name of a limit nor an address has a space in it.
impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everybody(limit) => write!(f, "{limit} all"),
            Self::Address(limit, address) => write!(f, "{limit} ip {address}"),
            Self::User(limit, principal) => write!(f, "{limit} user {principal}"),
        }
    }
}

impl Key<'_> {
    pub(super) fn limit(&self) -> &str {
        match self {
            Self::Everybody(limit) | Self::Address(limit, _) | Self::User(limit, _) => limit,
        }
    }
}

#[derive(Debug)]
pub(super) struct Table {
    shards: Vec<Mutex<Shard>>,
    hashers: [RandomState; 2],
    capacity: usize,
}

#[derive(Debug, Default)]
struct Shard {
    /// The arrival of each client.
    arrivals: HashMap<u128, u64, BuildHasherDefault<Taken>>,
    /// When it was last looked through.
    swept: Option<u64>,
}

/// Takes a key that is a hash already for one.
#[derive(Debug, Default)]
struct Taken(u64);

impl Hasher for Taken {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Only keys of 16 bytes come here, all of them as good as random.
        for (index, byte) in bytes.iter().take(8).enumerate() {
            self.0 |= u64::from(*byte) << (index * 8);
        }
    }

    fn write_u128(&mut self, key: u128) {
        self.0 = u64::try_from(key & u128::from(u64::MAX)).unwrap_or_default();
    }
}

impl Table {
    /// One that remembers as many clients, about.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hashers: [RandomState::new(), RandomState::new()],
            capacity,
        }
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// What becomes of a request, which counts if it passes.
    pub(super) fn judge(&self, key: &Key<'_>, quota: Quota, now: u64) -> Verdict {
        self.judge_by(key, key.limit(), quota, now)
    }

    /// The same by whatever it is counted by; those who find no room share what `pool` names.
    pub(super) fn judge_by(&self, key: &impl Hash, pool: &str, quota: Quota, now: u64) -> Verdict {
        let id = self.id(key);
        let mut shard = self.shard(id);
        if let Some(arrival) = shard.arrivals.get_mut(&id) {
            return count(arrival, quota, now);
        }
        let id = self.place(&mut shard, id, pool, now);
        count(shard.arrivals.entry(id).or_default(), quota, now)
    }

    /// What would become of a request of this one, which is not counted. Who is not known may come as long as those may who find
    /// no room and share what `pool` names; without a pool, in any case.
    pub(super) fn look(&self, key: &impl Hash, pool: Option<&str>, quota: Quota, now: u64) -> Verdict {
        let id = self.id(key);
        let mut shard = self.shard(id);
        let id = match pool {
            Some(pool) if !shard.arrivals.contains_key(&id) => self.place(&mut shard, id, pool, now),
            Some(_) | None => id,
        };
        let arrival = shard.arrivals.get(&id).copied();
        quota.judge(arrival.unwrap_or_default(), now)
    }

    /// Under which id a newcomer is counted: its own, where there is room, or that of the pool.
    fn place(&self, shard: &mut Shard, id: u128, pool: &str, now: u64) -> u128 {
        let most = self.capacity.div_ceil(SHARDS);
        // Not only once there is no room: who says nothing is no reason to take more memory either.
        if shard.arrivals.len() >= most.min(shard.arrivals.capacity()) {
            shard.sweep(now);
        }
        if shard.arrivals.len() < most {
            return id;
        }
        // One more entry for each limit: they are few.
        self.id(&("no room", pool))
    }

    fn shard(&self, id: u128) -> MutexGuard<'_, Shard> {
        let index = usize::try_from(id >> 122).unwrap_or_default() % SHARDS;
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn id(&self, key: &impl Hash) -> u128 {
        let [first, second] = &self.hashers;
        u128::from(first.hash_one(key)) << 64 | u128::from(second.hash_one(key))
    }
}

fn count(arrival: &mut u64, quota: Quota, now: u64) -> Verdict {
    let verdict = quota.judge(*arrival, now);
    if let Verdict::Passes { arrival: next, .. } = verdict {
        *arrival = next;
    }
    verdict
}

impl Shard {
    /// Removes who has the whole burst back.
    fn sweep(&mut self, now: u64) {
        if self.swept.is_none_or(|swept| swept.saturating_add(REST) <= now) {
            self.swept = Some(now);
            self.arrivals.retain(|_, arrival| *arrival > now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use std::time::Duration;

    const SECOND: u64 = 1_000_000_000;

    fn passes(table: &Table, client: u32, now: u64) -> bool {
        let quota = Quota::new(1, Duration::from_secs(1), 2).unwrap();
        let key = Key::Address("l", IpAddr::V4(Ipv4Addr::from(client)));
        matches!(table.judge(&key, quota, now), Verdict::Passes { .. })
    }

    fn entries(table: &Table) -> usize {
        table
            .shards
            .iter()
            .map(|shard| shard.lock().unwrap().arrivals.len())
            .sum()
    }

    #[test]
    fn a_million_clients_neither_grow_the_table_nor_let_anybody_off() {
        let table = Table::new(640);
        let now = 10 * SECOND;
        assert!(passes(&table, 7, now) && passes(&table, 7, now) && !passes(&table, 7, now));
        let passed = (1000..1_001_000).filter(|client| passes(&table, *client, now)).count();
        assert!(entries(&table) <= 640 + 2 * SHARDS, "{}", entries(&table));
        // Those who found room, and as many as one client may for each part of the table.
        assert!(passed <= 640 + 2 * SHARDS, "{passed}");
        assert!(!passes(&table, 7, now), "who has used up the limit is still known");
    }

    #[test]
    fn whoever_looks_sees_what_those_share_who_find_no_room() {
        let table = Table::new(640);
        let quota = Quota::new(1, Duration::from_secs(1), 2).unwrap();
        let looks = |client: u32, pool, now| {
            let key = Key::Address("l", IpAddr::V4(Ipv4Addr::from(client)));
            matches!(table.look(&key, pool, quota, now), Verdict::Passes { .. })
        };
        let newcomers = || 2_000_000..2_001_000;
        assert!(newcomers().all(|client| looks(client, Some("l"), SECOND)));
        assert_eq!(entries(&table), 0, "to look leaves nothing behind");
        let known = (0..2000).find(|client| passes(&table, *client, SECOND)).unwrap();
        for client in 2000..100_000 {
            passes(&table, client, SECOND);
        }
        assert!(
            looks(known, Some("l"), SECOND),
            "who is known has what is left of their own"
        );
        assert!(!newcomers().any(|client| looks(client, Some("l"), SECOND)));
        assert!(newcomers().all(|client| looks(client, Some("another"), SECOND)));
        assert!(newcomers().all(|client| looks(client, None, SECOND)));
        let later = 4 * SECOND;
        assert!(newcomers().all(|client| looks(client, Some("l"), later)));
    }

    #[test]
    fn there_is_room_again_when_those_who_came_have_their_burst_back() {
        let table = Table::new(640);
        assert!((0..5000).any(|client| !passes(&table, client, SECOND)));
        let later = 4 * SECOND;
        let newcomers = (10_000..10_050).filter(|client| passes(&table, *client, later)).count();
        assert_eq!(newcomers, 50);
        assert!(entries(&table) <= 640 + SHARDS);
    }

    #[test]
    fn who_has_the_burst_back_takes_no_memory_while_there_is_room_either() {
        let table = Table::new(64_000);
        for client in 0..200_000 {
            // A thousand a second, each of whom says nothing any more a second later.
            assert!(passes(&table, client, SECOND + u64::from(client) * SECOND / 1000));
        }
        let room: usize = table
            .shards
            .iter()
            .map(|shard| shard.lock().unwrap().arrivals.capacity())
            .sum();
        assert!(room <= 64 * SHARDS, "{room}");
    }

    #[test]
    fn a_limit_of_another_name_counts_apart() {
        let table = Table::new(64);
        let quota = Quota::new(1, Duration::from_secs(1), 1).unwrap();
        for name in ["a", "b"] {
            assert!(matches!(
                table.judge(&Key::Everybody(name), quota, SECOND),
                Verdict::Passes { .. }
            ));
            assert!(matches!(
                table.judge(&Key::Everybody(name), quota, SECOND),
                Verdict::Exceeds { .. }
            ));
        }
    }
}
