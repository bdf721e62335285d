//! Parking: a connection that has been idle for a while gives its bytes back, so that hyper and its buffers, which are most of
//! what an idle connection costs, can go until the client says something.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;

use super::{Guard, Stage};

/// After how long a connection is parked: one that is used every few seconds is not.
pub(in crate::server) const PARK_AFTER: Duration = Duration::from_secs(5);

/// The bytes of a connection, until they are given back.
#[derive(Debug)]
pub(super) struct Bytes<S>(Option<S>);

impl<S> Bytes<S> {
    pub(super) const fn new(io: S) -> Self {
        Self(Some(io))
    }
}

impl<S> Guard<S> {
    /// The same, which is parked when it has been idle for [`PARK_AFTER`], if it may idle for longer: its bytes come back by
    /// this. `first` is what was read of them before.
    pub(in crate::server) fn parking(mut self, to: oneshot::Sender<S>, first: Option<u8>) -> Self {
        self.park = Some(to).filter(|_| self.timeouts.keep_alive > PARK_AFTER);
        self.first = first;
        self
    }

    /// How long it may be idle until something is to be done about it.
    pub(super) fn idle_limit(&self) -> Duration {
        if self.may_park() {
            PARK_AFTER
        } else {
            self.timeouts.keep_alive
        }
    }

    /// Whether nothing of a request or an answer is anywhere between the two ends.
    fn may_park(&self) -> bool {
        let between = self.tracker.between_requests() && !self.tracker.holds() && self.stage == Stage::Http;
        let empty = self.held.is_empty() && self.passed.is_empty() && self.first.is_none() && self.interims.is_empty();
        self.park.is_some() && between && empty && self.flushed && !self.shared.is_ending()
    }

    /// Gives the bytes back, where that may be.
    pub(super) fn park(&mut self) -> bool {
        if !self.may_park() {
            return false;
        }
        if let (Some(to), Some(io)) = (self.park.take(), self.io.0.take()) {
            // Whoever asked for them waits for nothing else.
            let _ = to.send(io);
        }
        true
    }
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the connection is parked")
}

impl<S: AsyncRead + Unpin> AsyncRead for Bytes<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            Some(io) => Pin::new(io).poll_read(cx, buf),
            // Nothing comes here any more: whoever has the bytes now lets go of this.
            None => Poll::Pending,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bytes<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().0 {
            Some(io) => Pin::new(io).poll_write(cx, bytes),
            None => Poll::Ready(Err(gone())),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().0 {
            Some(io) => Pin::new(io).poll_write_vectored(cx, slices),
            None => Poll::Ready(Err(gone())),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.0.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            Some(io) => Pin::new(io).poll_flush(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            Some(io) => Pin::new(io).poll_shutdown(cx),
            None => Poll::Ready(Ok(())),
        }
    }
}
