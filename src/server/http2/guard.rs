//! [`Guard`]: an HTTP/2 connection as hyper may see it. Frames are followed in both directions, without a copy; a client that
//! floods or stalls is told so with a GOAWAY, and given up.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frames::{Frames, Header, Reader, flag, kind};
use super::inbound::{Fault, Inbound};
use super::interims::Interims;
use super::streams::Streams;
use crate::server::alarm::Alarm;
use crate::server::patient::Stall;
use crate::server::timeouts::Timeouts;

/// How long a client that is given up may take to read why.
const LINGER: Duration = Duration::from_secs(1);
/// How much of what it still sends is read away meanwhile.
const READ_AWAY: usize = 1024 * 1024;
/// What each frame of an answer gives back to a client's budget: it may acknowledge it on the stream and on the connection.
const EARNED: u32 = 5;

/// A guarded connection.
#[derive(Debug)]
pub(super) struct Guard<S> {
    io: S,
    inbound: Inbound,
    outbound: Frames,
    answers: Answers,
    timeouts: Timeouts,
    streams: Arc<Streams>,
    /// What `read_alarm` is set for.
    awaited: Option<u64>,
    read_alarm: Alarm,
    stall: Stall,
    ending: Option<Ending>,
    /// What is read away after an end that hyper has told the client of, so far.
    lingering: Option<usize>,
    interims: Arc<Interims>,
    /// Who was said to write interim answers, and what is left to write of them.
    writer: Option<Waker>,
    taken: Vec<u8>,
}

/// A connection that is being given up.
#[derive(Debug)]
struct Ending {
    fault: Fault,
    /// What is left to write of the GOAWAY.
    goaway: Vec<u8>,
    shut: bool,
    read_away: usize,
}

impl<S> Guard<S> {
    pub(super) fn new(io: S, timeouts: Timeouts, streams: Arc<Streams>, interims: Arc<Interims>) -> Self {
        Self {
            io,
            inbound: Inbound::new(),
            outbound: Frames::after(0),
            answers: Answers::default(),
            stall: Stall::new(&timeouts),
            timeouts,
            streams,
            awaited: None,
            read_alarm: Alarm::default(),
            ending: None,
            lingering: None,
            interims,
            writer: None,
            taken: Vec::new(),
        }
    }

    fn give_up(&mut self, fault: Fault) {
        // Within another frame, a GOAWAY would be taken for a part of it.
        let goaway = if self.outbound.is_between() && self.taken.is_empty() {
            goaway(self.inbound.highest(), fault.code())
        } else {
            Vec::new()
        };
        self.read_alarm.set(LINGER);
        self.ending = Some(Ending {
            fault,
            goaway,
            shut: false,
            read_away: 0,
        });
    }

    /// Notes what of the client's is unfinished after something was read.
    fn watch(&mut self) {
        let unfinished = self.inbound.unfinished();
        if unfinished != self.awaited {
            self.awaited = unfinished;
            match unfinished {
                Some(_) => self.read_alarm.set(self.timeouts.head()),
                None => self.read_alarm.clear(),
            }
        }
    }
}

/// A GOAWAY frame (RFC 9113, section 6.8).
fn goaway(last: u32, code: u32) -> Vec<u8> {
    let head = [0, 0, 8, kind::GOAWAY, 0, 0, 0, 0, 0];
    [&head[..], &last.to_be_bytes(), &code.to_be_bytes()].concat()
}

/// Follows what is sent: counts what answers are made of, and notes an end for the client's fault.
#[derive(Debug, Default)]
struct Answers {
    frames: u32,
    /// How much of a GOAWAY's payload has been followed.
    goaway: usize,
    /// Whether one said anything but that all is well.
    blames: bool,
    /// Whether there was any frame.
    begun: bool,
    /// Whether a header block has begun and not ended.
    in_block: bool,
}

impl Reader for Answers {
    type Stop = std::convert::Infallible;

    fn begins(&mut self, header: Header) -> Result<(), Self::Stop> {
        if matches!(header.kind, kind::DATA | kind::HEADERS) {
            self.frames += 1;
        }
        self.begun = true;
        if matches!(header.kind, kind::HEADERS | kind::CONTINUATION) {
            self.in_block = !header.has(flag::END_HEADERS);
        }
        self.goaway = 0;
        Ok(())
    }

    fn payload(&mut self, header: Header, piece: &[u8]) -> Result<(), Self::Stop> {
        if header.kind == kind::GOAWAY {
            let code = (self.goaway..).zip(piece).filter(|(at, _)| (4..8).contains(at));
            self.blames |= code.into_iter().any(|(_, byte)| *byte != 0);
            self.goaway += piece.len();
        }
        Ok(())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Guard<S> {
    /// Writes the GOAWAY, ends the writing side, and reads on for a moment: closing a socket with unread bytes resets the
    /// connection, and a reset can overtake what was written.
    fn end(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let Some(ending) = &mut self.ending else {
            return Poll::Pending;
        };
        let error = || io::Error::new(io::ErrorKind::ConnectionAborted, ending.fault.as_str());
        if self.read_alarm.poll(cx).is_ready() {
            return Poll::Ready(error());
        }
        while !ending.goaway.is_empty() {
            match ready!(Pin::new(&mut self.io).poll_write(cx, &ending.goaway)) {
                Ok(written @ 1..) => drop(ending.goaway.drain(..written)),
                Ok(0) | Err(_) => return Poll::Ready(error()),
            }
        }
        if !ending.shut {
            if ready!(Pin::new(&mut self.io).poll_shutdown(cx)).is_err() {
                return Poll::Ready(error());
            }
            ending.shut = true;
        }
        let mut space = [0; 16 * 1024];
        loop {
            let mut away = ReadBuf::new(&mut space);
            match ready!(Pin::new(&mut self.io).poll_read(cx, &mut away)) {
                Ok(()) if !away.filled().is_empty() && ending.read_away < READ_AWAY => {
                    ending.read_away += away.filled().len();
                }
                Ok(()) | Err(_) => return Poll::Ready(error()),
            }
        }
    }
}

impl<S: AsyncRead + Unpin> Guard<S> {
    /// Reads away, for a moment, what a client still sends whom hyper has told of its fault, so that it can read that.
    fn linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.lingering.is_none() {
            self.read_alarm.set(LINGER);
        }
        let read = self.lingering.get_or_insert(0);
        let mut space = [0; 16 * 1024];
        loop {
            let mut away = ReadBuf::new(&mut space);
            match Pin::new(&mut self.io).poll_read(cx, &mut away) {
                Poll::Ready(Ok(())) if !away.filled().is_empty() && *read < READ_AWAY => *read += away.filled().len(),
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return self.read_alarm.poll(cx),
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Guard<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.ending.is_some() {
                return this.end(cx).map(Err);
            }
            let before = buf.filled().len();
            match Pin::new(&mut this.io).poll_read(cx, buf) {
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) => match this.inbound.advance(&buf.filled()[before..]) {
                    Ok(()) => {
                        this.watch();
                        this.inbound.tell(&this.interims);
                        return Poll::Ready(Ok(()));
                    }
                    Err(fault) => {
                        buf.set_filled(before);
                        this.give_up(fault);
                    }
                },
                Poll::Pending => {
                    this.watch();
                    ready!(this.read_alarm.poll(cx));
                    this.give_up(Fault::Slow);
                }
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> Guard<S> {
    /// Writes the interim answers that there are, where one frame of hyper's has ended and no header block has begun. Their
    /// requests have no answer yet, so nothing of one is written or waits to be.
    fn poll_interims(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.writer.as_ref().is_some_and(|task| task.will_wake(cx.waker())) {
            self.writer = Some(cx.waker().clone());
            self.interims.written_by(cx.waker().clone());
        }
        // A server's first frame is its SETTINGS (RFC 9113, section 3.4).
        let may = self.answers.begun && !self.answers.in_block && self.outbound.is_between();
        if may && self.taken.is_empty() && self.interims.wait() {
            self.taken = self.interims.take();
        }
        while !self.taken.is_empty() {
            let Poll::Ready(written) = Pin::new(&mut self.io).poll_write(cx, &self.taken) else {
                return self.stall.poll_late(cx).map(Err);
            };
            match written? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => {
                    self.stall.took(written);
                    drop(self.taken.drain(..written));
                }
            }
            self.streams.wrote();
        }
        Poll::Ready(Ok(()))
    }

    /// Follows what was written: the first `count` bytes of these.
    fn wrote<'a>(&mut self, bytes: impl Iterator<Item = &'a [u8]>, mut count: usize) {
        self.stall.took(count);
        self.streams.wrote();
        for piece in bytes {
            let piece = &piece[..piece.len().min(count)];
            count -= piece.len();
            let Ok(()) = self.outbound.advance(piece, &mut self.answers);
        }
        let frames = std::mem::take(&mut self.answers.frames);
        if frames > 0 {
            self.inbound.earn(frames.saturating_mul(EARNED));
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guard<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.ending.is_some() {
            // Nobody reads it any more.
            return Poll::Ready(Ok(buf.len()));
        }
        ready!(this.poll_interims(cx))?;
        let Poll::Ready(result) = Pin::new(&mut this.io).poll_write(cx, buf) else {
            return this.stall.poll_late(cx).map(Err);
        };
        if let Ok(count) = result {
            this.wrote(std::iter::once(buf), count);
        }
        Poll::Ready(result)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.ending.is_some() {
            return Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum()));
        }
        ready!(this.poll_interims(cx))?;
        let Poll::Ready(result) = Pin::new(&mut this.io).poll_write_vectored(cx, bufs) else {
            return this.stall.poll_late(cx).map(Err);
        };
        if let Ok(count) = result {
            this.wrote(bufs.iter().map(|buf| &**buf), count);
        }
        Poll::Ready(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.ending.is_some() {
            return Poll::Ready(Ok(()));
        }
        ready!(this.poll_interims(cx))?;
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.ending.is_some() {
            return Poll::Ready(Ok(()));
        }
        ready!(Pin::new(&mut this.io).poll_shutdown(cx))?;
        if this.answers.blames {
            ready!(this.linger(cx));
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests;
