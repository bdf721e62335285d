//! What was answered, counted by kind, and what of it was wrong.

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde_json::{Value, json};

/// How much of what was wrong is kept in words.
const KEPT: usize = 20;

/// Counts of all that happened.
#[derive(Default)]
pub(super) struct Tally(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    /// By what was done, and what came of it.
    seen: BTreeMap<(&'static str, String), u64>,
    wrong: u64,
    details: Vec<String>,
}

impl Tally {
    /// Notes something that is as it should be.
    pub(super) fn seen(&self, what: &'static str, outcome: impl Into<String>) {
        let mut counts = self.0.lock().expect("nobody panicked");
        *counts.seen.entry((what, outcome.into())).or_default() += 1;
    }

    /// Notes something that nothing explains.
    pub(super) fn wrong(&self, detail: String) {
        let mut counts = self.0.lock().expect("nobody panicked");
        counts.wrong += 1;
        if counts.details.len() < KEPT {
            counts.details.push(detail);
        }
    }

    /// How often this was done with this outcome.
    pub(super) fn count(&self, what: &str, outcome: &str) -> u64 {
        let counts = self.0.lock().expect("nobody panicked");
        let of = |((kind, came), _): &(&(&'static str, String), &u64)| *kind == what && came.starts_with(outcome);
        counts.seen.iter().filter(of).map(|(_, count)| count).sum()
    }

    /// How much was answered in all, whatever it was.
    pub(super) fn total(&self) -> u64 {
        self.0.lock().expect("nobody panicked").seen.values().sum()
    }

    /// How much was wrong, and the first of it in words.
    pub(super) fn faults(&self) -> (u64, Vec<String>) {
        let counts = self.0.lock().expect("nobody panicked");
        (counts.wrong, counts.details.clone())
    }

    /// A line for each kind and outcome.
    pub(super) fn lines(&self) -> Vec<(String, u64)> {
        let counts = self.0.lock().expect("nobody panicked");
        let line = |((what, outcome), count): (&(&'static str, String), &u64)| (format!("{what}: {outcome}"), *count);
        counts.seen.iter().map(line).collect()
    }

    pub(super) fn json(&self) -> Value {
        let counts: serde_json::Map<String, Value> = self
            .lines()
            .into_iter()
            .map(|(what, count)| (what, count.into()))
            .collect();
        let (wrong, details) = self.faults();
        json!({"counts": counts, "wrong": wrong, "details": details})
    }
}
