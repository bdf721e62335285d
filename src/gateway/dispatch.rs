//! Who answers a request: an authority's question, a redirect, the endpoints that we own, or the proxy.

use std::sync::Arc;

use http::request::Parts;
use http::{Request, Response, StatusCode};

use super::body::{self, Read};
use super::departure::Departure;
use super::record::Record;
use super::routes::Called;
use super::{Place, Snapshot, redirect};
use crate::limiter::Client;
use crate::problem::Problem;
use crate::proxy::{Exchange, Refused, Target, overloaded, rate_limited};
use crate::rules::cors::preflight_for;
use crate::upstream::{Incoming, UpstreamError};

impl Snapshot {
    /// Hands a request to whoever answers it.
    pub(super) async fn dispatch<'a>(
        &'a self,
        parts: Parts,
        incoming: Incoming,
        place: Place<'_>,
        record: &mut Record,
        departure: &mut Departure<'a>,
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
        if let Some(challenges) = &self.challenges
            && let Some(answer) = challenges.http01(uri.path())
        {
            record.called(Called::Other(Arc::from("acme")));
            return Ok(Response::new(body::Kind::whole(answer.into())));
        }
        if caller.peer.redirects {
            record.called(Called::Other(Arc::from("redirect")));
            return redirect::to_https(&target, &uri, self.redirect_port);
        }
        if self.cors {
            departure.from(&parts.headers);
        }
        if self.owned.claims(target.path()) {
            if let Some(verify) = self.verify.as_ref().filter(|verify| verify.is_at(target.path())) {
                // In a box, as all that is not the usual way: the task of a request is as large as its largest way.
                return Box::pin(self.verify(verify, parts, place, record)).await;
            }
            record.called(Called::Other(self.owned.label(target.path())));
            let preflight = self.auth_cors.is_some() && preflight_for(&parts.method, &parts.headers).is_some();
            departure.of_endpoint(self.auth_cors.as_ref(), self.security_headers, preflight);
            if preflight {
                return Ok(no_content());
            }
            if let Some(gauge) = &self.owned_at_once {
                record.holds(gauge.enter().ok_or_else(overloaded)?);
            }
            let mut standings = Vec::new();
            if !self.owned_limits.is_empty() {
                let client = Client {
                    address: client,
                    principal: None,
                };
                let counted = self
                    .limiter
                    .take(&self.owned_limits, client, moment.started, &mut standings);
                let counted = Box::pin(counted).await;
                counted.map_err(|exceeded| rate_limited(&exceeded))?;
            }
            let request = Request::from_parts(parts, Read::new(incoming, record.own_body()));
            let mut response = Box::pin(self.owned.call(request, client, &caller.request_id)).await?;
            record.own_problem(response.extensions_mut());
            self.limiter.tell(&standings, response.headers_mut());
            return Ok(response.map(body::Kind::Owned));
        }
        let exchange = Exchange {
            target: &target,
            caller,
            client,
            moment,
            pools,
        };
        let answer = self.proxy.handle(parts, incoming, &exchange, record.trace()).await;
        self.settle(record, departure);
        let upstream = record.trace().upstream.and_then(|index| self.upstreams.get(index));
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

    /// What the pipeline has learnt of a request is said in its record, and done to its answer. As often as one likes.
    pub(super) fn settle<'a>(&'a self, record: &mut Record, departure: &mut Departure<'a>) {
        let trace = record.trace();
        let (route, upstream, preflight) = (trace.route, trace.upstream, trace.preflight);
        if let Some(called) = route.and_then(|route| self.routes.get(route)) {
            record.called(called);
        }
        if let Some(edge) = route.and_then(|route| self.proxy.edge(route)) {
            departure.of_route(edge, preflight);
        }
        if let Some(name) = upstream.and_then(|index| self.routes.upstream(index)) {
            record.reached(name);
        }
    }
}

/// The answer to a preflight, before what pages may do is said.
fn no_content() -> Response<body::Kind> {
    let mut response = Response::new(body::Kind::whole(bytes::Bytes::new()));
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}
