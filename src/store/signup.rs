//! A sign-up: a user and their first session at once.

use super::audit::{Event, recorded};
use super::{NewSession, NewUser, Store, WriteUserError};

impl Store {
    /// Writes a new user and begins their first session, all or nothing. Of several with one address, one wins and the others
    /// get [`WriteUserError::EmailTaken`]. The session is recorded as `begins`, where the store records anything.
    pub async fn sign_up(&self, user: &NewUser, session: &NewSession, begins: &Event) -> Result<(), WriteUserError> {
        debug_assert_eq!(user.id, session.user);
        recorded!(self, |connection, entry| {
            user.insert(connection, &mut entry).await?;
            session.insert(connection).await?;
            let begins = begins.clone().about(session.user).of(session.id);
            entry.write_too(connection, begins).await
        })?;
        Ok(())
    }
}
