//! [`Cursor`]: what the next poll reads.
//!
//! Numbers of rows are given before rows are committed, so a row may become visible after one with a greater number. What
//! is relied on: once a number has been seen here, every smaller one comes into sight within one overlap, or never. A
//! number is therefore *settled* once a reading that reached below it began one overlap after it was first seen, and
//! succeeded: polls read after the greatest settled one. Time that passes without such a reading, because this process
//! was paused or cut off from its database, settles nothing. No clock of another machine matters.
//!
//! Of what is not settled, a poll asks only for the numbers that were not seen: on one server, where numbers follow each
//! other, it costs as much as there is new, however much was written within the overlap.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::runs::Runs;

/// How many numbers are read again, at the least, until the first is settled.
const UNKNOWN_WINDOW: i64 = 10_000;

/// How many stretches one poll asks for at the most. Where more are missing, as on a cluster that gives each node every
/// third number, all is read again from one of them on.
const MAX_GAPS: usize = 8;

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
    /// The numbers that were seen and are enforced, of those that are not settled.
    enforced: Runs,
}

/// One reading of the table: of some stretches of numbers, page by page.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Reading {
    began: Instant,
    /// For a reading of everything: the greatest number that was seen before it.
    all_of: Option<i64>,
    /// What is still to be read: after which number, and up to which; ascending.
    stretches: VecDeque<(i64, i64)>,
    seen: Option<i64>,
}

impl Reading {
    fn new(began: Instant, all_of: Option<i64>, stretches: impl IntoIterator<Item = (i64, i64)>) -> Self {
        Self {
            began,
            all_of,
            stretches: stretches.into_iter().collect(),
            seen: None,
        }
    }

    /// When it began: all that was visible by then is in it.
    pub(super) fn began(&self) -> Instant {
        self.began
    }

    /// After which number the next page begins, and how many rows of it are of use. `None`: there is nothing left to read.
    pub(super) fn next_page(&self) -> Option<(i64, i64)> {
        self.stretches.front().map(|(after, to)| (*after, to - after))
    }

    /// A page had these numbers in it, in this order, and no visible one between them. `is_last`: there were no more.
    pub(super) fn saw(&mut self, numbers: impl IntoIterator<Item = i64>, is_last: bool) {
        let highest = numbers.into_iter().max();
        self.seen = self.seen.max(highest);
        if let Some((after, to)) = self.stretches.front_mut() {
            *after = highest.unwrap_or(*after).max(*after);
            if is_last || *after >= *to {
                self.stretches.pop_front();
            }
        }
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
            enforced: Runs::new(),
        }
    }

    /// Begins to read what is new, and what may have become visible late.
    pub(super) fn read_new(&self, now: Instant) -> Reading {
        Reading::new(now, None, self.enforced.gaps(self.settled, MAX_GAPS))
    }

    /// Begins to read everything.
    pub(super) fn read_all(&self, now: Instant) -> Reading {
        Reading::new(now, Some(self.highest), [(0, i64::MAX)])
    }

    /// The row of this number is enforced by now, and need not be read again.
    pub(super) fn enforces(&mut self, number: i64) {
        if !self.begun {
            // As much as the first reading leaves unsettled.
            self.enforced.forget_up_to(number - self.window);
        }
        if number > self.settled {
            self.enforced.add(number);
        }
    }

    /// Something may have happened to the database: what was seen is read again. A server that lost what it had not yet
    /// written to its disk gives the same numbers to other rows.
    pub(super) fn distrust(&mut self) {
        self.enforced.clear();
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
        self.enforced.forget_up_to(self.settled);
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
            let (from, _) = reading.next_page().unwrap();
            self.end(&mut reading, now, seen);
            from
        }

        fn reread(&mut self, now: Instant, seen: Option<i64>) {
            let mut reading = self.read_all(now);
            assert_eq!(reading.next_page(), Some((0, i64::MAX)));
            self.end(&mut reading, now, seen);
        }

        fn end(&mut self, reading: &mut Reading, now: Instant, seen: Option<i64>) {
            reading.saw(seen, true);
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
        all.saw([5], false);
        cursor.poll(start + 2 * SECOND, Some(8));
        cursor.finish(&all, start + 3 * SECOND);
        assert_eq!(cursor.highest, 8);
    }

    /// What a poll reads that begins now.
    fn stretches(cursor: &Cursor, now: Instant) -> Vec<(i64, i64)> {
        cursor.read_new(now).stretches.into()
    }

    #[test]
    fn what_is_enforced_is_not_asked_for_again_and_what_is_missing_is_until_it_is_settled() {
        let (mut cursor, start) = cursor();
        for number in 1..=100 {
            cursor.enforces(number);
        }
        cursor.poll(start, Some(100));
        assert_eq!(stretches(&cursor, start), [(100, i64::MAX)]);
        for number in [101, 102, 104, 105, 109] {
            cursor.enforces(number);
        }
        cursor.poll(start + SECOND, Some(109));
        let missing = [(102, 103), (105, 108), (109, i64::MAX)];
        assert_eq!(stretches(&cursor, start + 2 * SECOND), missing);
        cursor.enforces(103);
        assert_eq!(stretches(&cursor, start + 2 * SECOND), missing[1..]);
        cursor.poll(start + 31 * SECOND, None);
        assert_eq!(stretches(&cursor, start + 32 * SECOND), missing[2..]);
    }

    #[test]
    fn what_is_enforced_is_asked_for_again_when_it_is_in_doubt() {
        let (mut cursor, start) = cursor();
        for number in 1..=109 {
            cursor.enforces(number);
        }
        cursor.poll(start, Some(109));
        cursor.distrust();
        assert_eq!(stretches(&cursor, start + SECOND), [(0, i64::MAX)]);
    }

    #[test]
    fn where_numbers_are_far_between_few_stretches_are_asked_for() {
        let (mut cursor, start) = cursor();
        for number in (1..=3_000).step_by(3) {
            cursor.enforces(number);
        }
        cursor.poll(start, Some(2_998));
        let asked = stretches(&cursor, start + SECOND);
        assert_eq!(asked.len(), MAX_GAPS);
        assert_eq!((asked[0], asked[7]), ((1, 3), (22, i64::MAX)));
    }

    #[test]
    fn a_start_remembers_no_more_than_it_will_leave_unsettled() {
        let (mut cursor, _) = cursor();
        for number in (1..=300_000).step_by(3) {
            cursor.enforces(number);
        }
        let window = usize::try_from(UNKNOWN_WINDOW).unwrap();
        assert!(cursor.enforced.gaps(0, usize::MAX).len() < window);
    }
}
