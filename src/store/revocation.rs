//! Revocations: what every replica must refuse, until the last token that it covers has expired.

use std::time::Duration;

use super::connection::Connection;
use super::error::Failure;
use super::sql::{Row, Sql, locking, values};
use super::work::run;
use super::{Store, StoreError};
use crate::id::{SessionId, TokenId, UserId};
use crate::time::Timestamp;

/// What is refused, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Revocation {
    /// What is refused.
    pub target: Revoked,
    /// When it needs no refusing any more, as all that it covers has expired.
    pub expires_at: Timestamp,
}

/// What is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Revoked {
    /// One access token, by its `jti`.
    Token(TokenId),
    /// The access tokens of a session, by its `sid`.
    Session {
        /// The session.
        id: SessionId,
        /// The last `gen` that is refused; `u32::MAX` for a session that has ended.
        up_to: u32,
    },
}

/// A revocation with its place in the order of writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// Its number. A greater one may become visible before a smaller one.
    pub seq: i64,
    /// The revocation.
    pub revocation: Revocation,
}

/// `blocked_tokens.kind`
const TOKEN: i64 = 1;
/// `blocked_tokens.kind`
const SESSION: i64 = 2;

/// How long after its end a session may still have tokens that somebody accepts: the greatest leeway that the configuration
/// allows. No token says an `exp` later than its session's end.
pub(super) const AFTERLIFE: Duration = Duration::from_mins(5);

impl Revocation {
    /// The refusal of a session that has ended.
    pub(super) fn of_session(id: SessionId, expires_at: Timestamp) -> Self {
        Self {
            target: Revoked::Session { id, up_to: u32::MAX },
            expires_at,
        }
    }

    fn read(row: &Row) -> Result<Self, StoreError> {
        let value = row.id("value")?;
        let target = match row.int("kind")? {
            TOKEN => Revoked::Token(TokenId::from_bytes(value)),
            SESSION => Revoked::Session {
                id: SessionId::from_bytes(value),
                up_to: row.unsigned("gen")?,
            },
            _ => return Err(StoreError::Corrupt("kind")),
        };
        Ok(Self {
            target,
            expires_at: row.time("expires_at")?,
        })
    }

    /// Writes it, as part of whatever makes it necessary.
    pub(super) async fn write(&self, connection: &mut Connection, now: Timestamp) -> Result<(), Failure> {
        const INSERT: &str = "INSERT INTO blocked_tokens (kind, value, gen, expires_at, blocked_at) \
                              VALUES (?, ?, ?, ?, ?)";
        let row = match &self.target {
            Revoked::Token(id) => values![TOKEN, id, 0_i64, self.expires_at, now],
            Revoked::Session { id, up_to } => values![SESSION, id, *up_to, self.expires_at, now],
        };
        connection.execute(INSERT, row).await?;
        Ok(())
    }
}

/// The sessions of a user that may have tokens that somebody accepts.
pub(super) struct SessionsOf {
    user: UserId,
    except: SessionId,
    until: Timestamp,
    now: Timestamp,
}

/// The sessions of `user` but `except`, for refusing their tokens until `until`. The user is locked by now.
pub(super) fn sessions_of(user: UserId, except: Option<SessionId>, until: Timestamp, now: Timestamp) -> SessionsOf {
    // No session has an id that is all zeros.
    SessionsOf {
        user,
        except: except.unwrap_or(SessionId::from_bytes([0; 16])),
        until,
        now,
    }
}

impl SessionsOf {
    /// Ends them all, each with its revocation.
    pub(super) async fn end(&self, connection: &mut Connection) -> Result<Vec<Revocation>, Failure> {
        // One statement for all of them: a user may have made very many.
        const REVOKE: &str = "INSERT INTO blocked_tokens (kind, value, gen, expires_at, blocked_at) \
                              SELECT 2, id, 4294967295, ?, ? FROM sessions \
                              WHERE user_id = ? AND id <> ? AND ended_at IS NULL AND expires_at > ?";
        const END: &str = "UPDATE sessions SET ended_at = ? \
                           WHERE user_id = ? AND id <> ? AND ended_at IS NULL AND expires_at > ?";
        let ids = self.lock(connection).await?;
        let since = self.now - AFTERLIFE;
        let (user, except) = (&self.user, &self.except);
        connection
            .execute(REVOKE, values![self.until, self.now, user, except, since])
            .await?;
        connection.execute(END, values![self.now, user, except, since]).await?;
        Ok(ids
            .into_iter()
            .map(|(id, _)| Revocation::of_session(id, self.until))
            .collect())
    }

    /// Refuses the tokens that they have by now, and lets them live on.
    pub(super) async fn revoke_so_far(&self, connection: &mut Connection) -> Result<Vec<Revocation>, Failure> {
        const REVOKE: &str = "INSERT INTO blocked_tokens (kind, value, gen, expires_at, blocked_at) \
                              SELECT 2, id, gen, ?, ? FROM sessions \
                              WHERE user_id = ? AND id <> ? AND ended_at IS NULL AND expires_at > ?";
        let ids = self.lock(connection).await?;
        let since = self.now - AFTERLIFE;
        connection
            .execute(REVOKE, values![self.until, self.now, &self.user, &self.except, since])
            .await?;
        let target = |(id, up_to)| Revoked::Session { id, up_to };
        Ok(ids
            .into_iter()
            .map(|ids| Revocation {
                target: target(ids),
                expires_at: self.until,
            })
            .collect())
    }

    /// Each with its generation, which stays until the transaction ends.
    async fn lock(&self, connection: &mut Connection) -> Result<Vec<(SessionId, u32)>, Failure> {
        const LOCK: Sql = locking!(
            "SELECT id, gen FROM sessions WHERE user_id = ? AND id <> ? AND ended_at IS NULL AND expires_at > ?"
        );
        let rows = connection
            .rows(LOCK, values![&self.user, &self.except, self.now - AFTERLIFE])
            .await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in rows {
            found.push((SessionId::from_bytes(row.id("id")?), row.unsigned("gen")?));
        }
        Ok(found)
    }
}

impl Store {
    /// Writes revocations, all or none.
    pub async fn block(&self, revocations: &[Revocation], now: Timestamp) -> Result<(), StoreError> {
        let done = run!(self.transaction(), |connection| {
            for revocation in revocations {
                revocation.write(connection, now).await?;
            }
            Ok(())
        });
        Ok(done?)
    }

    /// Up to `limit` revocations with a number greater than `seq`, by ascending number, as they are committed now.
    pub async fn blocked_after(&self, seq: i64, limit: u32) -> Result<Vec<Blocked>, StoreError> {
        const SELECT: &str = "SELECT seq, kind, value, gen, expires_at FROM blocked_tokens \
                              WHERE seq > ? ORDER BY seq LIMIT ?";
        let rows = run!(self.reading(), |connection| connection
            .rows(SELECT, values![seq, limit])
            .await)?;
        rows.iter()
            .map(|row| {
                Ok(Blocked {
                    seq: row.int("seq")?,
                    revocation: Revocation::read(row)?,
                })
            })
            .collect()
    }
}
