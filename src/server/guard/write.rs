//! The writing side of a [`Guard`]: a client that takes nothing is given up, and interim answers get in where they belong.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use tokio::io::{AsyncRead, AsyncWrite};

use super::Guard;

impl<S: AsyncWrite + Unpin> Guard<S> {
    fn written(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.flushed = false;
        if let Poll::Ready(result) = result {
            self.stall.took(result.as_ref().map_or(0, |bytes| *bytes));
            return Poll::Ready(result);
        }
        if let Some(why) = self.shared.ended() {
            // hyper does not ask the answer's body for more, which would say so, before the client takes what there is.
            let error = format!("what the client does not take was ended: {why}");
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionAborted, error)));
        }
        self.stall.poll_late(cx).map(Err)
    }

    /// Notes that hyper has nothing left to write, and takes the interim answers that there are. hyper takes a request up when all
    /// of the answer before it is written or in its buffer, and writes the head of an answer in the moment in which the service
    /// gives it: so what is written next, before the service has, comes after all former answers and before this one.
    fn hear(&mut self, cx: &Context<'_>) {
        if !self.writer.as_ref().is_some_and(|task| task.will_wake(cx.waker())) {
            self.writer = Some(cx.waker().clone());
            self.shared.interims().written_by(cx.waker().clone());
        }
        self.clean_for = self.shared.unanswered();
        self.flushed = true;
        if self.shared.interims().wait() {
            self.interims.unsplit(self.shared.interims().take(self.clean_for));
        }
    }

    /// Takes the interim answers that came together with their final one, where that is what hyper writes now.
    fn overtake(&mut self) {
        if let Some(request) = self.clean_for.take()
            && self.shared.interims().wait()
        {
            self.interims.unsplit(self.shared.interims().take(Some(request)));
        }
    }

    /// Writes the interim answers that were taken: a part of one must be followed by its rest.
    fn poll_interims(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.interims.has_remaining() {
            let result = Pin::new(&mut self.io).poll_write(cx, &self.interims);
            match ready!(self.written(cx, result))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.interims.advance(written),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guard<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.overtake();
        ready!(this.poll_interims(cx))?;
        let result = Pin::new(&mut this.io).poll_write(cx, buf);
        this.written(cx, result)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.overtake();
        ready!(this.poll_interims(cx))?;
        let result = Pin::new(&mut this.io).poll_write_vectored(cx, bufs);
        this.written(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.hear(cx);
        ready!(this.poll_interims(cx))?;
        // A socket has nothing to flush: this says nothing about whether the client reads.
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_interims(cx))?;
        ready!(Pin::new(&mut this.io).poll_shutdown(cx))?;
        this.linger(cx)
    }
}
