//! The backends: which servers an upstream has, whose turn it is, and the connections to them.
//!
//! [`Upstreams`] is shared by all workers and knows whose turn it is. [`Pools`] belongs to one worker: connections are
//! driven by the runtime that made them, so they are never handed to another.

mod body;
mod connection;
mod framing;
mod http2;
mod lease;
mod pool;
mod server;
mod tls;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

pub use body::{BodyFailure, BodyWatch, RequestBody};
pub use lease::{Lease, SendFailure};
pub use pool::Pools;
pub use server::{Server, ServerId};

use crate::config;

/// All upstreams, by the index that routes use.
#[derive(Debug)]
pub struct Upstreams(Vec<Upstream>);

/// One upstream.
#[derive(Debug)]
pub struct Upstream {
    config: Arc<config::Upstream>,
    servers: Vec<Arc<Server>>,
    turn: AtomicUsize,
}

impl Upstreams {
    /// The upstreams of a configuration, in its order. Servers that `before` has as well, in the upstream of the same name
    /// and with the same settings, stay what they are: with their connections and all that was learnt of them.
    #[must_use]
    pub fn new(upstreams: &[config::Upstream], before: Option<&Self>) -> Self {
        let upstream = |config: &config::Upstream| {
            let before = before.and_then(|before| before.iter().find(|upstream| upstream.name() == config.name));
            Upstream::new(config, before)
        };
        Self(upstreams.iter().map(upstream).collect())
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
    fn new(config: &config::Upstream, before: Option<&Self>) -> Self {
        let config = Arc::new(config.clone());
        let known = |address: &config::ServerAddress| {
            let servers = before.map(Self::servers).unwrap_or_default();
            servers.iter().find(|server| server.is(address, &config)).cloned()
        };
        let servers = config.servers.iter();
        let servers = servers.map(|address| known(address).unwrap_or_else(|| Server::new(address, &config)));
        Self {
            servers: servers.collect(),
            config,
            turn: AtomicUsize::new(0),
        }
    }

    /// Its name in the configuration.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// Its servers.
    #[must_use]
    pub fn servers(&self) -> &[Arc<Server>] {
        &self.servers
    }

    /// How long the upstream may take to answer, from the last byte of the request.
    #[must_use]
    pub fn response_timeout(&self) -> Duration {
        self.config.response_timeout
    }

    /// The servers to try for one request, each once: round robin, then those after it.
    pub fn servers_in_turn(&self) -> impl Iterator<Item = &Arc<Server>> {
        let first = match self.servers.len() {
            0 | 1 => 0,
            count => self.turn.fetch_add(1, Ordering::Relaxed) % count,
        };
        let (before, from) = self.servers.split_at_checked(first).unwrap_or_default();
        from.iter().chain(before)
    }
}

/// Why no answer came from an upstream.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// No connection could be made.
    #[error("no connection")]
    Connect(#[source] Arc<std::io::Error>),
    /// The server could not prove who it is, or there is no TLS with it.
    #[error("no TLS with it")]
    Tls(#[source] Arc<std::io::Error>),
    /// No connection could be made in time.
    #[error("no connection within {0:?}")]
    ConnectTimeout(Duration),
    /// The connection was made, but broke before an answer came.
    #[error("the connection broke before an answer came")]
    Broken(#[source] hyper::Error),
    /// The server says that it did nothing about the request (RFC 9113, section 8.7).
    #[error("the server did not take the request")]
    Unprocessed(#[source] hyper::Error),
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

impl UpstreamError {
    /// Whether the upstream is known to have done nothing about the request, so that another attempt does it once.
    #[must_use]
    pub const fn is_unprocessed(&self) -> bool {
        match self {
            Self::Connect(_) | Self::Tls(_) | Self::ConnectTimeout(_) | Self::Unprocessed(_) => true,
            Self::Broken(_) | Self::NotHttp(_) | Self::Invalid(_) | Self::Timeout(_) | Self::ClientBody(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstreams(timeout: &str, servers: &str) -> Vec<config::Upstream> {
        let text = format!(
            "[upstreams.app]\nservers = [{servers}]\nconnect_timeout = \"{timeout}\"\n\
             [[routes]]\npath = \"/a\"\nupstream = \"app\"\n"
        );
        config::parse(&text, std::path::Path::new(".")).unwrap().upstreams
    }

    fn ids(upstreams: &Upstreams) -> Vec<ServerId> {
        upstreams
            .get(0)
            .unwrap()
            .servers()
            .iter()
            .map(|server| server.id())
            .collect()
    }

    #[test]
    fn a_server_stays_what_it_is_as_long_as_its_address_and_settings_stay() {
        let first = Upstreams::new(&upstreams("1s", "\"http://a\", \"http://b\""), None);
        let moved = Upstreams::new(
            &upstreams("1s", "\"http://c\", \"http://b\", \"http://a\""),
            Some(&first),
        );
        let (before, after) = (ids(&first), ids(&moved));
        assert_eq!([after[2], after[1]], [before[0], before[1]]);
        assert!(!before.contains(&after[0]));
        let slower = Upstreams::new(&upstreams("2s", "\"http://a\""), Some(&moved));
        assert!(
            !after.contains(&ids(&slower)[0]),
            "its connections were made with other settings"
        );
    }
}
