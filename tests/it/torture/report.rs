//! What came out of a run, for people and for programs.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

/// How many violations are kept with all that is known about them.
const DETAILED: usize = 20;

/// What is counted while a run goes on.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Questions that were asked after a logout.
    pub(super) checks: u64,
    /// Answers to them: 401 `token_revoked`.
    pub(super) revoked: u64,
    /// 503 `revocations_unavailable`.
    pub(super) unavailable: u64,
    /// No answer: the gateway was down, or not for long enough there.
    pub(super) unreachable: u64,
    /// 200 within what is promised.
    pub(super) passed_in_time: u64,
    /// 200 for a token before its logout.
    pub(super) live: u64,
    /// Logouts that were not answered with 204 and were tried again.
    pub(super) retried: u64,
    /// Sessions that ended by a logout whose answer was lost.
    pub(super) ended_unanswered: u64,
    pub(super) violations: u64,
    pub(super) details: Vec<String>,
    /// Answers that nothing explains.
    pub(super) surprises: Vec<String>,
    /// From a 204 to the first request that another gateway refused, in milliseconds; and those of calm times.
    pub(super) delays: Vec<f64>,
    pub(super) calm_delays: Vec<f64>,
    /// The longest time after a 204 at which another gateway that nobody disturbed was asked and still let the token pass.
    pub(super) latest_calm_pass: Duration,
}

impl Tally {
    pub(super) fn violation(&mut self, detail: String) {
        self.violations += 1;
        if self.details.len() < DETAILED {
            self.details.push(detail);
        }
    }

    pub(super) fn surprise(&mut self, detail: String) {
        if self.surprises.len() < DETAILED {
            self.surprises.push(detail);
        }
    }
}

/// p50, p99 and the greatest of some milliseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spread {
    count: usize,
    p50: f64,
    p99: f64,
    max: f64,
}

impl Spread {
    pub(super) fn of(mut values: Vec<f64>) -> Self {
        values.sort_unstable_by(f64::total_cmp);
        let at = |percent: usize| {
            let index = (values.len() * percent).div_ceil(100).max(1) - 1;
            values.get(index).copied().unwrap_or_default()
        };
        Self {
            count: values.len(),
            p50: at(50),
            p99: at(99),
            max: at(100),
        }
    }

    fn json(self) -> Value {
        json!({"count": self.count, "p50": self.p50.round(), "p99": self.p99.round(), "max": self.max.round()})
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "p50 {:.0} ms, p99 {:.0} ms, max {:.0} ms (of {})",
            self.p50, self.p99, self.max, self.count
        )
    }
}

/// What came out.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) world: &'static str,
    pub(super) seed: u64,
    pub(super) gateways: usize,
    pub(super) writers: usize,
    pub(super) acknowledged: usize,
    pub(super) took: Duration,
    /// Of each kind of disturbance, how many, and how long the longest was.
    pub(super) chaos: Vec<(&'static str, usize, Duration)>,
    pub(super) tally: Tally,
}

impl Report {
    pub(super) fn json(&self) -> Value {
        let chaos: serde_json::Map<String, Value> = self
            .chaos
            .iter()
            .map(|(kind, count, longest)| {
                let longest = longest.as_secs_f64();
                ((*kind).to_owned(), json!({"count": count, "longest_s": longest}))
            })
            .collect();
        let tally = &self.tally;
        json!({
            "world": self.world,
            "seed": self.seed,
            "gateways": self.gateways,
            "writers": self.writers,
            "duration_s": self.took.as_secs_f64(),
            "logouts_acknowledged": self.acknowledged,
            "logouts_retried": tally.retried,
            "logouts_ended_unanswered": tally.ended_unanswered,
            "live_before_logout": tally.live,
            "checks": tally.checks,
            "violations": tally.violations,
            "violation_details": tally.details,
            "surprises": tally.surprises,
            "answers": {
                "token_revoked": tally.revoked,
                "revocations_unavailable": tally.unavailable,
                "unreachable": tally.unreachable,
                "passed_within_the_bound": tally.passed_in_time,
            },
            "delay_ms": Spread::of(tally.delays.clone()).json(),
            "delay_undisturbed_ms": Spread::of(tally.calm_delays.clone()).json(),
            "latest_pass_undisturbed_ms": tally.latest_calm_pass.as_secs_f64() * 1000.0,
            "disturbances": chaos,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tally = &self.tally;
        writeln!(
            f,
            "{} gateways on {}, {} writers, {:.0} s, seed {}",
            self.gateways,
            self.world,
            self.writers,
            self.took.as_secs_f64(),
            self.seed
        )?;
        writeln!(
            f,
            "logouts answered 204: {} ({} tries failed, {} sessions ended without an answer)",
            self.acknowledged, tally.retried, tally.ended_unanswered
        )?;
        writeln!(f, "checks: {}, violations: {}", tally.checks, tally.violations)?;
        writeln!(
            f,
            "answers: {} token_revoked, {} revocations_unavailable, {} none, {} passed within the bound",
            tally.revoked, tally.unavailable, tally.unreachable, tally.passed_in_time
        )?;
        writeln!(
            f,
            "from a 204 to a refusal elsewhere:  {}",
            Spread::of(tally.delays.clone())
        )?;
        writeln!(
            f,
            "  where nothing was disturbed:      {}",
            Spread::of(tally.calm_delays.clone())
        )?;
        writeln!(
            f,
            "  latest pass there: asked {:.0} ms after the 204",
            tally.latest_calm_pass.as_secs_f64() * 1000.0
        )?;
        for (kind, count, longest) in &self.chaos {
            writeln!(f, "{kind}: {count} times, up to {:.1} s", longest.as_secs_f64())?;
        }
        for detail in tally.details.iter().chain(&tally.surprises) {
            writeln!(f, "! {detail}")?;
        }
        Ok(())
    }
}
