//! Signing keys, sealed: this room never sees a private key in the clear.

use super::audit::{Detail, Event, recorded};
use super::connection::Connection;
use super::error::Failure;
use super::sql::{Row, values};
use super::work::run;
use super::{Revocation, Store, StoreError};
use crate::config::Algorithm;
use crate::id::KeyId;
use crate::time::Timestamp;

/// A signing key, as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredKey {
    /// The `kid` of tokens that it signs.
    pub kid: KeyId,
    /// What it signs with.
    pub algorithm: Algorithm,
    /// The private (or symmetric) key, sealed with the master key.
    pub private_sealed: Vec<u8>,
    /// The public key as a JWK (RFC 7517); `None` for a symmetric one.
    pub public_jwk: Option<String>,
    /// From when it signs.
    pub not_before: Timestamp,
    /// When it stops verifying; `None`: not planned.
    pub retires_at: Option<Timestamp>,
    /// When it was deleted; `None` for one that is in use.
    pub deleted_at: Option<Timestamp>,
}

/// The keys that are in use, or will be.
const SELECT: &str = "SELECT kid, algorithm, private_sealed, public_jwk, not_before, retires_at, deleted_at \
                      FROM signing_keys WHERE deleted_at IS NULL ORDER BY not_before, kid";

impl StoredKey {
    fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            kid: row.parsed("kid")?,
            algorithm: Algorithm::from_name(&row.text("algorithm")?).ok_or(StoreError::Corrupt("algorithm"))?,
            private_sealed: row.bytes("private_sealed")?,
            public_jwk: row.text_if_any("public_jwk")?,
            not_before: row.time("not_before")?,
            retires_at: row.time_if_any("retires_at")?,
            deleted_at: row.time_if_any("deleted_at")?,
        })
    }

    async fn write(&self, connection: &mut Connection) -> Result<(), Failure> {
        const INSERT: &str = "INSERT INTO signing_keys \
                              (kid, algorithm, private_sealed, public_jwk, not_before, retires_at, deleted_at) \
                              VALUES (?, ?, ?, ?, ?, ?, ?)";
        let row = values![
            self.kid.as_str(),
            self.algorithm.as_str(),
            self.private_sealed.as_slice(),
            self.public_jwk.as_deref(),
            self.not_before,
            self.retires_at,
            self.deleted_at,
        ];
        connection.execute(INSERT, row).await?;
        Ok(())
    }
}

/// What is done to the signing keys, all or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyChange {
    /// Keys to write. One whose `kid` is taken is an error.
    pub insert: Vec<StoredKey>,
    /// Keys to write over those of the same `kid`: the sealed form and the times.
    pub update: Vec<StoredKey>,
    /// Revocations that come with it.
    pub revocations: Vec<Revocation>,
}

impl KeyChange {
    /// What there is to say of it.
    fn tell(&self, event: Event) -> Event {
        let made: Vec<KeyId> = self.insert.iter().map(|key| key.kid.clone()).collect();
        let deleted = self.update.iter().filter(|key| key.deleted_at.is_some());
        let deleted: Vec<KeyId> = deleted.map(|key| key.kid.clone()).collect();
        [
            (!made.is_empty()).then_some(Detail::KeysMade(made)),
            (!deleted.is_empty()).then_some(Detail::KeysDeleted(deleted)),
        ]
        .into_iter()
        .flatten()
        .fold(event, Event::with)
    }
}

impl Store {
    /// Writes a key. One with the same `kid` is an error.
    pub async fn insert_key(&self, key: &StoredKey) -> Result<(), StoreError> {
        Ok(run!(self.transaction(), |connection| key.write(connection).await)?)
    }

    /// Writes a key only if there is none, deleted ones not counted: of replicas that start at once, one gets `true`.
    pub async fn insert_first_key(&self, key: &StoredKey) -> Result<bool, StoreError> {
        let plan = |keys: &[StoredKey]| {
            let insert = if keys.is_empty() { vec![key.clone()] } else { Vec::new() };
            let change = KeyChange {
                insert,
                ..KeyChange::default()
            };
            (change, keys.is_empty())
        };
        self.change_keys(key.not_before, plan).await
    }

    /// Does what `plan` makes of the keys that are not deleted, the oldest first. Of all who change keys, also on other
    /// replicas, one does so at a time and sees what those before it did. `plan` may be asked several times, of which the
    /// last counts.
    pub async fn change_keys<T: Send>(
        &self,
        now: Timestamp,
        plan: impl Fn(&[StoredKey]) -> (KeyChange, T) + Send + Sync,
    ) -> Result<T, StoreError> {
        // Named after the first of those who took it.
        const TAKE_TURN: &str = "UPDATE turns SET taken = taken + 1 WHERE name = 'first_key'";
        const UPDATE: &str = "UPDATE signing_keys SET private_sealed = ?, not_before = ?, retires_at = ?, deleted_at = ? \
                              WHERE kid = ?";
        let done = recorded!(self, |connection, entry| {
            // Whoever comes second waits here (Galera: fails at COMMIT, and tries again), and then finds what the first did.
            connection.execute(TAKE_TURN, values![]).await?;
            let keys = connection.rows(SELECT, values![]).await?;
            let keys: Vec<StoredKey> = keys.iter().map(StoredKey::read).collect::<Result<_, _>>()?;
            let (change, answer) = plan(&keys);
            for key in &change.insert {
                key.write(connection).await?;
            }
            for key in &change.update {
                let sealed = key.private_sealed.as_slice();
                let (not_before, retires_at, deleted_at) = (key.not_before, key.retires_at, key.deleted_at);
                let row = values![sealed, not_before, retires_at, deleted_at, key.kid.as_str()];
                connection.execute(UPDATE, row).await?;
            }
            self.journal.write(connection, &change.revocations, now).await?;
            if change != KeyChange::default() {
                entry.write(connection, |event| change.tell(event)).await?;
            }
            Ok(answer)
        });
        Ok(done?)
    }

    /// The keys that are not deleted, the oldest first.
    pub async fn keys(&self) -> Result<Vec<StoredKey>, StoreError> {
        let rows = run!(self.reading(), |connection| connection.rows(SELECT, values![]).await)?;
        rows.iter().map(StoredKey::read).collect()
    }

    /// The keys, also those that were deleted and are not forgotten yet, the oldest first.
    pub async fn keys_ever(&self) -> Result<Vec<StoredKey>, StoreError> {
        const SELECT: &str = "SELECT kid, algorithm, private_sealed, public_jwk, not_before, retires_at, deleted_at \
                              FROM signing_keys ORDER BY not_before, kid";
        let rows = run!(self.reading(), |connection| connection.rows(SELECT, values![]).await)?;
        rows.iter().map(StoredKey::read).collect()
    }

    /// Removes the rows of keys that were deleted before this time, and says how many.
    pub async fn forget_keys(&self, deleted_before: Timestamp) -> Result<u64, StoreError> {
        const DELETE: &str = "DELETE FROM signing_keys WHERE deleted_at <= ?";
        Ok(run!(self.writing(), |connection| connection
            .execute(DELETE, values![deleted_before])
            .await)?)
    }
}
