//! [`AnswerBody`]: the body of an answer, on whatever connection it comes.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;

use super::http1::{Decoder, Driven};
use super::{Fault, Lease};

/// The body of an answer. It comes on the connection of the [`Lease`] that the request was sent on.
#[derive(Debug)]
pub struct AnswerBody(Kind);

#[derive(Debug)]
enum Kind {
    /// Where in the answer the connection is.
    Http1(Decoder),
    /// The same, in a task.
    Driven(Driven),
    Http2(Incoming),
}

impl AnswerBody {
    pub(super) const fn http1(decoder: Decoder) -> Self {
        Self(Kind::Http1(decoder))
    }

    pub(super) const fn driven(body: Driven) -> Self {
        Self(Kind::Driven(body))
    }

    pub(super) const fn http2(body: Incoming) -> Self {
        Self(Kind::Http2(body))
    }

    /// The next part. Without its lease, a body of HTTP/1 has ended.
    pub fn poll_frame(
        &mut self,
        lease: Option<&mut Lease>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        match &mut self.0 {
            Kind::Http2(body) => Pin::new(body).poll_frame(cx).map_err(Fault::Http2),
            Kind::Driven(body) => body.poll_frame(cx),
            Kind::Http1(decoder) => match lease.and_then(Lease::http1) {
                Some(connection) => connection.poll_frame(decoder, cx),
                None => Poll::Ready(None),
            },
        }
    }

    /// Whether nothing more comes, as far as is known.
    #[must_use]
    pub fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Http1(decoder) => matches!(decoder, Decoder::Done),
            Kind::Driven(body) => body.is_end_stream(),
            Kind::Http2(body) => body.is_end_stream(),
        }
    }

    /// How many bytes are to come.
    #[must_use]
    pub fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Http1(Decoder::Done) => SizeHint::with_exact(0),
            Kind::Http1(Decoder::Length(left)) => SizeHint::with_exact(*left),
            Kind::Http1(Decoder::Chunked(_) | Decoder::Close) => SizeHint::new(),
            Kind::Driven(body) => body.size_hint(),
            Kind::Http2(body) => body.size_hint(),
        }
    }
}
