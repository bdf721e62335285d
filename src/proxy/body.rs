//! [`ResponseBody`]: the upstream's answer on its way to the client, streamed.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Sleep;

use crate::rules::headers::{IdentityHeaders, clean_trailers};
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
    },
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
        })
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
        let (inner, loan, deadline, identity) = match &mut self.get_mut().0 {
            Kind::Whole(bytes) => return Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Upstream {
                inner,
                loan,
                deadline,
                identity,
            } => (inner, loan, deadline, identity),
        };
        let frame = match Pin::new(&mut *inner).poll_frame(cx) {
            Poll::Pending => {
                let late = deadline
                    .as_mut()
                    .is_some_and(|deadline| deadline.as_mut().poll(cx).is_ready());
                return if late {
                    Poll::Ready(Some(Err(BodyError::Timeout)))
                } else {
                    Poll::Pending
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
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Kind::Upstream { inner, .. } => inner.size_hint(),
        }
    }
}
