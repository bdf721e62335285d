//! [`Queue`]: the requests of one upstream that wait for a server with room, as many as the configuration lets.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// The line of waiting requests, first come, first served.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: AtomicUsize,
    room: Notify,
}

/// A place in the line, left when dropped.
struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Queue {
    /// Whether somebody waits: then a newcomer waits behind.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.load(Ordering::Acquire) == 0
    }

    /// There may be room for one: the first in line looks.
    pub(super) fn wake(&self) {
        if !self.is_empty() {
            self.room.notify_one();
        }
    }

    /// Waits in line until `enter` gives something. `None` where the line is at `limit` already, or after `patience`.
    pub(super) async fn wait<T>(
        &self,
        limit: usize,
        patience: Duration,
        mut enter: impl FnMut() -> Option<T>,
    ) -> Option<T> {
        let joined = self
            .waiting
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |waiting| {
                (waiting < limit).then_some(waiting + 1)
            });
        let ahead = joined.ok()?;
        let place = Place(&self.waiting);
        let deadline = Instant::now() + patience;
        // What became free before there was anybody in line woke nobody.
        let mut entered = if ahead == 0 { enter() } else { None };
        while entered.is_none() {
            if timeout_at(deadline, self.room.notified()).await.is_err() {
                return None;
            }
            entered = enter();
        }
        drop(place);
        // Two may have become free, and told the same one.
        self.wake();
        entered
    }
}
