//! [`Cursor`]: from where the next poll reads.
//!
//! Numbers of rows are given before rows are committed, so a row may become visible after one with a greater number. What
//! is relied on: once a number has been seen here, every smaller one comes into sight within one overlap, or never. A
//! number is therefore *settled* once a reading that reached below it began one overlap after it was first seen, and
//! succeeded: polls read after the greatest settled one. Time that passes without such a reading, because this process
//! was paused or cut off from its database, settles nothing. No clock of another machine matters.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How many numbers are read again, at the least, until the first is settled.
const UNKNOWN_WINDOW: i64 = 10_000;

/// What one replica has seen of the numbers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Cursor {
    overlap: Duration,
    /// See [`UNKNOWN_WINDOW`].
    window: i64,
    /// Whether anything was read yet.
    begun: bool,
    /// Nothing up to this number comes into sight any more.
    settled: i64,
    /// The greatest number seen.
    highest: i64,
    /// What was the greatest number seen, and by when, while it is not settled; ascending in both.
    marks: VecDeque<(Instant, i64)>,
}

/// One reading of the table from some number on, page by page.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Reading {
    began: Instant,
    /// For a reading of everything: the greatest number that was seen before it.
    all_of: Option<i64>,
    after: i64,
    seen: Option<i64>,
}

impl Reading {
    /// When it began: all that was visible by then is in it.
    pub(super) fn began(&self) -> Instant {
        self.began
    }

    /// After which number the next page begins.
    pub(super) fn after(&self) -> i64 {
        self.after
    }

    /// A page had this number in it.
    pub(super) fn saw(&mut self, number: i64) {
        self.after = self.after.max(number);
        self.seen = self.seen.max(Some(number));
    }
}

impl Cursor {
    pub(super) const fn new(overlap: Duration) -> Self {
        Self::with_window(overlap, UNKNOWN_WINDOW)
    }

    pub(super) const fn with_window(overlap: Duration, window: i64) -> Self {
        Self {
            overlap,
            window,
            begun: false,
            settled: 0,
            highest: 0,
            marks: VecDeque::new(),
        }
    }

    /// Begins to read what is new, and what may have become visible late.
    pub(super) fn read_new(&self, now: Instant) -> Reading {
        Reading {
            began: now,
            all_of: None,
            after: self.settled,
            seen: None,
        }
    }

    /// Begins to read everything.
    pub(super) fn read_all(&self, now: Instant) -> Reading {
        Reading {
            began: now,
            all_of: Some(self.highest),
            after: 0,
            seen: None,
        }
    }

    /// A reading has come to its end at `now`, and all of it succeeded. One that failed is dropped instead.
    pub(super) fn finish(&mut self, reading: &Reading, now: Instant) {
        let seen = reading.seen.unwrap_or(0);
        if reading.all_of.is_some_and(|known| seen < known) {
            // The rows are gone, or the database is another one (restored, made anew), which counts from below.
            *self = Self::with_window(self.overlap, self.window);
        }
        if !self.begun {
            self.begun = true;
            self.settled = (seen - self.window).max(0);
        }
        let old_enough = |at: Instant| reading.began.saturating_duration_since(at) >= self.overlap;
        while let Some((_, number)) = self.marks.pop_front_if(|(at, _)| old_enough(*at)) {
            self.settled = self.settled.max(number);
        }
        // By the end, not the beginning: a row may have come into sight at any moment between.
        if seen > self.highest {
            self.highest = seen;
            self.marks.push_back((now, seen));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time;

    const SECOND: Duration = Duration::from_secs(1);

    fn cursor() -> (Cursor, Instant) {
        (Cursor::new(30 * SECOND), time::monotonic())
    }

    impl Cursor {
        /// A poll that takes no time and sees this number; from which it read.
        fn poll(&mut self, now: Instant, seen: Option<i64>) -> i64 {
            let mut reading = self.read_new(now);
            let from = reading.after();
            self.end(&mut reading, now, seen);
            from
        }

        fn reread(&mut self, now: Instant, seen: Option<i64>) {
            let mut reading = self.read_all(now);
            assert_eq!(reading.after(), 0);
            self.end(&mut reading, now, seen);
        }

        fn end(&mut self, reading: &mut Reading, now: Instant, seen: Option<i64>) {
            if let Some(seen) = seen {
                reading.saw(seen);
            }
            self.finish(reading, now);
        }
    }

    #[test]
    fn the_first_poll_reads_everything() {
        let (mut cursor, start) = cursor();
        assert_eq!(cursor.poll(start, None), 0);
    }

    #[test]
    fn what_was_seen_is_read_again_until_a_poll_began_one_overlap_later() {
        let (mut cursor, start) = cursor();
        cursor.poll(start, Some(100_000));
        cursor.poll(start + 10 * SECOND, Some(100_500));
        cursor.poll(start + 20 * SECOND, Some(100_900));
        assert_eq!(cursor.poll(start + 29 * SECOND, None), 90_000);
        assert_eq!(cursor.poll(start + 30 * SECOND, None), 90_000);
        assert_eq!(cursor.poll(start + 31 * SECOND, None), 100_000);
        assert_eq!(cursor.poll(start + 40 * SECOND, None), 100_000);
        assert_eq!(cursor.poll(start + 41 * SECOND, None), 100_500);
        assert_eq!(cursor.poll(start + 90 * SECOND, None), 100_500);
        assert_eq!(cursor.poll(start + 91 * SECOND, None), 100_900);
        assert_eq!(cursor.highest, 100_900);
    }

    #[test]
    fn a_pause_of_an_overlap_settles_nothing() {
        let (mut cursor, start) = cursor();
        cursor.poll(start, Some(100_000));
        cursor.poll(start + 40 * SECOND, None);
        cursor.poll(start + 50 * SECOND, Some(100_007));
        // Here the process stands still, or its database does not answer; 100 003 becomes visible a second later.
        assert_eq!(cursor.poll(start + 500 * SECOND, None), 100_000);
        assert_eq!(cursor.poll(start + 501 * SECOND, None), 100_007);
    }

    #[test]
    fn a_poll_that_failed_settles_nothing() {
        let (mut cursor, start) = cursor();
        cursor.poll(start, Some(7));
        cursor.poll(start + 40 * SECOND, Some(9));
        let _failed = cursor.read_new(start + 80 * SECOND);
        assert_eq!(cursor.poll(start + 81 * SECOND, None), 7);
        assert_eq!(cursor.poll(start + 82 * SECOND, None), 9);
    }

    #[test]
    fn a_poll_that_took_long_settles_what_was_old_when_it_began() {
        let (mut cursor, start) = cursor();
        cursor.poll(start, Some(7));
        let slow = cursor.read_new(start + 20 * SECOND);
        cursor.finish(&slow, start + 60 * SECOND);
        assert_eq!(cursor.poll(start + 61 * SECOND, None), 0);
        assert_eq!(cursor.poll(start + 62 * SECOND, None), 7);
    }

    #[test]
    fn soon_after_the_start_a_wide_window_is_read_again() {
        let (mut cursor, start) = cursor();
        cursor.reread(start, Some(100_000));
        assert_eq!(cursor.poll(start + SECOND, None), 90_000);
        let (mut cursor, start) = self::cursor();
        cursor.reread(start, Some(7));
        assert_eq!(cursor.poll(start + SECOND, None), 0);
    }

    #[test]
    fn a_quiet_database_costs_no_memory_and_no_re_read() {
        let (mut cursor, start) = cursor();
        for poll in 0..10_000 {
            cursor.poll(start + poll * SECOND / 2, Some(5));
        }
        assert_eq!(cursor.marks.len(), 0);
        assert_eq!(cursor.poll(start + 5_000 * SECOND, None), 5);
    }

    #[test]
    fn marks_that_serve_no_more_are_dropped() {
        let (mut cursor, start) = cursor();
        for poll in 1..=10_000_u32 {
            cursor.poll(start + poll * SECOND / 2, Some(i64::from(poll)));
        }
        assert!(cursor.marks.len() < 70, "{}", cursor.marks.len());
    }

    #[test]
    fn a_database_that_counts_from_below_is_followed() {
        let (mut cursor, start) = cursor();
        cursor.poll(start, Some(100_000));
        cursor.poll(start + 60 * SECOND, None);
        let outlives_it = cursor.read_new(start + 60 * SECOND);
        cursor.reread(start + 61 * SECOND, Some(3));
        assert_eq!(cursor.highest, 3);
        cursor.finish(&outlives_it, start + 62 * SECOND);
        assert_eq!(cursor.poll(start + 63 * SECOND, None), 0);
        cursor.reread(start + 64 * SECOND, None);
        assert_eq!((cursor.highest, cursor.poll(start + 65 * SECOND, None)), (0, 0));
    }

    #[test]
    fn a_full_re_read_does_not_lose_what_polls_saw_meanwhile() {
        let (mut cursor, start) = cursor();
        cursor.poll(start, Some(5));
        let mut all = cursor.read_all(start + SECOND);
        all.saw(5);
        cursor.poll(start + 2 * SECOND, Some(8));
        cursor.finish(&all, start + 3 * SECOND);
        assert_eq!(cursor.highest, 8);
    }
}
