//! [`Cursor`]: from where the next poll reads.
//!
//! Numbers of rows are given before rows are committed, so a row may become visible after one with a greater number. A
//! poll therefore reads again all that could still have been open: it resumes at the greatest number that was visible
//! one overlap ago. "Ago" is by this process' monotonic clock alone; no clock of another machine matters.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How many numbers are read again while this process has not run for a whole overlap and can't know how old they are.
const UNKNOWN_WINDOW: i64 = 10_000;

#[derive(Debug)]
pub(super) struct Cursor {
    overlap: Duration,
    /// What was the greatest visible number, and by when; ascending in both. A number is in here once.
    marks: VecDeque<(Instant, i64)>,
}

impl Cursor {
    pub(super) const fn new(overlap: Duration) -> Self {
        Self {
            overlap,
            marks: VecDeque::new(),
        }
    }

    /// The greatest number seen; 0 before any.
    pub(super) fn highest(&self) -> i64 {
        self.marks.back().map_or(0, |(_, highest)| *highest)
    }

    /// After which number a poll that begins now has to read.
    pub(super) fn resume_after(&mut self, now: Instant) -> i64 {
        let settled = |(at, _): &(Instant, i64)| now.saturating_duration_since(*at) >= self.overlap;
        // The last mark that is old enough serves; those before it are of no more use.
        while self.marks.get(1).is_some_and(settled) {
            self.marks.pop_front();
        }
        match self.marks.front() {
            None => 0,
            Some(mark) if settled(mark) => mark.1,
            Some((_, oldest)) => (oldest - UNKNOWN_WINDOW).max(0),
        }
    }

    /// A poll that ended at `now` saw numbers up to `highest`.
    pub(super) fn saw(&mut self, now: Instant, highest: i64) {
        if highest > self.highest() || self.marks.is_empty() {
            self.marks.push_back((now, highest));
        }
    }

    /// A full re-read that ended at `now` saw only numbers up to `highest`, less than were seen before it: the rows are
    /// gone, or the database is another one (restored, made anew), which counts from below.
    pub(super) fn restart(&mut self, now: Instant, highest: i64) {
        self.marks.clear();
        self.marks.push_back((now, highest));
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

    #[test]
    fn the_first_poll_reads_everything() {
        let (mut cursor, start) = cursor();
        assert_eq!(cursor.resume_after(start), 0);
    }

    #[test]
    fn what_was_seen_is_read_again_until_it_is_one_overlap_old() {
        let (mut cursor, start) = cursor();
        cursor.saw(start, 100_000);
        cursor.saw(start + 10 * SECOND, 100_500);
        cursor.saw(start + 20 * SECOND, 100_900);
        assert_eq!(cursor.resume_after(start + 30 * SECOND), 100_000);
        assert_eq!(cursor.resume_after(start + 39 * SECOND), 100_000);
        assert_eq!(cursor.resume_after(start + 40 * SECOND), 100_500);
        assert_eq!(cursor.resume_after(start + 90 * SECOND), 100_900);
        assert_eq!(cursor.highest(), 100_900);
    }

    #[test]
    fn soon_after_the_start_a_wide_window_is_read_again() {
        let (mut cursor, start) = cursor();
        cursor.saw(start, 100_000);
        assert_eq!(cursor.resume_after(start + SECOND), 90_000);
        let (mut cursor, start) = self::cursor();
        cursor.saw(start, 7);
        assert_eq!(cursor.resume_after(start + SECOND), 0);
    }

    #[test]
    fn a_quiet_database_costs_no_memory_and_no_re_read() {
        let (mut cursor, start) = cursor();
        for poll in 0..10_000 {
            cursor.saw(start + poll * SECOND / 2, 5);
        }
        assert_eq!(cursor.marks.len(), 1);
        assert_eq!(cursor.resume_after(start + 5_000 * SECOND), 5);
    }

    #[test]
    fn marks_that_serve_no_more_are_dropped() {
        let (mut cursor, start) = cursor();
        for poll in 0..10_000_u32 {
            let now = start + poll * SECOND / 2;
            cursor.resume_after(now);
            cursor.saw(now, i64::from(poll));
        }
        assert!(cursor.marks.len() < 70, "{}", cursor.marks.len());
    }

    #[test]
    fn a_database_that_counts_from_below_is_followed() {
        let (mut cursor, start) = cursor();
        cursor.saw(start, 100_000);
        cursor.restart(start + 60 * SECOND, 3);
        assert_eq!(cursor.highest(), 3);
        assert_eq!(cursor.resume_after(start + 61 * SECOND), 0);
    }
}
