//! What becomes of which requests.

use std::time::Duration;

use super::{Edge, Streams};
use crate::rules::policy::Access;
use crate::rules::rewrite::PathChange;
use crate::rules::route::Rule;

/// `[[routes]]`
#[derive(Clone, Debug)]
pub struct Route {
    /// Which requests it is for.
    pub rule: Rule,
    /// Index into [`Config::upstreams`](super::Config::upstreams); `None` where nothing is forwarded.
    pub upstream: Option<usize>,
    /// Who may pass.
    pub access: Access,
    /// Whether the upstream gets a signed assertion of who that is (default false).
    pub assertion: bool,
    /// What becomes of the path before it is forwarded. A prefix that is taken off is the first segments of the rule's path,
    /// all of them literal and plain.
    pub path: PathChange,
    /// The largest request body in bytes; `None`: no limit.
    pub max_body: Option<u64>,
    /// How long the whole exchange may take (10 ms to 1 d); `None` (the default): no limit beyond the others.
    pub timeout: Option<Duration>,
    /// What it does beside forwarding.
    pub edge: Edge,
    /// Which limits its requests count against: indices into [`Config::limits`](super::Config::limits), each once.
    pub limits: Vec<usize>,
    /// What becomes of streams.
    pub streams: Streams,
    /// Whether the client has to have shown a certificate (default false).
    pub client_certificate: bool,
    /// The most requests at once (default: no limit).
    pub max_requests: Option<usize>,
    /// The most requests at once of one user, or of one address without a token (default: no limit).
    pub max_requests_per_user: Option<usize>,
}
