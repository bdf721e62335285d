//! What surrounds a request on its way through the pipeline.

use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderValue;

use super::Target;
use crate::id::Identity;
use crate::limiter::Place;
use crate::rules::headers::CertificateHeaders;
use crate::time::Moment;
use crate::upstream::{BodyWatch, Interim, Pools};

/// The other end of a client's connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// Whether that is a proxy's that could not say who its client is: then nothing that is said there of earlier hops is
    /// believed, though the proxy's own word would be.
    pub unnamed: bool,
    /// How requests come from there: `http` or `https`.
    pub scheme: &'static str,
    /// Whether all that is answered there is where to ask over TLS.
    pub redirects: bool,
    /// What upstreams are told of the certificate that it has shown, if it has.
    pub certificate: Option<CertificateHeaders>,
}

/// Whom a request came from, as far as the connection tells.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The other end of the connection.
    pub peer: Arc<Peer>,
    /// Whether that is a proxy whose word about the client is believed.
    pub trusted: bool,
    /// The request's id.
    pub request_id: HeaderValue,
    /// Where interim answers to it go, if it takes any.
    pub interim: Option<Interim>,
}

/// What the pipeline learnt about a request, for its log line and metrics.
#[derive(Debug, Default)]
pub struct Trace {
    /// Index of the route.
    pub route: Option<usize>,
    /// Who it comes from, once authenticated.
    pub identity: Option<Arc<Identity>>,
    /// Index of the upstream, once one was asked.
    pub upstream: Option<usize>,
    /// Whether it is a preflight that the gateway answers itself.
    pub preflight: bool,
    /// Watches the request body, if there is one.
    pub body: Option<Arc<BodyWatch>>,
    /// What the request takes of what there is a bound of, until its answer has ended.
    pub places: Vec<Place>,
}

/// What surrounds a request on its way.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'a> {
    /// What it asks for.
    pub target: &'a Target<'a>,
    /// Whom it came from.
    pub caller: &'a Caller,
    /// The client's address, as far as trusted proxies tell.
    pub client: IpAddr,
    /// When.
    pub moment: Moment,
    /// The worker's connections to upstreams.
    pub pools: &'a Pools,
}
