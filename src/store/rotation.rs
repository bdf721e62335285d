//! Rotation of refresh tokens (RFC 9700, section 4.14.2): each is used once.
//!
//! A second use is forgiven as long as the successor was not used: the answer was lost on its way, or two tabs asked at once.
//! Whoever asks last gets the pair that counts, and the successor that nobody used dies. Any other second use, that of a
//! dead one included, means that two hold the session, and ends it: a thief and an owner can't both go on.

use super::audit::{Entry, Event, recorded};
use super::connection::Connection;
use super::error::Failure;
use super::journal::Journal;
use super::revocation::AFTERLIFE;
use super::session::insert_refresh_token;
use super::sql::{Sql, locking, values};
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
        /// Whether it had been used up before, by a use whose successor nobody has used. That one is dead by now.
        again: bool,
    },
    /// It is unknown, expired, or of a session or user that is no more.
    Refused,
    /// It had been used before, and somebody has gone on since then: two hold the session, so it has been ended (RFC
    /// 9700, section 4.14.2).
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
    /// Uses a refresh token up. However many present one token at once, one successor counts in the end.
    pub async fn rotate_refresh_token(&self, rotation: &Rotation) -> Result<Refreshed, StoreError> {
        Ok(recorded!(self, |connection, entry| rotate(
            connection,
            &self.journal,
            rotation,
            &mut entry
        )
        .await)?)
    }
}

async fn rotate(
    connection: &mut Connection,
    journal: &Journal,
    rotation: &Rotation,
    entry: &mut Entry,
) -> Result<Refreshed, Failure> {
    const FIND: &str = "SELECT sessions.id, sessions.user_id FROM refresh_tokens \
                        JOIN sessions ON sessions.id = refresh_tokens.session_id WHERE refresh_tokens.hash = ?";
    // The last generation is the one by which a whole session is refused.
    const ADVANCE: &str = "UPDATE sessions SET gen = gen + 1, last_used_at = ? \
                           WHERE id = ? AND ended_at IS NULL AND expires_at > ? AND gen < 4294967294";
    const SELECT: &str = "SELECT id, user_id, gen, created_at, last_used_at, expires_at, ip, user_agent \
                          FROM sessions WHERE id = ?";
    let (presented, now) = (rotation.presented.as_slice(), rotation.now);
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
    let again = match use_up(connection, rotation).await? {
        Use::First => false,
        Use::Again => true,
        Use::Replay => {
            let done = replayed(connection, journal, rotation, id, user.id).await?;
            // Where the session had ended before, nothing happens any more.
            if matches!(done, Refreshed::Replayed { .. }) {
                let told = |event: Event| event.about(user.id).of(id);
                entry.write(connection, told).await?;
            }
            return Ok(done);
        }
        Use::Late => return Ok(Refreshed::Refused),
    };
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
    Ok(Refreshed::Rotated { session, user, again })
}

/// What a use of a refresh token is.
enum Use {
    First,
    /// The successor that it got before was not used, and is dead now.
    Again,
    /// The successor that it got before was used, or it was dead itself.
    Replay,
    /// Its time is over.
    Late,
}

/// Uses a token up, or finds out what keeps it from that.
async fn use_up(connection: &mut Connection, rotation: &Rotation) -> Result<Use, Failure> {
    const CONSUME: &str = "UPDATE refresh_tokens SET consumed_at = ?, successor = ? \
                           WHERE hash = ? AND consumed_at IS NULL AND expires_at > ?";
    const LOCK: Sql = locking!("SELECT consumed_at, successor, expires_at FROM refresh_tokens WHERE hash = ?");
    // Without a successor of its own, it is a dead one.
    const KILL: &str = "UPDATE refresh_tokens SET consumed_at = ? WHERE hash = ? AND consumed_at IS NULL";
    const REPLACE: &str = "UPDATE refresh_tokens SET successor = ? WHERE hash = ?";
    let (presented, successor, now) = (
        rotation.presented.as_slice(),
        rotation.successor.as_slice(),
        rotation.now,
    );
    let first = values![now, successor, presented, now];
    if connection.execute(CONSUME, first).await? == 1 {
        return Ok(Use::First);
    }
    let Some(token) = connection.row(LOCK, values![presented]).await? else {
        return Ok(Use::Late);
    };
    if token.time_if_any("consumed_at")?.is_none() {
        return Ok(Use::Late);
    }
    let Some(unused) = token.bytes_if_any("successor")? else {
        return Ok(Use::Replay);
    };
    if token.time("expires_at")? <= now {
        // Nobody gets a pair for it any more, but one whose successor was used is a copy, however late it comes.
        const USED: &str = "SELECT hash FROM refresh_tokens WHERE hash = ? AND consumed_at IS NOT NULL";
        let used = connection.row(USED, values![unused.as_slice()]).await?;
        return Ok(if used.is_some() { Use::Replay } else { Use::Late });
    }
    if connection.execute(KILL, values![now, unused.as_slice()]).await? == 0 {
        return Ok(Use::Replay);
    }
    connection.execute(REPLACE, values![successor, presented]).await?;
    Ok(Use::Again)
}

/// Ends a session that two hold.
async fn replayed(
    connection: &mut Connection,
    journal: &Journal,
    rotation: &Rotation,
    session: SessionId,
    user: UserId,
) -> Result<Refreshed, Failure> {
    const END: &str = "UPDATE sessions SET ended_at = ? WHERE id = ? AND ended_at IS NULL AND expires_at > ?";
    let end = values![rotation.now, &session, rotation.now - AFTERLIFE];
    if connection.execute(END, end).await? == 0 {
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
