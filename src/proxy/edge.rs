//! What a route does at its edges, beside forwarding: redirects, the `Host` of its upstream.

use bytes::Bytes;
use http::{HeaderMap, Response, header};

use super::{ResponseBody, Target};
use crate::config::UpstreamHost;
use crate::rules::redirect::Redirect;

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
