//! A bounded set of connections, lent one piece of work at a time.
//!
//! It differs from sqlx's pool where a gateway needs it to: a connection that is not handed back explicitly is closed, so
//! that a dropped request or a timeout never leaves one in the middle of an answer for the next borrower; every wait is
//! bounded, that for a frozen server too; and a server that refuses connections is an error at once.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{sleep, timeout};

use super::StoreError;
use super::connection::{Connection, Connector};
use super::error::{Cause, Failure};
use crate::time::monotonic;

/// A connection that idled for longer is asked whether it still lives before it is lent.
const FRESH: Duration = Duration::from_secs(1);
/// A connection that idled for longer is closed: servers and firewalls forget them about then.
const MAX_IDLE: Duration = Duration::from_mins(5);
/// A connection older than this is closed, so that a server that came back gets its share again.
const MAX_AGE: Duration = Duration::from_mins(30);

pub(super) struct Pool {
    connector: Connector,
    size: u32,
    patience: Duration,
    permits: Semaphore,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    connection: Connection,
    made: Instant,
    since: Instant,
}

/// A connection on loan. Dropped without [`Lease::hand_back`], it is closed.
pub(super) struct Lease<'p> {
    pub(super) connection: Connection,
    /// Whether it served before, so that it may have died since.
    pub(super) reused: bool,
    made: Instant,
    pool: &'p Pool,
    _permit: SemaphorePermit<'p>,
}

impl Pool {
    pub(super) fn new(connector: Connector, size: u32, patience: Duration) -> Self {
        Self {
            connector,
            size,
            patience,
            permits: Semaphore::new(size as usize),
            idle: Mutex::new(Vec::new()),
        }
    }

    /// Lends a connection, made anew if none is idle. Waits no longer than the connect timeout in all.
    pub(super) async fn lend(&self) -> Result<Lease<'_>, StoreError> {
        timeout(self.patience, self.lend_unbounded())
            .await
            .map_err(|_| StoreError::Timeout(self.patience))?
    }

    async fn lend_unbounded(&self) -> Result<Lease<'_>, StoreError> {
        let closed = |_| StoreError::Unavailable(Cause::of("the store is closed"));
        let permit = self.permits.acquire().await.map_err(closed)?;
        while let Some(mut idle) = self.take_idle() {
            if idle.since.elapsed() < FRESH || idle.connection.ping().await.is_ok() {
                return Ok(Lease::new(self, permit, idle.connection, idle.made, true));
            }
        }
        loop {
            match self.connector.connect().await {
                Ok(connection) => return Ok(Lease::new(self, permit, connection, monotonic(), false)),
                // SQLite: another process is switching the file to its write-ahead log.
                Err(Failure::Conflict(_)) => sleep(Duration::from_millis(10)).await,
                Err(Failure::Broken(cause) | Failure::Duplicate(cause) | Failure::Final(StoreError::Query(cause))) => {
                    return Err(StoreError::Unavailable(cause));
                }
                Err(Failure::Final(error)) => return Err(error),
            }
        }
    }

    /// The connection that idled least, so that the others age and go.
    fn take_idle(&self) -> Option<Idle> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|idle| idle.since.elapsed() < MAX_IDLE);
        idle.pop()
    }

    /// Closes what is idle: one connection died, so the others will have as well.
    pub(super) fn distrust_idle(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Waits for what is lent, up to the connect timeout, and closes everything. Nothing is lent from then on.
    pub(super) async fn close(&self) {
        // Whoever holds out longer than that keeps the connection, and drops it at the end.
        drop(timeout(self.patience, self.permits.acquire_many(self.size)).await);
        self.permits.close();
        while let Some(idle) = self.take_idle() {
            drop(timeout(self.patience, idle.connection.close()).await);
        }
    }
}

impl<'p> Lease<'p> {
    fn new(pool: &'p Pool, permit: SemaphorePermit<'p>, connection: Connection, made: Instant, reused: bool) -> Self {
        Self {
            connection,
            reused,
            made,
            pool,
            _permit: permit,
        }
    }

    /// Hands the connection back for the next borrower. Only one that has answered in full, outside of a transaction.
    pub(super) fn hand_back(self) {
        if self.made.elapsed() < MAX_AGE && !self.pool.permits.is_closed() {
            let idle = Idle {
                connection: self.connection,
                made: self.made,
                since: monotonic(),
            };
            self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(idle);
        }
    }
}
