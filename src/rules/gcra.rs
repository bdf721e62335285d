//! How many requests may come in which time: the generic cell rate algorithm. A limit needs one number per client, the moment
//! at which all that it took so far would have come evenly (its *theoretical arrival time*); a request may come as long as that
//! is not further ahead than the burst allows. So in any span of time, no more pass than the burst and what the rate adds.

use std::time::Duration;

/// How many requests, in which time, and how many of them at once. Times are nanoseconds since any moment, the same for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Nanoseconds from one request to the next where they come evenly. At least 1.
    interval: u64,
    /// How many may come at once. At least 1.
    burst: u32,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may pass.
    Passes {
        /// What to remember.
        arrival: u64,
        /// How many more could pass at this moment.
        remaining: u32,
        /// How long until the whole burst is there again.
        reset: Duration,
    },
    /// It may not, and counts for nothing.
    Exceeds {
        /// How long until one more may pass.
        retry_after: Duration,
        /// How long until the whole burst is there again.
        reset: Duration,
    },
}

impl Quota {
    /// `count` requests in each `period`, up to `burst` of them at once. `None` where one of them is zero, or where more than a
    /// thousand million a second are asked for.
    #[must_use]
    pub fn new(count: u32, period: Duration, burst: u32) -> Option<Self> {
        let interval = u64::try_from(period.as_nanos().checked_div(u128::from(count))?).ok()?;
        (interval > 0 && burst > 0).then_some(Self { interval, burst })
    }

    /// How many may come at once.
    #[must_use]
    pub const fn burst(self) -> u32 {
        self.burst
    }

    /// From one request to the next where they come evenly.
    #[must_use]
    pub const fn interval(self) -> Duration {
        Duration::from_nanos(self.interval)
    }

    /// In which time the whole burst comes back.
    #[must_use]
    pub const fn window(self) -> Duration {
        Duration::from_nanos(self.interval.saturating_mul(self.burst as u64))
    }

    /// The same quota where so many times as many come in the same time, and at once. At least one.
    #[must_use]
    pub fn times(self, more: u32) -> Self {
        Self {
            interval: (self.interval / u64::from(more.max(1))).max(1),
            burst: self.burst.saturating_mul(more.max(1)),
        }
    }

    /// What becomes of a request at `now`, from a client for which `arrival` was remembered; zero where nothing was.
    #[must_use]
    pub fn judge(self, arrival: u64, now: u64) -> Verdict {
        self.judge_among(arrival, now, Duration::ZERO)
    }

    /// The same where others remember by clocks of their own, which are ahead of this one by no more than `skew`: what they
    /// have taken is a debt. Otherwise each of two who take turns would give back what the other one took.
    #[must_use]
    pub fn judge_among(self, arrival: u64, now: u64, skew: Duration) -> Verdict {
        // How far ahead of `now` the client may be once this request is taken.
        let room = self.interval.saturating_mul(u64::from(self.burst));
        // This quota remembers nothing that lies further ahead: it was another one, or the clock was. That is no debt.
        let latest = now.saturating_add(room);
        let skew = u64::try_from(skew.as_nanos()).unwrap_or(u64::MAX);
        let arrival = if arrival > latest.saturating_add(skew) {
            latest - self.interval
        } else {
            arrival
        };
        let next = arrival.max(now).saturating_add(self.interval);
        let ahead = next - now;
        match room.checked_sub(ahead) {
            Some(left) => Verdict::Passes {
                arrival: next,
                remaining: u32::try_from(left / self.interval).unwrap_or(u32::MAX),
                reset: Duration::from_nanos(ahead),
            },
            None => Verdict::Exceeds {
                retry_after: Duration::from_nanos(ahead - room),
                reset: Duration::from_nanos(ahead.saturating_sub(self.interval)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000_000;
    const SKEW: u64 = 60 * SECOND;

    fn passes(quota: Quota, arrival: &mut u64, now: u64) -> bool {
        match quota.judge(*arrival, now) {
            Verdict::Passes { arrival: next, .. } => {
                *arrival = next;
                true
            }
            Verdict::Exceeds { .. } => false,
        }
    }

    #[test]
    fn a_burst_passes_at_once_and_then_one_in_each_interval() {
        let quota = Quota::new(10, Duration::from_secs(1), 3).unwrap();
        let mut arrival = 0;
        let mut now = 5 * SECOND;
        let verdict = quota.judge(arrival, now);
        let first = Verdict::Passes {
            arrival: now + SECOND / 10,
            remaining: 2,
            reset: Duration::from_millis(100),
        };
        assert_eq!(verdict, first);
        assert!((0..3).all(|_| passes(quota, &mut arrival, now)));
        let refused = Verdict::Exceeds {
            retry_after: Duration::from_millis(100),
            reset: Duration::from_millis(300),
        };
        assert_eq!(quota.judge(arrival, now), refused);
        now += SECOND / 10 - 1;
        assert!(!passes(quota, &mut arrival, now));
        now += 1;
        assert!(passes(quota, &mut arrival, now) && !passes(quota, &mut arrival, now));
        now += SECOND;
        assert!((0..3).all(|_| passes(quota, &mut arrival, now)) && !passes(quota, &mut arrival, now));
    }

    #[test]
    fn what_is_no_quota_is_none() {
        assert_eq!(Quota::new(0, Duration::from_secs(1), 1), None);
        assert_eq!(Quota::new(1, Duration::ZERO, 1), None);
        assert_eq!(Quota::new(1, Duration::from_secs(1), 0), None);
        assert_eq!(Quota::new(u32::MAX, Duration::from_nanos(1), 1), None);
        let slowest = Quota::new(1, Duration::from_hours(24), u32::MAX).unwrap();
        assert!(matches!(slowest.judge(u64::MAX, 0), Verdict::Passes { .. }));
    }

    #[test]
    fn what_another_quota_remembered_is_no_debt() {
        let slow = Quota::new(1, Duration::from_hours(1), 5).unwrap();
        let fast = Quota::new(1, Duration::from_secs(1), 2).unwrap();
        let mut arrival = 0;
        assert!((0..5).all(|_| passes(slow, &mut arrival, SECOND)));
        assert!(passes(fast, &mut arrival, SECOND) && !passes(fast, &mut arrival, SECOND));
        assert!(passes(fast, &mut arrival, 2 * SECOND));
    }

    proptest! {
        #[test]
        fn no_more_pass_in_any_span_than_the_burst_and_what_the_rate_adds(
            count in 1..50_u32,
            millis in 1..5000_u64,
            burst in 1..20_u32,
            steps in proptest::collection::vec(0..200_000_000_u64, 1..200),
        ) {
            let quota = Quota::new(count, Duration::from_millis(millis), burst).unwrap();
            let (mut arrival, mut now, mut passed) = (0, SECOND, Vec::new());
            for step in steps {
                now += step;
                if passes(quota, &mut arrival, now) {
                    passed.push(now);
                }
            }
            for (first, from) in passed.iter().enumerate() {
                for (last, to) in passed.iter().enumerate().skip(first) {
                    let added = (to - from) / quota.interval;
                    let most = u64::from(burst) + added;
                    prop_assert!((last - first + 1) as u64 <= most, "{} in {} ns", last - first + 1, to - from);
                }
            }
        }

        #[test]
        fn clocks_that_differ_let_no_more_pass_than_one_would(
            count in 1..50_u32,
            millis in 1..5000_u64,
            burst in 1..20_u32,
            skew in 0..SKEW,
            steps in proptest::collection::vec((0..200_000_000_u64, any::<bool>()), 1..200),
        ) {
            let quota = Quota::new(count, Duration::from_millis(millis), burst).unwrap();
            let (mut arrival, mut now, mut passed) = (0, SECOND, Vec::new());
            for (step, ahead) in steps {
                now += step;
                let clock = if ahead { now + skew } else { now };
                if let Verdict::Passes { arrival: next, .. } = quota.judge_among(arrival, clock, Duration::from_nanos(SKEW)) {
                    prop_assert!(next > arrival, "what was taken is given back");
                    arrival = next;
                    passed.push(now);
                }
            }
            // The one that is ahead adds its advance, once.
            for (first, from) in passed.iter().enumerate() {
                for (last, to) in passed.iter().enumerate().skip(first) {
                    let added = (to - from + skew) / quota.interval;
                    let most = u64::from(burst) + added;
                    prop_assert!((last - first + 1) as u64 <= most, "{} in {} ns", last - first + 1, to - from);
                }
            }
        }

        #[test]
        fn whoever_waits_as_long_as_told_passes(burst in 1..5_u32, arrival: u64, now: u64) {
            let quota = Quota::new(7, Duration::from_secs(1), burst).unwrap();
            if let Verdict::Exceeds { retry_after, .. } = quota.judge(arrival, now) {
                let wait = u64::try_from(retry_after.as_nanos()).unwrap();
                if let Some(then) = now.checked_add(wait) {
                    let passes = matches!(quota.judge(arrival, then), Verdict::Passes { .. });
                    prop_assert!(passes);
                }
            }
        }

        #[test]
        fn whoever_keeps_to_the_rate_always_passes(burst in 1..5_u32, steps in proptest::collection::vec(0..9_u64, 1..100)) {
            let quota = Quota::new(10, Duration::from_secs(1), burst).unwrap();
            let (mut arrival, mut now) = (0, SECOND);
            for more in steps {
                now += quota.interval + more;
                prop_assert!(passes(quota, &mut arrival, now));
            }
        }
    }
}
