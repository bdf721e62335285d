//! [`Repeats`]: whether a request that failed is sent again, and where to.
//!
//! A request of which a server got nothing may go to each other server once. One that a server may have seen is sent again
//! only where doing it twice is the same as once (RFC 9110, section 9.2.2) and its body, if any, was kept; at most as often
//! as the configuration says, and within the upstream's budget.

use std::sync::Arc;

use http::Method;

use super::forward::Failed;
use crate::rules::headers::IdentityHeaders;
use crate::upstream::{Flight, RequestBody, ServerId, Tape, Upstream, UpstreamError};

/// Where a request goes next, and its body.
type Next = (Flight, RequestBody);

/// What is left of a request's chances.
pub(super) struct Repeats<'a> {
    upstream: &'a Upstream,
    /// How often it may be sent again.
    left: u32,
    /// What of its body has passed, if it has one that is kept.
    tape: Option<Arc<Tape>>,
    has_body: bool,
    identity: &'a Arc<IdentityHeaders>,
    tried: Vec<ServerId>,
    /// That a server is not who it should be: it tells more than that another address does not answer.
    untrusted: Option<UpstreamError>,
}

impl<'a> Repeats<'a> {
    /// The chances of a request with this body, which may be kept from now on.
    pub(super) fn new(
        upstream: &'a Upstream,
        method: &Method,
        body: RequestBody,
        has_body: bool,
        identity: &'a Arc<IdentityHeaders>,
    ) -> (RequestBody, Self) {
        let idempotent = matches!(
            *method,
            Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE
        );
        let rule = upstream.retry();
        let mut repeats = Self {
            upstream,
            left: if idempotent { rule.attempts } else { 0 },
            tape: None,
            has_body,
            identity,
            tried: Vec::new(),
            untrusted: None,
        };
        if !has_body || repeats.left == 0 {
            return (body, repeats);
        }
        if rule.body_limit == 0 {
            repeats.left = 0;
            return (body, repeats);
        }
        let (body, tape) = body.taped(rule.body_limit);
        repeats.tape = Some(tape);
        (body, repeats)
    }

    /// The request's body once more, where it can be had.
    pub(super) fn body(&self) -> Option<RequestBody> {
        match &self.tape {
            Some(tape) => tape.is_whole().then(|| RequestBody::replay(tape, self.identity)),
            None => (!self.has_body).then(|| RequestBody::empty(Arc::clone(self.identity))),
        }
    }

    /// Where to ask instead of taking an answer.
    pub(super) async fn instead_of(&mut self, key: Option<u64>, flight: &Flight) -> Option<Next> {
        if self.left == 0 {
            return None;
        }
        let body = self.body()?;
        self.tried.push(flight.server().id());
        let next = self.upstream.board(key, &self.tried, false).await.ok()?;
        self.take().then_some((next, body))
    }

    /// Where to ask after a failure, or the failure.
    pub(super) async fn after(
        &mut self,
        failed: Failed,
        key: Option<u64>,
        flight: Flight,
    ) -> Result<Next, UpstreamError> {
        self.tried.push(flight.server().id());
        // Its place may be the very one that is needed now.
        drop(flight);
        let next = self.upstream.board(key, &self.tried, false).await;
        match (failed, next) {
            (Failed::Unsent(body, error), Ok(next)) => {
                if let UpstreamError::Tls(_) = error {
                    self.untrusted = Some(error);
                }
                Ok((next, *body))
            }
            (Failed::Unsent(_, error), Err(_)) => Err(self.untrusted.take().unwrap_or(error)),
            (Failed::Sent(error), Ok(next)) if error.is_unprocessed() => match self.body() {
                Some(body) => Ok((next, body)),
                None => Err(error),
            },
            (Failed::Sent(error), next) => {
                let Some(body) = self.body().filter(|_| error.may_be_chance() && self.left > 0) else {
                    return Err(error);
                };
                let next = match next {
                    Ok(next) => next,
                    // There is no other: the same one may just have been started again.
                    Err(_) => match self.upstream.board(key, &[], false).await {
                        Ok(next) => next,
                        Err(_) => return Err(error),
                    },
                };
                if self.take() { Ok((next, body)) } else { Err(error) }
            }
        }
    }

    /// Whether the request may be sent again although a server may have seen it.
    pub(super) const fn may_repeat(&self) -> bool {
        self.left > 0
    }

    fn take(&mut self) -> bool {
        let granted = self.left > 0 && self.upstream.may_repeat();
        self.left = self.left.saturating_sub(1);
        granted
    }
}
