//! [`Departure`]: what is done to the head of an answer last, whoever made it. An error of our own goes through it as an
//! upstream's answer does, as a page must be able to read that its token has expired.

use http::{HeaderMap, HeaderValue, Response, header};

use crate::config;
use crate::rules::cors::Cors;
use crate::rules::security::add_security_headers;

/// What a request's route, or the endpoints that we own, do to answers.
#[derive(Debug, Default)]
pub(super) struct Departure<'a> {
    cors: Option<&'a Cors>,
    security: bool,
    edge: Option<&'a config::Edge>,
    /// Of whose page the request is.
    origin: Option<HeaderValue>,
    preflight: bool,
}

impl<'a> Departure<'a> {
    /// Notes where the request comes from, while its headers are there.
    pub(super) fn from(&mut self, headers: &HeaderMap) {
        self.origin = headers.get(header::ORIGIN).cloned();
    }

    /// The answer is that of an endpoint that we own.
    pub(super) fn of_endpoint(&mut self, cors: Option<&'a Cors>, security: bool, preflight: bool) {
        (self.cors, self.security, self.preflight) = (cors, security, preflight);
    }

    /// The answer is that of this route.
    pub(super) fn of_route(&mut self, edge: &'a config::Edge, preflight: bool) {
        (self.cors, self.security) = (edge.cors.as_ref(), edge.security_headers);
        (self.edge, self.preflight) = (Some(edge), preflight);
    }

    /// Changes the answer's headers. `is_error`: the gateway refused the request.
    pub(super) fn apply<B>(&self, response: &mut Response<B>, is_error: bool) {
        let headers = response.headers_mut();
        if let Some(cors) = self.cors {
            let origin = self.origin.as_ref();
            if self.preflight {
                return cors.answer_preflight(headers, origin);
            }
            cors.dress(headers, origin);
        }
        if self.security {
            add_security_headers(headers);
        }
        // Not to a refusal: one that an operation makes cacheable would outlast its reason.
        if let Some(edge) = self.edge.filter(|_| !is_error) {
            edge.response_headers.apply(headers);
        }
    }
}
