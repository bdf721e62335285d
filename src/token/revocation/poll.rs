//! How the blocklist learns what other replicas, and this one before its restart, have revoked.

use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::cursor::{Cursor, Reading};
use super::{Blocklist, Freshness};
use crate::chain::Chain;
use crate::store::{Blocked, Store, StoreError};
use crate::time::{self, Clock, Timestamp};

/// How many rows one query brings.
const PAGE: u32 = 5_000;

/// How long after a full re-read that failed the next begins.
const RETRY_FULL: Duration = Duration::from_secs(5);

/// Where revocations are read from: the store, or what a test makes of one.
pub(super) trait Feed {
    /// See [`Store::blocked_after`].
    fn blocked_after(&self, seq: i64, limit: u32) -> impl Future<Output = Result<Vec<Blocked>, StoreError>> + Send;
}

impl Feed for Store {
    fn blocked_after(&self, seq: i64, limit: u32) -> impl Future<Output = Result<Vec<Blocked>, StoreError>> + Send {
        Self::blocked_after(self, seq, limit)
    }
}

/// How fast pages are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// One after the other: somebody waits for them.
    Full,
    /// With rests between: nobody does.
    Steady,
}

impl Blocklist {
    /// Reads all revocations, page by page, and returns how many rows there were. Until this has succeeded once, every
    /// standing is unknown.
    pub async fn load(&self, store: &Store, now: Timestamp) -> Result<usize, StoreError> {
        let outcome = match store.redis() {
            None => self.read_all(store, now, Pace::Full).await,
            Some(redis) => self.load_from_redis(store, redis, now).await,
        };
        self.record(outcome, "load")
    }

    /// Reads what is new, and what may have become visible late, and returns how many rows that was.
    pub async fn poll_once(&self, store: &Store, now: Timestamp) -> Result<usize, StoreError> {
        self.record(self.read_new(store, now).await, "poll")
    }

    /// Polls, or has Redis push what is new, and reads everything again from time to time, until `stop` says true or its
    /// sender is gone.
    pub async fn run(self: Arc<Self>, store: Store, clock: Clock, mut stop: watch::Receiver<bool>) {
        match store.redis() {
            None => self.follow(&store, &clock, stop).await,
            Some(redis) => tokio::select! {
                _ = stop.wait_for(|stop| *stop) => {}
                () = self.keep_following(redis, &clock) => {}
            },
        }
    }

    pub(super) async fn follow(&self, feed: &impl Feed, clock: &Clock, mut stop: watch::Receiver<bool>) {
        // One task, three futures: a full re-read of many pages lets polls pass between its pages.
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => {}
            () = self.keep_polling(feed, clock) => {}
            () = self.keep_rereading(feed, clock) => {}
        }
    }

    async fn keep_polling(&self, feed: &impl Feed, clock: &Clock) {
        let mut ticks = interval(self.config.poll_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            // A failure is recorded, and shows in `status` when it lasts.
            let _ = self.record(self.read_new(feed, clock.now()).await, "poll");
            self.entries.tidy(time::monotonic());
        }
    }

    async fn keep_rereading(&self, feed: &impl Feed, clock: &Clock) {
        if self.status() != Freshness::NeverLoaded {
            // What was in flight at the load is visible an overlap later, however many numbers below it lies.
            sleep(self.config.full_reread.min(self.config.overlap)).await;
        }
        loop {
            let began = time::monotonic();
            let pause = match self.record(self.read_all(feed, clock.now(), Pace::Steady).await, "load") {
                Ok(_) => self.config.full_reread.saturating_sub(began.elapsed()),
                Err(_) => RETRY_FULL,
            };
            sleep(pause.max(RETRY_FULL).min(self.config.full_reread)).await;
        }
    }

    pub(super) async fn read_all(&self, feed: &impl Feed, now: Timestamp, pace: Pace) -> Result<usize, StoreError> {
        let reading = self.cursor().read_all(time::monotonic());
        self.read(feed, reading, now, pace).await
    }

    pub(super) async fn read_new(&self, feed: &impl Feed, now: Timestamp) -> Result<usize, StoreError> {
        // Also when nothing was loaded before: a cursor that has seen nothing reads from the beginning.
        let reading = self.cursor().read_new(time::monotonic());
        self.read(feed, reading, now, Pace::Full).await
    }

    /// Applies all rows of a reading, page by page: how many there were.
    async fn read(
        &self,
        feed: &impl Feed,
        mut reading: Reading,
        now: Timestamp,
        pace: Pace,
    ) -> Result<usize, StoreError> {
        let mut rows = 0;
        while let Some((after, wanted)) = reading.next_page() {
            let begun = time::monotonic();
            let limit = u32::try_from(wanted).map_or(PAGE, |wanted| wanted.min(PAGE));
            let found = feed.blocked_after(after, limit).await?;
            for blocked in &found {
                // Lives for as long as it has to from when the reading began, and a little longer.
                self.entries.apply(&blocked.revocation, now, reading.began());
            }
            let is_last = found.len() < limit as usize;
            self.enforced(&found);
            reading.saw(found.iter().map(|blocked| blocked.seq), is_last);
            rows += found.len();
            match pace {
                Pace::Full => {}
                Pace::Steady if is_last => {}
                Pace::Steady => sleep(self.rest(begun.elapsed())).await,
            }
        }
        self.cursor().finish(&reading, time::monotonic());
        self.confirm(reading.began());
        Ok(rows)
    }

    fn enforced(&self, rows: &[Blocked]) {
        let mut cursor = self.cursor();
        for blocked in rows {
            cursor.enforces(blocked.seq);
        }
    }

    /// How long to rest after a page that took so long: three times as long, so that a re-read takes a quarter of a core and
    /// of the database at the most, but half of `revocation.full_reread` over all pages.
    fn rest(&self, took: Duration) -> Duration {
        let pages = u32::try_from(self.entries.len() / u64::from(PAGE)).unwrap_or(u32::MAX);
        (took * 3).min(self.config.full_reread / 2 / pages.max(1))
    }

    /// All that was revoked before `began` is known now.
    pub(in crate::token) fn confirm(&self, began: Instant) {
        let elapsed = began.saturating_duration_since(self.started).as_millis();
        // Never backwards: a full re-read ends after polls that began later.
        self.confirmed
            .fetch_max(i64::try_from(elapsed).unwrap_or(i64::MAX), Ordering::AcqRel);
        self.news.notify_one();
    }

    /// Counts and remembers a failure. Only the first of a row is logged, or two lines a second would bury the rest.
    pub(super) fn record<T>(&self, outcome: Result<T, StoreError>, what: &str) -> Result<T, StoreError> {
        let failure = outcome.as_ref().err().map(|error| Chain(error).to_string());
        let mut last = self.last_error.lock().unwrap_or_else(PoisonError::into_inner);
        match (&failure, &*last) {
            (Some(error), None) => tracing::warn!(%error, what, "revocations can't be read"),
            (None, Some(_)) => tracing::info!(what, "revocations can be read again"),
            (Some(_), Some(_)) | (None, None) => {}
        }
        if failure.is_some() {
            self.failures.fetch_add(1, Ordering::Relaxed);
            self.cursor().distrust();
        }
        *last = failure;
        outcome
    }

    fn cursor(&self) -> MutexGuard<'_, Cursor> {
        self.cursor.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
