//! When a 200 is a violation. See the opening of [`super`], which says it in words.

use std::time::{Duration, Instant};

/// A token that a gateway let pass after its session's end had been answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passed {
    /// When the 204 was there.
    pub(super) ended: Instant,
    /// When the request was about to be sent.
    pub(super) sent: Instant,
    /// Whether the gateway is the one that answered the 204.
    pub(super) is_answerer: bool,
    /// When the gateway's life began.
    pub(super) life_began: Instant,
    /// Whether neither the gateway nor what it needs was disturbed since shortly before the 204.
    pub(super) calm: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Excusable,
    Violation(&'static str),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) bound: Duration,
    pub(super) max_staleness: Duration,
}

impl Rules {
    pub(super) fn judge(&self, passed: &Passed) -> Verdict {
        let late = passed.sent.saturating_duration_since(passed.ended);
        if passed.is_answerer {
            Verdict::Violation("by the gateway that answered the logout")
        } else if passed.life_began > passed.ended {
            Verdict::Violation("by a gateway that was started after the logout")
        } else if late > self.max_staleness {
            Verdict::Violation("longer after the logout than knowledge may be old")
        } else if late > self.bound && passed.calm {
            Verdict::Violation("after the bound, by a gateway that nobody disturbed")
        } else {
            Verdict::Excusable
        }
    }
}

#[cfg(test)]
mod tests {
    use doorward::time::monotonic;

    use super::*;

    #[test]
    fn a_pass_is_excused_before_the_bound_and_while_disturbed_until_knowledge_is_too_old() {
        const SECOND: Duration = Duration::from_secs(1);
        let rules = Rules {
            bound: SECOND,
            max_staleness: 10 * SECOND,
        };
        let start = monotonic();
        let passed = |seconds: u32| Passed {
            ended: start + SECOND,
            sent: start + SECOND + seconds * SECOND,
            is_answerer: false,
            life_began: start,
            calm: true,
        };
        let excused = |passed: Passed| rules.judge(&passed) == Verdict::Excusable;
        assert!(excused(passed(1)));
        assert!(!excused(passed(2)));
        let disturbed = |passed: Passed| Passed { calm: false, ..passed };
        assert!(excused(disturbed(passed(10))));
        assert!(!excused(disturbed(passed(11))));
        let restarted = Passed {
            life_began: start + 2 * SECOND,
            ..disturbed(passed(1))
        };
        assert!(!excused(restarted));
        let itself = Passed {
            is_answerer: true,
            ..disturbed(passed(0))
        };
        assert!(!excused(itself));
    }
}
