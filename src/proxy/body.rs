//! [`ResponseBody`]: the upstream's answer on its way to the client, streamed.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Sleep;

use super::Tunnel;
use super::error::token_code;
use crate::config::Streams;
use crate::problem::Code;
use crate::rules::headers::{IdentityHeaders, clean_trailers};
use crate::token::{Leash, Refusal};
use crate::upstream::{BodyWatch, Lease};

/// Why an answer broke off. The client sees a broken connection, never a body that looks whole.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The upstream broke off.
    #[error("the upstream broke off within its answer")]
    Upstream(#[source] hyper::Error),
    /// The route's time for the whole exchange is over.
    #[error("the exchange took longer than the route allows")]
    Timeout,
    /// The token that let the request in is not good any more.
    #[error("the exchange was ended: {0}")]
    TokenEnded(Refusal),
}

impl BodyError {
    /// Why the gateway itself broke the answer off for the token's sake, if that is so.
    #[must_use]
    pub const fn code(&self) -> Option<Code> {
        match self {
            Self::TokenEnded(refusal) => Some(token_code(*refusal)),
            Self::Upstream(_) | Self::Timeout => None,
        }
    }
}

/// The body of a proxied answer.
#[derive(Debug)]
pub struct ResponseBody(Kind);

#[derive(Debug)]
enum Kind {
    /// Made in the process.
    Whole(Option<Bytes>),
    Upstream {
        inner: Incoming,
        loan: Option<Loan>,
        deadline: Option<Pin<Box<Sleep>>>,
        identity: Arc<IdentityHeaders>,
        leash: Option<Leash>,
    },
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
        inner: Incoming,
        lease: Lease,
        request: Option<Arc<BodyWatch>>,
        deadline: Option<Instant>,
        identity: Arc<IdentityHeaders>,
    ) -> Self {
        if let Some(request) = &request {
            request.answered();
        }
        let mut loan = Some(Loan { lease, request });
        if inner.is_end_stream() {
            give_back(&mut loan);
        }
        let deadline = deadline.map(|deadline| Box::pin(tokio::time::sleep_until(deadline.into())));
        Self(Kind::Upstream {
            inner,
            loan,
            deadline,
            identity,
            leash: None,
        })
    }

    /// The same, for as long as the token is good, and as the route allows.
    pub(super) fn tied(mut self, leash: Option<Leash>, streams: &Streams) -> Self {
        match &mut self.0 {
            Kind::Upstream { inner, leash: tie, .. } if !inner.is_end_stream() => *tie = leash,
            Kind::Tunnel(tunnel) => *tunnel = tunnel.take().map(|tunnel| Box::new(tunnel.bounded(streams, leash))),
            Kind::Whole(_) | Kind::Upstream { .. } => {}
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
            Kind::Whole(_) | Kind::Upstream { .. } => None,
        }
    }

    /// Breaks off. What is left of the upstream's answer is for nobody: its connection closes.
    fn end(&mut self, why: Refusal) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.0 = Kind::Whole(None);
        Poll::Ready(Some(Err(BodyError::TokenEnded(why))))
    }
}

/// The connection that the answer comes on, and what became of the request on it.
#[derive(Debug)]
struct Loan {
    lease: Lease,
    request: Option<Arc<BodyWatch>>,
}

fn give_back(loan: &mut Option<Loan>) {
    if let Some(Loan { lease, request }) = loan.take()
        && request.is_none_or(|request| request.has_ended())
    {
        lease.give_back();
    }
    // Otherwise the answer came early, and the rest of the request is for nobody: the connection closes.
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let (inner, loan, deadline, identity, leash) = match &mut this.0 {
            Kind::Whole(bytes) => return Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Tunnel(_) => return Poll::Ready(None),
            Kind::Upstream {
                inner,
                loan,
                deadline,
                identity,
                leash,
            } => (inner, loan, deadline, identity, leash),
        };
        if let Some(why) = leash.as_ref().and_then(Leash::ended) {
            return this.end(why);
        }
        let frame = match Pin::new(&mut *inner).poll_frame(cx) {
            Poll::Pending => {
                let late = deadline
                    .as_mut()
                    .is_some_and(|deadline| deadline.as_mut().poll(cx).is_ready());
                if late {
                    return Poll::Ready(Some(Err(BodyError::Timeout)));
                }
                return match leash.as_mut().map(|leash| leash.poll_ended(cx)) {
                    Some(Poll::Ready(why)) => this.end(why),
                    Some(Poll::Pending) | None => Poll::Pending,
                };
            }
            Poll::Ready(None) => {
                give_back(loan);
                return Poll::Ready(None);
            }
            Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(BodyError::Upstream(error)))),
            Poll::Ready(Some(Ok(frame))) => frame,
        };
        // A server that knows the length stops asking after the last byte, so the end must be seen here.
        if inner.is_end_stream() {
            give_back(loan);
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
            Kind::Tunnel(_) => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Kind::Upstream { inner, .. } => inner.size_hint(),
            Kind::Tunnel(_) => SizeHint::with_exact(0),
        }
    }
}
