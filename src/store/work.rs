//! How a piece of work gets a connection, a transaction, another try, and an end.
//!
//! [`run!`] is a macro, as an async closure that borrows makes futures that the compiler can't prove to be `Send`.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::connection::Connection;
use super::error::Failure;
use super::pool::{Lease, Pool};
use super::{Kind, Store, StoreError};
use crate::time::monotonic;

/// How often work that others were in the way of is tried. The query timeout bounds all tries together.
const MAX_TRIES: u32 = 20;

/// What surrounds the work.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Around {
    /// Nothing, and the work changes nothing.
    Reading,
    /// Nothing: each statement is its own transaction.
    Writing,
    /// A transaction.
    Transaction,
}

/// `run!(self.transaction(), |connection| { …; Ok(answer) })`: does the work, again after a conflict, and answers with its
/// `Result<_, Failure>`. The work may run several times, each time on what was before.
macro_rules! run {
    ($tries:expr, |$connection:ident| $work:expr) => {{
        let mut tries: $crate::store::work::Tries<'_> = $tries;
        loop {
            let deadline = match tries.lend().await {
                Ok(deadline) => deadline,
                Err(error) => break Err($crate::store::error::Failure::from(error)),
            };
            let attempt = async {
                let $connection: &mut $crate::store::connection::Connection = tries.begin().await?;
                let done: Result<_, $crate::store::error::Failure> = async { $work }.await;
                tries.finish(done).await
            };
            let done = match tokio::time::timeout_at(deadline, attempt).await {
                Ok(done) => done,
                Err(_) => Err(tries.timed_out()),
            };
            if let std::ops::ControlFlow::Break(done) = tries.judge(done).await {
                break done;
            }
        }
    }};
}

pub(super) use run;

impl Store {
    /// For work that reads. Each statement sees what is committed when it starts.
    pub(super) fn reading(&self) -> Tries<'_> {
        Tries::new(&self.readers, Around::Reading, self.query_timeout)
    }

    /// For work that writes by single statements, and may fail where a connection died while it was idle: nobody knows then
    /// whether the first of them happened.
    pub(super) fn writing(&self) -> Tries<'_> {
        Tries::new(&self.writers, Around::Writing, self.query_timeout)
    }

    /// For work that writes, all or nothing.
    pub(super) fn transaction(&self) -> Tries<'_> {
        Tries::new(&self.writers, Around::Transaction, self.query_timeout)
    }

    /// For work that changes the schema by statements that may take `patience`: all or nothing on SQLite, one by one on
    /// MySQL, where each statement of DDL ends a transaction.
    pub(super) fn altering(&self, patience: Duration) -> Tries<'_> {
        let around = match self.kind {
            Kind::Sqlite => Around::Transaction,
            Kind::MySql => Around::Writing,
        };
        Tries::new(&self.writers, around, patience)
    }
}

/// The tries of one piece of work. Dropped between two steps, as its future is, it closes the connection: the database then
/// undoes what was not committed.
pub(super) struct Tries<'s> {
    pool: &'s Pool,
    around: Around,
    patience: Duration,
    deadline: Option<Instant>,
    lease: Option<Lease<'s>>,
    tried: u32,
    /// Whether anything may have happened, so that it must not happen again.
    begun: bool,
    /// Whether the connection has no transaction open.
    clean: bool,
    /// Whether a connection was replaced by a fresh one.
    replaced: bool,
}

impl<'s> Tries<'s> {
    fn new(pool: &'s Pool, around: Around, patience: Duration) -> Self {
        Self {
            pool,
            around,
            patience,
            deadline: None,
            lease: None,
            tried: 0,
            begun: false,
            clean: true,
            replaced: false,
        }
    }

    /// Makes sure of a connection, within the connect timeout, and says when the work ends at the latest: that clock starts
    /// with the first connection.
    pub(super) async fn lend(&mut self) -> Result<Instant, StoreError> {
        if self.lease.is_none() {
            self.lease = Some(self.pool.lend().await?);
        }
        Ok(*self
            .deadline
            .get_or_insert_with(|| Instant::from_std(monotonic() + self.patience)))
    }

    pub(super) async fn begin(&mut self) -> Result<&mut Connection, Failure> {
        let Some(lease) = &mut self.lease else {
            return Err(StoreError::Timeout(self.patience).into());
        };
        self.tried += 1;
        match self.around {
            Around::Reading => {}
            Around::Writing => self.begun = true,
            Around::Transaction => {
                self.clean = false;
                if let Err(failure) = lease.connection.begin().await {
                    // Another process holds SQLite's lock: there is no transaction to end.
                    self.clean = matches!(failure, Failure::Conflict(_));
                    return Err(failure);
                }
                self.begun = true;
            }
        }
        Ok(&mut lease.connection)
    }

    /// Ends the transaction: all, if the work is done, and nothing otherwise.
    pub(super) async fn finish<T>(&mut self, done: Result<T, Failure>) -> Result<T, Failure> {
        let Some(lease) = &mut self.lease else { return done };
        if self.around != Around::Transaction {
            return done;
        }
        let done = match done {
            Ok(done) => lease.connection.run("COMMIT").await.map(|()| done),
            Err(failure) => Err(failure),
        };
        // Some failures end the transaction on the server and some do not; after this there is none.
        self.clean = match &done {
            Ok(_) => true,
            Err(Failure::Broken(_)) => false,
            Err(Failure::Conflict(_) | Failure::Duplicate(_) | Failure::Final(_)) => {
                lease.connection.run("ROLLBACK").await.is_ok()
            }
        };
        done
    }

    pub(super) fn timed_out(&self) -> Failure {
        StoreError::Timeout(self.patience).into()
    }

    /// Whether that was it, and what becomes of the connection.
    pub(super) async fn judge<T>(&mut self, done: Result<T, Failure>) -> ControlFlow<Result<T, Failure>> {
        let reused = self.lease.as_ref().is_some_and(|lease| lease.reused);
        match &done {
            Err(Failure::Conflict(cause)) if self.clean && self.tried < MAX_TRIES => {
                tracing::debug!(tried = self.tried, %cause, "another transaction was in the way");
                sleep(backoff(self.tried)).await;
                return ControlFlow::Continue(());
            }
            // It died while it was idle: nothing has happened, so nothing happens twice.
            Err(Failure::Broken(_)) if reused && !self.begun && !self.replaced => {
                self.pool.distrust_idle();
                (self.lease, self.clean, self.replaced) = (None, true, true);
                return ControlFlow::Continue(());
            }
            Ok(_)
            | Err(
                Failure::Conflict(_)
                | Failure::Duplicate(_)
                | Failure::Final(StoreError::Query(_) | StoreError::Redis(_)),
            ) => {
                if let Some(lease) = self.lease.take_if(|_| self.clean) {
                    lease.hand_back();
                }
            }
            Err(Failure::Broken(_) | Failure::Final(_)) => {}
        }
        self.lease = None;
        ControlFlow::Break(done)
    }
}

/// How long to wait before the next try: 2 ms at first, up to 60 ms, and not the same for those who met.
fn backoff(tried: u32) -> Duration {
    static TURN: AtomicU64 = AtomicU64::new(0);
    let turn = TURN.fetch_add(1, Ordering::Relaxed) % 8;
    Duration::from_millis((1 << tried.min(5)) + turn * u64::from(tried.min(4)))
}
