//! The transaction that ends sessions, one or many, and says of each whether it was live and its user's.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use super::audit::{self, Event};
use super::connection::Connection;
use super::error::Failure;
use super::journal::Journal;
use super::sql::{Sql, Value};
use super::work::run;
use super::{Revocation, Store};
use crate::id::{SessionId, UserId};
use crate::time::Timestamp;

/// How many sessions one transaction ends at the most.
pub(super) const MANY: usize = 256;

/// A session to end.
#[derive(Clone)]
pub(super) struct Ending {
    pub(super) user: UserId,
    pub(super) session: SessionId,
    pub(super) revoke_until: Timestamp,
    pub(super) now: Timestamp,
    /// What it is recorded as.
    pub(super) event: Option<Arc<Event>>,
}

/// What became of it.
#[derive(Clone, Copy)]
pub(super) enum Outcome {
    Ended(Revocation),
    /// This user has no such live session.
    NotLive,
    /// Another transaction holds it.
    Locked,
}

/// What to do about sessions that other transactions hold.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Locked {
    Wait,
    Skip,
}

/// The statements for so many sessions. A list that is shorter repeats its last one, so that there are few to prepare.
struct Statements {
    size: usize,
    lock: String,
    lock_free: String,
    read: String,
    end: String,
}

static STATEMENTS: LazyLock<[Statements; 5]> = LazyLock::new(|| [1, 4, 16, 64, MANY].map(Statements::of));

impl Statements {
    fn of(size: usize) -> Self {
        let these = format!("id IN ({})", vec!["?"; size].join(", "));
        let read = format!("SELECT id, user_id, expires_at, ended_at FROM sessions WHERE {these}");
        Self {
            size,
            lock: format!("{read} FOR UPDATE"),
            // MariaDB 10.6, MySQL 8.
            lock_free: format!("{read} FOR UPDATE SKIP LOCKED"),
            end: format!("UPDATE sessions SET ended_at = ? WHERE {these} AND ended_at IS NULL"),
            read,
        }
    }

    /// Those for so many, or for the most that there are.
    fn for_so_many(sessions: usize) -> &'static Self {
        let [.., most] = &*STATEMENTS;
        STATEMENTS.iter().find(|some| some.size >= sessions).unwrap_or(most)
    }

    fn locking(&'static self, locked: Locked) -> Sql {
        Sql {
            mysql: match locked {
                Locked::Wait => &self.lock,
                Locked::Skip => &self.lock_free,
            },
            // The transaction holds the whole database.
            sqlite: &self.read,
        }
    }

    /// The values of the list, for a statement that has `first` before it.
    fn list<'s>(&self, first: Option<Value<'s>>, sessions: &'s [SessionId]) -> Vec<Value<'s>> {
        let padding = sessions.last().into_iter().cycle();
        let list = sessions.iter().chain(padding).take(self.size).map(Value::from);
        first.into_iter().chain(list).collect()
    }
}

struct Found {
    user: UserId,
    expires_at: Timestamp,
    ended: bool,
}

impl Store {
    /// Ends up to [`MANY`] sessions and revokes their tokens, all or nothing: what became of each.
    pub(super) async fn end_all(&self, endings: &[Ending], locked: Locked) -> Result<Vec<Outcome>, Failure> {
        run!(self.transaction(), |connection| end_all(
            connection,
            &self.journal,
            endings,
            locked,
            self.stores_events()
        )
        .await)
    }
}

async fn end_all(
    connection: &mut Connection,
    journal: &Journal,
    endings: &[Ending],
    locked: Locked,
    stores_events: bool,
) -> Result<Vec<Outcome>, Failure> {
    let mut asked: Vec<SessionId> = endings.iter().map(|ending| ending.session).collect();
    // All who lock many do so in one order.
    asked.sort_unstable();
    asked.dedup();
    let mut found = find(connection, &asked, Some(locked)).await?;
    let held = match locked {
        Locked::Wait => HashMap::new(),
        Locked::Skip => {
            asked.retain(|id| !found.contains_key(id));
            find(connection, &asked, None).await?
        }
    };
    let mut revocations = Vec::with_capacity(endings.len());
    let mut outcome = |ending: &Ending| match found.get_mut(&ending.session) {
        Some(session) if !session.ended && session.user == ending.user && session.expires_at > ending.now => {
            // Of two that end it, one did.
            session.ended = true;
            let revocation = Revocation::of_session(ending.session, ending.revoke_until);
            revocations.push((ending.session, revocation));
            Outcome::Ended(revocation)
        }
        None if held.contains_key(&ending.session) => Outcome::Locked,
        Some(_) | None => Outcome::NotLive,
    };
    let outcomes: Vec<Outcome> = endings.iter().map(&mut outcome).collect();
    let (ids, revocations): (Vec<SessionId>, Vec<Revocation>) = revocations.into_iter().unzip();
    if let Some(now) = endings.iter().map(|ending| ending.now).max()
        && !ids.is_empty()
    {
        let statements = Statements::for_so_many(ids.len());
        let values = statements.list(Some(now.into()), &ids);
        connection.execute(statements.end.as_str(), &values).await?;
        journal.write(connection, &revocations, now).await?;
        if stores_events {
            let ended = endings.iter().zip(&outcomes);
            let ended = ended.filter(|(_, outcome)| matches!(outcome, Outcome::Ended(_)));
            let events: Vec<&Event> = ended.filter_map(|(ending, _)| ending.event.as_deref()).collect();
            audit::insert(connection, &events).await?;
        }
    }
    Ok(outcomes)
}

/// These sessions as they are, locked until the transaction ends or, without a word about locks, only looked at.
async fn find(
    connection: &mut Connection,
    sessions: &[SessionId],
    locked: Option<Locked>,
) -> Result<HashMap<SessionId, Found>, Failure> {
    let mut found = HashMap::with_capacity(sessions.len());
    if sessions.is_empty() {
        return Ok(found);
    }
    let statements = Statements::for_so_many(sessions.len());
    let sql = locked.map_or_else(|| statements.read.as_str().into(), |locked| statements.locking(locked));
    for row in connection.rows(sql, &statements.list(None, sessions)).await? {
        let session = Found {
            user: UserId::from_bytes(row.id("user_id")?),
            expires_at: row.time("expires_at")?,
            ended: row.time_if_any("ended_at")?.is_some(),
        };
        found.insert(SessionId::from_bytes(row.id("id")?), session);
    }
    Ok(found)
}
