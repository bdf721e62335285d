//! What becomes of a request: paths below the endpoints that we own go to [`crate::auth`], all others to [`crate::proxy`].
//!
//! [`Snapshot`] is all that a request needs; it is loaded once per request, so that a reload swaps everything at once.

mod access;
mod body;
mod departure;
mod dispatch;
mod gone;
mod owned;
mod record;
mod redirect;
mod request_id;
mod routes;
mod verify;

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::header::{CONNECTION, STRICT_TRANSPORT_SECURITY};
use http::{HeaderName, HeaderValue, Request, Response, Version};
use http_body::Body as _;
use ipnet::IpNet;

pub use body::{Body, Hold};
use departure::Departure;
pub use owned::Owned;
use owned::failed;

use crate::config::Config;
use crate::lasting::caught;
use crate::limiter::{Gauge, Limiter};
use crate::metrics::Metrics;
use crate::problem::{Problem, is_grpc};
use crate::proxy::{Caller, InvalidProxy, Peer, Proxy};
use crate::rules::cors::Cors;
use crate::rules::headers::client_address;
use crate::rules::path::RequestPath;
use crate::rules::trace_context::{self, TraceMode};
use crate::time::{Clock, Moment};
use crate::tls::Challenges;
use crate::token::Tokens;
use crate::upstream::{Incoming, Interim, Pools, Upstreams};
use record::Record;
use request_id::RequestIds;
use routes::Routes;
use verify::Verify;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// All that a request needs, of one configuration.
#[derive(Debug)]
pub struct Snapshot {
    proxy: Proxy,
    owned: Owned,
    /// The limits of those endpoints.
    owned_limits: Vec<usize>,
    /// How many requests to them there may be at once.
    owned_at_once: Option<Gauge>,
    limiter: Arc<Limiter>,
    /// Where other proxies ask, if they may.
    verify: Option<Verify>,
    upstreams: Arc<Upstreams>,
    routes: Routes,
    trusted: Vec<IpNet>,
    log_access: bool,
    /// `Strict-Transport-Security` of answers over TLS.
    hsts: Option<HeaderValue>,
    /// Where clients that should come with TLS are sent.
    redirect_port: u16,
    /// Which pages may read the answers of our own endpoints, where any may.
    auth_cors: Option<Cors>,
    security_headers: bool,
    /// What becomes of the traces that clients name.
    trace: TraceMode,
    /// Whether anything is done for pages of other origins, so that theirs are told apart.
    cors: bool,
    /// What an authority is answered that asks without TLS, where it may.
    challenges: Option<Arc<Challenges>>,
}

/// The gateway, shared by all workers.
#[derive(Debug)]
pub struct Gateway {
    snapshot: ArcSwap<Snapshot>,
    metrics: Arc<Metrics>,
    clock: Clock,
    ids: RequestIds,
}

/// Where and when a request is handled.
#[derive(Clone, Copy)]
struct Place<'a> {
    caller: &'a Caller,
    /// The client's address, as far as trusted proxies tell.
    client: IpAddr,
    moment: Moment,
    pools: &'a Pools,
}

impl Snapshot {
    /// Builds what requests need from a validated configuration. Servers that `before` has as well stay what they are, and
    /// what was counted of clients goes on to count. Nothing of it is in force before a gateway has it.
    pub fn new(
        config: &Config,
        tokens: Arc<Tokens>,
        owned: Owned,
        before: Option<&Self>,
    ) -> Result<Self, InvalidProxy> {
        let limiter = before.map(|before| before.limiter.as_ref());
        let limiter = Arc::new(Limiter::new(&config.limiter, &config.limits, limiter)?);
        let before = before.map(|before| before.upstreams.as_ref());
        let upstreams = Arc::new(Upstreams::new(&config.upstreams, before));
        let proxy = Proxy::new(config, tokens, Arc::clone(&upstreams), Arc::clone(&limiter))?;
        Ok(Self {
            proxy,
            owned,
            owned_limits: config.auth.limits.clone(),
            owned_at_once: config.auth.max_requests.map(Gauge::new),
            limiter,
            verify: Verify::new(config),
            upstreams,
            routes: Routes::new(config),
            trusted: config.server.trusted_proxies.clone(),
            log_access: config.log.access,
            hsts: config.tls.hsts.clone(),
            redirect_port: config.tls.redirect_port,
            auth_cors: config.auth.cors.clone(),
            security_headers: config.server.security_headers,
            trace: config.server.trace,
            cors: config.auth.cors.is_some() || config.routes.iter().any(|route| route.edge.cors.is_some()),
            challenges: None,
        })
    }

    /// Answers an authority that asks without TLS whether a name is ours (RFC 8555, section 8.3).
    #[must_use]
    pub fn with_challenges(mut self, challenges: Option<Arc<Challenges>>) -> Self {
        self.challenges = challenges;
        self
    }
}

impl Gateway {
    /// A gateway that begins with this snapshot. What goes on in the background for its upstreams runs on the runtime that
    /// this is called on, until the snapshot is gone.
    #[must_use]
    pub fn new(mut snapshot: Snapshot, metrics: Arc<Metrics>, clock: Clock) -> Self {
        snapshot.begin(&metrics);
        Self {
            snapshot: ArcSwap::from_pointee(snapshot),
            metrics,
            clock,
            ids: RequestIds::new(),
        }
    }

    /// What requests are handled by that come now.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Handles by this the requests that come from now on; those in flight finish as they began. What was counted of routes
    /// and upstreams that are gone is forgotten. What goes on in the background runs as with [`Gateway::new`].
    pub fn replace(&self, mut snapshot: Snapshot) {
        snapshot.begin(&self.metrics);
        let next = Arc::new(snapshot);
        let before = self.snapshot.swap(Arc::clone(&next));
        gone::forget(&self.metrics, &before, &next);
    }

    /// The upstreams of the configuration that is served now.
    #[must_use]
    pub fn upstreams(&self) -> Arc<Upstreams> {
        Arc::clone(&self.snapshot.load().upstreams)
    }

    /// The metrics.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Answers one request. `refused` is why its head was refused already, if it was; `done` is dropped with the answer's
    /// last byte. Interim answers go to `interim`, while there is no answer.
    pub async fn handle<D>(
        &self,
        request: Request<Incoming>,
        peer: &Arc<Peer>,
        refused: Option<Problem>,
        pools: &Pools,
        interim: Option<Interim>,
        done: D,
    ) -> Response<Body<D>> {
        let moment = self.clock.moment();
        let snapshot = self.snapshot.load_full();
        let (mut parts, incoming) = request.into_parts();
        let span = trace_context::settle(&mut parts.headers, snapshot.trace, begin_trace);
        let trusted = !peer.unnamed && snapshot.trusted.iter().any(|net| net.contains(&peer.address));
        let client = if trusted {
            client_address(&parts.headers, peer.address, &snapshot.trusted)
        } else {
            peer.address
        };
        let caller = Caller {
            peer: Arc::clone(peer),
            trusted,
            request_id: self.ids.keep_or_make(parts.headers.get(X_REQUEST_ID)),
            interim,
        };
        let (version, has_body) = (parts.version, !incoming.is_end_stream());
        // Not below the endpoints that we own: a proxy that asks there takes a status of 200 for a yes.
        let grpc = is_grpc(version, &parts.method, &parts.headers)
            && RequestPath::parse(parts.uri.path()).is_ok_and(|path| !snapshot.owned.claims(&path));
        let mut record = Box::new(Record::new(
            Arc::clone(&self.metrics),
            moment.started,
            &parts,
            client,
            &caller,
            snapshot.log_access,
            has_body,
        ));
        record.part_of(span);
        let mut departure = Departure::default();
        let answer = if let Some(problem) = refused {
            Err(problem)
        } else {
            let place = Place {
                caller: &caller,
                client,
                moment,
                pools,
            };
            let handling = snapshot.dispatch(parts, incoming, place, &mut record, &mut departure);
            // What others share is whole at any moment; what is this request's alone is used for its own line and answer.
            let handled = caught(handling).await;
            handled.unwrap_or_else(|_| {
                tracing::error!(
                    request_id = text(&caller.request_id),
                    "the handling of a request panicked"
                );
                snapshot.settle(&mut record, &mut departure);
                Err(failed())
            })
        };
        let is_error = answer.is_err();
        let mut response = match answer {
            Ok(response) => response,
            Err(problem) => {
                self.metrics.problem(problem.code());
                record.problem(problem.code());
                let rendered = if grpc { problem.render_grpc() } else { problem.render() };
                rendered.map(body::Kind::whole)
            }
        };
        departure.apply(&mut response, is_error);
        if version < Version::HTTP_2 && record.body_is_unread() {
            // The connection can't be used again, and the client must know before it sends its next request. With HTTP/2,
            // only the stream ends.
            response
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(hsts) = &snapshot.hsts
            && peer.scheme == "https"
        {
            response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, hsts.clone());
        }
        response.headers_mut().insert(X_REQUEST_ID, caller.request_id);
        record.status(response.status());
        response.map(|kind| Body::new(kind, record, done))
    }
}

impl Snapshot {
    /// Puts it in force; has what is counted of requests counted here.
    fn begin(&mut self, metrics: &Metrics) {
        self.upstreams.begin(self.proxy.identity_headers());
        self.limiter.count_alone(metrics.limits_alone.clone());
        self.routes.count_in(metrics);
        if let Some(verify) = &mut self.verify {
            verify.count_in(metrics);
        }
    }
}

/// A trace that begins here.
fn begin_trace() -> HeaderValue {
    let (trace, span) = (uuid::Uuid::new_v4().as_u128(), uuid::Uuid::new_v4().as_u64_pair().1);
    trace_context::begin(trace, span)
}

/// The request id as text, for log lines.
fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or_default()
}
