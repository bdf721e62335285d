//! Forwarding: choosing a server, sending, waiting for the head of the answer.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode, Version, header};
use hyper::body::Incoming;

use super::body::ResponseBody;
use super::error::Refused;
use super::upgrade::Upgrade;
use super::{lifetime, whoami};
use crate::config::ServerAddress;
use crate::rules::headers::IdentityHeaders;
use crate::rules::policy::Permit;
use crate::time::monotonic;
use crate::upstream::{BodyWatch, Lease, Pools, RequestBody, SendFailure, Server, Upstream, UpstreamError};

/// One request on its way to one upstream. The [`Permit`] says that it may go.
pub(super) struct Errand<'a> {
    #[expect(dead_code, reason = "held, not read: without a permit there is no errand")]
    pub(super) permit: Permit,
    pub(super) upstream: &'a Upstream,
    pub(super) pools: &'a Pools,
    pub(super) watch: Option<Arc<BodyWatch>>,
    pub(super) identity: &'a Arc<IdentityHeaders>,
    pub(super) deadline: Option<Instant>,
    pub(super) upgrade: Option<&'a Upgrade>,
}

/// How an attempt on one connection failed.
enum Failed {
    /// Nothing was sent: the request is as it was.
    Unsent(Box<Request<RequestBody>>, UpstreamError),
    /// Something may have been sent.
    Sent(UpstreamError),
}

impl Errand<'_> {
    /// The answer, within the route's deadline.
    pub(super) async fn run(self, parts: Parts, body: RequestBody) -> Result<Response<ResponseBody>, Refused> {
        let Some(deadline) = self.deadline else {
            return self.deliver(parts, body).await.map_err(Refused::Upstream);
        };
        let limit = deadline.saturating_duration_since(monotonic());
        match tokio::time::timeout(limit, self.deliver(parts, body)).await {
            Ok(answer) => answer.map_err(Refused::Upstream),
            Err(_) => Err(Refused::Timeout(limit)),
        }
    }

    async fn deliver(&self, mut parts: Parts, body: RequestBody) -> Result<Response<ResponseBody>, UpstreamError> {
        parts.version = Version::HTTP_11;
        let mut request = Request::from_parts(parts, body);
        // An HTTP/1.0 client may send no Host, but HTTP/1.1 is not HTTP without one (RFC 9112, section 3.2).
        let hostless = !request.headers().contains_key(header::HOST);
        let mut last = UpstreamError::Invalid("the upstream has no servers");
        for server in self.upstream.servers_in_turn() {
            match server.address() {
                ServerAddress::Whoami => return whoami::answer(request).await,
                ServerAddress::Remote { host, port, .. } => {
                    if hostless && let Ok(host) = HeaderValue::try_from(format!("{host}:{port}")) {
                        request.headers_mut().insert(header::HOST, host);
                    }
                }
            }
            // First a connection that is idle, if there is one, then a new one.
            let mut reuse = true;
            loop {
                let lease = match self.connection(server, reuse).await {
                    Ok(lease) => lease,
                    // What was sent, if anything, may be sent again: the next server may have it.
                    Err(error) => {
                        last = error;
                        break;
                    }
                };
                let again = lease.is_reused();
                let idempotent = is_idempotent(request.method());
                // A server of HTTP/2 may say that it did nothing about a request, whatever it asks.
                let spare = if lease.is_shared() || (again && idempotent) {
                    self.copy(&request)
                } else {
                    None
                };
                match (self.attempt(lease, request).await, spare) {
                    (Ok(response), _) => return Ok(response),
                    (Err(Failed::Unsent(back, error)), _) => (request, last) = (*back, error),
                    (Err(Failed::Sent(error)), Some(spare)) if error.is_unprocessed() => {
                        (request, last) = (spare, error);
                    }
                    // The server closed the idle connection while the request was on its way: ask again on a new one.
                    (Err(Failed::Sent(error @ UpstreamError::Broken(_))), Some(spare)) if again && idempotent => {
                        (request, last) = (spare, error);
                    }
                    (Err(Failed::Sent(error)), _) => return Err(error),
                }
                // A share in a connection that has just been made has been used before as well: twice is enough.
                if !again || !reuse {
                    break;
                }
                reuse = false;
            }
        }
        Err(last)
    }

    async fn connection(&self, server: &Arc<Server>, reuse: bool) -> Result<Lease, UpstreamError> {
        if self.upgrade.is_some() {
            self.pools.upgradable(server, reuse).await
        } else if reuse {
            self.pools.lease(server).await
        } else {
            self.pools.fresh(server).await
        }
    }

    /// A copy to send again, where there is no body.
    fn copy(&self, request: &Request<RequestBody>) -> Option<Request<RequestBody>> {
        if self.watch.is_some() {
            return None;
        }
        let mut copy = Request::new(RequestBody::empty(Arc::clone(self.identity)));
        copy.method_mut().clone_from(request.method());
        copy.uri_mut().clone_from(request.uri());
        copy.headers_mut().clone_from(request.headers());
        Some(copy)
    }

    async fn attempt(&self, mut lease: Lease, request: Request<RequestBody>) -> Result<Response<ResponseBody>, Failed> {
        let sending = lease.send(request);
        let response = match self.within(self.upstream.response_timeout(), sending).await {
            None => {
                lease.timed_out();
                return Err(Failed::Sent(UpstreamError::Timeout(self.upstream.response_timeout())));
            }
            Some(Ok(response)) => response,
            // A body that was begun can't be sent again.
            Some(Err(SendFailure::Unsent(back, error)))
                if self.watch.as_ref().is_none_or(|watch| watch.bytes() == 0) =>
            {
                return Err(Failed::Unsent(back, UpstreamError::Broken(error)));
            }
            Some(Err(failure)) => return Err(Failed::Sent(self.classify(failure))),
        };
        check(&response, self.upgrade).map_err(|why| Failed::Sent(UpstreamError::Invalid(why)))?;
        let mut response = if let Some(upgrade) = self.upgrade
            && response.status() == StatusCode::SWITCHING_PROTOCOLS
        {
            upgrade.tunnel(response, lease)
        } else {
            response.map(|body| {
                let (deadline, identity) = (self.deadline, Arc::clone(self.identity));
                ResponseBody::upstream(body, lease, self.watch.clone(), deadline, identity)
            })
        };
        // The version is each connection's own (RFC 9110, section 2.5): with the upstream's 1.0, an answer that breaks off
        // would look whole to the client.
        *response.version_mut() = Version::HTTP_11;
        Ok(response)
    }

    fn classify(&self, failure: SendFailure) -> UpstreamError {
        match self.watch.as_ref().and_then(|watch| watch.failure()) {
            Some(failure) => UpstreamError::ClientBody(failure),
            None => failure.into(),
        }
    }

    /// Waits `limit` for the answer, counted from when the request body last moved: a long upload is not a slow upstream.
    async fn within<F: Future>(&self, limit: Duration, sending: F) -> Option<F::Output> {
        let mut sending = pin!(sending);
        let mut sleep = pin!(tokio::time::sleep(limit.min(lifetime::SOON)));
        let mut later = limit.checked_sub(lifetime::SOON);
        loop {
            tokio::select! {
                biased;
                output = &mut sending => return Some(output),
                () = &mut sleep => {
                    if let Some(later) = later.take() {
                        // Whoever waits with us sees here that this takes longer.
                        sleep.as_mut().reset(tokio::time::Instant::now() + later);
                        continue;
                    }
                    let still = self.watch.as_ref().map_or(limit, |watch| watch.still_for());
                    match limit.checked_sub(still) {
                        None | Some(Duration::ZERO) => return None,
                        Some(left) => sleep.as_mut().reset(tokio::time::Instant::now() + left),
                    }
                }
            }
        }
    }
}

/// Whether doing it twice is the same as once (RFC 9110, section 9.2.2).
fn is_idempotent(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE
    )
}

/// What of an answer hyper takes, but a gateway must not relay: a framing that the client could read differently.
fn check(response: &Response<Incoming>, upgrade: Option<&Upgrade>) -> Result<(), &'static str> {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return match upgrade {
            Some(upgrade) => upgrade.check(response.headers()),
            None => Err("it switches protocols, which nobody asked for"),
        };
    }
    let headers = response.headers();
    let empty = |length: &HeaderValue| length.as_bytes().iter().all(|digit| *digit == b'0');
    if response.status() == StatusCode::NO_CONTENT
        && (headers.contains_key(header::TRANSFER_ENCODING) || !headers.get(header::CONTENT_LENGTH).is_none_or(empty))
    {
        return Err("it says 204 and announces a body, which would be the next answer on the connection");
    }
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let (coding, length) = (codings.next(), lengths.next());
    if lengths.next().is_some() || codings.next().is_some() || (coding.is_some() && length.is_some()) {
        return Err("its framing can be read in two ways");
    }
    if coding.is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked")) {
        return Err("its transfer coding is not chunked");
    }
    if length.is_some_and(|length| !length.as_bytes().iter().all(u8::is_ascii_digit)) {
        return Err("its Content-Length is not a number");
    }
    if coding.is_some() && response.version() != Version::HTTP_11 {
        return Err("HTTP/1.0 has no Transfer-Encoding");
    }
    Ok(())
}
