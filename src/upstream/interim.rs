//! [`Interim`]: where the interim answers (1xx) to a request go while there is no final one (RFC 9110, section 15.2).

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, StatusCode};

use crate::rules::headers::{IdentityHeaders, Operations, rewrite_interim};

/// The client's end: a connection on which a request waits for its answer.
pub trait InterimClient: fmt::Debug + Send + Sync {
    /// Passes an interim answer on, if the request of this number still waits for the final one, and as long as there were
    /// not too many. Never waits.
    fn interim(&self, request: u64, status: StatusCode, headers: &HeaderMap);
}

/// Takes the interim answers to one request. Making and cloning one allocates nothing.
#[derive(Clone, Debug)]
pub struct Interim {
    client: Arc<dyn InterimClient>,
    request: u64,
}

impl Interim {
    /// Where those to the request of this number go, as its connection counts.
    #[must_use]
    pub fn new(client: Arc<dyn InterimClient>, request: u64) -> Self {
        Self { client, request }
    }
}

/// Interim answers to one request, and what of them the client may see.
#[derive(Clone, Copy, Debug)]
pub struct Hints<'a> {
    /// Where they go.
    pub to: &'a Interim,
    /// The headers of identities, which are for upstreams alone.
    pub names: &'a IdentityHeaders,
    /// What the route does to final answers: what it takes out of those, or says in its own words, does not pass here either.
    pub changes: &'a Operations,
}

impl Hints<'_> {
    /// Passes an upstream's interim answer on, with the headers that the client may see. What is about one connection alone
    /// is not passed: 100, as the gateway itself asks for request bodies, and 101.
    ///
    /// Those of an attempt that then fails have been passed when the request is sent again: a client may get several, and they
    /// bind nobody (RFC 8297, section 2).
    pub(super) fn pass(self, status: StatusCode, headers: &HeaderMap) {
        if !status.is_informational() || matches!(status, StatusCode::CONTINUE | StatusCode::SWITCHING_PROTOCOLS) {
            return;
        }
        let mut headers = headers.clone();
        rewrite_interim(&mut headers, self.names, self.changes);
        self.to.client.interim(self.to.request, status, &headers);
    }
}
