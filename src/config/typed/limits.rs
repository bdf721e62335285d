//! How many requests may come from whom.

use std::time::Duration;

use super::Redis;
use crate::rules::gcra::Quota;

/// `[limiter]`
#[derive(Clone, Debug)]
pub struct Limiter {
    /// The Redis in which all gateways count together; `None`: each counts by itself.
    pub redis: Option<Redis>,
    /// How long a request waits for Redis (default 50 ms; 1 ms to 1 s).
    pub timeout: Duration,
    /// How many clients are remembered (default 100,000; 64 to 100,000,000).
    pub capacity: usize,
    /// Whether answers to requests that passed say what is left, too (default true).
    pub headers: bool,
}

/// `[[limits]]`
#[derive(Clone, Debug)]
pub struct Limit {
    /// What routes call it: 1 to 32 characters of `a-z 0-9 - _`, none twice.
    pub name: String,
    /// How many requests, in which time, and how many of them at once.
    pub quota: Quota,
    /// What a client is (default: an address).
    pub by: LimitBy,
}

/// What requests are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitBy {
    /// The address of the client, of IPv6 its first 64 bits.
    Address,
    /// Whoever the token names; without one, the address.
    User,
    /// All together.
    Everybody,
}
