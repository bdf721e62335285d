//! Where users, sessions, refresh tokens, revocations and sealed keys are kept: SQLite or MySQL/MariaDB, with one behaviour,
//! and for revocations Redis where it is wanted. What changes is recorded in the audit trail, with the change itself.

pub mod audit;
mod batch;
mod cleanup;
mod connection;
mod ending;
mod error;
mod journal;
mod key;
mod migrate;
mod pool;
mod redis;
mod refresh_token;
mod revocation;
mod roles;
mod rotation;
mod session;
mod signup;
mod sql;
mod throttle;
mod user;
mod work;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use cleanup::Removed;
pub use error::{Cause, StoreError, WriteUserError};
pub use key::{KeyChange, StoredKey};
pub use migrate::{MigrationState, Step};
pub use redis::{Lease, PATIENCE as REDIS_PATIENCE, Position, Reader, Redis, State, Told};
pub use refresh_token::HeldRefreshToken;
pub use revocation::{Blocked, Revocation, Revoked};
pub use roles::{RolesChange, RolesChanged};
pub use rotation::{Refreshed, Rotation};
pub use session::{NewSession, Session};
pub use throttle::{AccountDigest, Attempt, Counter, CounterId, Taken, Throttled, Tried};
pub use user::{NewUser, PasswordChanged, User, UserChange, UserChanged};

use self::audit::{Event, Trail};
use self::batch::Batches;
use self::connection::Connector;
use self::journal::Journal;
use self::pool::Pool;
use self::work::run;
use crate::config;

/// A handle to the database. Cheap to clone; all clones share their connections.
///
/// Every call ends within the connect timeout plus the query timeout (twice, where a connection turns out to have died),
/// also when the server is frozen. A call whose future is dropped has happened wholly or not at all.
#[derive(Clone)]
pub struct Store {
    kind: Kind,
    /// SQLite: the one connection that writes, so that writers queue here in order instead of polling for the file's lock.
    writers: Arc<Pool>,
    /// MySQL: the same pool.
    readers: Arc<Pool>,
    /// Where revocations are written.
    journal: Journal,
    /// Sessions that are about to end.
    batches: Arc<Batches>,
    /// How events are told of, and those that wait to be written.
    trail: Arc<Trail>,
    /// What the next change is recorded as.
    event: Option<Arc<Event>>,
    /// How long a connection may take to be had.
    patience: Duration,
    query_timeout: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    MySql,
    Sqlite,
}

impl Store {
    /// Opens the database and tries one connection; a Redis that keeps the revocations is connected to when it is needed. Makes an SQLite file (mode 0600) and its directory when missing. The
    /// schema is not looked at: see [`Self::check_schema`].
    pub async fn connect(config: &config::Store) -> Result<Self, StoreError> {
        let (size, patience, query_timeout) = (config.max_connections, config.connect_timeout, config.query_timeout);
        let pool = |connector, size| Arc::new(Pool::new(connector, size, patience));
        let (kind, writers, readers) = match &config.backend {
            config::Backend::MySql(mysql) => {
                let both = pool(Connector::mysql(mysql, query_timeout), size);
                (Kind::MySql, Arc::clone(&both), both)
            }
            config::Backend::Sqlite(path) => {
                let named = |error| StoreError::Unavailable(Cause::of(format!("{}: {error}", path.display())));
                connection::create_sqlite_file(path).map_err(named)?;
                let writer = pool(Connector::sqlite_writer(path, query_timeout), 1);
                (
                    Kind::Sqlite,
                    writer,
                    pool(Connector::sqlite_reader(path, query_timeout), size),
                )
            }
        };
        let journal = match &config.revocations {
            config::Revocations::Database => Journal::Table,
            config::Revocations::Redis(redis) => Journal::Redis(Redis::new(redis, patience)?),
        };
        let store = Self {
            kind,
            writers,
            readers,
            journal,
            batches: Arc::default(),
            trail: Arc::default(),
            event: None,
            patience,
            query_timeout,
        };
        // The writer first: it turns the write-ahead log on.
        run!(store.writing(), |connection| connection.ping().await)?;
        Ok(store)
    }

    /// Whether the database answers, and Redis where one keeps the revocations.
    pub async fn ping(&self) -> Result<(), StoreError> {
        run!(self.reading(), |connection| connection.ping().await)?;
        match &self.journal {
            Journal::Table => Ok(()),
            Journal::Redis(redis) => redis.ping().await,
        }
    }

    /// The Redis that keeps the revocations, if one does.
    #[must_use]
    pub fn redis(&self) -> Option<&Redis> {
        match &self.journal {
            Journal::Table => None,
            Journal::Redis(redis) => Some(redis),
        }
    }

    /// Waits for the calls under way, up to the connect timeout, and closes all connections. Calls that come later fail.
    pub async fn close(&self) {
        self.batches.settle(self.patience).await;
        self.trail.settle(self.patience).await;
        // The writer last: the last connection to an SQLite file writes its log back.
        self.readers.close().await;
        self.writers.close().await;
        if let Journal::Redis(redis) = &self.journal {
            redis.close().await;
        }
    }

    /// `sqlite` or `mysql`.
    #[must_use]
    pub fn backend_name(&self) -> &'static str {
        match self.kind {
            Kind::MySql => "mysql",
            Kind::Sqlite => "sqlite",
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The pools hold the password.
        f.debug_struct("Store")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request handler of a multi-threaded runtime awaits these.
    #[test]
    fn what_the_store_does_can_move_between_threads() {
        fn moves<T: Send>(_: impl Fn() -> T) {}
        let store: Option<&'static Store> = None;
        moves(|| store.map(Store::keys));
        moves(|| store.map(|store| store.migrate_up(crate::time::Timestamp::from_unix_ms(0))));
        moves(|| store.map(|store| store.block(&[], crate::time::Timestamp::from_unix_ms(0))));
    }
}
