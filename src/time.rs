//! Time as a value. [`Timestamp`] is a wall-clock instant with millisecond resolution, [`Clock`] is where one comes from.
//!
//! Everything that decides by time takes a [`Timestamp`]; only this module reads the clocks of the machine, so that a test
//! moves the clock instead of sleeping.

mod kept;

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ::time::OffsetDateTime;
use ::time::format_description::well_known::Rfc3339;
use ::time::macros::format_description;
use rustix::time::{ClockId, clock_gettime};

pub use kept::{keep, recent, recent_for_timers, recent_wall_micros, refresh};

/// Milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The instant `ms` milliseconds after the epoch.
    #[must_use]
    pub const fn from_unix_ms(ms: i64) -> Self {
        Self(ms)
    }

    /// The instant `seconds` after the epoch, saturating at the ends of the range.
    #[must_use]
    pub const fn from_unix_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn unix_ms(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down: the `NumericDate` of RFC 7519, section 2.
    #[must_use]
    pub const fn unix_seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// How long from `earlier` until this instant; zero when it is not later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// RFC 3339 in UTC with milliseconds, for example `2026-11-22T15:36:00.123Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let instant = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000);
        match instant.map(|instant| instant.format(&Rfc3339)) {
            Ok(Ok(text)) => f.write_str(&text),
            // Out of the calendar's range (year 9999): the number is still true.
            _ => write!(f, "{}ms", self.0),
        }
    }
}

/// A text that names no instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a time of RFC 3339, such as 2026-11-22T15:36:00Z")]
pub struct InvalidTimestamp;

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    /// Reads RFC 3339, with any offset.
    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        let instant = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| InvalidTimestamp)?;
        let ms = instant.unix_timestamp_nanos().div_euclid(1_000_000);
        i64::try_from(ms).map(Self).map_err(|_| InvalidTimestamp)
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }
}

/// Where wall-clock time comes from: the system, or a clock that a test sets.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Shifted(Arc<AtomicI64>),
}

impl Clock {
    /// The clock of the machine.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// The clock of the machine, moved by what the returned handle says. For tests that need time to pass.
    #[must_use]
    pub fn shifted() -> (Self, ClockShift) {
        let offset = Arc::new(AtomicI64::new(0));
        (Self(Source::Shifted(Arc::clone(&offset))), ClockShift(offset))
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => system_now(),
            Source::Shifted(offset) => Timestamp(system_now().0.saturating_add(offset.load(Ordering::SeqCst))),
        }
    }

    /// How long the machine has been on, the time included for which it was suspended (`CLOCK_BOOTTIME`). Nobody sets it.
    #[must_use]
    pub fn since_boot(&self) -> Duration {
        let now = clock_gettime(ClockId::Boottime);
        let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
        let since = Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or(0));
        match &self.0 {
            Source::System => since,
            // In tests, time passes by that for all clocks.
            Source::Shifted(offset) => {
                since + Duration::from_millis(u64::try_from(offset.load(Ordering::SeqCst)).unwrap_or(0))
            }
        }
    }

    /// What time it is, by both clocks. A worker reads one of them for it, once.
    #[must_use]
    pub fn moment(&self) -> Moment {
        let (started, wall) = kept::both();
        let now = match &self.0 {
            Source::System => wall,
            Source::Shifted(offset) => Timestamp(wall.0.saturating_add(offset.load(Ordering::SeqCst))),
        };
        Moment { now, started }
    }
}

/// When a request is handled: read once, used throughout.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// By the wall clock, for tokens.
    pub now: Timestamp,
    /// By the monotonic clock, for timeouts.
    pub started: Instant,
}

/// Moves a [`Clock::shifted`] clock.
#[derive(Clone, Debug)]
pub struct ClockShift(Arc<AtomicI64>);

impl ClockShift {
    /// Lets `by` pass at once.
    pub fn advance(&self, by: Duration) {
        self.0
            .fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::SeqCst);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the wall clock"
)]
fn system_now() -> Timestamp {
    // A machine whose clock stands before 1970 is told 1970: every token is then "not yet valid", which refuses.
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
}

/// An instant as HTTP writes it (RFC 9110, section 5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`. `None` beyond the year 9999.
#[must_use]
pub fn http_date(at: Timestamp) -> Option<String> {
    let format =
        format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
    let instant = OffsetDateTime::from_unix_timestamp(at.unix_seconds()).ok()?;
    instant.format(format).ok()
}

/// Microseconds since 1970 by the clock of the machine, for what is told to people. Nothing decides by it.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the wall clock"
)]
#[must_use]
pub fn wall_micros() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX)
}

/// The monotonic clock, for measuring durations.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the monotonic clock"
)]
#[must_use]
pub fn monotonic() -> Instant {
    Instant::now()
}

/// Microseconds on the monotonic clock of the system (`CLOCK_MONOTONIC`), which other processes read as well.
#[must_use]
pub fn monotonic_micros() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_prints_as_rfc_3339_in_utc() {
        assert_eq!(
            Timestamp::from_unix_ms(1_795_361_760_123).to_string(),
            "2026-11-22T15:36:00.123Z"
        );
        assert_eq!(Timestamp::from_unix_ms(0).to_string(), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn a_date_is_written_as_http_does() {
        let at = Timestamp::from_unix_seconds(784_111_777);
        assert_eq!(http_date(at).as_deref(), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
        assert_eq!(http_date(Timestamp::from_unix_ms(i64::MAX)), None);
    }

    #[test]
    fn a_timestamp_is_read_as_it_prints_and_in_any_offset() {
        let at = Timestamp::from_unix_ms(1_795_361_760_123);
        for text in ["2026-11-22T15:36:00.123Z", "2026-11-22T16:36:00.1239+01:00"] {
            assert_eq!(text.parse(), Ok(at));
        }
        for bad in ["", "2026-11-22", "2026-11-22T15:36:00", "1795361760"] {
            assert_eq!(bad.parse::<Timestamp>(), Err(InvalidTimestamp), "{bad}");
        }
    }

    #[test]
    fn arithmetic_saturates_instead_of_wrapping() {
        let end = Timestamp::from_unix_ms(i64::MAX);
        assert_eq!(end + Duration::from_secs(1), end);
        assert_eq!(Timestamp::from_unix_seconds(i64::MAX), end);
        assert_eq!(
            Timestamp::from_unix_ms(5).since(Timestamp::from_unix_ms(9)),
            Duration::ZERO
        );
    }

    #[test]
    fn a_shifted_clock_moves_when_told() {
        let (clock, shift) = Clock::shifted();
        let before = clock.now();
        shift.advance(Duration::from_hours(1));
        assert!(clock.now().since(before) >= Duration::from_hours(1));
    }
}
