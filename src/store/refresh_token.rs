//! Looking at a refresh token without using it.

use super::sql::values;
use super::work::run;
use super::{Store, StoreError};
use crate::id::{Email, SessionId, UserId};
use crate::time::Timestamp;

/// A refresh token, as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldRefreshToken {
    /// Its session.
    pub session: SessionId,
    /// Whose that is.
    pub user: UserId,
    /// The user's address now.
    pub email: Email,
    /// When the session was last refreshed: when its latest token was made.
    pub issued_at: Timestamp,
    /// Until when it may be used.
    pub expires_at: Timestamp,
    /// Whether it has been used.
    pub consumed: bool,
    /// Whether its session has been ended, as by a logout.
    pub session_ended: bool,
    /// Whether the user may not log in.
    pub user_disabled: bool,
}

impl HeldRefreshToken {
    /// Whether it is the one by which the session goes on. One that was used is not, though a refresh with it may succeed where
    /// the answer to its use was lost.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        !self.consumed && !self.session_ended && !self.user_disabled && now < self.expires_at
    }
}

impl Store {
    /// The refresh token of this SHA-256, used or not; `None` if none is known. Changes nothing.
    pub async fn refresh_token(&self, hash: &[u8; 32]) -> Result<Option<HeldRefreshToken>, StoreError> {
        const SELECT: &str = "SELECT sessions.id, sessions.user_id, users.email, sessions.last_used_at, \
                              refresh_tokens.expires_at, refresh_tokens.consumed_at, sessions.ended_at, \
                              users.disabled_at, sessions.expires_at AS session_expires_at FROM refresh_tokens \
                              JOIN sessions ON sessions.id = refresh_tokens.session_id \
                              JOIN users ON users.id = sessions.user_id WHERE refresh_tokens.hash = ?";
        let row = run!(self.reading(), |connection| connection
            .row(SELECT, values![hash.as_slice()])
            .await)?;
        let Some(row) = row else { return Ok(None) };
        let session_expires_at = row.time("session_expires_at")?;
        Ok(Some(HeldRefreshToken {
            session: SessionId::from_bytes(row.id("id")?),
            user: UserId::from_bytes(row.id("user_id")?),
            email: row.parsed("email")?,
            issued_at: row.time("last_used_at")?,
            expires_at: row.time("expires_at")?.min(session_expires_at),
            consumed: row.time_if_any("consumed_at")?.is_some(),
            session_ended: row.time_if_any("ended_at")?.is_some(),
            user_disabled: row.time_if_any("disabled_at")?.is_some(),
        }))
    }
}
