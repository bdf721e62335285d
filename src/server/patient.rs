//! [`Stall`]: when a client that does not take what is written to it is given up; and [`Patient`], a socket that does so.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::alarm::Alarm;
use super::pace::Pace;
use super::timeouts::Timeouts;

/// Watches over what is written to a client: one that takes nothing for too long holds memory on both sides, and so does one
/// that only ever takes a little just in time.
#[derive(Debug)]
pub(super) struct Stall {
    limit: Duration,
    alarm: Alarm,
    takes: Pace,
}

impl Stall {
    pub(super) fn new(timeouts: &Timeouts) -> Self {
        Self {
            limit: timeouts.body(),
            alarm: Alarm::default(),
            takes: timeouts.pace(),
        }
    }

    /// So much of what was to be written was taken.
    pub(super) fn took(&mut self, bytes: usize) {
        self.alarm.clear();
        self.takes.moved(bytes);
    }

    /// Nothing can be written for now: ready, with the error to give the client up with, once that is for too long.
    pub(super) fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        if !self.alarm.is_set() {
            self.alarm.set(self.limit.min(self.takes.wait()));
        }
        ready!(self.alarm.poll(cx));
        Poll::Ready(io::Error::new(
            io::ErrorKind::TimedOut,
            "the client stopped reading what it is sent",
        ))
    }
}

/// A socket whose other end has to go on reading. It stands below TLS, which buffers: what waits there to be flushed does not
/// show above.
#[derive(Debug)]
pub(super) struct Patient<S> {
    io: S,
    stall: Stall,
}

impl<S> Patient<S> {
    pub(super) fn new(io: S, timeouts: &Timeouts) -> Self {
        Self {
            io,
            stall: Stall::new(timeouts),
        }
    }

    fn written(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(result) = result {
            self.stall.took(result.as_ref().map_or(0, |bytes| *bytes));
            return Poll::Ready(result);
        }
        self.stall.poll_late(cx).map(Err)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.io).poll_write(cx, buf);
        this.written(cx, result)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.io).poll_write_vectored(cx, bufs);
        this.written(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
