//! What a route does at its edges, beside forwarding.

use http::HeaderValue;

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
