//! [`Runs`]: a set of numbers that mostly follow each other, kept as the runs that they form.

use std::collections::BTreeMap;

/// The first number of each run, and its last.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Runs(BTreeMap<i64, i64>);

impl Runs {
    pub(super) const fn new() -> Self {
        Self(BTreeMap::new())
    }

    pub(super) fn add(&mut self, number: i64) {
        let before = self.0.range(..=number).next_back().map(|(first, last)| (*first, *last));
        let first = match before {
            Some((_, last)) if last >= number => return,
            Some((first, last)) if last == number - 1 => first,
            Some(_) | None => number,
        };
        let last = self.0.remove(&(number + 1)).unwrap_or(number);
        self.0.insert(first, last);
    }

    /// Removes all numbers up to this one.
    pub(super) fn forget_up_to(&mut self, number: i64) {
        while let Some(run) = self.0.first_entry() {
            if *run.key() > number {
                return;
            }
            let (_, last) = run.remove_entry();
            if last > number {
                self.0.insert(number + 1, last);
            }
        }
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// What is missing after `after`, as the numbers before the first and of the last of each gap, which are at most `most`.
    /// The last gap has no end. Where there are more, the last one begins where the first does that has no room.
    pub(super) fn gaps(&self, after: i64, most: usize) -> Vec<(i64, i64)> {
        let mut gaps = Vec::new();
        let mut after = after;
        for (first, last) in &self.0 {
            if *first > after + 1 {
                if gaps.len() + 1 >= most {
                    break;
                }
                gaps.push((after, first - 1));
            }
            after = after.max(*last);
        }
        gaps.push((after, i64::MAX));
        gaps
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn runs_hold_what_a_set_of_numbers_would(
            added in proptest::collection::vec(1_i64..60, 0..60),
            forgotten in 0_i64..60,
            after in 0_i64..60,
        ) {
            let mut runs = Runs::new();
            for number in &added {
                runs.add(*number);
            }
            runs.forget_up_to(forgotten);
            let set: BTreeSet<i64> = added.into_iter().filter(|number| *number > forgotten).collect();
            let gaps = runs.gaps(after, usize::MAX);
            for number in after + 1..100 {
                let missing = gaps.iter().any(|(after, last)| (after + 1..=*last).contains(&number));
                prop_assert_eq!(missing, !set.contains(&number), "{} in {:?}", number, gaps);
            }
            for most in 1..4 {
                let few = runs.gaps(after, most);
                prop_assert!(few.len() <= most);
                for (after, last) in &gaps {
                    prop_assert!(few.iter().any(|(from, to)| from <= after && last <= to), "{:?}", few);
                }
            }
        }
    }

    #[test]
    fn numbers_that_follow_each_other_are_one_run() {
        let mut runs = Runs::new();
        for number in [1, 2, 3, 7, 6, 5, 4, 4, 1] {
            runs.add(number);
        }
        assert_eq!(runs.0, BTreeMap::from([(1, 7)]));
    }
}
