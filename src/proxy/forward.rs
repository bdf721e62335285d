//! Forwarding: choosing a server, sending, waiting for the head of the answer.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode, Version, header};
use tokio::time::{sleep_until, timeout_at};

use super::body::ResponseBody;
use super::error::Refused;
use super::repeat::Repeats;
use super::upgrade::Upgrade;
use super::{lifetime, whoami};
use crate::config::ServerAddress;
use crate::rules::headers::IdentityHeaders;
use crate::rules::policy::Permit;
use crate::time::{recent, recent_for_timers};
use crate::upstream::{
    AnswerBody, BodyWatch, Flight, Hints, Lease, Pools, RequestBody, SendFailure, Server, Upstream, UpstreamError,
};

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
    /// Where interim answers go, if the client takes them.
    pub(super) hints: Option<Hints<'a>>,
    /// What the request is known by again, where that decides who gets it.
    pub(super) key: Option<u64>,
}

/// How an attempt on one connection failed.
pub(super) enum Failed {
    /// Nothing was sent; here is the body again.
    Unsent(Box<RequestBody>, UpstreamError),
    /// Something may have been sent.
    Sent(UpstreamError),
}

impl Failed {
    const fn error(&self) -> &UpstreamError {
        match self {
            Self::Unsent(_, error) | Self::Sent(error) => error,
        }
    }
}

impl Errand<'_> {
    /// The answer, within the route's deadline.
    pub(super) async fn run(self, parts: Parts, body: RequestBody) -> Result<Response<ResponseBody>, Refused> {
        let delivery = pin!(self.deliver(parts, body));
        let Some(deadline) = self.deadline else {
            return delivery.await.map_err(Refused::Upstream);
        };
        let limit = deadline.saturating_duration_since(recent());
        match timeout_at(recent_for_timers() + limit, delivery).await {
            Ok(answer) => answer.map_err(Refused::Upstream),
            Err(_) => Err(Refused::Timeout(limit)),
        }
    }

    async fn deliver(&self, mut parts: Parts, body: RequestBody) -> Result<Response<ResponseBody>, UpstreamError> {
        parts.version = Version::HTTP_11;
        // An HTTP/1.0 client may send no Host, but HTTP/1.1 is not HTTP without one (RFC 9112, section 3.2).
        let hostless = !parts.headers.contains_key(header::HOST);
        let (mut body, mut repeats) =
            Repeats::new(self.upstream, &parts.method, body, self.watch.is_some(), self.identity);
        let mut flight = self.upstream.board(self.key, &[], true).await?;
        loop {
            match flight.server().address() {
                ServerAddress::Whoami => return Box::pin(whoami::answer(Request::from_parts(parts, body))).await,
                ServerAddress::Remote { host, port, .. } => {
                    if hostless && let Ok(host) = HeaderValue::try_from(format!("{host}:{port}")) {
                        parts.headers.insert(header::HOST, host);
                    }
                }
            }
            let next = match self.ask(&flight, &parts, body, &repeats).await {
                Ok(response) => {
                    let status = response.status();
                    self.upstream.answered(&mut flight, status);
                    // Dropping an answer stops a body that is still coming, and its copy with it: such an answer is taken.
                    let is_whole = self.watch.as_ref().is_none_or(|watch| watch.has_ended());
                    let instead = if is_whole && self.upstream.retry().status.contains(status) {
                        Box::pin(repeats.instead_of(self.key, &flight)).await
                    } else {
                        None
                    };
                    match instead {
                        None => return Ok(response.map(|body| body.holding(flight))),
                        Some(next) => next,
                    }
                }
                Err(failed) => {
                    if failed.error().is_of_server() {
                        self.upstream.failed(&mut flight);
                    }
                    Box::pin(repeats.after(failed, self.key, flight)).await?
                }
            };
            (flight, body) = next;
        }
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

    /// Asks one server, first on a connection that is idle, if there is one.
    async fn ask(
        &self,
        flight: &Flight,
        parts: &Parts,
        mut body: RequestBody,
        repeats: &Repeats<'_>,
    ) -> Result<Response<ResponseBody>, Failed> {
        let mut reuse = true;
        loop {
            let lease = match self.connection(flight.server(), reuse).await {
                Ok(lease) => lease,
                Err(error) => return Err(Failed::Unsent(Box::new(body), error)),
            };
            // A share in a connection that has just been made has been used before as well: twice is enough.
            let first = lease.is_reused() && reuse;
            body = match self.attempt(lease, parts, body).await {
                // The server closed the idle connection before the request was on it: that is no failure of either.
                Err(Failed::Unsent(back, _)) if first => *back,
                // Or says, with HTTP/2, that it did nothing about it, whatever it asks.
                Err(Failed::Sent(error)) if first && error.is_unprocessed() => match repeats.body() {
                    Some(body) => body,
                    None => return Err(Failed::Sent(error)),
                },
                // Or closed it while the request was on its way.
                Err(Failed::Sent(UpstreamError::Broken(error))) if first && repeats.may_repeat() => {
                    match repeats.body().filter(|_| self.upstream.may_repeat()) {
                        Some(body) => body,
                        None => return Err(Failed::Sent(UpstreamError::Broken(error))),
                    }
                }
                outcome => return outcome,
            };
            reuse = false;
        }
    }

    async fn attempt(
        &self,
        mut lease: Lease,
        parts: &Parts,
        body: RequestBody,
    ) -> Result<Response<ResponseBody>, Failed> {
        let outcome = {
            let sending = pin!(lease.send(parts, body, self.hints));
            self.within(self.upstream.response_timeout(), sending).await
        };
        let response = match outcome {
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
    async fn within<F: Future>(&self, limit: Duration, mut sending: Pin<&mut F>) -> Option<F::Output> {
        let mut sleep = pin!(sleep_until(recent_for_timers() + limit.min(lifetime::SOON)));
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

/// What of an answer can be read, but a gateway must not relay: a framing that the client could read differently.
fn check(response: &Response<AnswerBody>, upgrade: Option<&Upgrade>) -> Result<(), &'static str> {
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
