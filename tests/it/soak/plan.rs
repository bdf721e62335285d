//! How a run goes: for how long, at which rate, and with how much trouble.

use std::path::PathBuf;
use std::time::Duration;

/// The parameters of a run.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) seed: u64,
    /// How long the load lasts.
    pub(super) lasts: Duration,
    /// What of that is not compared: caches fill.
    pub(super) warm_up: Duration,
    /// How many requests a second are sent to upstreams, on HTTP/1.1 and HTTP/2 together.
    pub(super) rate: f64,
    pub(super) users: usize,
    /// How many clients are slow at once.
    pub(super) slow: usize,
    /// How long a user rests between two questions at the most.
    pub(super) rest: Duration,
    /// `server.keep_alive`: longer than anybody here rests who does not mean to be shown the door.
    pub(super) keep_alive: Duration,
    /// How often the configuration is changed.
    pub(super) reload_every: Duration,
    /// How often an upstream dies, and for how long at the most.
    pub(super) failure_every: Duration,
    pub(super) failure: Duration,
    /// How often the gateway's memory and files are looked at.
    pub(super) sample_every: Duration,
    /// By what part memory may grow after the warm-up.
    pub(super) growth: f64,
    /// The program, where it is not the one that the tests were built with.
    pub(super) binary: Option<PathBuf>,
    /// Where the samples and the report go.
    pub(super) out: Option<PathBuf>,
}

impl Plan {
    /// A quarter of a minute, or as long as `tools/soak` says in the environment.
    pub(super) fn asked_for() -> Self {
        let seconds = |seconds| Duration::from_secs(seconds);
        let plan = Self {
            seed: setting("SOAK_SEED", u64::from(std::process::id())),
            lasts: seconds(12),
            warm_up: seconds(4),
            rate: setting("SOAK_RATE", 300.0),
            users: 16,
            slow: 6,
            rest: seconds(3),
            keep_alive: seconds(4),
            reload_every: seconds(2),
            failure_every: seconds(3),
            failure: seconds(1),
            sample_every: Duration::from_millis(500),
            growth: 1.0,
            binary: std::env::var_os("SOAK_BINARY").map(PathBuf::from),
            out: std::env::var_os("SOAK_OUT").map(PathBuf::from),
        };
        let minutes: f64 = setting("SOAK_MINUTES", 0.0);
        if minutes <= 0.0 {
            return plan;
        }
        let lasts = Duration::from_secs_f64(minutes * 60.0);
        Self {
            lasts,
            // Longer than tokens live, than what is kept of sessions that ended, and than glibc's heaps take to reach their
            // level: after ten minutes they grow by a few percent more, and after twenty by next to nothing.
            warm_up: (lasts / 3).min(seconds(1200)),
            rate: setting("SOAK_RATE", 17_000.0),
            users: 48,
            slow: 12,
            rest: seconds(8),
            keep_alive: seconds(10),
            reload_every: seconds(10),
            failure_every: seconds(20),
            failure: seconds(3),
            sample_every: seconds(5),
            growth: if minutes < 20.0 { 1.0 } else { 0.05 },
            ..plan
        }
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
