//! Revocations: what every replica must refuse, until the last token that it covers has expired.

use std::time::Duration;

use super::audit::recorded;
use super::connection::Connection;
use super::error::Failure;
use super::journal::Journal;
use super::sql::{Row, Sql, locking, values};
use super::work::run;
use super::{Store, StoreError};
use crate::id::{KeyDigest, SessionId, TokenId, UserId};
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
    /// Every token that one signing key has signed.
    Key(KeyDigest),
}

/// A revocation with its place in the order of writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// Its number. A greater one may become visible before a smaller one.
    pub seq: i64,
    /// The revocation.
    pub revocation: Revocation,
}

/// What stands for [`Revoked::Token`] wherever revocations are kept.
const TOKEN: i64 = 1;
/// What stands for [`Revoked::Session`].
const SESSION: i64 = 2;
/// What stands for [`Revoked::Key`].
const KEY: i64 = 3;

impl Revoked {
    /// The number that stands for what kind of thing it is, wherever revocations are kept.
    #[must_use]
    pub const fn kind(&self) -> i64 {
        match self {
            Self::Token(_) => TOKEN,
            Self::Session { .. } => SESSION,
            Self::Key(_) => KEY,
        }
    }

    /// The 16 bytes by which it is known among those of its kind.
    #[must_use]
    pub const fn value(&self) -> &[u8; 16] {
        match self {
            Self::Token(id) => id.as_bytes(),
            Self::Session { id, .. } => id.as_bytes(),
            Self::Key(digest) => digest.as_bytes(),
        }
    }

    /// The last generation of a session that is refused; 0 where there is none.
    #[must_use]
    pub const fn generation(&self) -> u32 {
        match self {
            Self::Session { up_to, .. } => *up_to,
            Self::Token(_) | Self::Key(_) => 0,
        }
    }

    /// What these parts stand for; `None`: this version knows no such kind.
    #[must_use]
    pub const fn from_parts(kind: i64, value: [u8; 16], generation: u32) -> Option<Self> {
        match kind {
            TOKEN => Some(Self::Token(TokenId::from_bytes(value))),
            SESSION => Some(Self::Session {
                id: SessionId::from_bytes(value),
                up_to: generation,
            }),
            KEY => Some(Self::Key(KeyDigest::from_bytes(value))),
            _ => None,
        }
    }
}

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
        let target = Revoked::from_parts(row.int("kind")?, row.id("value")?, row.unsigned("gen")?);
        Ok(Self {
            target: target.ok_or(StoreError::Corrupt("kind"))?,
            expires_at: row.time("expires_at")?,
        })
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
    pub(super) async fn end(&self, connection: &mut Connection, journal: &Journal) -> Result<Vec<Revocation>, Failure> {
        // One statement for all of them: a user may have made very many.
        const END: &str = "UPDATE sessions SET ended_at = ? \
                           WHERE user_id = ? AND id <> ? AND ended_at IS NULL AND expires_at > ?";
        let found = self.lock(connection).await?;
        let since = self.now - AFTERLIFE;
        let end = values![self.now, &self.user, &self.except, since];
        connection.execute(END, end).await?;
        let ended = found.into_iter().map(|(id, _)| Revocation::of_session(id, self.until));
        let ended: Vec<Revocation> = ended.collect();
        journal.write(connection, &ended, self.now).await?;
        Ok(ended)
    }

    /// Refuses the tokens that they have by now, and lets them live on.
    pub(super) async fn revoke_so_far(
        &self,
        connection: &mut Connection,
        journal: &Journal,
    ) -> Result<Vec<Revocation>, Failure> {
        let found = self.lock(connection).await?;
        let revoked = found.into_iter().map(|(id, up_to)| Revocation {
            target: Revoked::Session { id, up_to },
            expires_at: self.until,
        });
        let revoked: Vec<Revocation> = revoked.collect();
        journal.write(connection, &revoked, self.now).await?;
        Ok(revoked)
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
        let done = recorded!(self, |connection, entry| {
            self.journal.write(connection, revocations, now).await?;
            entry.write(connection, |event| event).await
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
