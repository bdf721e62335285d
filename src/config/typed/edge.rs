//! What a route does at its edges, beside forwarding.

use std::time::Duration;

use http::HeaderValue;
use ipnet::IpNet;

use crate::id::Role;
use crate::rules::cors::Cors;
use crate::rules::headers::Operations;
use crate::rules::redirect::Redirect;

/// What a route does with requests before they are forwarded and with answers before the client sees them.
#[derive(Clone, Debug)]
pub struct Edge {
    /// Where the route sends its clients, instead of forwarding anything.
    pub redirect: Option<Redirect>,
    /// Which `Host` the upstream gets (default: the client's).
    pub upstream_host: UpstreamHost,
    /// Whether the route is for requests that other proxies ask about alone: nothing is forwarded (default false).
    pub verify_only: bool,
    /// Whether the route is closed for a while (default: it is not).
    pub maintenance: Option<Maintenance>,
    /// Which other origins' pages may read answers (default: that is the upstream's matter).
    pub cors: Option<Cors>,
    /// Whether answers get security headers (default: [`Server::security_headers`](super::Server::security_headers)).
    pub security_headers: bool,
    /// What is done to the headers of requests.
    pub request_headers: Operations,
    /// What is done to the headers of the upstream's answers.
    pub response_headers: Operations,
}

/// A route that is closed for a while.
#[derive(Clone, Debug)]
pub struct Maintenance {
    /// When clients are told to come back (default 1 min; 1 s to 1 d).
    pub retry_after: Duration,
    /// Clients from there pass as ever.
    pub networks: Vec<IpNet>,
    /// Users who have any of these pass as ever.
    pub roles: Vec<Role>,
}

/// Which `Host` an upstream gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpstreamHost {
    /// The client's.
    Client,
    /// The host and port of the server that is asked.
    Server,
    /// This one.
    Named(HeaderValue),
}
