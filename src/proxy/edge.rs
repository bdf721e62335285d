//! What a route does at its edges, beside forwarding: redirects, the `Host` of its upstream.

use std::net::IpAddr;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Response, StatusCode, header};

use super::{Proxy, ResponseBody, Target, Trace};
use crate::config::{Edge, Maintenance, UpstreamHost};
use crate::id::Role;
use crate::rules::cors::preflight_for;
use crate::rules::policy::Permit;
use crate::rules::redirect::Redirect;

impl Proxy {
    /// What the route of this index does beside forwarding.
    #[must_use]
    pub fn edge(&self, route: usize) -> Option<&Edge> {
        self.routes.get(route).map(|route| &route.edge)
    }

    /// The answer to a browser that asks before it sends a request from another origin's page, where the route for that request
    /// says what such pages may do. It comes before authentication: browsers send no token with the question. What the answer
    /// says is added where all answers of the route are changed.
    pub(super) fn preflight(
        &self,
        parts: &Parts,
        target: &Target<'_>,
        trace: &mut Trace,
    ) -> Option<Response<ResponseBody>> {
        let method = preflight_for(&parts.method, &parts.headers)?;
        // The route is that of the request which is to follow: the question itself may have none.
        let index = self.find(target, &method).ok()?;
        self.routes.get(index)?.edge.cors.as_ref()?;
        (trace.route, trace.preflight) = (Some(index), true);
        let mut response = Response::new(ResponseBody::whole(Bytes::new()));
        *response.status_mut() = StatusCode::NO_CONTENT;
        Some(response)
    }
}

/// Whether a client passes a closed route for where it is.
pub(super) fn is_let_in(closed: &Maintenance, client: IpAddr) -> bool {
    closed.networks.iter().any(|network| network.contains(&client))
}

/// Whether whoever may pass has any of these roles.
pub(super) fn is_one_of(roles: &[Role], permit: &Permit) -> bool {
    permit
        .identity()
        .is_some_and(|identity| roles.iter().any(|role| identity.roles.contains(role)))
}

/// The answer of a route that sends its clients elsewhere.
pub(super) fn redirect(redirect: &Redirect, target: &Target<'_>) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::whole(Bytes::new()));
    *response.status_mut() = redirect.status();
    let location = redirect.location(target.path(), target.query());
    response.headers_mut().insert(header::LOCATION, location);
    response
}

/// Sets the `Host` that the upstream gets. A request without one gets that of the server that is asked.
pub(super) fn set_host(headers: &mut HeaderMap, host: &UpstreamHost) {
    match host {
        UpstreamHost::Client => {}
        UpstreamHost::Server => {
            headers.remove(header::HOST);
        }
        UpstreamHost::Named(host) => {
            headers.insert(header::HOST, host.clone());
        }
    }
}
