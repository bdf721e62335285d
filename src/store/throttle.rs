//! What has been tried, by whom and at what: shared by all gateways, so that a guess costs the same wherever it arrives.
//!
//! An attempt is taken before it is judged, in one transaction that locks what it is counted by, so that of a thousand at once
//! no more pass than the rules let. One that was no failure is given back. What the rules are is none of this room's business.

mod id;

pub use id::{AccountDigest, CounterId};

use std::net::IpAddr;
use std::time::Duration;

use super::audit::{Detail, Event, recorded};
use super::connection::Connection;
use super::error::Failure;
use super::sql::{Row, Sql, Value, delete_some, locking, values};
use super::work::run;
use super::{Store, StoreError};
use crate::id::Email;
use crate::rules::throttle::{Count, Delays, Kind, Rule};
use crate::time::Timestamp;

/// One thing that an attempt is counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter {
    /// What it is.
    pub kind: Kind,
    /// Which one it is.
    pub id: CounterId,
    /// How it is judged.
    pub rule: Rule,
}

/// An attempt, and by what it is counted.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The account from the very address that it comes from, where addresses are remembered. If the account was logged in to
    /// from there, this counts alone.
    pub known: Option<(CounterId, Delays)>,
    /// What counts otherwise, all of it: each must let the attempt pass.
    pub counters: Vec<Counter>,
    /// Whether there is no room for what was not counted before: it then shares what few rows there are for such.
    pub crowded: bool,
}

/// An attempt has to wait, and counts for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttled {
    /// What asks for the longest wait.
    pub kind: Kind,
    /// How long until it may be tried again.
    pub wait: Duration,
}

/// An attempt that was taken; by default, none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    counters: Vec<Counter>,
    known: bool,
}

/// What is remembered of the failures at an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tried {
    /// From where, or at all.
    pub kind: Kind,
    /// What was counted.
    pub count: Count,
    /// Until when the address is one that the account is known to be used from.
    pub known_until: Option<Timestamp>,
}

/// A counter as stored.
#[derive(Clone, Copy)]
struct Found {
    count: Count,
    known_until: Option<Timestamp>,
}

impl Found {
    fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            count: Count {
                strikes: row.unsigned("strikes")?,
                moment: row.int("moment")?,
            },
            known_until: row.time_if_any("known_until")?,
        })
    }
}

impl Store {
    /// Takes an attempt, or says how long it has to wait. In the usual case, an address that the account is known to be used
    /// from and no failures, this is one statement.
    pub async fn take_attempt(
        &self,
        attempt: &Attempt,
        now: Timestamp,
    ) -> Result<Result<Taken, Throttled>, StoreError> {
        if let Some((id, delays)) = &attempt.known
            && self.take_known(*id, *delays, now).await?
        {
            return Ok(Ok(Taken::known(*id, *delays)));
        }
        // Whoever has to wait costs no write, however often they try.
        let look = run!(self.reading(), |connection| {
            look(connection, attempt, now, FIND.into()).await
        })?;
        if let Err(throttled) = look.judged {
            return Ok(Err(throttled));
        }
        let done = run!(self.transaction(), |connection| {
            let found = look_and_lock(connection, attempt, now).await?;
            let counts = match found.judged {
                Ok(counts) => counts,
                Err(throttled) => return Ok(Err(throttled)),
            };
            for ((counter, there), count) in found.counters.iter().zip(&found.there).zip(counts) {
                write(connection, counter, *there, count).await?;
            }
            let known = found.known;
            let counters = found.counters;
            Ok(Ok(Taken { counters, known }))
        });
        Ok(done?)
    }

    async fn take_known(&self, id: CounterId, delays: Delays, now: Timestamp) -> Result<bool, StoreError> {
        const TAKE: &str = "UPDATE throttles SET strikes = strikes + 1, moment = ? \
                            WHERE id = ? AND known_until > ? AND strikes < ?";
        let taken = run!(self.writing(), |connection| {
            let values = values![nanos(now), id.as_slice(), now, delays.free];
            connection.execute(TAKE, values).await
        });
        Ok(taken? > 0)
    }

    /// Gives back what was taken: the attempt was no failure, or was not judged. Of what was lifted meanwhile, nothing.
    pub async fn give_back(&self, taken: &Taken, now: Timestamp) -> Result<(), StoreError> {
        let done = run!(self.transaction(), |connection| give_back(connection, taken, now).await);
        Ok(done?)
    }

    /// The attempt succeeded. What was taken is given back, no more: whoever guesses can't buy anything by logging in to an
    /// account of their own. The account is known to be used from this address until `until`, where nothing is held against it
    /// any more.
    pub async fn attempt_succeeded(
        &self,
        taken: &Taken,
        address: Option<(CounterId, Timestamp)>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if let (true, Some((id, until))) = (taken.known, address) {
            let done = run!(self.writing(), |connection| remember(connection, id, until).await);
            done?;
            return Ok(());
        }
        let done = run!(self.transaction(), |connection| {
            give_back(connection, taken, now).await?;
            if let Some((id, until)) = address
                && remember(connection, id, until).await? == 0
            {
                const INSERT: &str =
                    "INSERT INTO throttles (id, strikes, moment, known_until, expires_at) VALUES (?, 0, 0, ?, ?)";
                insert(connection, INSERT, values![id.as_slice(), until, until]).await?;
            }
            Ok(())
        });
        Ok(done?)
    }

    /// Forgets all failures at an account, wherever they came from; answers with how many rows said something. Addresses that
    /// it is known to be used from stay known.
    pub async fn lift_throttles(&self, account: AccountDigest) -> Result<u64, StoreError> {
        const CLEAR: &str =
            "UPDATE throttles SET strikes = 0 WHERE id >= ? AND id <= ? AND strikes > 0 AND known_until IS NOT NULL";
        const REMOVE: &str = "DELETE FROM throttles WHERE id >= ? AND id <= ? AND known_until IS NULL";
        let (first, last) = CounterId::range(account);
        let done = recorded!(self, |connection, entry| {
            let range = values![first.as_slice(), last.as_slice()];
            let cleared = connection.execute(CLEAR, range).await?;
            let forgotten = cleared + connection.execute(REMOVE, range).await?;
            if forgotten > 0 {
                let count = Detail::Count(forgotten);
                entry.write(connection, |event| event.with(count)).await?;
            }
            Ok(forgotten)
        });
        Ok(done?)
    }

    /// Forgets what came from an address and from its network, logins and sign-ups, whatever the accounts; answers with how many
    /// rows there were.
    pub async fn lift_throttles_from(&self, from: IpAddr) -> Result<u64, StoreError> {
        const REMOVE: &str = "DELETE FROM throttles WHERE id = ?";
        let done = recorded!(self, |connection, entry| {
            let mut removed = 0;
            for id in CounterId::of_place(from) {
                removed += connection.execute(REMOVE, values![id.as_slice()]).await?;
            }
            if removed > 0 {
                let details = [Detail::About(from), Detail::Count(removed)];
                let said = |event: Event| details.into_iter().fold(event, Event::with);
                entry.write(connection, said).await?;
            }
            Ok(removed)
        });
        Ok(done?)
    }

    /// What is remembered of failures at an account, and of addresses that it is known to be used from.
    pub async fn tried(&self, account: AccountDigest) -> Result<Vec<Tried>, StoreError> {
        const SELECT: &str = "SELECT id, strikes, moment, known_until FROM throttles WHERE id >= ? AND id <= ?";
        let (first, last) = CounterId::range(account);
        let rows = run!(self.reading(), |connection| {
            let range = values![first.as_slice(), last.as_slice()];
            connection.rows(SELECT, range).await
        })?;
        let mut tried = Vec::new();
        for row in &rows {
            let id: [u8; 32] = row.bytes("id")?.try_into().map_err(|_| StoreError::Corrupt("id"))?;
            let Found { count, known_until } = Found::read(row)?;
            if let Some(kind) = CounterId::from_bytes(id).kind_of_account() {
                tried.push(Tried {
                    kind,
                    count,
                    known_until,
                });
            }
        }
        Ok(tried)
    }

    /// How many rows there are but for those of addresses that accounts are known to be used from: of these, no more come in
    /// than there are logins that succeed, and each of those makes a session as well. Takes a while where there are millions.
    pub async fn count_throttles(&self) -> Result<u64, StoreError> {
        const COUNT: &str = "SELECT COUNT(*) AS rows_there FROM throttles WHERE known_until IS NULL";
        let row = run!(self.reading(), |connection| connection.row(COUNT, values![]).await)?;
        let rows = row.ok_or(StoreError::Corrupt("count"))?.int("rows_there")?;
        u64::try_from(rows).map_err(|_| StoreError::Corrupt("count"))
    }
}

/// Rows that say nothing any more.
pub(super) const EXPIRED: Sql = delete_some!("throttles", "id", "expires_at <= ?", "expires_at");

const FIND: &str = "SELECT strikes, moment, known_until FROM throttles WHERE id = ?";

impl Taken {
    fn known(id: CounterId, delays: Delays) -> Self {
        let counter = Counter {
            kind: Kind::KnownAddress,
            id,
            rule: Rule::Delays(delays),
        };
        Self {
            counters: vec![counter],
            known: true,
        }
    }

    /// Whether it was taken from an address that the account is known to be used from.
    #[must_use]
    pub const fn is_from_known_address(&self) -> bool {
        self.known
    }
}

/// What an attempt is counted by, and what becomes of it.
struct Look {
    counters: Vec<Counter>,
    there: Vec<Option<Found>>,
    /// What to remember of each if it is taken.
    judged: Result<Vec<Count>, Throttled>,
    known: bool,
}

async fn look_and_lock(connection: &mut Connection, attempt: &Attempt, now: Timestamp) -> Result<Look, Failure> {
    const LOCK: Sql = locking!("SELECT strikes, moment, known_until FROM throttles WHERE id = ?");
    look(connection, attempt, now, LOCK).await
}

/// Reads what counts, by `find`. Rows are asked for one by one and in the order of their ids, so that each locks itself and
/// nothing else, and no two attempts wait for each other: which of them share is looked up before.
async fn look(connection: &mut Connection, attempt: &Attempt, now: Timestamp, find: Sql) -> Result<Look, Failure> {
    let mut known = false;
    let mut counters = attempt.counters.clone();
    if let Some((id, delays)) = attempt.known
        && let Some(found) = read(connection, find, id).await?
        && found.known_until.is_some_and(|until| until > now)
    {
        known = true;
        counters = Taken::known(id, delays).counters;
    }
    if attempt.crowded {
        for counter in &mut counters {
            if read(connection, FIND.into(), counter.id).await?.is_none() {
                counter.id = counter.id.shared(counter.kind);
            }
        }
    }
    counters.sort_unstable_by_key(|counter| counter.id);
    let mut there = Vec::new();
    for counter in &counters {
        there.push(read(connection, find, counter.id).await?);
    }
    let mut counts = Vec::new();
    let mut longest: Option<Throttled> = None;
    for (counter, found) in counters.iter().zip(&there) {
        let count = found.map(|found| found.count).unwrap_or_default();
        match counter.rule.take(count, now) {
            Ok(count) => counts.push(count),
            Err(wait) if longest.is_none_or(|longest| longest.wait < wait) => {
                let kind = counter.kind;
                longest = Some(Throttled { kind, wait });
            }
            Err(_) => {}
        }
    }
    Ok(Look {
        counters,
        there,
        judged: longest.map_or(Ok(counts), Err),
        known,
    })
}

async fn read(connection: &mut Connection, find: Sql, id: CounterId) -> Result<Option<Found>, Failure> {
    let row = connection.row(find, values![id.as_slice()]).await?;
    Ok(row.as_ref().map(Found::read).transpose()?)
}

async fn write(
    connection: &mut Connection,
    counter: &Counter,
    there: Option<Found>,
    count: Count,
) -> Result<(), Failure> {
    const INSERT: &str = "INSERT INTO throttles (strikes, moment, expires_at, id) VALUES (?, ?, ?, ?)";
    const UPDATE: &str = "UPDATE throttles SET strikes = ?, moment = ?, expires_at = ? WHERE id = ?";
    let known_until = there.and_then(|there| there.known_until);
    let forgotten = counter.rule.forgotten_at(count);
    let expires_at = known_until.map_or(forgotten, |known| known.max(forgotten));
    let row = values![count.strikes, count.moment, expires_at, counter.id.as_slice()];
    match there {
        Some(_) => connection.execute(UPDATE, row).await.map(drop),
        None => insert(connection, INSERT, row).await,
    }
}

/// Of two who find nothing and insert at once, the second begins anew and finds what the first has written.
async fn insert(connection: &mut Connection, statement: &'static str, row: &[Value<'_>]) -> Result<(), Failure> {
    match connection.execute(statement, row).await {
        Ok(_) => Ok(()),
        Err(Failure::Duplicate(cause)) => Err(Failure::Conflict(cause)),
        Err(failure) => Err(failure),
    }
}

async fn give_back(connection: &mut Connection, taken: &Taken, now: Timestamp) -> Result<(), Failure> {
    const LOCK: Sql = locking!("SELECT strikes, moment, known_until FROM throttles WHERE id = ?");
    const REMOVE: &str = "DELETE FROM throttles WHERE id = ? AND known_until IS NULL";
    for counter in &taken.counters {
        let Some(there) = read(connection, LOCK, counter.id).await? else {
            continue;
        };
        let left = counter.rule.give_back(there.count, now);
        if left.is_none() && there.known_until.is_none() {
            connection.execute(REMOVE, values![counter.id.as_slice()]).await?;
        } else {
            write(connection, counter, Some(there), left.unwrap_or_default()).await?;
        }
    }
    Ok(())
}

/// Forgets from where the account at this address is known to be used: another one has it from now on, or none.
pub(super) async fn forget_known(connection: &mut Connection, email: &Email) -> Result<(), Failure> {
    const FORGET: &str = "DELETE FROM throttles WHERE id >= ? AND id <= ? AND known_until IS NOT NULL";
    let (first, last) = CounterId::range(AccountDigest::of(Some(email)));
    connection
        .execute(FORGET, values![first.as_slice(), last.as_slice()])
        .await?;
    Ok(())
}

/// Notes that an address is known and that nothing is held against it; 0: it was not there.
async fn remember(connection: &mut Connection, id: CounterId, until: Timestamp) -> Result<u64, Failure> {
    const REMEMBER: &str = "UPDATE throttles SET strikes = 0, known_until = ?, expires_at = ? WHERE id = ?";
    connection.execute(REMEMBER, values![until, until, id.as_slice()]).await
}

fn nanos(at: Timestamp) -> i64 {
    at.unix_ms().saturating_mul(1_000_000)
}
