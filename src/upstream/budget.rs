//! [`Budget`]: how many requests may be sent again, so that retries can't multiply an outage.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::config::Retry;

/// What counts as lately.
const WINDOW: Duration = Duration::from_secs(10);

/// How many requests there were lately, and how many of them were sent again.
#[derive(Debug, Default)]
pub(super) struct Budget {
    requests: AtomicU64,
    state: Mutex<Option<Window>>,
}

/// A window of time and the one before it. What of the one before is within the last [`WINDOW`] is reckoned as if it had
/// come evenly.
#[derive(Debug)]
struct Window {
    start: Instant,
    /// How many requests there had been when it began.
    requests: u64,
    retries: u64,
    requests_before: u64,
    retries_before: u64,
}

impl Budget {
    /// Notes a request.
    pub(super) fn request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes one retry out of the budget, if there is one left.
    pub(super) fn withdraw(&self, now: Instant, rule: &Retry) -> bool {
        let total = self.requests.load(Ordering::Relaxed);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let window = state.get_or_insert_with(|| Window {
            start: now,
            requests: 0,
            retries: 0,
            requests_before: 0,
            retries_before: 0,
        });
        let passed = now.saturating_duration_since(window.start);
        if passed >= WINDOW {
            let lately = passed < 2 * WINDOW;
            let windows = if lately { 1 } else { passed.as_secs() / WINDOW.as_secs() };
            *window = Window {
                start: if lately { window.start + WINDOW } else { now },
                requests: total,
                retries: 0,
                requests_before: total.saturating_sub(window.requests) / windows.max(1),
                retries_before: if lately { window.retries } else { 0 },
            };
        }
        let passed = now.saturating_duration_since(window.start);
        let left = WINDOW.saturating_sub(passed).as_millis();
        let lately = |before: u64, since: u64| u128::from(since) + u128::from(before) * left / WINDOW.as_millis();
        let requests = lately(window.requests_before, total.saturating_sub(window.requests));
        let retries = lately(window.retries_before, window.retries);
        let floor = u128::from(rule.floor) * u128::from(WINDOW.as_secs());
        let granted = retries < floor + requests * u128::from(rule.budget) / 100;
        if granted {
            window.retries += 1;
        }
        granted
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::Statuses;
    use crate::time::monotonic;

    fn rule(budget: u32, floor: u32) -> Retry {
        Retry {
            attempts: 1,
            body_limit: 0,
            status: Statuses::default(),
            budget,
            floor,
        }
    }

    fn granted(budget: &Budget, now: Instant, rule: &Retry) -> usize {
        (0..10_000).take_while(|_| budget.withdraw(now, rule)).count()
    }

    #[test]
    fn the_budget_is_a_share_of_the_requests_of_the_last_ten_seconds() {
        let (budget, now) = (Budget::default(), monotonic());
        (0..100).for_each(|_| budget.request());
        assert_eq!(granted(&budget, now, &rule(20, 0)), 20);
        assert_eq!(granted(&budget, now + WINDOW / 2, &rule(20, 0)), 0, "they are spent");
        (0..100).for_each(|_| budget.request());
        assert_eq!(granted(&budget, now + WINDOW / 2, &rule(20, 0)), 20);
        assert_eq!(granted(&budget, now + 5 * WINDOW, &rule(0, 0)), 0);
        assert_eq!(granted(&budget, now + 9 * WINDOW, &rule(20, 0)), 0, "no request lately");
    }

    #[test]
    fn a_few_are_granted_however_few_requests_there_are() {
        let (budget, now) = (Budget::default(), monotonic());
        assert_eq!(granted(&budget, now, &rule(20, 3)), 30);
        assert_eq!(
            granted(&budget, now + WINDOW, &rule(20, 3)),
            0,
            "as many as in ten seconds"
        );
        assert_eq!(granted(&budget, now + WINDOW + WINDOW / 2, &rule(20, 3)), 15);
        assert_eq!(granted(&budget, now + 4 * WINDOW, &rule(20, 3)), 30);
        assert_eq!(granted(&Budget::default(), now, &rule(100, 0)), 0);
    }

    proptest! {
        #[test]
        fn no_ten_seconds_see_twice_the_share(steps in proptest::collection::vec((0..3000_u64, 0..50_u32), 1..60)) {
            let (budget, rule, mut now) = (Budget::default(), rule(20, 1), monotonic());
            let mut log: Vec<(Instant, u64, u64)> = Vec::new();
            for (ms, requests) in steps {
                now += Duration::from_millis(ms);
                (0..requests).for_each(|_| budget.request());
                let retries = granted(&budget, now, &rule) as u64;
                log.push((now, u64::from(requests), retries));
                let lately = |since: Duration| log.iter().filter(move |(at, _, _)| now.duration_since(*at) < since);
                let retries: u64 = lately(WINDOW).map(|(_, _, retries)| retries).sum();
                let requests: u64 = lately(3 * WINDOW).map(|(_, requests, _)| requests).sum();
                prop_assert!(retries <= 2 * (10 + requests / 5), "{retries} retries, {requests} requests");
            }
        }
    }
}
