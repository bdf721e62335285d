//! [`ResponseBody`]: the upstream's answer on its way to the client, streamed.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

use super::Tunnel;
use super::error::{token_code, token_problem};
use crate::config::Streams;
use crate::problem::Code;
use crate::rules::headers::{IdentityHeaders, clean_trailers};
use crate::time::refresh;
use crate::token::{Leash, Refusal, Watched};
use crate::upstream::{AnswerBody, BodyWatch, Fault, Flight, Lease};

/// Why an answer broke off. The client sees a broken connection, never a body that looks whole.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The upstream broke off.
    #[error("the upstream broke off within its answer")]
    Upstream(#[source] Fault),
    /// The upstream ended the stream of HTTP/2, and not as one ends an answer.
    #[error("the upstream reset the stream within its answer")]
    Reset,
    /// The upstream has brought nothing for too long.
    #[error("the upstream stalled within its answer: nothing for {0:?}")]
    Stalled(Duration),
    /// The route's time for the whole exchange is over.
    #[error("the exchange took longer than the route allows")]
    Timeout,
    /// The token that let the request in is not good any more.
    #[error("the exchange was ended: {0}")]
    TokenEnded(Refusal),
}

/// The body of a proxied answer.
#[derive(Debug)]
pub struct ResponseBody(Kind);

#[derive(Debug)]
enum Kind {
    /// Made in the process.
    Whole(Option<Bytes>),
    Upstream {
        inner: AnswerBody,
        loan: Option<Loan>,
        deadline: Option<Pin<Box<Sleep>>>,
        idle: Option<Idle>,
        identity: Arc<IdentityHeaders>,
        leash: Option<Leash>,
        /// Whether it is the answer to a call of gRPC, which ends in trailers.
        grpc: bool,
        /// The request's place at the server, until the answer has ended.
        flight: Option<Flight>,
    },
    /// Broken off, as the token that let the request in is not good any more.
    Ended(Refusal),
    /// None, but the connection becomes a tunnel.
    Tunnel(Option<Box<Tunnel>>),
}

impl ResponseBody {
    /// A body that is there as a whole.
    #[must_use]
    pub fn whole(bytes: Bytes) -> Self {
        Self(Kind::Whole(if bytes.is_empty() { None } else { Some(bytes) }))
    }

    /// The body of an upstream's answer. Its connection goes back to the pool when the body has ended well.
    pub(super) fn upstream(
        inner: AnswerBody,
        lease: Lease,
        request: Option<Arc<BodyWatch>>,
        deadline: Option<Instant>,
        identity: Arc<IdentityHeaders>,
    ) -> Self {
        if let Some(request) = &request {
            request.answered();
        }
        let idle = lease.idle_timeout().map(Idle::new);
        let lease = Some(lease);
        let mut loan = Some(Loan { lease, request });
        if inner.is_end_stream() {
            give_back(&mut loan);
        }
        let deadline = deadline.map(|deadline| Box::pin(tokio::time::sleep_until(deadline.into())));
        Self(Kind::Upstream {
            inner,
            loan,
            deadline,
            idle,
            identity,
            leash: None,
            grpc: false,
            flight: None,
        })
    }

    /// The same, for as long as the token is good, and as the route allows.
    pub(super) fn tied(mut self, leash: Option<Leash>, streams: &Streams, is_grpc: bool) -> Self {
        match &mut self.0 {
            Kind::Upstream {
                inner,
                leash: tie,
                grpc,
                ..
            } if !inner.is_end_stream() => {
                *tie = leash;
                // What has a length has no other end.
                *grpc = is_grpc && inner.size_hint().exact().is_none();
            }
            Kind::Tunnel(tunnel) => *tunnel = tunnel.take().map(|tunnel| Box::new(tunnel.bounded(streams, leash))),
            Kind::Whole(_) | Kind::Upstream { .. } | Kind::Ended(_) => {}
        }
        self
    }

    /// Keeps the request's place at the server until the answer, or the tunnel that follows it, has ended.
    #[must_use]
    pub(super) fn holding(mut self, place: Flight) -> Self {
        match &mut self.0 {
            Kind::Upstream {
                loan: Some(_), flight, ..
            } => *flight = Some(place),
            Kind::Tunnel(tunnel) => *tunnel = tunnel.take().map(|tunnel| Box::new(tunnel.holding(place))),
            Kind::Whole(_) | Kind::Upstream { loan: None, .. } | Kind::Ended(_) => {}
        }
        self
    }

    /// No body: a tunnel follows the head.
    pub(super) fn tunnel(tunnel: Tunnel) -> Self {
        Self(Kind::Tunnel(Some(Box::new(tunnel))))
    }

    /// The tunnel that follows the head, if one does.
    pub fn take_tunnel(&mut self) -> Option<Tunnel> {
        match &mut self.0 {
            Kind::Tunnel(tunnel) => tunnel.take().map(|tunnel| *tunnel),
            Kind::Whole(_) | Kind::Upstream { .. } | Kind::Ended(_) => None,
        }
    }

    /// What says whether the answer has to end, once its token is watched.
    #[must_use]
    pub fn watched(&self) -> Option<Watched> {
        match &self.0 {
            Kind::Upstream { leash, .. } => leash.as_ref()?.watched(),
            Kind::Whole(_) | Kind::Ended(_) | Kind::Tunnel(_) => None,
        }
    }

    /// Why the answer has to end, whether or not it was asked for more since.
    #[must_use]
    pub fn has_to_end(&self) -> Option<Code> {
        match &self.0 {
            Kind::Upstream { leash, .. } => leash.as_ref()?.ended().map(token_code),
            Kind::Whole(_) | Kind::Ended(_) | Kind::Tunnel(_) => None,
        }
    }

    /// Why the answer was broken off for the token's sake, if it was.
    #[must_use]
    pub const fn broken_off(&self) -> Option<Code> {
        match &self.0 {
            Kind::Ended(refusal) => Some(token_code(*refusal)),
            Kind::Whole(_) | Kind::Upstream { .. } | Kind::Tunnel(_) => None,
        }
    }

    /// Breaks off. What is left of the upstream's answer is for nobody: its connection closes. Clients of gRPC are told why
    /// in its way, which is no less of an error.
    fn end(&mut self, why: Refusal) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let grpc = matches!(self.0, Kind::Upstream { grpc: true, .. });
        self.0 = Kind::Ended(why);
        Poll::Ready(Some(if grpc {
            Ok(Frame::trailers(token_problem(why).grpc_trailers()))
        } else {
            Err(BodyError::TokenEnded(why))
        }))
    }
}

/// How long an answer may bring nothing.
#[derive(Debug)]
struct Idle {
    limit: Duration,
    /// Since it was first asked for what has not come yet.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Idle {
    const fn new(limit: Duration) -> Self {
        Self { limit, sleep: None }
    }

    /// Nothing has come yet: whether that is for too long now.
    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        let limit = self.limit;
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        sleep.as_mut().poll(cx).is_ready()
    }
}

/// The connection that the answer comes on, and what became of the request on it.
#[derive(Debug)]
struct Loan {
    lease: Option<Lease>,
    request: Option<Arc<BodyWatch>>,
}

impl Loan {
    /// Whether a body that brings no more was cut off. A server of HTTP/2 that does not want the rest of a request may reset
    /// the stream once it has answered (RFC 9113, section 8.1), and hyper takes every such reset for the end of a whole
    /// answer; here it is one if nothing is known to be missing, and the request was not whole itself.
    fn was_cut(&self, body: &AnswerBody) -> bool {
        let shared = self.lease.as_ref().is_some_and(Lease::is_shared);
        let request_ended = self.request.as_ref().is_none_or(|request| request.has_ended());
        let length = body.size_hint();
        let missing = length.lower() > 0 || (request_ended && length.exact().is_none());
        shared && !body.is_end_stream() && missing
    }

    fn give_back(&mut self) {
        if let Some(lease) = self.lease.take()
            && self.request.as_ref().is_none_or(|request| request.has_ended())
        {
            lease.give_back();
        }
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        // The answer came early or was broken off, and the rest of the request is for nobody: a connection of HTTP/1 closes,
        // one of HTTP/2 must not go on carrying it.
        if let Some(request) = &self.request
            && !request.has_ended()
        {
            request.stop();
        }
    }
}

fn give_back(loan: &mut Option<Loan>) {
    if let Some(mut loan) = loan.take() {
        loan.give_back();
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let (inner, loan, deadline, idle, identity, leash, flight) = match &mut this.0 {
            Kind::Whole(bytes) => return Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Ended(_) | Kind::Tunnel(_) => return Poll::Ready(None),
            Kind::Upstream {
                inner,
                loan,
                deadline,
                idle,
                identity,
                leash,
                flight,
                grpc: _,
            } => (inner, loan, deadline, idle, identity, leash, flight),
        };
        if let Some(why) = leash.as_ref().and_then(Leash::ended) {
            return this.end(why);
        }
        let connection = loan.as_mut().and_then(|loan| loan.lease.as_mut());
        let frame = match inner.poll_frame(connection, cx) {
            Poll::Pending => {
                let late = deadline
                    .as_mut()
                    .is_some_and(|deadline| deadline.as_mut().poll(cx).is_ready());
                if late {
                    return Poll::Ready(Some(Err(BodyError::Timeout)));
                }
                if let Some(Poll::Ready(why)) = leash.as_mut().map(|leash| leash.poll_ended(cx)) {
                    return this.end(why);
                }
                return match idle.as_mut().and_then(|idle| idle.is_over(cx).then_some(idle.limit)) {
                    Some(limit) => Poll::Ready(Some(Err(BodyError::Stalled(limit)))),
                    None => Poll::Pending,
                };
            }
            Poll::Ready(None) => {
                if loan.as_ref().is_some_and(|loan| loan.was_cut(inner)) {
                    return Poll::Ready(Some(Err(BodyError::Reset)));
                }
                give_back(loan);
                *flight = None;
                return Poll::Ready(None);
            }
            Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(BodyError::Upstream(error)))),
            Poll::Ready(Some(Ok(frame))) => frame,
        };
        if let Some(idle) = idle {
            idle.sleep = None;
        }
        // A server that knows the length stops asking after the last byte, so the end must be seen here.
        if inner.is_end_stream() {
            give_back(loan);
            *flight = None;
        } else {
            // A worker that has always something to move never waits, and waiting is when else it looks at the clock.
            refresh();
            if let Some(leash) = leash {
                leash.part(cx);
            }
        }
        let frame = match frame.into_trailers() {
            Ok(mut trailers) => {
                clean_trailers(&mut trailers, identity);
                Frame::trailers(trailers)
            }
            Err(frame) => frame,
        };
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(bytes) => bytes.is_none(),
            Kind::Upstream { inner, .. } => inner.is_end_stream(),
            Kind::Ended(_) | Kind::Tunnel(_) => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Kind::Upstream { inner, .. } => inner.size_hint(),
            Kind::Ended(_) | Kind::Tunnel(_) => SizeHint::with_exact(0),
        }
    }
}
