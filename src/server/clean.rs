//! [`clean`]: what has expired is removed, again and again, by a clock that is not believed at once where it is set ahead.
//!
//! What a wrong clock has removed is gone when it is right again: a token would be good again whose revocation is forgotten.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::auth::Throttle;
use crate::chain::Chain;
use crate::store::Store;
use crate::time::{Clock, Timestamp};

/// A clock that is set ahead by no more than this is believed at once: revocations are kept for longer than they are needed
/// by as much.
const TOLERATED: Duration = Duration::from_mins(1);

/// How long a clock that was set ahead by more is not believed: longer than any revocation is needed. What was revoked before
/// it was set has expired by then, whatever it says.
const DOUBT: Duration = Duration::from_hours(25);

/// What time it is for whoever removes what has expired: what the wall clock says, or what it would say if it had not been set
/// ahead within the last [`DOUBT`]. A clock that was wrong when the gateway was started is believed.
#[derive(Clone, Debug)]
pub(super) struct Believed {
    /// By how many milliseconds what is believed is ahead of the time since the machine was switched on.
    ahead: i64,
    doubted: Option<Doubted>,
}

/// A clock that was set ahead.
#[derive(Clone, Copy, Debug)]
struct Doubted {
    /// By how many milliseconds it is ahead of the time since the machine was switched on, and since when.
    ahead: i64,
    since: Duration,
}

impl Believed {
    pub(super) fn new(clock: &Clock) -> Self {
        Self::at(clock.now(), clock.since_boot())
    }

    fn at(wall: Timestamp, since_boot: Duration) -> Self {
        Self {
            ahead: ahead(wall, since_boot),
            doubted: None,
        }
    }

    /// What time it is.
    fn now(&mut self, wall: Timestamp, since_boot: Duration) -> Timestamp {
        let ahead = ahead(wall, since_boot);
        if is_set(self.ahead, ahead) {
            let doubted = match self.doubted {
                Some(doubted) if !is_set(doubted.ahead, ahead) => Doubted {
                    ahead: ahead.min(doubted.ahead),
                    ..doubted
                },
                Some(_) | None => {
                    tracing::warn!(
                        says = %wall,
                        "the clock was set ahead: nothing is removed by it for the next {} hours",
                        DOUBT.as_secs() / 3600
                    );
                    Doubted {
                        ahead,
                        since: since_boot,
                    }
                }
            };
            if since_boot.saturating_sub(doubted.since) < DOUBT {
                self.doubted = Some(doubted);
                return Timestamp::from_unix_ms(self.ahead) + since_boot;
            }
        }
        (self.ahead, self.doubted) = (ahead, None);
        wall
    }
}

fn ahead(wall: Timestamp, since_boot: Duration) -> i64 {
    (wall - since_boot).unix_ms()
}

fn is_set(before: i64, now: i64) -> bool {
    Timestamp::from_unix_ms(now).since(Timestamp::from_unix_ms(before)) > TOLERATED
}

/// Removes what has expired this often, so many rows at a time.
pub(super) async fn clean(
    (store, throttle, mut believed): (Store, Throttle, Believed),
    (every, batch): (Duration, u32),
    clock: Clock,
    mut stop: watch::Receiver<bool>,
) {
    while timeout(every, stop.wait_for(|stop| *stop)).await.is_err() {
        let now = believed.now(clock.now(), clock.since_boot());
        match store.cleanup(now, batch).await {
            Ok(removed) => tracing::debug!(?removed, "expired rows removed"),
            Err(error) => tracing::warn!(error = Chain(&error).to_string(), "expired rows can't be removed"),
        }
        match store.count_throttles().await {
            Ok(rows) => throttle.note_rows(rows),
            Err(error) => tracing::warn!(
                error = Chain(&error).to_string(),
                "the table of attempts can't be counted"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
    const BOOT: Duration = Duration::from_hours(7);
    const HOUR: Duration = Duration::from_hours(1);

    fn believed() -> Believed {
        Believed::at(START, BOOT)
    }

    /// What is believed so long after the start, when the clock is set ahead by so much; as the time since the start.
    fn told(believed: &mut Believed, after: Duration, ahead: Duration) -> Duration {
        believed.now(START + after + ahead, BOOT + after).since(START)
    }

    #[test]
    fn a_clock_that_nobody_sets_is_believed() {
        let mut believed = believed();
        for hours in [0, 1, 9, 100] {
            assert_eq!(told(&mut believed, HOUR * hours, Duration::ZERO), HOUR * hours);
        }
    }

    #[test]
    fn a_clock_that_is_set_ahead_is_believed_when_all_that_was_revoked_before_has_expired() {
        assert!(DOUBT > crate::token::revoke_until(START).since(START) + TOLERATED);
        let mut believed = believed();
        let (set, days) = (HOUR * 2, HOUR * 72);
        for after in [set, set + HOUR, set + HOUR * 24] {
            assert_eq!(told(&mut believed, after, days), after, "the time goes on all the same");
        }
        assert_eq!(told(&mut believed, set + DOUBT, days), set + DOUBT + days);
        assert_eq!(told(&mut believed, set + DOUBT + HOUR, days), set + DOUBT + HOUR + days);
    }

    #[test]
    fn each_time_that_it_is_set_ahead_begins_anew() {
        let mut believed = believed();
        assert_eq!(told(&mut believed, HOUR, HOUR * 72), HOUR);
        assert_eq!(told(&mut believed, HOUR * 20, HOUR * 144), HOUR * 20);
        assert_eq!(told(&mut believed, HOUR * 30, HOUR * 144), HOUR * 30);
        assert_eq!(told(&mut believed, HOUR * 45, HOUR * 144), HOUR * (45 + 144));
    }

    #[test]
    fn a_clock_that_is_set_back_or_ahead_by_seconds_is_believed_at_once() {
        let mut believed = believed();
        assert_eq!(told(&mut believed, HOUR, TOLERATED), HOUR + TOLERATED);
        let back = believed.now(START - HOUR, BOOT + HOUR);
        assert_eq!(back, START - HOUR);
        assert_eq!(
            told(&mut believed, HOUR * 2, Duration::ZERO),
            Duration::ZERO,
            "it was behind by as much"
        );
    }

    #[test]
    fn a_clock_that_is_right_again_is_believed() {
        let mut believed = believed();
        assert_eq!(told(&mut believed, HOUR, HOUR * 72), HOUR);
        assert_eq!(told(&mut believed, HOUR * 2, Duration::ZERO), HOUR * 2);
        assert_eq!(
            told(&mut believed, HOUR * 26, HOUR * 72),
            HOUR * 26,
            "that is another time"
        );
    }
}
