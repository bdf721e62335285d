//! What came out of a run, for people and for programs.

use std::fmt;
use std::io::Write;
use std::time::Duration;

use serde_json::{Value, json};

use super::gauge::{HEAD, Load, Sample};
use super::plan::Plan;
use super::rest::Rest;
use super::tally::Tally;

/// How many lines the table of samples has, about.
const LINES: usize = 40;

/// What came out.
pub(super) struct Report {
    pub(super) plan: Plan,
    pub(super) took: Duration,
    pub(super) tally: Tally,
    pub(super) failures: usize,
    pub(super) samples: Vec<Sample>,
    pub(super) load: Load,
    /// What there was before the first client came, and after the last one had gone.
    pub(super) before: Rest,
    pub(super) after: Rest,
}

impl Report {
    /// Everything that should not be.
    pub(super) fn wrong(&self) -> Vec<String> {
        let (count, mut wrong) = self.tally.faults();
        if usize::try_from(count).is_ok_and(|count| count > wrong.len()) {
            wrong.push(format!("… and so on: {count} in all"));
        }
        let (before, after) = (&self.before, &self.after);
        let left_over = after.left_over(before);
        if !left_over.is_empty() {
            let what = left_over.join(", ");
            wrong.push(format!("left over: {what}: {before:?} before, {after:?} after"));
        }
        if !self
            .samples
            .last()
            .is_some_and(|last| last.metrics.panics() == Some(0.0))
        {
            wrong.push("something panicked".to_owned());
        }
        match self.growth() {
            Some((from, to, growth)) if growth > self.plan.growth => {
                wrong.push(format!("memory grew from {from} to {to} bytes"));
            }
            Some(_) => {}
            None => wrong.push("memory was not looked at".to_owned()),
        }
        // What there was of each kind, or the run shows nothing.
        let kinds = [
            ("request, HTTP/1.1", "200"),
            ("request, HTTP/2", "200"),
            ("request, HTTP/1.1", "50"),
            ("request, HTTP/2", "50"),
            ("request, HTTP/1.1", "401"),
            ("slow client", "200"),
            ("login", "200"),
            ("refresh", "200"),
            ("logout", "204"),
            ("reload", "taken"),
            ("upstream", "died"),
        ];
        for (what, outcome) in kinds {
            if self.tally.count(what, outcome) == 0 {
                wrong.push(format!("there was no {what} with {outcome}"));
            }
        }
        wrong
    }

    /// The median of memory in the first and in the last tenth of what followed the warm-up, and by what part it grew.
    fn growth(&self) -> Option<(u64, u64, f64)> {
        let warm: Vec<u64> = self
            .samples
            .iter()
            .filter(|sample| sample.after >= self.plan.warm_up)
            .map(|sample| sample.memory)
            .collect();
        let tenth = warm.len().div_ceil(10);
        let median = |part: &[u64]| {
            let mut part = part.to_vec();
            part.sort_unstable();
            part.get(part.len() / 2).copied()
        };
        let (from, to) = (median(&warm[..tenth])?, median(&warm[warm.len() - tenth..])?);
        #[expect(clippy::cast_precision_loss, reason = "memory is far below 2^52 bytes")]
        let growth = (to as f64 - from as f64) / from as f64;
        Some((from, to, growth))
    }

    pub(super) fn json(&self) -> Value {
        let growth = self.growth().map(|(from, to, growth)| {
            json!({"from_bytes": from, "to_bytes": to, "part": growth, "allowed": self.plan.growth})
        });
        json!({
            "seed": self.plan.seed,
            "took_s": self.took.as_secs_f64(),
            "rate": self.plan.rate,
            "busy_processors": self.load.json(),
            "warm_up_s": self.plan.warm_up.as_secs_f64(),
            "answered": self.tally.total(),
            "upstream_failures": self.failures,
            "at_rest_before": self.before.json(),
            "at_rest_after": self.after.json(),
            "memory_after_warm_up": growth,
            "tally": self.tally.json(),
            "wrong": self.wrong(),
            "samples": self.samples.iter().map(Sample::json).collect::<Vec<_>>(),
        })
    }

    /// Writes `report.json` and `report.txt` where they are wanted.
    pub(super) fn write(&self) {
        let Some(out) = &self.plan.out else { return };
        for (name, text) in [
            ("report.json", format!("{:#}\n", self.json())),
            ("report.txt", self.to_string()),
        ] {
            let mut file = std::fs::File::create(out.join(name)).expect("the folder takes a file");
            file.write_all(text.as_bytes()).expect("the folder takes a file");
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEAD}")?;
        for sample in self.samples.iter().step_by(self.samples.len().div_ceil(LINES).max(1)) {
            writeln!(f, "{sample}")?;
        }
        for (what, count) in self.tally.lines() {
            writeln!(f, "{count:>10}  {what}")?;
        }
        writeln!(
            f,
            "{} in {:.0} s, seed {}; upstream failures: {}; at rest before: {:?}, after: {:?}",
            self.tally.total(),
            self.took.as_secs_f64(),
            self.plan.seed,
            self.failures,
            self.before,
            self.after
        )?;
        writeln!(f, "{}", self.load)?;
        if let Some((from, to, growth)) = self.growth() {
            writeln!(
                f,
                "memory after the warm-up of {} s: {:.1} MiB, in the end {:.1} MiB: {:+.1} %",
                self.plan.warm_up.as_secs(),
                mebibytes(from),
                mebibytes(to),
                growth * 100.0
            )?;
        }
        let wrong = self.wrong();
        writeln!(f, "wrong: {}", if wrong.is_empty() { "nothing" } else { "see below" })?;
        for wrong in wrong {
            writeln!(f, "! {wrong}")?;
        }
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "memory is far below 2^52 bytes")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
