//! [`Journal`]: where revocations are written, as part of the transaction that makes them necessary.

use std::sync::LazyLock;

use super::Revocation;
use super::connection::Connection;
use super::error::Failure;
use super::redis::Redis;
use super::sql::{Value, values};
use crate::id::SessionId;
use crate::store::Revoked;
use crate::time::Timestamp;

/// Where revocations are written.
#[derive(Clone, Debug)]
pub(super) enum Journal {
    /// The table `blocked_tokens`.
    Table,
    /// Redis. It takes them before the transaction is committed: where that fails then, tokens are refused whose session
    /// lives, which is the safe side.
    Redis(Redis),
}

/// How many rows one statement writes, from the most to one: whatever there is takes few statements, and few are prepared.
const SIZES: [usize; 5] = [100, 30, 10, 3, 1];

/// The statement for each of [`SIZES`].
static INSERT: LazyLock<[String; SIZES.len()]> = LazyLock::new(|| {
    let rows = |size| vec!["(?, ?, ?, ?, ?)"; size].join(", ");
    SIZES.map(|size| {
        format!(
            "INSERT INTO blocked_tokens (kind, value, gen, expires_at, blocked_at) VALUES {}",
            rows(size)
        )
    })
});

impl Journal {
    /// Writes revocations. When this has succeeded and the transaction is committed, every replica learns of them; where
    /// it fails, the transaction must not be committed.
    pub(super) async fn write(
        &self,
        connection: &mut Connection,
        revocations: &[Revocation],
        now: Timestamp,
    ) -> Result<(), Failure> {
        match self {
            Self::Table => {
                let mut rest = revocations;
                for (size, insert) in SIZES.into_iter().zip(&*INSERT) {
                    let mut chunks = rest.chunks_exact(size);
                    for chunk in chunks.by_ref() {
                        let rows: Vec<Value<'_>> = chunk.iter().flat_map(|revocation| row(revocation, now)).collect();
                        connection.execute(insert.as_str(), &rows).await?;
                    }
                    rest = chunks.remainder();
                }
                Ok(())
            }
            Self::Redis(redis) => {
                redis.write(revocations, now).await?;
                Ok(())
            }
        }
    }

    /// Whether a session that the store does not have any more is known to have ended.
    pub(super) async fn has_ended(&self, connection: &mut Connection, session: SessionId) -> Result<bool, Failure> {
        const FIND: &str = "SELECT seq FROM blocked_tokens WHERE kind = ? AND value = ? AND gen = ? LIMIT 1";
        let ended = Revoked::Session {
            id: session,
            up_to: u32::MAX,
        };
        match self {
            Self::Table => {
                let found = values![ended.kind(), ended.value().as_slice(), ended.generation()];
                Ok(connection.row(FIND, found).await?.is_some())
            }
            Self::Redis(redis) => Ok(redis.has_ended(session).await?),
        }
    }
}

fn row(revocation: &Revocation, now: Timestamp) -> [Value<'_>; 5] {
    let target = &revocation.target;
    [
        target.kind().into(),
        target.value().as_slice().into(),
        target.generation().into(),
        revocation.expires_at.into(),
        now.into(),
    ]
}
