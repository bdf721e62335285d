//! The backends: which servers an upstream has, whose turn it is, and the connections to them.
//!
//! [`Upstreams`] is shared by all workers and knows whose turn it is. [`Pools`] belongs to one worker: connections are
//! driven by the runtime that made them, so they are never handed to another.

mod body;
mod connection;
mod pool;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

pub use body::{BodyFailure, BodyWatch, RequestBody};
pub use pool::{Lease, Pools};

use crate::config;
use crate::config::ServerAddress;

/// All upstreams, by the index that routes use.
#[derive(Debug)]
pub struct Upstreams(Vec<Upstream>);

/// One upstream.
#[derive(Debug)]
pub struct Upstream {
    config: config::Upstream,
    turn: AtomicUsize,
}

impl Upstreams {
    /// The upstreams of a configuration, in its order.
    #[must_use]
    pub fn new(upstreams: &[config::Upstream]) -> Self {
        Self(
            upstreams
                .iter()
                .map(|config| Upstream {
                    config: config.clone(),
                    turn: AtomicUsize::new(0),
                })
                .collect(),
        )
    }

    /// The upstream with this index, if the configuration has one.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&Upstream> {
        self.0.get(index)
    }

    /// The upstreams in order.
    pub fn iter(&self) -> impl Iterator<Item = &Upstream> {
        self.0.iter()
    }
}

impl Upstream {
    /// Its name in the configuration.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// Its servers.
    #[must_use]
    pub fn servers(&self) -> &[ServerAddress] {
        &self.config.servers
    }

    /// How long the upstream may take to answer, from the last byte of the request.
    #[must_use]
    pub fn response_timeout(&self) -> Duration {
        self.config.response_timeout
    }

    /// The servers to try for one request, each once: round robin, then those after it.
    pub fn servers_in_turn(&self) -> impl Iterator<Item = usize> + use<> {
        let count = self.config.servers.len();
        let first = if count > 1 {
            self.turn.fetch_add(1, Ordering::Relaxed)
        } else {
            0
        };
        (0..count).map(move |step| first.wrapping_add(step) % count)
    }
}

/// Why no answer came from an upstream.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// No connection could be made.
    #[error("no connection")]
    Connect(#[source] std::io::Error),
    /// No connection could be made in time.
    #[error("no connection within {0:?}")]
    ConnectTimeout(Duration),
    /// The connection was made, but broke before an answer came.
    #[error("the connection broke before an answer came")]
    Broken(#[source] hyper::Error),
    /// What came is not HTTP.
    #[error("the answer is not HTTP")]
    NotHttp(#[source] hyper::Error),
    /// What came is HTTP that must not be relayed.
    #[error("the answer must not be relayed: {0}")]
    Invalid(&'static str),
    /// No answer came in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The client's body failed while it was being forwarded.
    #[error("the client's request body failed")]
    ClientBody(#[source] BodyFailure),
}
