//! Users.

use super::audit::{Detail, Entry, Event, recorded};
use super::connection::Connection;
use super::error::Failure;
use super::revocation::sessions_of;
use super::roles::{read_roles, sorted, write_roles};
use super::session::is_over;
use super::sql::{Row, Sql, locking, values};
use super::throttle::forget_known;
use super::work::run;
use super::{Revocation, Store, StoreError, WriteUserError};
use crate::id::{Email, Role, SessionId, UserId, UserName};
use crate::secret::Secret;
use crate::time::Timestamp;

/// A user, as stored.
#[derive(Clone, Debug)]
pub struct User {
    /// The `sub` of this user's tokens.
    pub id: UserId,
    /// The address, unique among users.
    pub email: Email,
    /// What the user is called.
    pub name: UserName,
    /// The bcrypt hash of the password.
    pub password_hash: Secret<String>,
    /// Sorted, each once.
    pub roles: Vec<Role>,
    /// Since when the user can't log in; `None`: they can.
    pub disabled_at: Option<Timestamp>,
    /// When the user signed up.
    pub created_at: Timestamp,
    /// When anything of this last changed.
    pub updated_at: Timestamp,
}

/// A user to be.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// A fresh id.
    pub id: UserId,
    /// The address, which must not be taken.
    pub email: Email,
    /// What the user is called.
    pub name: UserName,
    /// The bcrypt hash of the password.
    pub password_hash: Secret<String>,
    /// In any order, each at least once.
    pub roles: Vec<Role>,
    /// When the user signs up.
    pub now: Timestamp,
}

/// What changes about a user; `None` leaves it as it is.
#[derive(Clone, Debug, Default)]
pub struct UserChange {
    /// A new address.
    pub email: Option<Email>,
    /// A new name.
    pub name: Option<UserName>,
}

/// A user who was changed.
#[derive(Clone, Debug)]
pub struct UserChanged {
    /// The user by now.
    pub user: User,
    /// What was revoked with it: nothing where nothing changed.
    pub revoked: Vec<Revocation>,
}

/// What became of a change of a password. Nothing was written unless it is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordChanged {
    /// The hash is the new one, and the other sessions ended with these revocations.
    Done(Vec<Revocation>),
    /// There is no such user.
    NoUser,
    /// The hash is no longer the one that the old password was checked against.
    HashReplaced,
    /// The session that was to be kept has ended.
    SessionEnded,
}

const BY_ID: &str = "SELECT id, email, name, password_hash, roles, disabled_at, created_at, updated_at \
                     FROM users WHERE id = ?";

impl User {
    fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: UserId::from_bytes(row.id("id")?),
            email: row.parsed("email")?,
            name: row.parsed("name")?,
            password_hash: Secret::new(row.text("password_hash")?),
            roles: read_roles(&row.text("roles")?)?,
            disabled_at: row.time_if_any("disabled_at")?,
            created_at: row.time("created_at")?,
            updated_at: row.time("updated_at")?,
        })
    }

    /// Reads a user and keeps everybody else from changing them, or their sessions, until the transaction ends. Each
    /// transaction about a user's sessions begins with this: the order keeps them from deadlocks, and the user that one
    /// reads from being another by the time it commits.
    pub(super) async fn lock(connection: &mut Connection, id: UserId) -> Result<Option<Self>, Failure> {
        const LOCK: Sql = locking!(
            "SELECT id, email, name, password_hash, roles, disabled_at, created_at, updated_at FROM users WHERE id = ?"
        );
        let row = connection.row(LOCK, values![&id]).await?;
        Ok(row.as_ref().map(Self::read).transpose()?)
    }
}

impl NewUser {
    /// The user, once written.
    #[must_use]
    pub fn made(&self) -> User {
        User {
            id: self.id,
            email: self.email.clone(),
            name: self.name.clone(),
            password_hash: self.password_hash.clone(),
            roles: sorted(&self.roles),
            disabled_at: None,
            created_at: self.now,
            updated_at: self.now,
        }
    }

    pub(super) async fn insert(&self, connection: &mut Connection, entry: &mut Entry) -> Result<(), Failure> {
        const INSERT: &str = "INSERT INTO users (id, email, name, password_hash, roles, created_at, updated_at) \
                              VALUES (?, ?, ?, ?, ?, ?, ?)";
        let (email, name, hash) = (
            self.email.as_str(),
            self.name.as_str(),
            self.password_hash.expose().as_str(),
        );
        let roles = write_roles(&self.roles);
        let row = values![&self.id, email, name, hash, roles.as_str(), self.now, self.now];
        connection.execute(INSERT, row).await?;
        forget_known(connection, &self.email).await?;
        let made = |event: Event| match self.roles.as_slice() {
            [] => event.about(self.id),
            roles => event.about(self.id).with(Detail::Roles(roles.to_vec())),
        };
        entry.write(connection, made).await
    }
}

/// What is said of a change that ended a user's sessions.
fn ending(user: UserId, ended: &[Revocation]) -> impl FnOnce(Event) -> Event {
    let ended = Detail::SessionsEnded(ended.len());
    move |event| event.about(user).with(ended)
}

impl Store {
    /// Writes a new user. Of several with one address, one wins and the others get [`WriteUserError::EmailTaken`].
    pub async fn create_user(&self, user: &NewUser) -> Result<User, WriteUserError> {
        recorded!(self, |connection, entry| user.insert(connection, &mut entry).await)?;
        Ok(user.made())
    }

    /// The user with this id, disabled ones included.
    pub async fn user_by_id(&self, id: UserId) -> Result<Option<User>, StoreError> {
        let row = run!(self.reading(), |connection| connection.row(BY_ID, values![&id]).await)?;
        row.as_ref().map(User::read).transpose()
    }

    /// The user with this address, disabled ones included.
    pub async fn user_by_email(&self, email: &Email) -> Result<Option<User>, StoreError> {
        const BY_EMAIL: &str = "SELECT id, email, name, password_hash, roles, disabled_at, created_at, updated_at \
                                FROM users WHERE email = ?";
        let row = run!(self.reading(), |connection| connection
            .row(BY_EMAIL, values![email.as_str()])
            .await)?;
        row.as_ref().map(User::read).transpose()
    }

    /// Up to `limit` users in the order in which they signed up, from the first one after `after`.
    pub async fn list_users(&self, after: Option<UserId>, limit: u32) -> Result<Vec<User>, StoreError> {
        // Ids sort by the time that they were made, and none is all zeros.
        const LIST: &str = "SELECT id, email, name, password_hash, roles, disabled_at, created_at, updated_at \
                            FROM users WHERE id > ? ORDER BY id LIMIT ?";
        let after = after.unwrap_or(UserId::from_bytes([0; 16]));
        let rows = run!(self.reading(), |connection| connection
            .rows(LIST, values![&after, limit])
            .await)?;
        rows.iter().map(User::read).collect()
    }

    /// Changes a user and answers with the result; `None`: no such user, or the session `by` which it is asked has ended.
    /// Sessions live on, but their tokens so far, which say what was, are revoked until `revoke_until`.
    pub async fn update_user(
        &self,
        id: UserId,
        by: Option<SessionId>,
        change: &UserChange,
        revoke_until: Timestamp,
        now: Timestamp,
    ) -> Result<Option<UserChanged>, WriteUserError> {
        const UPDATE: &str = "UPDATE users SET email = ?, name = ?, updated_at = ? WHERE id = ?";
        let done = recorded!(self, |connection, entry| {
            let Some(mut user) = User::lock(connection, id).await? else {
                return Ok(None);
            };
            if is_over(connection, &self.journal, by).await? {
                return Ok(None);
            }
            let (email, name) = (
                change.email.clone().unwrap_or_else(|| user.email.clone()),
                change.name.clone().unwrap_or_else(|| user.name.clone()),
            );
            if (&email, &name) == (&user.email, &user.name) {
                let revoked = Vec::new();
                return Ok(Some(UserChanged { user, revoked }));
            }
            let fields = [("email", email != user.email), ("name", name != user.name)];
            let fields = fields
                .into_iter()
                .filter_map(|(field, changed)| changed.then_some(field));
            let fields: Vec<&'static str> = fields.collect();
            let former = std::mem::replace(&mut user.email, email);
            (user.name, user.updated_at) = (name, now);
            let row = values![user.email.as_str(), user.name.as_str(), now, &id];
            connection.execute(UPDATE, row).await?;
            let moved = fields.contains(&"email").then_some(former);
            if let Some(former) = &moved {
                forget_known(connection, former).await?;
                forget_known(connection, &user.email).await?;
            }
            let sessions = sessions_of(id, None, revoke_until, now);
            let revoked = sessions.revoke_so_far(connection, &self.journal).await?;
            let moved = moved.map(Detail::FormerEmail);
            let told = |event: Event| {
                let event = event.about(id).with(Detail::Fields(fields));
                moved.into_iter().fold(event, Event::with)
            };
            entry.write(connection, told).await?;
            Ok(Some(UserChanged { user, revoked }))
        });
        Ok(done?)
    }

    /// Replaces a hash by one of the same password at another cost, only if it is still `seen`: a password changed in
    /// the meantime stays changed.
    pub async fn upgrade_password_hash(
        &self,
        id: UserId,
        seen: &str,
        new: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const UPDATE: &str = "UPDATE users SET password_hash = ?, updated_at = ? WHERE id = ? AND password_hash = ?";
        let done = run!(self.transaction(), |connection| connection
            .execute(UPDATE, values![new, now, &id, seen])
            .await);
        Ok(done? == 1)
    }

    /// Sets a new hash and ends every session but `keep`, with revocations that hold until `revoke_until`, all or
    /// nothing. `seen` is the hash that the caller checked the old password against, `None` for one who need not know it:
    /// a hash replaced since then stays. So does any where `keep` has ended.
    pub async fn change_password(
        &self,
        id: UserId,
        seen: Option<&str>,
        new_hash: &str,
        keep: Option<SessionId>,
        revoke_until: Timestamp,
        now: Timestamp,
    ) -> Result<PasswordChanged, StoreError> {
        const UPDATE: &str = "UPDATE users SET password_hash = ?, updated_at = ? WHERE id = ?";
        let done = recorded!(self, |connection, entry| {
            let Some(user) = User::lock(connection, id).await? else {
                return Ok(PasswordChanged::NoUser);
            };
            if seen.is_some_and(|seen| seen != user.password_hash.expose()) {
                return Ok(PasswordChanged::HashReplaced);
            }
            if is_over(connection, &self.journal, keep).await? {
                return Ok(PasswordChanged::SessionEnded);
            }
            connection.execute(UPDATE, values![new_hash, now, &id]).await?;
            let ended = sessions_of(id, keep, revoke_until, now)
                .end(connection, &self.journal)
                .await?;
            entry.write(connection, ending(id, &ended)).await?;
            Ok(PasswordChanged::Done(ended))
        });
        Ok(done?)
    }

    /// Keeps a user from logging in and ends all sessions, all or nothing. `None`: no such user.
    pub async fn disable_user(
        &self,
        id: UserId,
        revoke_until: Timestamp,
        now: Timestamp,
    ) -> Result<Option<Vec<Revocation>>, StoreError> {
        // One who is disabled already stays so since then.
        const UPDATE: &str = "UPDATE users SET disabled_at = COALESCE(disabled_at, ?), updated_at = ? WHERE id = ?";
        let done = recorded!(self, |connection, entry| {
            if User::lock(connection, id).await?.is_none() {
                return Ok(None);
            }
            connection.execute(UPDATE, values![now, now, &id]).await?;
            let sessions = sessions_of(id, None, revoke_until, now);
            let ended = sessions.end(connection, &self.journal).await?;
            entry.write(connection, ending(id, &ended)).await?;
            Ok(Some(ended))
        });
        Ok(done?)
    }

    /// Lets a disabled user log in again. `false`: no such user.
    pub async fn enable_user(&self, id: UserId, now: Timestamp) -> Result<bool, StoreError> {
        const UPDATE: &str = "UPDATE users SET disabled_at = NULL, updated_at = ? WHERE id = ?";
        let done = recorded!(self, |connection, entry| {
            let found = connection.execute(UPDATE, values![now, &id]).await? == 1;
            if found {
                entry.write(connection, |event| event.about(id)).await?;
            }
            Ok(found)
        });
        Ok(done?)
    }

    /// Deletes a user with all sessions and refresh tokens; the revocations of those sessions stay. `None`: no such user, or
    /// the session `by` which it is asked has ended.
    pub async fn delete_user(
        &self,
        id: UserId,
        by: Option<SessionId>,
        revoke_until: Timestamp,
        now: Timestamp,
    ) -> Result<Option<Vec<Revocation>>, StoreError> {
        let done = recorded!(self, |connection, entry| {
            let Some(user) = User::lock(connection, id).await? else {
                return Ok(None);
            };
            if is_over(connection, &self.journal, by).await? {
                return Ok(None);
            }
            let revocations = sessions_of(id, None, revoke_until, now)
                .end(connection, &self.journal)
                .await?;
            // The foreign keys take sessions and refresh tokens along.
            connection
                .execute("DELETE FROM users WHERE id = ?", values![&id])
                .await?;
            forget_known(connection, &user.email).await?;
            entry.write(connection, ending(id, &revocations)).await?;
            Ok(Some(revocations))
        });
        Ok(done?)
    }
}
