//! Sessions: each begins with a login and lives by its refresh token, of which it has one that counts at a time.

use std::net::IpAddr;

use super::audit::{Detail, Event, recorded};
use super::connection::Connection;
use super::ending::Ending;
use super::error::Failure;
use super::journal::Journal;
use super::revocation::sessions_of;
use super::sql::{Row, Sql, locking, values};
use super::work::run;
use super::{Revocation, Store, StoreError, User};
use crate::id::{SessionId, UserId};
use crate::secret::Secret;
use crate::time::Timestamp;

/// A session, as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The `sid` of its tokens.
    pub id: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// The `gen` of its latest access token: 1 at login, one more with each refresh.
    pub generation: u32,
    /// When the user logged in.
    pub created_at: Timestamp,
    /// When it was last refreshed.
    pub last_used_at: Timestamp,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
    /// Where the login came from.
    pub ip: Option<IpAddr>,
    /// What the login said it was: at most 256 characters.
    pub user_agent: Option<String>,
}

/// A session to be. Its generation starts at 1.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// A fresh id.
    pub id: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// The hash that the login was checked against: a password changed since then refuses the session.
    pub password_hash: Secret<String>,
    /// When the user logs in.
    pub created_at: Timestamp,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
    /// Where the login comes from.
    pub ip: Option<IpAddr>,
    /// What the login says it is; cut to 256 characters.
    pub user_agent: Option<String>,
    /// SHA-256 of the first refresh token.
    pub refresh_hash: [u8; 32],
    /// Until when that one may be used; the session's end if that is earlier.
    pub refresh_expires_at: Timestamp,
}

/// Longer texts are cut: a client must not fill our disk by its name.
const MAX_USER_AGENT_CHARS: usize = 256;

impl Session {
    pub(super) fn read(row: &Row) -> Result<Self, StoreError> {
        let ip = row.text_if_any("ip")?;
        Ok(Self {
            id: SessionId::from_bytes(row.id("id")?),
            user: UserId::from_bytes(row.id("user_id")?),
            generation: row.unsigned("gen")?,
            created_at: row.time("created_at")?,
            last_used_at: row.time("last_used_at")?,
            expires_at: row.time("expires_at")?,
            ip: ip
                .map(|ip| ip.parse().map_err(|_| StoreError::Corrupt("ip")))
                .transpose()?,
            user_agent: row.text_if_any("user_agent")?,
        })
    }
}

/// A refresh token that counts from now on, until `expires_at` or the session's end.
pub(super) async fn insert_refresh_token(
    connection: &mut Connection,
    hash: &[u8; 32],
    session: SessionId,
    expires_at: Timestamp,
) -> Result<(), Failure> {
    const INSERT: &str = "INSERT INTO refresh_tokens (hash, session_id, expires_at) VALUES (?, ?, ?)";
    connection
        .execute(INSERT, values![hash.as_slice(), &session, expires_at])
        .await?;
    Ok(())
}

/// Whether the session by which something is asked has ended; if not, then it does not before the transaction does. The user
/// is locked by now. The operator needs no session.
///
/// One that the store does not have was removed after it had ended, and has left its revocation; or it never was here, where
/// another program that shares our secret issued the token: that one has not ended.
pub(super) async fn is_over(
    connection: &mut Connection,
    journal: &Journal,
    by: Option<SessionId>,
) -> Result<bool, Failure> {
    const LOCK: Sql = locking!("SELECT ended_at FROM sessions WHERE id = ?");
    let Some(session) = by else { return Ok(false) };
    match connection.row(LOCK, values![&session]).await? {
        Some(row) => Ok(row.time_if_any("ended_at")?.is_some()),
        None => journal.has_ended(connection, session).await,
    }
}

impl NewSession {
    /// With its first refresh token. The user is there, and locked.
    pub(super) async fn insert(&self, connection: &mut Connection) -> Result<(), Failure> {
        const INSERT: &str = "INSERT INTO sessions \
                              (id, user_id, gen, created_at, last_used_at, expires_at, ip, user_agent) \
                              VALUES (?, ?, 1, ?, ?, ?, ?, ?)";
        let ip = self.ip.map(|ip| ip.to_string());
        let agent = self.user_agent.as_ref();
        let agent: Option<String> = agent.map(|agent| agent.chars().take(MAX_USER_AGENT_CHARS).collect());
        let (now, ends) = (self.created_at, self.expires_at);
        let row = values![&self.id, &self.user, now, now, ends, ip.as_deref(), agent.as_deref()];
        connection.execute(INSERT, row).await?;
        let expires_at = self.refresh_expires_at.min(ends);
        insert_refresh_token(connection, &self.refresh_hash, self.id, expires_at).await
    }
}

impl Store {
    /// Begins a session, all or nothing, and answers with the user as they are at that moment: roles that change later
    /// revoke its tokens. `None`: the user is gone or disabled, or has another password hash by now.
    pub async fn start_session(&self, session: &NewSession) -> Result<Option<User>, StoreError> {
        let done = recorded!(self, |connection, entry| {
            let user = User::lock(connection, session.user).await?.filter(|user| {
                user.disabled_at.is_none() && user.password_hash.expose() == session.password_hash.expose()
            });
            let Some(user) = user else { return Ok(None) };
            session.insert(connection).await?;
            let begun = |event: Event| event.about(session.user).of(session.id);
            entry.write(connection, begun).await?;
            Ok(Some(user))
        });
        Ok(done?)
    }

    /// The sessions of a user that go on, the latest first: neither ended nor expired, and with a refresh token that may
    /// still be used. One that was idle for too long has none, and nobody can go on with it.
    pub async fn live_sessions(&self, user: UserId, now: Timestamp) -> Result<Vec<Session>, StoreError> {
        const SELECT: &str = "SELECT id, user_id, gen, created_at, last_used_at, expires_at, ip, user_agent \
                              FROM sessions WHERE user_id = ? AND ended_at IS NULL AND expires_at > ? AND EXISTS \
                              (SELECT 1 FROM refresh_tokens WHERE session_id = sessions.id \
                              AND consumed_at IS NULL AND refresh_tokens.expires_at > ?) \
                              ORDER BY created_at DESC, id DESC";
        let rows = run!(self.reading(), |connection| connection
            .rows(SELECT, values![&user, now, now])
            .await)?;
        rows.iter().map(Session::read).collect()
    }

    /// Ends one session and revokes its access tokens until `revoke_until`, all or nothing. `None`: this user has no such
    /// live session. Those who ask at the same time share a transaction.
    pub async fn end_session(
        &self,
        user: UserId,
        session: SessionId,
        revoke_until: Timestamp,
        now: Timestamp,
    ) -> Result<Option<Revocation>, StoreError> {
        let ending = Ending {
            user,
            session,
            revoke_until,
            now,
            event: self.event.clone(),
        };
        self.end_with_others(ending).await
    }

    /// Ends every session of a user but `except`, as [`Self::end_session`] does, all or nothing.
    pub async fn end_sessions(
        &self,
        user: UserId,
        except: Option<SessionId>,
        revoke_until: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<Revocation>, StoreError> {
        let done = recorded!(self, |connection, entry| {
            if User::lock(connection, user).await?.is_none() {
                return Ok(Vec::new());
            }
            let sessions = sessions_of(user, except, revoke_until, now);
            let ended = sessions.end(connection, &self.journal).await?;
            let number = ended.len();
            let told = |event: Event| event.about(user).with(Detail::SessionsEnded(number));
            entry.write(connection, told).await?;
            Ok(ended)
        });
        Ok(done?)
    }
}
