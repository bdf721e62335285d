//! Rotation of refresh tokens (RFC 9700, section 4.14.2): each is used once, and a second use ends its session.

use super::connection::Connection;
use super::error::Failure;
use super::journal::Journal;
use super::revocation::AFTERLIFE;
use super::session::insert_refresh_token;
use super::sql::{Sql, locking, values};
use super::work::run;
use super::{Revocation, Session, Store, StoreError, User};
use crate::id::{SessionId, UserId};
use crate::time::Timestamp;

/// A refresh token presented for its successor.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// SHA-256 of the token presented.
    pub presented: [u8; 32],
    /// SHA-256 of the one that takes its place.
    pub successor: [u8; 32],
    /// Until when the successor may be used; the session's end if that is earlier.
    pub successor_expires_at: Timestamp,
    /// Until when the session's access tokens are revoked if the token was used before.
    pub revoke_until: Timestamp,
    /// When it is presented.
    pub now: Timestamp,
}

/// What became of a refresh token.
#[derive(Clone, Debug)]
pub enum Refreshed {
    /// It was used up, and its successor counts from now on.
    Rotated {
        /// The session, its generation raised.
        session: Session,
        /// The user, for the new access token.
        user: User,
    },
    /// It is unknown, expired, or of a session or user that is no more.
    Refused,
    /// It had been used before: somebody holds a copy, so the session has been ended (RFC 9700, section 4.14.2).
    Replayed {
        /// The session that was ended.
        session: SessionId,
        /// Whose it was.
        user: UserId,
        /// The revocation that was written with it.
        revocation: Revocation,
    },
}

impl Store {
    /// Uses a refresh token up. However many present one token at once, at most one gets a successor.
    pub async fn rotate_refresh_token(&self, rotation: &Rotation) -> Result<Refreshed, StoreError> {
        Ok(run!(self.transaction(), |connection| rotate(
            connection,
            &self.journal,
            rotation
        )
        .await)?)
    }
}

async fn rotate(connection: &mut Connection, journal: &Journal, rotation: &Rotation) -> Result<Refreshed, Failure> {
    const FIND: &str = "SELECT sessions.id, sessions.user_id FROM refresh_tokens \
                        JOIN sessions ON sessions.id = refresh_tokens.session_id WHERE refresh_tokens.hash = ?";
    const CONSUME: &str = "UPDATE refresh_tokens SET consumed_at = ?, successor = ? \
                           WHERE hash = ? AND consumed_at IS NULL AND expires_at > ?";
    // The last generation is the one by which a whole session is refused.
    const ADVANCE: &str = "UPDATE sessions SET gen = gen + 1, last_used_at = ? \
                           WHERE id = ? AND ended_at IS NULL AND expires_at > ? AND gen < 4294967294";
    const SELECT: &str = "SELECT id, user_id, gen, created_at, last_used_at, expires_at, ip, user_agent \
                          FROM sessions WHERE id = ?";
    let (presented, successor, now) = (
        rotation.presented.as_slice(),
        rotation.successor.as_slice(),
        rotation.now,
    );
    let Some(found) = connection.row(FIND, values![presented]).await? else {
        return Ok(Refreshed::Refused);
    };
    let (id, user) = (
        SessionId::from_bytes(found.id("id")?),
        UserId::from_bytes(found.id("user_id")?),
    );
    let Some(user) = User::lock(connection, user).await? else {
        return Ok(Refreshed::Refused);
    };
    if user.disabled_at.is_some() {
        return Ok(Refreshed::Refused);
    }
    if connection
        .execute(CONSUME, values![now, successor, presented, now])
        .await?
        == 0
    {
        return replayed(connection, journal, rotation, id, user.id).await;
    }
    if connection.execute(ADVANCE, values![now, &id, now]).await? == 0 {
        return Ok(Refreshed::Refused);
    }
    let row = connection
        .row(SELECT, values![&id])
        .await?
        .ok_or(StoreError::Corrupt("session"))?;
    let session = Session::read(&row)?;
    let expires_at = rotation.successor_expires_at.min(session.expires_at);
    insert_refresh_token(connection, &rotation.successor, id, expires_at).await?;
    Ok(Refreshed::Rotated { session, user })
}

/// What it means that a token could not be used: it expired, or somebody used it before.
async fn replayed(
    connection: &mut Connection,
    journal: &Journal,
    rotation: &Rotation,
    session: SessionId,
    user: UserId,
) -> Result<Refreshed, Failure> {
    const LOCK: Sql = locking!("SELECT consumed_at FROM refresh_tokens WHERE hash = ?");
    const END: &str = "UPDATE sessions SET ended_at = ? WHERE id = ? AND ended_at IS NULL AND expires_at > ?";
    let token = connection.row(LOCK, values![rotation.presented.as_slice()]).await?;
    let consumed_at = token
        .map(|token| token.time_if_any("consumed_at"))
        .transpose()?
        .flatten();
    let end = values![rotation.now, &session, rotation.now - AFTERLIFE];
    if consumed_at.is_none() || connection.execute(END, end).await? == 0 {
        return Ok(Refreshed::Refused);
    }
    let revocation = Revocation::of_session(session, rotation.revoke_until);
    journal.write(connection, &[revocation], rotation.now).await?;
    Ok(Refreshed::Replayed {
        session,
        user,
        revocation,
    })
}
