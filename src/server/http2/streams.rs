//! [`Streams`]: how many streams of a connection are in use, and since when none is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// The streams of one connection.
#[derive(Debug)]
pub(super) struct Streams {
    /// When the connection began.
    started: Instant,
    /// How many streams are in use.
    active: AtomicUsize,
    /// Milliseconds from `started` until the last one ended.
    ended: AtomicU64,
    begun: AtomicBool,
    /// How often something was written to the client.
    writes: AtomicU64,
    /// Told of the first stream.
    first: Notify,
}

/// A stream in use: held by its request and then by its answer, until that is out.
#[derive(Debug)]
pub(super) struct Stream(Arc<Streams>);

impl Streams {
    pub(super) fn new() -> Self {
        Self {
            started: Instant::now(),
            active: AtomicUsize::new(0),
            ended: AtomicU64::new(0),
            begun: AtomicBool::new(false),
            writes: AtomicU64::new(0),
            first: Notify::new(),
        }
    }

    /// Notes that a stream begins.
    pub(super) fn begin(self: &Arc<Self>) -> Stream {
        self.active.fetch_add(1, Ordering::Relaxed);
        if !self.begun.swap(true, Ordering::Relaxed) {
            self.first.notify_one();
        }
        Stream(Arc::clone(self))
    }

    /// Notes that the client took something.
    pub(super) fn wrote(&self) {
        self.writes.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits until no stream has been in use, and nothing has been written, for this long.
    pub(super) async fn silent_for(&self, limit: Duration) {
        loop {
            let writes = self.writes.load(Ordering::Relaxed);
            self.unused_for(limit).await;
            if writes == self.writes.load(Ordering::Relaxed) {
                return;
            }
        }
    }

    /// Waits until the first stream has begun.
    pub(super) async fn first(&self) {
        if !self.begun.load(Ordering::Relaxed) {
            self.first.notified().await;
        }
    }

    /// Waits until, from now on, no stream has been in use for this long.
    pub(super) async fn unused_for(&self, limit: Duration) {
        let from = Instant::now();
        loop {
            let ended = self.started + Duration::from_millis(self.ended.load(Ordering::Relaxed));
            let since = if self.active.load(Ordering::Relaxed) > 0 {
                Instant::now()
            } else {
                ended.max(from)
            };
            if since.elapsed() >= limit {
                return;
            }
            tokio::time::sleep_until(since + limit).await;
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let now = u64::try_from(self.0.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.ended.store(now, Ordering::Relaxed);
        self.0.active.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_idles_from_the_end_of_its_last_stream_on() {
        let streams = Arc::new(Streams::new());
        let begun = Instant::now();
        let (one, other) = (streams.begin(), streams.begin());
        let ending = async {
            tokio::time::sleep(Duration::from_secs(20)).await;
            drop(one);
            tokio::time::sleep(Duration::from_secs(20)).await;
            drop(other);
        };
        let idle = async {
            streams.unused_for(Duration::from_secs(15)).await;
            begun.elapsed().as_secs()
        };
        assert_eq!(tokio::join!(ending, idle).1, 55);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_brings_nothing_idles_from_its_beginning_on() {
        let streams = Streams::new();
        let begun = Instant::now();
        streams.unused_for(Duration::from_secs(15)).await;
        assert_eq!(begun.elapsed().as_secs(), 15);
    }
}
