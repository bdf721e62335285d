//! [`Counts`]: how often something came, in bounded memory, where each gateway counts by itself.

use std::hash::Hash;
use std::time::{Duration, Instant};

use super::table::Table;
use crate::rules::gcra::{Quota, Verdict};
use crate::time::monotonic;

/// What is remembered of those who came, for things that nobody guesses: to forget it at a restart costs nothing.
#[derive(Debug)]
pub struct Counts {
    /// What those share who find no room.
    name: &'static str,
    /// The moment that arrivals are counted from.
    start: Instant,
    table: Table,
}

impl Counts {
    /// One that remembers as many, about, at 24 bytes each.
    #[must_use]
    pub fn new(name: &'static str, capacity: usize) -> Self {
        Self {
            name,
            start: monotonic(),
            table: Table::new(capacity),
        }
    }

    /// Counts one. `Err`: it is one too many, and counts for nothing; how long until one more may come.
    pub fn take(&self, who: &impl Hash, quota: Quota, now: Instant) -> Result<(), Duration> {
        let verdict = self.table.judge_by(&who, self.name, quota, self.moment(now));
        waited(verdict)
    }

    /// Whether one more may come, as far as is known of this one, or of all who find no room; counts nothing.
    pub fn may(&self, who: &impl Hash, quota: Quota, now: Instant) -> Result<(), Duration> {
        waited(self.table.look(&who, Some(self.name), quota, self.moment(now)))
    }

    /// The same of one who does not share what others have used up.
    pub fn may_alone(&self, who: &impl Hash, quota: Quota, now: Instant) -> Result<(), Duration> {
        waited(self.table.look(&who, None, quota, self.moment(now)))
    }

    fn moment(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.start).as_nanos()).unwrap_or(u64::MAX)
    }
}

fn waited(verdict: Verdict) -> Result<(), Duration> {
    match verdict {
        Verdict::Passes { .. } => Ok(()),
        Verdict::Exceeds { retry_after, .. } => Err(retry_after),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looking_counts_nothing_and_what_is_used_up_is_seen() {
        let counts = Counts::new("tests", 64);
        let (quota, now) = (Quota::new(2, Duration::from_secs(2), 2).unwrap(), monotonic());
        assert!((0..9).all(|_| counts.may(&"ann", quota, now).is_ok()));
        assert!((0..2).all(|_| counts.take(&"ann", quota, now).is_ok()));
        assert_eq!(counts.may(&"ann", quota, now), Err(Duration::from_secs(1)));
        assert_eq!(counts.take(&"ann", quota, now), Err(Duration::from_secs(1)));
        assert!(counts.take(&"bob", quota, now).is_ok());
        assert!(counts.take(&"ann", quota, now + Duration::from_secs(1)).is_ok());
    }

    #[test]
    fn a_flood_neither_grows_it_nor_hides_who_has_used_theirs_up() {
        let counts = Counts::new("tests", 640);
        let (quota, now) = (Quota::new(1, Duration::from_hours(1), 1).unwrap(), monotonic());
        counts.take(&"ann", quota, now).unwrap();
        let passed = (0..50_000).filter(|who| counts.take(who, quota, now).is_ok()).count();
        assert!(passed <= 640 + 64, "{passed}");
        assert!(counts.may(&"ann", quota, now).is_err());
        assert!(counts.may(&"who finds no room", quota, now).is_err());
        assert!(counts.may_alone(&"who finds no room", quota, now).is_ok());
        assert!(counts.may_alone(&"ann", quota, now).is_err());
    }
}
