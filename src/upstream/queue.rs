//! [`Queue`]: the requests of one upstream that wait for a server with room, as many as the configuration lets.
//!
//! Requests of different configurations wait in different lines: a server that has room may be one that those of another
//! configuration do not know, and who can't use a place must not keep it from who can.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// The lines of waiting requests.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Over all lines.
    waiting: AtomicUsize,
    lines: Mutex<Vec<Arc<Line>>>,
}

/// The requests that wait for the servers of one configuration, first come, first served.
#[derive(Debug, Default)]
pub(super) struct Line {
    waiting: AtomicUsize,
    room: Notify,
}

/// A place in a line, left when dropped.
struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Queue {
    /// A line for the requests of one more configuration. Those whose configuration is gone go as well.
    pub(super) fn line(&self) -> Arc<Line> {
        let line = Arc::default();
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.retain(|line| Arc::strong_count(line) > 1);
        lines.push(Arc::clone(&line));
        line
    }

    /// There may be room for one: the first in each line looks.
    pub(super) fn wake(&self) {
        if self.waiting.load(Ordering::Acquire) > 0 {
            let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            lines.iter().for_each(|line| line.wake());
        }
    }

    /// Waits in this line of it until `enter` gives something. `None` where `limit` wait already, whatever the line, or
    /// after `patience`.
    pub(super) async fn wait<T>(
        &self,
        line: &Line,
        limit: usize,
        patience: Duration,
        mut enter: impl FnMut() -> Option<T>,
    ) -> Option<T> {
        let joined = self
            .waiting
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |waiting| {
                (waiting < limit).then_some(waiting + 1)
            });
        joined.ok()?;
        let ahead = line.waiting.fetch_add(1, Ordering::AcqRel);
        let places = (Place(&self.waiting), Place(&line.waiting));
        let deadline = Instant::now() + patience;
        // What became free before there was anybody in line woke nobody.
        let mut entered = if ahead == 0 { enter() } else { None };
        while entered.is_none() {
            if timeout_at(deadline, line.room.notified()).await.is_err() {
                return None;
            }
            entered = enter();
        }
        drop(places);
        // Two may have become free, and told the same one.
        line.wake();
        entered
    }
}

impl Line {
    /// Whether nobody waits: else a newcomer waits behind.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.load(Ordering::Acquire) == 0
    }

    fn wake(&self) {
        if !self.is_empty() {
            self.room.notify_one();
        }
    }
}
