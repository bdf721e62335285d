//! What came out of a run, to read.

use std::fmt;
use std::time::Duration;

/// What a first 200 is wanted within.
const WANTED: Duration = Duration::from_secs(2);

/// What came out of one round.
pub(super) struct Round {
    /// How long there was load before the kill.
    pub(super) load: Duration,
    /// How many questions were acknowledged, and how many not answered.
    pub(super) acknowledged: usize,
    pub(super) unknown: usize,
    /// How soon the first 200 was there.
    pub(super) back: Option<Duration>,
}

/// What came out of all rounds.
pub(super) struct Report {
    name: &'static str,
    seed: u64,
    rounds: usize,
    back: Vec<Duration>,
    unknown: usize,
    pub(super) acknowledged: usize,
    /// How many accounts were judged.
    pub(super) accounts: usize,
    pub(super) took: Duration,
    pub(super) violations: Vec<String>,
}

impl Report {
    pub(super) fn new(name: &'static str, seed: u64) -> Self {
        Self {
            name,
            seed,
            rounds: 0,
            back: Vec::new(),
            unknown: 0,
            acknowledged: 0,
            accounts: 0,
            took: Duration::ZERO,
            violations: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, round: &Round) {
        self.rounds += 1;
        self.acknowledged += round.acknowledged;
        self.unknown += round.unknown;
        self.back.extend(round.back);
        self.back.sort_unstable();
    }
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (load, acknowledged, unknown) = (self.load.as_millis(), self.acknowledged, self.unknown);
        write!(
            f,
            "killed after {load} ms, {acknowledged} acknowledged, {unknown} not answered"
        )?;
        match self.back {
            Some(back) => write!(f, ", first 200 after {} ms", back.as_millis()),
            None => write!(f, ", no 200"),
        }
    }
}

impl Report {
    /// How often the first 200 came later than it should.
    pub(super) fn late(&self) -> usize {
        self.back.iter().filter(|back| **back > WANTED).count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, rounds, seed) = (self.name, self.rounds, self.seed);
        let took = self.took.as_secs_f64();
        writeln!(f, "killed: {name}; {rounds} rounds, {took:.0} s, seed {seed}")?;
        writeln!(
            f,
            "acknowledged under load: {}, not answered: {}; accounts judged, each twice: {}; violations: {}",
            self.acknowledged,
            self.unknown,
            self.accounts,
            self.violations.len()
        )?;
        if let (Some(min), Some(max)) = (self.back.first(), self.back.last()) {
            let late = self.late();
            writeln!(
                f,
                "to the first 200: min {} ms, median {} ms, max {} ms; over {WANTED:?}: {late}",
                min.as_millis(),
                self.back[self.back.len() / 2].as_millis(),
                max.as_millis(),
            )?;
        }
        for violation in &self.violations {
            writeln!(f, "! {violation}")?;
        }
        Ok(())
    }
}
