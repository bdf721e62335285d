//! [`Stamp`]: the time of a line as text, RFC 3339 in UTC with microseconds.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use time::OffsetDateTime;

use crate::time::wall_micros;

/// How long the wall clock is told by the monotonic one: a clock that is set is seen by then.
const KEPT: Duration = Duration::from_millis(100);
/// As long as `2026-11-22T15:36:00.123456Z`.
const LENGTH: usize = 27;

/// What a thread keeps, so that a line costs neither a look at the wall clock nor a look at the calendar.
#[derive(Debug)]
pub(super) struct Stamp {
    /// A moment by both clocks: microseconds since 1970 by the wall's.
    known: Option<(Instant, i64)>,
    /// The second that `text` is of.
    second: i64,
    text: [u8; LENGTH],
}

impl Stamp {
    pub(super) const fn new() -> Self {
        Self {
            known: None,
            second: i64::MIN,
            text: *b"0000-00-00T00:00:00.000000Z",
        }
    }

    /// The time of a moment that has just been.
    pub(super) fn at(&mut self, now: Instant) -> &str {
        let told = self.known.and_then(|(moment, wall)| {
            let since = now.checked_duration_since(moment).filter(|since| *since < KEPT)?;
            Some(wall.saturating_add(i64::try_from(since.as_micros()).ok()?))
        });
        let micros = told.unwrap_or_else(|| {
            let wall = wall_micros();
            self.known = Some((now, wall));
            wall
        });
        self.of(micros)
    }

    /// The time so many microseconds after 1970 began.
    fn of(&mut self, micros: i64) -> &str {
        let second = micros.div_euclid(1_000_000);
        if second != self.second {
            self.second = second;
            let mut text = String::with_capacity(LENGTH);
            let at = OffsetDateTime::from_unix_timestamp(second).unwrap_or(OffsetDateTime::UNIX_EPOCH);
            let (date, time) = (at.date(), at.time());
            let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
            let (hour, minute, second) = time.as_hms();
            // Writing to a string does not fail.
            let _ = write!(text, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
            // Years are of four digits for as long as this will run.
            if let Some(known) = self.text.get_mut(..text.len().min(19)) {
                known.copy_from_slice(&text.as_bytes()[..known.len()]);
            }
        }
        let mut rest = micros.rem_euclid(1_000_000);
        for digit in self.text[20..26].iter_mut().rev() {
            *digit = b"0123456789"[usize::try_from(rest % 10).unwrap_or(0)];
            rest /= 10;
        }
        std::str::from_utf8(&self.text).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::monotonic;

    #[test]
    fn a_moment_is_told_in_utc_with_microseconds() {
        let mut stamp = Stamp::new();
        for (micros, expected) in [
            (1_795_361_760_123_456, "2026-11-22T15:36:00.123456Z"),
            (1_795_361_760_000_001, "2026-11-22T15:36:00.000001Z"),
            (1_795_361_761_999_999, "2026-11-22T15:36:01.999999Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"),
            (0, "1970-01-01T00:00:00.000000Z"),
        ] {
            assert_eq!(stamp.of(micros), expected);
        }
    }

    #[test]
    fn the_wall_clock_is_told_by_the_monotonic_one_for_a_while() {
        let (mut stamp, now) = (Stamp::new(), monotonic());
        let micros = |stamp: &Stamp| stamp.known.unwrap().1;
        stamp.at(now);
        // As if the clock had been set since.
        stamp.known = Some((now, 0));
        assert_eq!(stamp.at(now + Duration::from_micros(7)), "1970-01-01T00:00:00.000007Z");
        assert_eq!(stamp.at(now + KEPT / 2), "1970-01-01T00:00:00.050000Z");
        assert_eq!(micros(&stamp), 0);
        stamp.at(now + KEPT);
        assert!(micros(&stamp) > 0);
    }
}
