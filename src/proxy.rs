//! The way of a proxied request. [`Proxy::handle`] reads like it:
//!
//! match route -> find token -> authenticate -> decide -> choose backend -> rewrite headers -> forward -> stream the answer back
//!
//! (The path was normalised before: [`Target::read`].) Nothing reaches an upstream without a
//! [`Permit`](crate::rules::policy::Permit), and only the policy makes one.

mod authorize;
mod body;
mod edge;
mod error;
mod exchange;
mod forward;
mod lifetime;
mod repeat;
mod target;
mod tunnel;
mod upgrade;
mod verify;
mod whoami;

use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, Version, header};
use http_body::Body as _;

pub use body::{BodyError, ResponseBody};
pub use error::{Refused, overloaded, rate_limited};
pub use exchange::{Caller, Exchange, Peer, Trace};
pub use target::Target;
pub use tunnel::{Traffic, Tunnel, TunnelEnd};
pub use upgrade::{ClientBytes, Switch};

use crate::config::{self, Config, LimitBy, OnTokenEnd};
use crate::id::Identity;
use crate::limiter::{Gauge, InvalidLimiter, Limiter, Tally};
use crate::problem::is_grpc;
use crate::rules::headers::{Forwarding, IdentityHeaders, InvalidPrefix, rewrite_request, rewrite_response};
use crate::rules::policy::Access;
use crate::rules::rewrite::PathChange;
use crate::rules::route::{Conflict, RouteTable, Rule};
use crate::token::{Leash, Tokens};
use crate::upstream::{Hints, Incoming, Interim, RequestBody, Upstreams, digest};
use authorize::Authorized;
use upgrade::Upgrade;

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
    /// How many requests there may be at once, over all routes.
    at_once: Option<Gauge>,
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
    /// How many requests there may be at once, and how many of one user.
    at_once: Option<Gauge>,
    at_once_per_user: Option<Tally>,
    streams: config::Streams,
    client_certificate: bool,
}

impl Route {
    /// How interim answers pass on this route.
    const fn hints<'a>(&'a self, to: &'a Interim, names: &'a IdentityHeaders) -> Hints<'a> {
        Hints {
            to,
            names,
            changes: &self.edge.response_headers,
        }
    }
}

/// Why a configuration can't be proxied. A validated one fails only by the files that it names.
#[derive(Debug, thiserror::Error)]
pub enum InvalidProxy {
    /// Two routes tie.
    #[error("two routes tie: {0:?}")]
    Routes(Vec<Conflict>),
    /// The identity prefix makes no header names.
    #[error("the identity prefix makes no header names")]
    Prefix(#[from] InvalidPrefix),
    /// What the limits need can't be had.
    #[error(transparent)]
    Limiter(#[from] InvalidLimiter),
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
            at_once: route.max_requests.map(Gauge::new),
            at_once_per_user: route.max_requests_per_user.map(Tally::new),
            streams: route.streams.clone(),
            client_certificate: route.client_certificate,
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
            at_once: config.server.max_requests.map(Gauge::new),
        })
    }

    /// How identities are told.
    #[must_use]
    pub const fn identity_headers(&self) -> &Arc<IdentityHeaders> {
        &self.identity
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
            client,
            moment,
            pools,
            ..
        } = *exchange;
        if let Some(answer) = self.preflight(&parts, target, trace) {
            return Ok(answer);
        }
        let method = upgrade::matched_method(&parts).clone();
        let Authorized {
            route,
            token,
            permit,
            standings,
        } = self.authorize(&mut parts.headers, &method, exchange, trace).await?;
        if let Some(redirect) = &route.edge.redirect {
            return Ok(edge::redirect(redirect, target));
        }

        let upgrade = Upgrade::wanted(&mut parts, !body.is_end_stream(), &route.streams)?;
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
        route.edge.request_headers.apply(&mut parts.headers);
        edge::set_host(&mut parts.headers, &route.edge.upstream_host);
        if let (Some(token), Some(audience)) = (&token, &route.assert_to)
            && let Some(assertion) = self.tokens.assert(&permit, token, audience, moment.now)?
        {
            self.identity.set_assertion(&mut parts.headers, assertion);
        }
        if let Some(certificate) = &caller.peer.certificate {
            self.identity.set_certificate(&mut parts.headers, certificate);
        }

        let index = route.upstream.ok_or(Refused::NoRoute)?;
        let upstream = self.upstreams.get(index).ok_or(Refused::NoRoute)?;
        trace.upstream = Some(index);
        let (body, watch) = RequestBody::new(body, route.max_body, Arc::clone(&self.identity));
        if watch.is_some() && !parts.headers.contains_key(header::CONTENT_LENGTH) {
            // Said for every method: of a GET without a length it is not known that it has a body.
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
        if let Some(upgrade) = &upgrade {
            upgrade.ask(&mut parts.headers);
        }
        trace.body.clone_from(&watch);
        let key = upstream
            .hash_by()
            .and_then(|by| balance_key(by, &parts.headers, trace.identity.as_deref(), client));
        let errand = forward::Errand {
            permit,
            upstream,
            pools,
            watch,
            identity: &self.identity,
            deadline: route.timeout.map(|timeout| moment.started + timeout),
            upgrade: upgrade.as_ref(),
            hints: caller.interim.as_ref().map(|to| route.hints(to, &self.identity)),
            key,
        };
        let version = parts.version;
        let ends = route.streams.on_token_end == OnTokenEnd::End;
        let mut leash = token.filter(|_| ends).map(|token| Leash::new(&self.tokens, token));
        let answer = pin!(errand.run(parts, body));
        let mut response = lifetime::tied(leash.as_mut(), answer).await?;
        rewrite_response(response.headers_mut());
        self.limiter.tell(&standings, response.headers_mut());
        if let Some(upgrade) = &upgrade {
            upgrade.settle(&mut response)?;
        }
        let grpc = is_grpc(version, &method, response.headers());
        Ok(response.map(|body| body.tied(leash, &route.streams, grpc)))
    }
}

/// The `aud` of what the route's upstream is told, where the route wants that.
fn assertion_audience(config: &Config, route: &config::Route) -> Option<String> {
    let upstream = config.upstreams.get(route.upstream?).filter(|_| route.assertion)?;
    Some(upstream.name.clone())
}

/// What a request is known by again, as a number; `None` where it has nothing of the kind.
fn balance_key(by: &config::HashBy, headers: &HeaderMap, identity: Option<&Identity>, client: IpAddr) -> Option<u64> {
    match by {
        config::HashBy::User => identity.map(|identity| digest(identity.principal.to_string().as_bytes())),
        config::HashBy::Ip => Some(digest(client.to_canonical().to_string().as_bytes())),
        config::HashBy::Header(name) => headers.get(name).map(|value| digest(value.as_bytes())),
    }
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
