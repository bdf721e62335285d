//! The way of a proxied request. [`Proxy::handle`] reads like it:
//!
//! match route -> find token -> authenticate -> decide -> choose backend -> rewrite headers -> forward -> stream the answer back
//!
//! (The path was normalised before: [`Target::read`].) Nothing reaches an upstream without a
//! [`Permit`](crate::rules::policy::Permit), and only the policy makes one.

mod body;
mod edge;
mod error;
mod forward;
mod target;
mod whoami;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, Version, header};
use hyper::body::Incoming;

pub use body::{BodyError, ResponseBody};
pub use error::{Refused, rate_limited};
pub use target::Target;

use crate::config::{self, Config, LimitBy};
use crate::id::Identity;
use crate::limiter::{Client, Limiter, Standing};
use crate::rules::bearer::bearer_token;
use crate::rules::headers::{Forwarding, IdentityHeaders, InvalidPrefix, rewrite_request, rewrite_response};
use crate::rules::policy::{Access, AuthMode, Permit, decide};
use crate::rules::rewrite::PathChange;
use crate::rules::route::{Conflict, Found, RouteTable, Rule};
use crate::time::Timestamp;
use crate::token::{Accepted, Tokens};
use crate::upstream::{BodyWatch, Pools, RequestBody, Upstreams};

/// What proxied requests need, shared by all workers.
#[derive(Debug)]
pub struct Proxy {
    table: RouteTable,
    routes: Vec<Route>,
    identity: Arc<IdentityHeaders>,
    forward_token: bool,
    /// How long a client may pause within a body on a stream of HTTP/2.
    body_idle: Duration,
    tokens: Arc<Tokens>,
    upstreams: Arc<Upstreams>,
    limiter: Arc<Limiter>,
}

#[derive(Debug)]
struct Route {
    access: Access,
    upstream: Option<usize>,
    /// For whom the identity is asserted, where it is: the upstream's name.
    assert_to: Option<String>,
    path: PathChange,
    max_body: Option<u64>,
    timeout: Option<Duration>,
    edge: config::Edge,
    /// Limits that are asked before it is known who the request comes from.
    limits: Vec<usize>,
    /// And those that ask who that is.
    user_limits: Vec<usize>,
}

/// A request that may pass.
struct Authorized<'a> {
    route: &'a Route,
    /// The token that says who it comes from, where one was looked at.
    token: Option<Accepted>,
    permit: Permit,
    /// How far the limits were used that it counted against; usually there are none.
    standings: Vec<Standing>,
}

/// The other end of a client's connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// How requests come from there: `http` or `https`.
    pub scheme: &'static str,
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
    /// Watches the request body, if there is one.
    pub body: Option<Arc<BodyWatch>>,
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

/// When a request is handled: read once, used throughout.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// By the wall clock, for tokens.
    pub now: Timestamp,
    /// By the monotonic clock, for timeouts.
    pub started: Instant,
}

/// Why a configuration can't be proxied. A validated one never is.
#[derive(Debug, thiserror::Error)]
pub enum InvalidProxy {
    /// Two routes tie.
    #[error("two routes tie: {0:?}")]
    Routes(Vec<Conflict>),
    /// The identity prefix makes no header names.
    #[error("the identity prefix makes no header names")]
    Prefix(#[from] InvalidPrefix),
}

impl Proxy {
    /// The proxy of a configuration.
    pub fn new(
        config: &Config,
        tokens: Arc<Tokens>,
        upstreams: Arc<Upstreams>,
        limiter: Arc<Limiter>,
    ) -> Result<Self, InvalidProxy> {
        let rules: Vec<Rule> = config.routes.iter().map(|route| route.rule.clone()).collect();
        let is_by_user = |limit: &usize| config.limits.get(*limit).is_some_and(|limit| limit.by == LimitBy::User);
        let routes = config.routes.iter().map(|route| Route {
            access: route.access.clone(),
            upstream: route.upstream,
            assert_to: assertion_audience(config, route),
            path: route.path.clone(),
            max_body: route.max_body,
            timeout: route.timeout,
            edge: route.edge.clone(),
            limits: route
                .limits
                .iter()
                .copied()
                .filter(|limit| !is_by_user(limit))
                .collect(),
            user_limits: route.limits.iter().copied().filter(is_by_user).collect(),
        });
        Ok(Self {
            table: RouteTable::new(&rules).map_err(InvalidProxy::Routes)?,
            routes: routes.collect(),
            identity: Arc::new(IdentityHeaders::new(&config.identity.prefix)?),
            forward_token: config.identity.forward_token,
            body_idle: config.server.body_idle_timeout,
            tokens,
            upstreams,
            limiter,
        })
    }

    /// Takes a request all the way to the head of its answer.
    pub async fn handle(
        &self,
        mut parts: Parts,
        body: Incoming,
        exchange: &Exchange<'_>,
        trace: &mut Trace,
    ) -> Result<Response<ResponseBody>, Refused> {
        let Exchange {
            target,
            caller,
            moment,
            pools,
            ..
        } = *exchange;
        let Authorized {
            route,
            token,
            permit,
            standings,
        } = self.authorize(&parts, exchange, trace).await?;
        if let Some(redirect) = &route.edge.redirect {
            return Ok(edge::redirect(redirect, target));
        }

        refuse_upgrade(&parts)?;
        refuse_large_body(&parts.headers, route.max_body)?;
        parts.uri = target.forwarded(&route.path)?;
        let host = parts.headers.get(header::HOST).cloned();
        let forwarding = Forwarding {
            peer: caller.peer.address,
            peer_is_trusted: caller.trusted,
            scheme: caller.peer.scheme,
            host: host.as_ref(),
            version: parts.version,
            request_id: &caller.request_id,
        };
        rewrite_request(
            &mut parts.headers,
            &self.identity,
            &permit,
            &forwarding,
            self.forward_token,
        );
        edge::set_host(&mut parts.headers, &route.edge.upstream_host);
        if let (Some(token), Some(audience)) = (&token, &route.assert_to)
            && let Some(assertion) = self.tokens.assert(&permit, token, audience, moment.now)?
        {
            self.identity.set_assertion(&mut parts.headers, assertion);
        }

        let index = route.upstream.ok_or(Refused::NoRoute)?;
        let upstream = self.upstreams.get(index).ok_or(Refused::NoRoute)?;
        trace.upstream = Some(index);
        let (body, watch) = RequestBody::new(body, route.max_body, Arc::clone(&self.identity));
        if watch.is_some() && !parts.headers.contains_key(header::CONTENT_LENGTH) {
            // Said for every method: hyper would send a GET without its body.
            parts
                .headers
                .insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        if parts.headers.contains_key(header::TE) {
            // It is for the next connection alone (RFC 9110, section 10.1.4).
            parts.headers.insert(header::CONNECTION, HeaderValue::from_static("te"));
        }
        let body = match parts.version {
            Version::HTTP_2 => body.on_stream(self.body_idle),
            _ => body,
        };
        trace.body.clone_from(&watch);
        let errand = forward::Errand {
            permit,
            upstream,
            pools,
            watch,
            identity: &self.identity,
            deadline: route.timeout.map(|timeout| moment.started + timeout),
        };
        let mut response = errand.run(parts, body).await?;
        rewrite_response(response.headers_mut());
        self.limiter.tell(&standings, response.headers_mut());
        Ok(response)
    }

    /// Whether a request may pass, and by which route. What it learns is in `trace`, whatever it comes to.
    async fn authorize(
        &self,
        parts: &Parts,
        exchange: &Exchange<'_>,
        trace: &mut Trace,
    ) -> Result<Authorized<'_>, Refused> {
        let Exchange { target, moment, .. } = *exchange;
        let index = self.find(target, &parts.method)?;
        let route = self.routes.get(index).ok_or(Refused::NoRoute)?;
        trace.route = Some(index);
        // Empty, it costs nothing.
        let mut standings = Vec::new();
        let mut client = Client {
            address: exchange.client,
            principal: None,
        };
        self.count(&route.limits, client, moment, &mut standings)?;
        let token = self.authenticate(route, &parts.headers, moment.now).await?;
        let identity = token.as_ref().map(Accepted::identity);
        trace.identity = identity.cloned();
        let permit = decide(&route.access, identity).map_err(Refused::Denied)?;
        client.principal = identity.map(|identity| &identity.principal);
        self.count(&route.user_limits, client, moment, &mut standings)?;
        Ok(Authorized {
            route,
            token,
            permit,
            standings,
        })
    }

    /// Counts the request against these limits.
    fn count(
        &self,
        limits: &[usize],
        client: Client<'_>,
        moment: Moment,
        standings: &mut Vec<Standing>,
    ) -> Result<(), Refused> {
        if limits.is_empty() {
            return Ok(());
        }
        let counted = self.limiter.take(limits, client, moment.started, standings);
        counted.map_err(Refused::Limited)
    }

    fn find(&self, target: &Target<'_>, method: &Method) -> Result<usize, Refused> {
        match self.table.find(target.host(), target.path(), method) {
            Found::Route(index) => Ok(index),
            Found::MethodNotAllowed(methods) => Err(Refused::Method(methods)),
            Found::None => Err(Refused::NoRoute),
        }
    }

    /// Who the request comes from. A route that asks for nobody does not look at the token at all.
    async fn authenticate(
        &self,
        route: &Route,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Result<Option<Accepted>, Refused> {
        if route.access.auth == AuthMode::None {
            return Ok(None);
        }
        let Some(token) = bearer_token(headers).map_err(Refused::Bearer)? else {
            return Ok(None);
        };
        let accepted = self.tokens.accept(token, &route.access.issuers, now).await;
        accepted.map(Some).map_err(Refused::Token)
    }
}

/// The `aud` of what the route's upstream is told, where the route wants that.
fn assertion_audience(config: &Config, route: &config::Route) -> Option<String> {
    let upstream = config.upstreams.get(route.upstream?).filter(|_| route.assertion)?;
    Some(upstream.name.clone())
}

/// A WebSocket handshake is refused rather than answered as if it were a plain GET; other upgrades are offers that may be
/// ignored (RFC 9110, section 7.8), and are removed with the other hop-by-hop fields. In HTTP/2, a `CONNECT` asks for another
/// protocol (RFC 8441), and is nothing without it.
fn refuse_upgrade(parts: &Parts) -> Result<(), Refused> {
    if parts.method == Method::CONNECT {
        return Err(Refused::Upgrade);
    }
    let offered = parts
        .headers
        .get_all(header::UPGRADE)
        .iter()
        .filter_map(|value| value.to_str().ok());
    if offered
        .flat_map(|value| value.split(','))
        .any(|protocol| protocol.trim().eq_ignore_ascii_case("websocket"))
    {
        return Err(Refused::Upgrade);
    }
    Ok(())
}

/// A body whose length is known is refused before the client is asked for it.
fn refuse_large_body(headers: &HeaderMap, limit: Option<u64>) -> Result<(), Refused> {
    let length = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    match (length, limit) {
        (Some(length), Some(limit)) if length > limit => Err(Refused::BodyTooLarge),
        _ => Ok(()),
    }
}
