//! The backends: which servers an upstream has, which of them gets a request, and the connections to them.
//!
//! [`Upstreams`] is shared by all workers. Three things are kept apart: which servers there are ([`Upstreams::new`]), how
//! each is doing (its `Ledger`, which outlives the configuration, and the [`Server`] where that is made anew), and which is
//! chosen (`balance`).
//! [`Pools`] belongs to one worker: connections are driven by the runtime that made them, so they are never handed to another.

mod answer;
mod balance;
mod body;
mod budget;
mod check;
mod choose;
mod connection;
mod fault;
mod flight;
mod framing;
mod http1;
mod http2;
mod incoming;
mod interim;
mod lease;
mod ledger;
mod pool;
mod queue;
mod resolve;
mod server;
mod shared;
mod slots;
mod standing;
mod tape;
mod tls;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use rustix::io::Errno;
use tokio::runtime::Handle;

pub use answer::AnswerBody;
pub use balance::digest;
pub use body::{BodyFailure, BodyWatch, RequestBody};
pub use fault::Fault;
pub use flight::Flight;
pub use http1::{Gather, body_length, write_header_line};
pub use incoming::{Appetite, Feed, Incoming};
pub use interim::{Hints, Interim, InterimClient};
pub use lease::{Lease, SendFailure, Upgraded};
pub use pool::Pools;
pub use server::{Server, ServerId};
pub use standing::{Breaker, Health};
pub use tape::Tape;

use crate::config;
use crate::rules::headers::IdentityHeaders;
use balance::Chance;
use choose::Choice;
use queue::Line;
use shared::Shared;

/// All upstreams, by the index that routes use.
#[derive(Debug)]
pub struct Upstreams(Vec<Arc<Upstream>>);

/// One upstream.
#[derive(Debug)]
pub struct Upstream {
    config: Arc<config::Upstream>,
    /// The servers there are now.
    choice: ArcSwap<Choice>,
    chance: Chance,
    /// The addresses of each server of the configuration, where its name has been resolved. Held while `choice` is replaced.
    resolved: Mutex<Vec<Option<Vec<IpAddr>>>>,
    /// The requests of this configuration that wait.
    line: Arc<Line>,
    /// What requests that began with the configuration before share with those of this one.
    shared: Arc<Shared>,
}

impl Upstreams {
    /// The upstreams of a configuration, in its order, which is not in force before [`Upstreams::begin`]. Of servers that
    /// `before` has as well, in the upstream of the same name, all that was learnt is kept; so are their connections, where
    /// the settings that those depend on stay.
    #[must_use]
    pub fn new(upstreams: &[config::Upstream], before: Option<&Self>) -> Self {
        let upstream = |config: &config::Upstream| {
            let before = before.and_then(|before| before.iter().find(|upstream| upstream.name() == config.name));
            Arc::new(Upstream::new(config, before))
        };
        Self(upstreams.iter().map(upstream).collect())
    }

    /// Puts these in force: from now on their limits hold for all requests, those in flight included, and what they do not
    /// ask for any more is forgotten of their servers. Starts what goes on in the background for them, on the runtime that
    /// this is called on, if it is called on one. It ends with them.
    pub fn begin(&self, identity: &Arc<IdentityHeaders>) {
        for upstream in &self.0 {
            upstream.begin();
            if let Ok(runtime) = Handle::try_current() {
                upstream.check_all(&runtime, identity);
                upstream.resolve_all(&runtime, identity);
            }
        }
    }

    /// The upstream with this index, if the configuration has one.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&Upstream> {
        self.0.get(index).map(Arc::as_ref)
    }

    /// The upstreams in order.
    pub fn iter(&self) -> impl Iterator<Item = &Upstream> {
        self.0.iter().map(Arc::as_ref)
    }
}

impl Upstream {
    fn new(config: &config::Upstream, before: Option<&Self>) -> Self {
        let config = Arc::new(config.clone());
        let before_choice = before.map(|before| before.choice.load_full());
        let resolved: Vec<_> = config.servers.iter().map(|_| None).collect();
        let shared = before.map_or_else(|| Arc::new(Shared::new(&config)), |before| Arc::clone(&before.shared));
        let choice = Choice::new(&config, &shared, before_choice.as_deref(), &resolved);
        Self {
            resolved: Mutex::new(resolved),
            choice: ArcSwap::from_pointee(choice),
            config,
            chance: Chance::new(),
            line: shared.queue.line(),
            shared,
        }
    }

    fn begin(&self) {
        // So that its servers stay those that they are meanwhile.
        let resolved = self.resolved.lock().unwrap_or_else(PoisonError::into_inner);
        let one = self.shared.decide();
        self.shared.follow(&self.config);
        self.follow_all();
        drop((one, resolved));
        // There may be room for who waits.
        self.shared.queue.wake();
    }

    /// Lets what is known of each server go by this configuration, which is in force.
    fn follow_all(&self) {
        for server in self.choice.load().servers() {
            server.ledger.follow(server, &self.config);
        }
    }

    /// Its name in the configuration.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// The servers that it has now.
    #[must_use]
    pub fn servers(&self) -> Vec<Arc<Server>> {
        self.choice.load().servers().cloned().collect()
    }

    /// How long the upstream may take to answer, from the last byte of the request.
    #[must_use]
    pub fn response_timeout(&self) -> Duration {
        self.config.response_timeout
    }

    /// When a request is sent again.
    #[must_use]
    pub fn retry(&self) -> &config::Retry {
        &self.config.resilience.retry
    }

    /// What requests are known by again, where that decides who gets them.
    #[must_use]
    pub fn hash_by(&self) -> Option<&config::HashBy> {
        match &self.config.resilience.balance {
            config::Balance::Hash(by) => Some(by),
            config::Balance::LeastRequests | config::Balance::RoundRobin => None,
        }
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
    Broken(#[source] Fault),
    /// The server says that it did nothing about the request (RFC 9113, section 8.7).
    #[error("the server did not take the request")]
    Unprocessed(#[source] Fault),
    /// What came is not HTTP.
    #[error("the answer is not HTTP")]
    NotHttp(#[source] Fault),
    /// What came is HTTP that must not be relayed.
    #[error("the answer must not be relayed: {0}")]
    Invalid(&'static str),
    /// No answer came in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// No server is there that may be sent a request.
    #[error("no server is fit to be sent a request")]
    NoneFit,
    /// All servers have as many requests in flight, or connections, as they may.
    #[error("every server has as many requests in flight or connections as it may")]
    Full,
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
            Self::Broken(_)
            | Self::NotHttp(_)
            | Self::Invalid(_)
            | Self::Timeout(_)
            | Self::NoneFit
            | Self::Full
            | Self::ClientBody(_) => false,
        }
    }

    /// Whether asking again may go better: the connection broke before there was an answer.
    #[must_use]
    pub const fn may_be_chance(&self) -> bool {
        match self {
            Self::Broken(_) => true,
            Self::Connect(_)
            | Self::Tls(_)
            | Self::Unprocessed(_)
            | Self::ConnectTimeout(_)
            | Self::NotHttp(_)
            | Self::Invalid(_)
            | Self::Timeout(_)
            | Self::NoneFit
            | Self::Full
            | Self::ClientBody(_) => false,
        }
    }

    /// Whether it is the server's failure, which counts against it.
    #[must_use]
    pub fn is_of_server(&self) -> bool {
        match self {
            Self::Connect(_) => !self.is_of_this_machine(),
            Self::Tls(_)
            | Self::ConnectTimeout(_)
            | Self::Broken(_)
            | Self::NotHttp(_)
            | Self::Invalid(_)
            | Self::Timeout(_) => true,
            Self::Unprocessed(_) | Self::NoneFit | Self::Full | Self::ClientBody(_) => false,
        }
    }

    /// Whether no connection was begun for want of files or memory here: nothing is known of the server by that.
    #[must_use]
    pub fn is_of_this_machine(&self) -> bool {
        const WANTING: [Errno; 4] = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
        match self {
            Self::Connect(error) => Errno::from_io_error(error).is_some_and(|error| WANTING.contains(&error)),
            Self::Tls(_)
            | Self::ConnectTimeout(_)
            | Self::Broken(_)
            | Self::Unprocessed(_)
            | Self::NotHttp(_)
            | Self::Invalid(_)
            | Self::Timeout(_)
            | Self::NoneFit
            | Self::Full
            | Self::ClientBody(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstreams(timeout: &str, servers: &str) -> Vec<config::Upstream> {
        with(&format!("servers = [{servers}]\nconnect_timeout = \"{timeout}\""))
    }

    fn with(settings: &str) -> Vec<config::Upstream> {
        let text = format!("[upstreams.app]\n{settings}\n[[routes]]\npath = \"/a\"\nupstream = \"app\"\n");
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
        let [before, after] = [&moved, &slower].map(|upstreams| upstreams.get(0).unwrap().servers());
        assert!(Arc::ptr_eq(&before[2].ledger, &after[0].ledger), "what is known stays");
    }

    #[test]
    fn a_server_that_was_removed_and_is_added_again_is_known_as_long_as_a_request_is_on_its_way_to_it() {
        let configurations = ["\"http://a\", \"http://b\"", "\"http://a\""].map(|servers| upstreams("1s", servers));
        let [both, one] = configurations;
        let first = Upstreams::new(&both, None);
        let in_flight = Flight::counted(&first.get(0).unwrap().servers()[1], None, false);
        let second = Upstreams::new(&one, Some(&first));
        drop(first);
        let third = Upstreams::new(&both, Some(&second));
        assert_eq!(third.get(0).unwrap().servers()[1].in_flight(), 1);
        drop(in_flight);
        assert_eq!(third.get(0).unwrap().servers()[1].in_flight(), 0);
    }

    #[test]
    fn a_reload_fills_no_budget_of_retries() {
        let config = |timeout: &str| upstreams(timeout, "\"http://a\"");
        let before = Upstreams::new(&config("1s"), None);
        let granted = |upstreams: &Upstreams| {
            let upstream = upstreams.get(0).unwrap();
            (0..1000).take_while(|_| upstream.may_repeat()).count()
        };
        assert_eq!(granted(&before), 100, "ten a second");
        let after = Upstreams::new(&config("2s"), Some(&before));
        assert_eq!(granted(&after), 0);
        assert_eq!(after.get(0).unwrap().retries(), 100);
    }

    #[test]
    fn limits_are_those_in_force_for_all_and_of_one_that_is_not_taken_nothing_holds() {
        let config = |max: u32| with(&format!("servers = [\"http://a\", \"http://b\"]\nmax_requests = {max}"));
        let before = Upstreams::new(&config(2), None);
        before.get(0).unwrap().begin();
        let max = |upstreams: &Upstreams| upstreams.get(0).unwrap().shared.max_requests();
        let after = Upstreams::new(&config(1), Some(&before));
        assert_eq!(max(&before), Some(2));
        after.get(0).unwrap().begin();
        assert_eq!(max(&before), Some(1));
    }
}
