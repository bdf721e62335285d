//! How a run goes: how many rounds, and from which seed.

use std::time::Duration;

/// The parameters of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// From which every choice follows.
    pub(super) seed: u64,
    /// How often something is killed.
    pub(super) rounds: usize,
    /// How many clients are at work at once.
    pub(super) clients: usize,
    /// For how long they work before the kill, at the least and at the most.
    pub(super) load: (Duration, Duration),
    /// For how long a killed database stays away at the most.
    pub(super) away: Duration,
    /// When a gateway that starts is killed once more, counted from its start, at the most.
    pub(super) infancy: Duration,
}

impl Plan {
    /// A few rounds, or as many as `tools/kill` names in the environment.
    pub(super) fn asked_for() -> Self {
        Self {
            seed: setting("KILL_SEED", u64::from(std::process::id())),
            rounds: setting("KILL_ROUNDS", 3),
            clients: 8,
            load: (Duration::from_millis(100), Duration::from_millis(500)),
            away: Duration::from_secs(1),
            infancy: Duration::from_millis(150),
        }
    }
}

impl Plan {
    /// Whether it is long enough to be somebody's measurement, who has the machine for it.
    pub(super) const fn is_measured(&self) -> bool {
        self.rounds >= 100
    }
}

fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name}={text} is not what it should be")),
        Err(_) => default,
    }
}
