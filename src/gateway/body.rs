//! [`Body`]: the body of any answer, with what is to happen when it ends.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::record::Record;
use crate::problem::Code;
use crate::proxy::{BodyError, ResponseBody};
use crate::token::{Refusal, Watched};
use crate::upstream::Incoming;

/// Why an answer broke off.
pub(super) type Error = Box<dyn std::error::Error + Send + Sync>;

/// Where a body comes from.
#[derive(Debug)]
pub(super) enum Kind {
    /// An upstream, or a whole one.
    Proxied(ResponseBody),
    /// The endpoints that we own.
    Owned(axum::body::Body),
}

impl Kind {
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self::Proxied(ResponseBody::whole(bytes))
    }

    /// Why the answer had to end for the token's sake, if it had.
    fn given_up(&self) -> Option<Code> {
        match self {
            Self::Proxied(body) => body.has_to_end(),
            Self::Owned(_) => None,
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Proxied(body) => body.is_end_stream(),
            Self::Owned(body) => body.is_end_stream(),
        }
    }
}

/// What a connection holds for an answer until that has ended.
pub trait Hold {
    /// The answer may go on only until this says that it ended. Where the client takes nothing, the body is not asked for
    /// more and can't say so: the task that asked it last is woken, and has to give the answer up.
    fn tie(&self, watched: Watched);
}

/// The body of an answer. When it is dropped, sent or not, the request is logged and counted, and `D` is dropped.
#[derive(Debug)]
pub struct Body<D> {
    kind: Kind,
    /// Gone to the tunnel, where one follows. In a place of its own, as bodies are moved more than once.
    rest: Option<(Box<Record>, D)>,
    tied: bool,
}

impl<D> Body<D> {
    pub(super) fn new(kind: Kind, mut record: Box<Record>, done: D) -> Self {
        if kind.is_end_stream() {
            record.ended();
        }
        Self {
            kind,
            rest: Some((record, done)),
            tied: false,
        }
    }

    /// Why the answer may not go on, where its token is watched and not good any more: for whoever can't ask for more of it
    /// before the client has taken what there is.
    #[must_use]
    pub fn ended(&self) -> Option<Refusal> {
        match &self.kind {
            Kind::Proxied(body) => body.watched().and_then(|watched| watched.ended()),
            Kind::Owned(_) => None,
        }
    }

    /// The tunnel that follows the head of this answer, where one does: to be run when the head is out. The request is
    /// logged and counted, and `D` is dropped, at its end then.
    pub fn tunnel(&mut self) -> Option<impl Future<Output = ()> + Send + use<D>>
    where
        D: Send,
    {
        let Kind::Proxied(body) = &mut self.kind else {
            return None;
        };
        let tunnel = body.take_tunnel()?;
        let (mut record, done) = self.rest.take()?;
        Some(async move {
            let traffic = record.tunnel();
            let end = tunnel.run(traffic).await;
            record.tunnelled(end);
            drop((record, done));
        })
    }
}

impl<D> Drop for Body<D> {
    fn drop(&mut self) {
        if let Some((record, _)) = &mut self.rest
            && let Some(code) = self.kind.given_up()
        {
            record.ended_for(code);
        }
    }
}

impl<D: Hold + Unpin> HttpBody for Body<D> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        let frame = match &mut this.kind {
            Kind::Proxied(body) => Pin::new(body)
                .poll_frame(cx)
                .map_err(|error: BodyError| Error::from(error)),
            Kind::Owned(body) => Pin::new(body).poll_frame(cx).map_err(Error::from),
        };
        let Some((record, done)) = &mut this.rest else {
            return frame;
        };
        if let Kind::Proxied(body) = &this.kind {
            if let Some(code) = body.broken_off() {
                record.ended_for(code);
            } else if !this.tied
                && let Some(watched) = body.watched()
            {
                done.tie(watched);
                this.tied = true;
            }
        }
        match &frame {
            Poll::Ready(Some(Ok(frame))) => record.sent(frame.data_ref().map_or(0, Bytes::len)),
            Poll::Ready(Some(Err(error))) => record.broken(error.as_ref()),
            Poll::Ready(None) => record.ended(),
            Poll::Pending => {}
        }
        // Whoever knows the length stops asking after the last byte.
        if matches!(frame, Poll::Ready(Some(Ok(_)))) && this.kind.is_end_stream() {
            record.ended();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.kind.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Proxied(body) => body.size_hint(),
            Kind::Owned(body) => body.size_hint(),
        }
    }
}

/// How far the body of a request to one of our own endpoints has been read.
#[derive(Debug, Default)]
pub(super) struct Progress {
    bytes: AtomicU64,
    ended: AtomicBool,
}

impl Progress {
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }
}

/// A request's body that says how far it has been read.
#[derive(Debug)]
pub(super) struct Read {
    inner: Incoming,
    progress: Arc<Progress>,
}

impl Read {
    pub(super) fn new(inner: Incoming, progress: Arc<Progress>) -> Self {
        Self { inner, progress }
    }
}

impl HttpBody for Read {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        let frame = Pin::new(&mut this.inner).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &frame {
            let length = frame.data_ref().map_or(0, Bytes::len);
            this.progress.bytes.fetch_add(length as u64, Ordering::Relaxed);
        }
        let ended = match &frame {
            Poll::Ready(None) => true,
            Poll::Ready(Some(Ok(frame))) => frame.is_trailers() || this.inner.is_end_stream(),
            Poll::Ready(Some(Err(_))) | Poll::Pending => false,
        };
        if ended {
            this.progress.ended.store(true, Ordering::Relaxed);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
