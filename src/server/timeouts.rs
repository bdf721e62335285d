//! [`Timeouts`]: how long a client may take.

use std::time::Duration;

use super::pace::Pace;
use crate::config;

/// How long a client may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    keep_alive: Duration,
    head: Duration,
    body: Duration,
    /// Bytes a second that a client has to keep up, beyond that.
    rate: u64,
}

impl Timeouts {
    pub(super) fn new(config: &config::Server) -> Self {
        Self {
            keep_alive: config.keep_alive,
            head: config.header_timeout,
            body: config.body_idle_timeout,
            rate: config.min_body_rate,
        }
    }

    /// These very ones.
    #[cfg(test)]
    pub(super) const fn of(keep_alive: Duration, head: Duration, body: Duration) -> Self {
        Self {
            keep_alive,
            head,
            body,
            rate: 0,
        }
    }

    /// These, with this pace.
    #[cfg(test)]
    pub(super) const fn at_rate(mut self, rate: u64) -> Self {
        self.rate = rate;
        self
    }

    /// How slow a client may be on average, sending or receiving.
    pub(super) const fn pace(&self) -> Pace {
        Pace::new(self.rate, self.body)
    }

    /// How long a connection may idle between requests.
    pub(super) const fn keep_alive(&self) -> Duration {
        self.keep_alive
    }

    /// How long a client may pause within a body, sending or receiving.
    pub(super) const fn body(&self) -> Duration {
        self.body
    }

    /// How long a request head may take from its first byte on.
    pub(super) const fn head(&self) -> Duration {
        self.head
    }
}
