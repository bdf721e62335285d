//! How a run goes: what is asked of it, and by how much.

use std::time::Duration;

/// The parameters of a run.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) seed: u64,
    /// By how many seconds each gateway's wall clock is wrong: there are as many gateways as entries.
    pub(super) clocks: Vec<i64>,
    pub(super) writers: usize,
    pub(super) users: usize,
    pub(super) logins_per_user: usize,
    /// How many logouts are tried per second, by all writers together.
    pub(super) rate: f64,
    /// `revocation.poll_interval`
    pub(super) poll_interval: Duration,
    /// `revocation.max_staleness`
    pub(super) max_staleness: Duration,
    /// How long after a 204 a gateway that nobody disturbs may still let the token pass.
    pub(super) bound: Duration,
    /// How long after a disturbance a gateway counts as disturbed.
    pub(super) settle: Duration,
    /// How long a gateway stands still: seldom, and mostly.
    pub(super) pauses: (Duration, Duration),
    /// How long a server stands still at the most.
    pub(super) freeze: Duration,
    /// How long whatever was killed stays away at the most.
    pub(super) away: Duration,
    /// How long a client waits for the answer to a logout.
    pub(super) patience: Duration,
    /// How much time passes between two disturbances of gateways, and of servers, at the most; at the least a quarter.
    pub(super) calm: (Duration, Duration),
}

impl Plan {
    /// The long one where `tools/torture` says so.
    pub(super) fn asked_for() -> Self {
        if setting("TORTURE_LONG", false) {
            Self::long()
        } else {
            Self::short()
        }
    }

    /// The same for a Galera cluster, which takes its time.
    pub(super) fn on_a_cluster(self) -> Self {
        Self {
            // Long enough for the others to go on without the one that stands still, and for it to come back and know
            // nothing.
            freeze: Duration::from_secs(25),
            calm: (self.calm.0, Duration::from_secs(30)),
            // To find together again.
            settle: Duration::from_secs(15),
            ..self
        }
    }

    /// For every run of the tests: less than a minute, on a machine that may be slow.
    fn short() -> Self {
        Self {
            seed: seed(),
            clocks: clocks(4),
            writers: 8,
            users: 40,
            logins_per_user: 30,
            rate: 60.0,
            poll_interval: Duration::from_millis(250),
            max_staleness: Duration::from_secs(4),
            // What is judged exactly is the staleness: a machine that is busy with other things may delay a poll.
            bound: Duration::from_secs(4),
            settle: Duration::from_secs(2),
            pauses: (Duration::from_secs(7), Duration::from_secs(3)),
            freeze: Duration::from_secs(6),
            away: Duration::from_secs(2),
            patience: Duration::from_secs(2),
            calm: (Duration::from_secs(4), Duration::from_secs(8)),
        }
    }

    /// For `tools/torture`, which names what differs in the environment.
    fn long() -> Self {
        let poll_interval = Duration::from_millis(setting("TORTURE_POLL_MS", 500));
        let gateways = setting("TORTURE_GATEWAYS", 4);
        Self {
            seed: seed(),
            clocks: clocks(gateways),
            writers: setting("TORTURE_WRITERS", 8),
            // Some sessions end without an answer: there are a few more than logouts are asked for.
            users: setting("TORTURE_LOGOUTS", 20_000_usize).div_ceil(98),
            logins_per_user: 100,
            rate: setting("TORTURE_RATE", 60.0),
            poll_interval,
            max_staleness: Duration::from_secs(10),
            bound: poll_interval + Duration::from_millis(setting("TORTURE_GRACE_MS", 250)),
            settle: Duration::from_secs(6),
            pauses: (
                Duration::from_secs(setting("TORTURE_PAUSE_S", 60)),
                Duration::from_secs(8),
            ),
            freeze: Duration::from_secs(15),
            away: Duration::from_secs(5),
            patience: Duration::from_secs(2),
            calm: (Duration::from_secs(10), Duration::from_secs(40)),
        }
    }

    pub(super) fn gateways(&self) -> usize {
        self.clocks.len()
    }
}

/// Half a minute ahead, half a minute behind, and right. The one that is ahead starts first and makes the signing key.
fn clocks(gateways: usize) -> Vec<i64> {
    [30, -30, 0, 0].into_iter().cycle().take(gateways).collect()
}

fn seed() -> u64 {
    setting("TORTURE_SEED", u64::from(std::process::id()))
}

/// Whether it is to be on a Galera cluster.
pub(super) fn is_on_a_cluster() -> bool {
    setting("TORTURE_GALERA", false)
}

fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name}={text} is not what it should be")),
        Err(_) => default,
    }
}
