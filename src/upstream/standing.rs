//! [`Standing`]: whether a server should get requests, from what checks and requests have shown of it.
//!
//! Two things are known apart: what active checks say ([`Health`]), and whether requests failed in a row ([`Breaker`]: the
//! circuit breaker and the ejection of a failing server are one mechanism). All of it is one state behind one lock; a
//! server of which there is nothing to tell, as nearly all are nearly always, costs its readers one atomic load.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::config::{Ejection, HealthChecks};

/// The whole of a server's share, in 256ths.
pub(super) const WHOLE: u32 = 256;
/// What a server that is back begins with: a tenth.
const FIRST: u32 = WHOLE / 10;

/// What active checks say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It is well; so many checks in a row have failed.
    Up {
        /// Fewer than make it down.
        failures: u32,
    },
    /// It is not; so many checks in a row have passed.
    Down {
        /// Fewer than make it well again.
        passes: u32,
    },
}

/// What requests have shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breaker {
    /// Requests pass; so many in a row have failed.
    Closed {
        /// Fewer than open it.
        failures: u32,
    },
    /// None pass until then.
    Open {
        /// When one may try.
        until: Instant,
    },
    /// One request is on its way to find out.
    Probing,
}

/// What a server may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fitness {
    /// Requests, to this share of its weight in 256ths.
    Fit(u32),
    /// One request, to find out.
    Due,
    /// None, since requests to it failed.
    Ejected,
    /// None, since its checks fail.
    Down,
}

/// A change that an operator wants to hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Checks failed in a row.
    WentDown,
    /// Checks passed in a row.
    CameUp,
    /// Requests failed in a row: no more for so long.
    Ejected(Duration),
    /// A request got through to it again.
    Returned,
}

/// Whether a server should get requests.
#[derive(Debug)]
pub(super) struct Standing {
    /// Whether there is anything to tell. Written with the lock held.
    notable: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    health: Health,
    breaker: Breaker,
    /// How often in a row it was ejected, and when it was last back.
    ejections: u32,
    returned: Option<Instant>,
    /// Since when its share grows.
    warming: Option<Instant>,
}

impl Default for Standing {
    fn default() -> Self {
        Self {
            notable: AtomicBool::new(false),
            state: Mutex::new(State {
                health: Health::Up { failures: 0 },
                breaker: Breaker::Closed { failures: 0 },
                ejections: 0,
                returned: None,
                warming: None,
            }),
        }
    }
}

impl Standing {
    /// Whether there is nothing to tell: it gets requests, as many as its weight says, and the last one did not fail.
    pub(super) fn is_plain(&self) -> bool {
        !self.notable.load(Ordering::Acquire)
    }

    /// What it may be sent now.
    pub(super) fn fitness(&self, now: impl Fn() -> Instant, slow_start: Duration) -> Fitness {
        if self.is_plain() {
            return Fitness::Fit(WHOLE);
        }
        let mut state = self.lock();
        if let Health::Down { .. } = state.health {
            return Fitness::Down;
        }
        match state.breaker {
            Breaker::Probing => Fitness::Ejected,
            Breaker::Open { until } if now() < until => Fitness::Ejected,
            Breaker::Open { .. } => Fitness::Due,
            Breaker::Closed { .. } => {
                let share = state.share(now, slow_start);
                self.publish(&state);
                Fitness::Fit(share)
            }
        }
    }

    /// Whether the caller's request is the one that finds out. Only where it is [`Fitness::Due`], and once.
    pub(super) fn begin_probe(&self, now: Instant) -> bool {
        let mut state = self.lock();
        let due = matches!(state.breaker, Breaker::Open { until } if until <= now);
        if due {
            state.breaker = Breaker::Probing;
        }
        due
    }

    /// The request that was to find out ended without a result: another may.
    pub(super) fn abandon_probe(&self, now: Instant) {
        let mut state = self.lock();
        if state.breaker == Breaker::Probing {
            state.breaker = Breaker::Open { until: now };
        }
    }

    /// A request was answered. `probe` says whether it was the one to find out: what was sent before an ejection and is
    /// answered during it shows nothing.
    pub(super) fn passed(&self, probe: bool, now: impl FnOnce() -> Instant) -> Option<Change> {
        if self.is_plain() {
            return None;
        }
        let mut state = self.lock();
        let change = match state.breaker {
            Breaker::Closed { .. } => {
                state.breaker = Breaker::Closed { failures: 0 };
                None
            }
            Breaker::Probing if probe => {
                let now = now();
                state.breaker = Breaker::Closed { failures: 0 };
                (state.returned, state.warming) = (Some(now), Some(now));
                Some(Change::Returned)
            }
            Breaker::Open { .. } | Breaker::Probing => None,
        };
        self.publish(&state);
        change
    }

    /// A request failed. `may_eject` says whether the upstream can do without the server; it is asked last.
    pub(super) fn failed(
        &self,
        probe: bool,
        now: Instant,
        rule: &Ejection,
        may_eject: impl FnOnce() -> bool,
    ) -> Option<Change> {
        if rule.after == 0 {
            return None;
        }
        let mut state = self.lock();
        let failures = match state.breaker {
            Breaker::Closed { failures } => failures.saturating_add(1).min(rule.after),
            Breaker::Probing if probe => rule.after,
            Breaker::Open { .. } | Breaker::Probing => return None,
        };
        let again = state.breaker == Breaker::Probing;
        state.breaker = Breaker::Closed { failures };
        self.publish(&state);
        if failures < rule.after {
            return None;
        }
        // The others are asked without this lock held: they may be asking for it as well.
        drop(state);
        if !again && !may_eject() {
            return None;
        }
        let mut state = self.lock();
        let Breaker::Closed { .. } = state.breaker else {
            return None;
        };
        let time = state.next_ejection(now, rule, again);
        state.breaker = Breaker::Open { until: now + time };
        self.publish(&state);
        Some(Change::Ejected(time))
    }

    /// A check passed or failed.
    pub(super) fn checked(&self, passed: bool, now: Instant, rule: &HealthChecks) -> Option<Change> {
        let mut state = self.lock();
        let (health, change) = match (state.health, passed) {
            (Health::Up { .. }, true) => (Health::Up { failures: 0 }, None),
            (Health::Up { failures }, false) if failures + 1 >= rule.failures => {
                (Health::Down { passes: 0 }, Some(Change::WentDown))
            }
            (Health::Up { failures }, false) => (Health::Up { failures: failures + 1 }, None),
            (Health::Down { passes }, true) if passes + 1 >= rule.passes => {
                state.warming = Some(now);
                (Health::Up { failures: 0 }, Some(Change::CameUp))
            }
            (Health::Down { passes }, true) => (Health::Down { passes: passes + 1 }, None),
            (Health::Down { .. }, false) => (Health::Down { passes: 0 }, None),
        };
        state.health = health;
        self.publish(&state);
        change
    }

    /// Nobody checks it any more: what checks have shown is forgotten.
    pub(super) fn forget_checks(&self) {
        let mut state = self.lock();
        state.health = Health::Up { failures: 0 };
        self.publish(&state);
    }

    /// From now on something else is asked: failures count from none, and where it is down, one pass makes it well again.
    /// It stays down until then: that it was asked the wrong thing does not make it well.
    pub(super) fn ask_anew(&self, rule: &HealthChecks) {
        let mut state = self.lock();
        state.health = match state.health {
            Health::Up { .. } => Health::Up { failures: 0 },
            Health::Down { .. } => Health::Down {
                passes: rule.passes.saturating_sub(1),
            },
        };
        self.publish(&state);
    }

    /// No failure ejects it any more: those that there were are forgotten, and how long it was ejected for.
    pub(super) fn forget_failures(&self) {
        let mut state = self.lock();
        state.breaker = Breaker::Closed { failures: 0 };
        (state.ejections, state.returned) = (0, None);
        self.publish(&state);
    }

    /// Where it is ejected, one request may try it at once.
    pub(super) fn try_now(&self, now: Instant) {
        let mut state = self.lock();
        if let Breaker::Open { until } = &mut state.breaker {
            *until = now.min(*until);
        }
    }

    /// What is known now, for those who look from outside.
    pub(super) fn look(&self) -> (Health, Breaker) {
        let state = self.lock();
        (state.health, state.breaker)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, state: &State) {
        let up = matches!(state.health, Health::Up { .. });
        let plain = up && state.breaker == Breaker::Closed { failures: 0 } && state.warming.is_none();
        self.notable.store(!plain, Ordering::Release);
    }
}

impl State {
    /// The share that a server has after it came back; forgets that it did when it has all of it.
    fn share(&mut self, now: impl FnOnce() -> Instant, slow_start: Duration) -> u32 {
        let Some(since) = self.warming else {
            return WHOLE;
        };
        let grown = now().saturating_duration_since(since);
        if grown >= slow_start {
            self.warming = None;
            return WHOLE;
        }
        let share = u128::from(WHOLE) * grown.as_millis() / slow_start.as_millis().max(1);
        u32::try_from(share).unwrap_or(WHOLE).clamp(FIRST, WHOLE)
    }

    /// Twice as long as the last time, if it was not well for that long since.
    fn next_ejection(&mut self, now: Instant, rule: &Ejection, again: bool) -> Duration {
        let length = |ejections: u32| {
            let doubled = 1_u32.checked_shl(ejections).unwrap_or(u32::MAX);
            rule.time.saturating_mul(doubled).min(rule.max_time)
        };
        let last = length(self.ejections.saturating_sub(1));
        let recovered = |returned: Instant| now.saturating_duration_since(returned) > last;
        if !again && self.returned.is_some_and(recovered) {
            self.ejections = 0;
        }
        let time = length(self.ejections);
        self.ejections = self.ejections.saturating_add(1).min(31);
        time
    }
}
