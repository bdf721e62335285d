//! What becomes of a request: paths below the endpoints that we own go to [`crate::auth`], all others to [`crate::proxy`].
//!
//! [`Snapshot`] is all that a request needs; it is loaded once per request, so that a reload swaps everything at once.

mod body;
mod owned;
mod record;
mod redirect;
mod request_id;
mod verify;

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::header::{CONNECTION, STRICT_TRANSPORT_SECURITY};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Request, Response, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use ipnet::IpNet;

pub use body::Body;
use body::Read;
pub use owned::Owned;

use crate::config::Config;
use crate::limiter::{Client, Limiter};
use crate::metrics::Metrics;
use crate::problem::{Problem, is_grpc};
use crate::proxy::{Caller, Exchange, InvalidProxy, Moment, Peer, Proxy, Refused, Target, Trace, rate_limited};
use crate::rules::headers::client_address;
use crate::rules::route::{HostPattern, Rule};
use crate::time::{Clock, monotonic};
use crate::token::Tokens;
use crate::upstream::{Pools, Upstream, UpstreamError, Upstreams};
use record::Record;
use request_id::RequestIds;
use verify::Verify;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// How requests that no route took are labelled.
const NO_ROUTE: &str = "none";

/// All that a request needs, of one configuration.
#[derive(Debug)]
pub struct Snapshot {
    proxy: Proxy,
    owned: Owned,
    /// The limits of those endpoints.
    owned_limits: Vec<usize>,
    limiter: Arc<Limiter>,
    /// Where other proxies ask, if they may.
    verify: Option<Verify>,
    upstreams: Arc<Upstreams>,
    /// What metrics and logs call each route.
    labels: Vec<Arc<str>>,
    trusted: Vec<IpNet>,
    log_access: bool,
    /// `Strict-Transport-Security` of answers over TLS.
    hsts: Option<HeaderValue>,
    /// Where clients that should come with TLS are sent.
    redirect_port: u16,
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
    /// what was counted of clients goes on to count.
    pub fn new(
        config: &Config,
        tokens: Arc<Tokens>,
        owned: Owned,
        before: Option<&Self>,
    ) -> Result<Self, InvalidProxy> {
        let limiter = before.map(|before| before.limiter.as_ref());
        let limiter = Arc::new(Limiter::new(&config.limiter, &config.limits, limiter));
        let before = before.map(|before| before.upstreams.as_ref());
        let upstreams = Arc::new(Upstreams::new(&config.upstreams, before));
        Ok(Self {
            proxy: Proxy::new(config, tokens, Arc::clone(&upstreams), Arc::clone(&limiter))?,
            owned,
            owned_limits: config.auth.limits.clone(),
            limiter,
            verify: Verify::new(config),
            upstreams,
            labels: config.routes.iter().map(|route| label(&route.rule)).collect(),
            trusted: config.server.trusted_proxies.clone(),
            log_access: config.log.access,
            hsts: config.tls.hsts.clone(),
            redirect_port: config.tls.redirect_port,
        })
    }
}

impl Gateway {
    /// A gateway that begins with this snapshot.
    #[must_use]
    pub fn new(snapshot: Snapshot, metrics: Arc<Metrics>, clock: Clock) -> Self {
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

    /// Handles by this the requests that come from now on; those in flight finish as they began.
    pub fn replace(&self, snapshot: Snapshot) {
        self.snapshot.store(Arc::new(snapshot));
    }

    /// The metrics.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Answers one request. `refused` is why its head was refused already, if it was; `done` is dropped with the answer's
    /// last byte.
    pub async fn handle<D>(
        &self,
        request: Request<Incoming>,
        peer: &Arc<Peer>,
        refused: Option<Problem>,
        pools: &Pools,
        done: D,
    ) -> Response<Body<D>> {
        let moment = Moment {
            now: self.clock.now(),
            started: monotonic(),
        };
        let snapshot = self.snapshot.load_full();
        let (parts, incoming) = request.into_parts();
        let trusted = snapshot.trusted.iter().any(|net| net.contains(&peer.address));
        let caller = Caller {
            peer: Arc::clone(peer),
            trusted,
            request_id: self.ids.keep_or_make(parts.headers.get(X_REQUEST_ID)),
        };
        let client = if trusted {
            client_address(&parts.headers, peer.address, &snapshot.trusted)
        } else {
            peer.address
        };
        let has_body = !incoming.is_end_stream();
        let version = parts.version;
        let grpc = is_grpc(version, &parts.headers);
        let mut record = Record::new(
            Arc::clone(&self.metrics),
            moment.started,
            &parts,
            client,
            &caller,
            snapshot.log_access,
            has_body,
        );
        let answer = if let Some(problem) = refused {
            Err(problem)
        } else {
            let place = Place {
                caller: &caller,
                client,
                moment,
                pools,
            };
            snapshot.dispatch(parts, incoming, place, &mut record).await
        };
        let mut response = match answer {
            Ok(response) => response,
            Err(problem) => {
                self.metrics.problem(problem.code());
                record.problem(problem.code());
                let rendered = if grpc { problem.render_grpc() } else { problem.render() };
                rendered.map(body::Kind::whole)
            }
        };
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
    async fn dispatch(
        &self,
        parts: Parts,
        incoming: Incoming,
        place: Place<'_>,
        record: &mut Record,
    ) -> Result<Response<body::Kind>, Problem> {
        let Place {
            caller,
            client,
            moment,
            pools,
        } = place;
        // Cheap clones of reference-counted text, so that what was read outlives the parts that are changed.
        let uri = parts.uri.clone();
        let host = parts.headers.get(http::header::HOST).cloned();
        let target = Target::read(&uri, host.as_ref()).map_err(|refused| refused.problem())?;
        if caller.peer.redirects {
            record.label(Some(Arc::from("redirect")));
            return redirect::to_https(&target, &uri, self.redirect_port);
        }
        if self.owned.claims(target.path()) {
            if let Some(verify) = self.verify.as_ref().filter(|verify| verify.is_at(target.path())) {
                return self.verify(verify, parts, place, record).await;
            }
            record.label(Some(self.owned.label(target.path())));
            let mut standings = Vec::new();
            if !self.owned_limits.is_empty() {
                let client = Client {
                    address: client,
                    principal: None,
                };
                let counted = self
                    .limiter
                    .take(&self.owned_limits, client, moment.started, &mut standings);
                counted.map_err(|exceeded| rate_limited(&exceeded))?;
            }
            let request = Request::from_parts(parts, Read::new(incoming, record.own_body()));
            let mut response = self.owned.call(request, client, &caller.request_id).await?;
            self.limiter.tell(&standings, response.headers_mut());
            return Ok(response.map(body::Kind::Owned));
        }
        let mut trace = Trace::default();
        let exchange = Exchange {
            target: &target,
            caller,
            client,
            moment,
            pools,
        };
        let answer = self.proxy.handle(parts, incoming, &exchange, &mut trace).await;
        record.label(trace.route.and_then(|route| self.labels.get(route)).cloned());
        let upstream = trace.upstream.and_then(|index| self.upstreams.get(index));
        record.traced(trace, upstream.map(Upstream::name));
        match answer {
            Ok(response) => Ok(response.map(body::Kind::Proxied)),
            Err(refused) => {
                let problem = refused.problem();
                // A body that the client breaks off is not the upstream's failure.
                if let Refused::Upstream(error) = &refused
                    && !matches!(error, UpstreamError::ClientBody(_))
                    && let Some(upstream) = upstream
                {
                    record.upstream_failed(upstream.name(), problem.code(), error);
                }
                Err(problem)
            }
        }
    }
}

/// What metrics and logs call a route: its host, if it asks for one, and its path as written.
fn label(rule: &Rule) -> Arc<str> {
    match &rule.host {
        HostPattern::Any => rule.path.to_string().into(),
        host @ (HostPattern::Exact(_) | HostPattern::Subdomains(_)) => format!("{host}{}", rule.path).into(),
    }
}

/// The request id as text, for log lines.
fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or_default()
}
