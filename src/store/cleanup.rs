//! Removal of what has expired, in batches small enough not to hold anybody up.

use std::time::Duration;

use super::revocation::AFTERLIFE;
use super::sql::{Sql, delete_some, values};
use super::work::run;
use super::{Store, StoreError, throttle};
use crate::id::SessionId;
use crate::time::Timestamp;

/// How many rows a clean-up removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Revocations that cover nothing any more.
    pub revocations: u64,
    /// Refresh tokens of sessions that were removed. Until then they stay, expired or not: a used one that is presented
    /// again ends its session, however late, and of unused ones a session has no more than one.
    pub refresh_tokens: u64,
    /// Sessions that ended or expired.
    pub sessions: u64,
    /// Attempts that are long enough ago.
    pub throttles: u64,
    /// Audit events that are older than the configuration wants.
    pub audit_events: u64,
}

/// Replicas' clocks differ: a revocation is kept a little longer than needed.
const REVOCATION_GRACE: Duration = Duration::from_mins(1);
/// SQLite keeps the events of the last day whatever it is told, and counts that day by whole seconds: one event that is a
/// moment too young for it would keep all of its batch.
const AUDIT_GRACE: Duration = Duration::from_secs(1);
/// How many sessions one transaction removes at the most, each with its refresh tokens.
const MAX_SESSIONS: u32 = 100;

impl Store {
    /// Removes what expired before `now`, by transactions that remove about `batch` rows each. Any number of replicas may
    /// do so at once.
    pub async fn cleanup(&self, now: Timestamp, batch: u32) -> Result<Removed, StoreError> {
        const REVOCATIONS: Sql = delete_some!("blocked_tokens", "seq", "expires_at <= ?", "expires_at");
        const AUDIT_EVENTS: Sql = delete_some!("audit_events", "seq", "at <= ?", "at");
        // One query each, so that each has its index.
        const ENDED: &str = "SELECT id FROM sessions WHERE ended_at <= ? LIMIT ?";
        const EXPIRED: &str = "SELECT id FROM sessions WHERE expires_at <= ? LIMIT ?";
        let batch = batch.max(1);
        let mut removed = Removed {
            revocations: self.delete_all(REVOCATIONS, now - REVOCATION_GRACE, batch).await?,
            throttles: self.delete_all(throttle::EXPIRED, now, batch).await?,
            ..Removed::default()
        };
        for (which, before) in [(ENDED, now), (EXPIRED, now - AFTERLIFE)] {
            loop {
                let (sessions, tokens, more) = self.delete_sessions(which, before, batch).await?;
                removed.sessions += sessions;
                removed.refresh_tokens += tokens;
                if !more {
                    break;
                }
            }
        }
        let before = now - self.audit_retention() - AUDIT_GRACE;
        removed.audit_events = self.delete_all(AUDIT_EVENTS, before, batch).await?;
        Ok(removed)
    }

    async fn delete_all(&self, delete: Sql, before: Timestamp, batch: u32) -> Result<u64, StoreError> {
        let mut total = 0;
        loop {
            let some = run!(self.writing(), |connection| connection
                .execute(delete, values![before, batch])
                .await)?;
            total += some;
            if some < u64::from(batch) {
                return Ok(total);
            }
        }
    }

    /// One transaction's worth: how many sessions and refresh tokens it removed, and whether there may be more.
    async fn delete_sessions(
        &self,
        which: &'static str,
        before: Timestamp,
        batch: u32,
    ) -> Result<(u64, u64, bool), StoreError> {
        // The foreign key would take the tokens along, but all at once.
        const TOKENS: Sql = delete_some!("refresh_tokens", "hash", "session_id = ?", "hash");
        let limit = batch.min(MAX_SESSIONS);
        let done = run!(self.transaction(), |connection| {
            let doomed = connection.rows(which, values![before, limit]).await?;
            let more = doomed.len() == limit as usize;
            let (mut sessions, mut tokens) = (0, 0);
            for row in doomed {
                let id = SessionId::from_bytes(row.id("id")?);
                let left = u64::from(batch).saturating_sub(tokens);
                let some = connection
                    .execute(TOKENS, values![&id, i64::try_from(left).unwrap_or(i64::MAX)])
                    .await?;
                tokens += some;
                if some == left {
                    // Perhaps not all of this one's: the next transaction goes on.
                    return Ok((sessions, tokens, true));
                }
                sessions += connection
                    .execute("DELETE FROM sessions WHERE id = ?", values![&id])
                    .await?;
            }
            Ok((sessions, tokens, more))
        });
        Ok(done?)
    }
}
