//! What all tasks of a run share: the gateway, its upstreams, the users, and what happened.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use doorward::time::monotonic;
use tokio::sync::Notify;

use super::plan::Plan;
use super::tally::Tally;
use super::users::User;

/// How long access tokens live: short, so that all that is kept of them is soon at its greatest.
pub(super) const ACCESS_TTL: Duration = Duration::from_secs(120);
/// How long a failure of an upstream is felt after its end.
const AFTERMATH: Duration = Duration::from_secs(2);
/// The most connections that read from the database.
const READERS: usize = 4;
/// The most connections to it: one more writes.
pub(super) const CONNECTIONS: usize = READERS + 1;
/// How many files these may have open: each the database and its log, and all together its index.
pub(super) const STORE_FILES: usize = CONNECTIONS * 2 + 1;

/// All of it.
pub(super) struct Site {
    pub(super) address: SocketAddr,
    pub(super) users: Vec<User>,
    pub(super) tally: Tally,
    /// From when until when the flaky upstream was gone.
    down: Mutex<Vec<(Instant, Option<Instant>)>>,
    over: AtomicBool,
    bell: Notify,
}

impl Site {
    pub(super) fn new(address: SocketAddr, users: Vec<User>) -> Self {
        Self {
            address,
            users,
            tally: Tally::default(),
            down: Mutex::default(),
            over: AtomicBool::new(false),
            bell: Notify::new(),
        }
    }

    /// Notes that the flaky upstream goes.
    pub(super) fn goes_down(&self) {
        self.down.lock().expect("nobody panicked").push((monotonic(), None));
    }

    /// Notes that it is back.
    pub(super) fn is_up(&self) {
        if let Some(last) = self.down.lock().expect("nobody panicked").last_mut() {
            last.1 = Some(monotonic());
        }
    }

    /// How often it went.
    pub(super) fn failures(&self) -> usize {
        self.down.lock().expect("nobody panicked").len()
    }

    /// Whether it was gone, or had just come back, at some time from then until now.
    pub(super) fn was_down_since(&self, then: Instant) -> bool {
        let down = self.down.lock().expect("nobody panicked");
        down.iter()
            .rev()
            .any(|(_, to)| to.is_none_or(|to| to + AFTERMATH >= then))
    }

    pub(super) fn finish(&self) {
        self.over.store(true, Ordering::SeqCst);
        self.bell.notify_waiters();
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// Waits, but not beyond the end.
    pub(super) async fn rest(&self, time: Duration) {
        let bell = self.bell.notified();
        if !self.is_over() {
            drop(tokio::time::timeout(time, bell).await);
        }
    }
}

/// The configuration; every other one has a route more.
pub(super) fn configuration(plan: &Plan, steady: SocketAddr, flaky: SocketAddr, generation: usize) -> String {
    let extra = if generation.is_multiple_of(2) {
        ""
    } else {
        "[[routes]]\npath = \"/extra\"\nupstream = \"steady\"\n"
    };
    let (ttl, keep_alive) = (ACCESS_TTL.as_secs(), plan.keep_alive.as_secs());
    format!(
        r#"
        [server]
        workers = 2
        h2c = true
        header_timeout = "4s"
        keep_alive = "{keep_alive}s"
        body_idle_timeout = "5s"
        [store]
        max_connections = {READERS}
        cleanup_every = "10s"
        [tls]
        # Once a thread has read files it is there for another ten seconds, which would be always.
        reload_every = "1d"
        [tokens]
        access_ttl = "{ttl}s"
        refresh_ttl = "5m"
        session_ttl = "10m"
        # What has expired is let go of by the time that a quarter as many others have come.
        cache_capacity = 5000
        [passwords]
        queue = 1000
        queue_per_address = 1000
        [throttle]
        max_delay = "0s"
        per_account = "off"
        per_address = "off"
        per_network = "off"
        bad_refreshes_per_address = "off"
        [log]
        filter = "warn"
        access = false
        [upstreams.steady]
        servers = "http://{steady}"
        pool_idle_timeout = "2s"
        [upstreams.flaky]
        servers = "http://{flaky}"
        pool_idle_timeout = "2s"
        [[routes]]
        path = "/steady"
        upstream = "steady"
        [[routes]]
        path = "/flaky"
        upstream = "flaky"
        {extra}
        "#
    )
}
