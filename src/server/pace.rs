//! [`Pace`]: the slowest that a client may be on average. A client that always moves a byte just before it would be given up
//! as stalled holds its connection for ever; with a pace it is given up once it has been waited for too long altogether.

use std::time::Duration;

use tokio::time::Instant;

/// How much longer a client may be waited for. Waiting takes from it, and what moves adds to it, at the rate that is asked.
#[derive(Debug)]
pub(super) struct Pace {
    /// Bytes a second; 0: none is asked.
    rate: u64,
    most: Duration,
    left: Duration,
    /// When the wait that is under way began.
    since: Option<Instant>,
}

impl Pace {
    /// A pace of so many bytes a second, that may be kept less than by `grace` of waiting.
    pub(super) const fn new(rate: u64, grace: Duration) -> Self {
        Self {
            rate,
            most: grace,
            left: grace,
            since: None,
        }
    }

    /// The client is waited for from now on: for how long at the most.
    pub(super) fn wait(&mut self) -> Duration {
        if self.rate == 0 {
            return Duration::MAX;
        }
        self.since = Some(Instant::now());
        self.left
    }

    /// So many bytes have moved.
    pub(super) fn moved(&mut self, bytes: usize) {
        if let Some(since) = self.since.take() {
            self.left = self.left.saturating_sub(since.elapsed());
        }
        if self.left < self.most {
            let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
            let earned = bytes.saturating_mul(1_000_000) / self.rate.max(1);
            self.left = self.most.min(self.left.saturating_add(Duration::from_micros(earned)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_byte_now_and_then_is_not_enough_for_long() {
        let mut pace = Pace::new(100, Duration::from_secs(30));
        assert_eq!(pace.wait(), Duration::from_secs(30));
        tokio::time::advance(Duration::from_secs(29)).await;
        pace.moved(1);
        assert_eq!(pace.wait(), Duration::from_millis(1010));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_keeps_the_pace_is_waited_for_as_before_and_saves_nothing_up() {
        let mut pace = Pace::new(100, Duration::from_secs(30));
        for _ in 0..1000 {
            assert_eq!(pace.wait(), Duration::from_secs(30));
            tokio::time::advance(Duration::from_secs(10)).await;
            pace.moved(1000);
        }
        pace.moved(1_000_000_000);
        assert_eq!(pace.wait(), Duration::from_secs(30));
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_nobody_waits_for_the_client_costs_it_nothing() {
        let mut pace = Pace::new(100, Duration::from_secs(30));
        let _ = pace.wait();
        pace.moved(1);
        tokio::time::advance(Duration::from_secs(100)).await;
        pace.moved(1);
        assert_eq!(pace.wait(), Duration::from_secs(30));
        let mut none = Pace::new(0, Duration::from_secs(30));
        tokio::time::advance(Duration::from_secs(100)).await;
        assert_eq!(none.wait(), Duration::MAX);
    }
}
