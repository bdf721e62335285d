//! What keeps an upstream going when servers of it fail.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode};

/// What of `[upstreams.NAME]` is about servers that fail, and about which of them gets a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resilience {
    /// Who gets a request.
    pub balance: Balance,
    /// How long the share of a server that is back grows to its weight (default 0; at most 1 h).
    pub slow_start: Duration,
    /// How many requests and connections there may be.
    pub caps: Caps,
    /// How servers are asked whether they are well; `None` (the default): they are not.
    pub health: Option<HealthChecks>,
    /// With less than this share of the servers up, in percent, all are used (default 0: never).
    pub panic: u32,
    /// When a server that fails gets no requests for a while.
    pub eject: Ejection,
    /// When a request is sent again.
    pub retry: Retry,
    /// How the names of servers are resolved.
    pub dns: Dns,
}

/// Who gets a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Balance {
    /// Of two servers drawn by weight the one with fewer requests in flight for its weight (the default).
    LeastRequests,
    /// Each in its turn, as often as its weight says, the turns of each spread evenly.
    RoundRobin,
    /// Always the same for the same key.
    Hash(HashBy),
}

/// What a request is known by again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashBy {
    /// Whom the token is of.
    User,
    /// The client's address, as far as trusted proxies tell.
    Ip,
    /// A request header.
    Header(HeaderName),
}

/// A set of statuses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statuses(pub(in crate::config) Vec<RangeInclusive<u16>>);

impl Statuses {
    /// Whether the status is one of them.
    #[must_use]
    pub fn contains(&self, status: StatusCode) -> bool {
        self.0.iter().any(|range| range.contains(&status.as_u16()))
    }
}

/// How many requests and connections there may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caps {
    /// The most per server, over all workers (1 to 1,000,000); `None` (the default): no limit.
    pub max_requests: Option<usize>,
    /// How many requests may wait for a server below these (default 100; 0 to 100,000).
    pub queue: usize,
    /// How long each may wait (default 1 s; 10 ms to 1 h).
    pub queue_timeout: Duration,
    /// The most connections per server, over all workers, health checks apart (1 to 1,000,000); `None` (the default): no
    /// limit.
    pub max_connections: Option<usize>,
}

impl Caps {
    /// Whether connections are bounded in the same way.
    pub(super) fn hold_connections_as(&self, other: &Self) -> bool {
        let line = |caps: &Self| (caps.queue, caps.queue_timeout);
        self.max_connections == other.max_connections && (self.max_connections.is_none() || line(self) == line(other))
    }
}

/// How servers are asked whether they are well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthChecks {
    /// What for: a path in origin form, with or without a query.
    pub path: String,
    /// With which `Host`; `None` (the default): the server's own.
    pub host: Option<HeaderValue>,
    /// How long from one check to the next (default 10 s; 10 ms to 1 h), and at most 1 s while the server is down; a tenth
    /// more or less, by chance.
    pub interval: Duration,
    /// How long the head of the answer may take, connecting included (default 2 s; 10 ms to 1 min).
    pub timeout: Duration,
    /// How many passes in a row make a server that is down well again (default 2; 1 to 100).
    pub passes: u32,
    /// How many failures in a row make a server down (default 3; 1 to 100).
    pub failures: u32,
    /// The statuses that pass (default 200 to 299).
    pub status: Statuses,
}

impl HealthChecks {
    /// Whether what is asked, and what passes, is the same, however often it is asked and believed.
    #[must_use]
    pub fn asks_the_same_as(&self, other: &Self) -> bool {
        let question = |rule: &Self| Self {
            interval: Duration::ZERO,
            passes: 0,
            failures: 0,
            ..rule.clone()
        };
        question(self) == question(other)
    }
}

/// When a server that fails gets no requests for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ejection {
    /// After how many requests in a row that failed (default 5; 0: never; at most 1000).
    pub after: u32,
    /// Which statuses count as failures (default none).
    pub status: Statuses,
    /// For how long at first (default 10 s; 10 ms to 1 d).
    pub time: Duration,
    /// The most that the time doubles to (default 5 min; 1 s to 1 d).
    pub max_time: Duration,
    /// The largest share of the servers, in percent (default 50; 0 to 100).
    pub max_share: u32,
}

impl Ejection {
    /// Whether no server is ever ejected.
    #[must_use]
    pub const fn is_off(&self) -> bool {
        self.after == 0 || self.max_share == 0
    }
}

/// When a request is sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// How often at most, of what a server may have seen (default 2; 0 to 10).
    pub attempts: u32,
    /// The most of a request's body that is kept for it, in bytes (default 64 KiB; at most 16 MiB).
    pub body_limit: u64,
    /// Statuses of answers that are asked for again at another server (default none).
    pub status: Statuses,
    /// How many, in percent of the requests of the last 10 s (default 20; 0 to 100).
    pub budget: u32,
    /// How many a second beside that (default 10; 0 to 1000).
    pub floor: u32,
}

/// How the names of servers are resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dns {
    /// Which name servers are asked; none (the default): those of the system.
    pub servers: Vec<SocketAddr>,
    /// How long an answer is used at least (default 1 s; 100 ms to 1 h).
    pub min_ttl: Duration,
    /// How long an answer is used at most (default 5 min; 1 s to 1 d).
    pub max_ttl: Duration,
}
