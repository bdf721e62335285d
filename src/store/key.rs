//! Signing keys, sealed: this room never sees a private key in the clear.

use super::connection::Connection;
use super::error::Failure;
use super::sql::{Row, values};
use super::work::run;
use super::{Store, StoreError};
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

impl Store {
    /// Writes a key. One with the same `kid` is an error.
    pub async fn insert_key(&self, key: &StoredKey) -> Result<(), StoreError> {
        Ok(run!(self.transaction(), |connection| key.write(connection).await)?)
    }

    /// Writes a key only if there is none, deleted ones not counted: of replicas that start at once, one gets `true`.
    pub async fn insert_first_key(&self, key: &StoredKey) -> Result<bool, StoreError> {
        const TAKE_TURN: &str = "UPDATE turns SET taken = taken + 1 WHERE name = 'first_key'";
        const FIND: &str = "SELECT kid FROM signing_keys WHERE deleted_at IS NULL LIMIT 1";
        let done = run!(self.transaction(), |connection| {
            // Whoever comes second waits here (Galera: fails at COMMIT, and tries again), and then finds the first one's key.
            connection.execute(TAKE_TURN, values![]).await?;
            if connection.row(FIND, values![]).await?.is_some() {
                return Ok(false);
            }
            key.write(connection).await?;
            Ok(true)
        });
        Ok(done?)
    }

    /// The keys that are not deleted, the oldest first.
    pub async fn keys(&self) -> Result<Vec<StoredKey>, StoreError> {
        const SELECT: &str = "SELECT kid, algorithm, private_sealed, public_jwk, not_before, retires_at, deleted_at \
                              FROM signing_keys WHERE deleted_at IS NULL ORDER BY not_before, kid";
        let rows = run!(self.reading(), |connection| connection.rows(SELECT, values![]).await)?;
        rows.iter().map(StoredKey::read).collect()
    }
}
