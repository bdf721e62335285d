//! [`Http1`]: a connection of HTTP/1.1 to a server, which carries one exchange at a time.
//!
//! No task drives it, but where an answer begins before its request has ended ([`Driven`]): whoever waits for the answer, or
//! reads it, writes the request and reads the connection. So nothing is handed from one task to another, nothing is read that nobody has asked for, and dropping it closes it, whatever it is
//! doing: a server that has answered but does not take the rest of the request would otherwise hold it, and the client's
//! connection behind it, for as long as it likes.

mod decode;
mod drive;
mod gather;
mod head;
mod send;
mod stream;
#[cfg(test)]
mod tests;

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use http::{Method, StatusCode, request, response};
use http_body::Frame;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use super::connection::MAX_HEAD;
use super::slots::Slot;
use super::{Fault, Hints, RequestBody};
pub(super) use decode::Decoder;
use decode::Step;
pub(super) use drive::Driven;
pub use gather::Gather;
use head::Head;
pub use head::{body_length, write_header_line};
use send::Outgoing;
pub(super) use stream::Stream;

/// Room to read into: the usual answer, head and body, fits.
const ROOM: usize = 8 * 1024;
/// With less room than this, more is made before the next read.
const LITTLE_ROOM: usize = 2 * 1024;
/// The most that is read of a large body at once.
const MOST_ROOM: u64 = 64 * 1024;
/// How many interim answers (RFC 9110, section 15.2) may come before the answer.
const MAX_INTERIM: u32 = 10_000;

/// A connection that carries one exchange at a time.
#[derive(Debug)]
pub(super) struct Http1 {
    // Boxed: each answer on its way carries it.
    wire: Box<Wire>,
}

#[derive(Debug)]
struct Wire {
    stream: Stream,
    /// What was read and not yet used.
    input: BytesMut,
    out: Outgoing,
    /// Until when it takes new requests.
    young_until: Instant,
    /// Whether the answer under way, if there is one, leaves it as it was.
    keep: bool,
    /// Whether it carries nothing.
    at_rest: bool,
    /// What went wrong, before it is told.
    fault: Option<Fault>,
    /// Dropped last, when the socket is closed.
    _slot: Option<Slot>,
}

impl Http1 {
    pub(super) fn new(stream: Stream, young_until: Instant, slot: Option<Slot>) -> Self {
        Self {
            wire: Box::new(Wire {
                stream,
                input: BytesMut::new(),
                out: Outgoing::default(),
                young_until,
                keep: true,
                at_rest: true,
                fault: None,
                _slot: slot,
            }),
        }
    }

    /// Until when it takes new requests.
    pub(super) fn young_until(&self) -> Instant {
        self.wire.young_until
    }

    /// Whether it carries nothing, and the next request may be sent on it, as far as is known by now.
    pub(super) fn is_ready(&mut self) -> bool {
        let wire = &mut *self.wire;
        wire.at_rest && wire.keep && wire.input.is_empty() && wire.stream.is_quiet()
    }

    /// Sends a request and waits for the head of its answer, however long that takes. The rest of a body goes on being sent
    /// while the answer is [read](Self::poll_frame).
    pub(super) async fn send(
        &mut self,
        parts: &request::Parts,
        body: RequestBody,
        hints: Option<Hints<'_>>,
    ) -> Result<(response::Parts, Decoder), Fault> {
        let wire = &mut *self.wire;
        wire.at_rest = false;
        wire.out.begin(parts, body);
        let mut count = 0;
        let mut pass = |head: &Head| {
            count += 1;
            if let Some(hints) = hints {
                hints.pass(head.parts.status, &head.parts.headers);
            }
            count <= MAX_INTERIM
        };
        let head = poll_fn(|cx| wire.poll_head(cx, &parts.method, &mut pass)).await?;
        wire.keep &= head.keep;
        wire.rest(&head.body);
        Ok((head.parts, head.body))
    }

    /// Whether the request has been sent to its end, or the server takes no more of it.
    pub(super) const fn has_sent(&self) -> bool {
        self.wire.out.is_done()
    }

    /// The next part of the answer's body; sends what there is to send meanwhile.
    pub(super) fn poll_frame(
        &mut self,
        body: &mut Decoder,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let wire = &mut *self.wire;
        if let Some(fault) = wire.fault.take() {
            return Poll::Ready(Some(Err(fault)));
        }
        let step = ready!(wire.poll_step(body, cx));
        wire.rest(body);
        match step {
            Ok(Step::Frame(frame)) => Poll::Ready(Some(Ok(frame))),
            Ok(Step::Ended | Step::More) => Poll::Ready(None),
            Err(fault) => {
                // In the next turn: whoever passes the answer on can let go of what was good of it, and it is seen to break off
                // there. In this one, a part that came together with its end would never leave the gateway.
                wire.keep = false;
                wire.fault = Some(fault);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }
}

impl Wire {
    /// Notes whether all that is under way has ended.
    fn rest(&mut self, body: &Decoder) {
        self.at_rest = matches!(body, Decoder::Done) && self.out.is_done();
    }

    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        method: &Method,
        pass: &mut impl FnMut(&Head) -> bool,
    ) -> Poll<Result<Head, Fault>> {
        // What was there has no head in it.
        let mut searched = self.input.len();
        loop {
            self.poll_send(cx)?;
            // Only a line end can end a head: one that comes byte by byte is not read again for each.
            while memchr::memchr(b'\n', self.input.get(searched..).unwrap_or_default()).is_some() {
                searched = 0;
                let Some(head) = head::take(&mut self.input, method)? else {
                    break;
                };
                let is_interim = head.parts.status.is_informational();
                if !is_interim || head.parts.status == StatusCode::SWITCHING_PROTOCOLS {
                    return Poll::Ready(Ok(head));
                }
                if !pass(&head) {
                    return Poll::Ready(Err(Fault::NotHttp("the server does not come to its answer")));
                }
            }
            searched = self.input.len();
            if searched > MAX_HEAD {
                return Poll::Ready(Err(Fault::NotHttp("the head of the answer is too large")));
            }
            if ready!(self.poll_fill(cx, 0))? == 0 {
                return Poll::Ready(Err(self.out.take_failure().map_or(Fault::Closed, Fault::Broken)));
            }
        }
    }

    fn poll_step(&mut self, body: &mut Decoder, cx: &mut Context<'_>) -> Poll<Result<Step, Fault>> {
        loop {
            self.poll_send(cx)?;
            match body.step(&mut self.input)? {
                Step::More => {}
                step @ (Step::Frame(_) | Step::Ended) => return Poll::Ready(Ok(step)),
            }
            if ready!(self.poll_fill(cx, body.expected()))? == 0 {
                self.keep = false;
                if self.out.has_failed() {
                    // The failure to write took the word of a reset away: this is no end that the server meant.
                    return Poll::Ready(Err(Fault::Closed));
                }
                body.close()?;
            }
        }
    }

    /// Sends what can be sent now. A server that takes no more may still answer: only the client's failures are told here.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Result<(), Fault> {
        if self.out.is_done() {
            return Ok(());
        }
        let sent = self.out.poll(&mut self.stream, cx);
        self.keep &= !self.out.has_failed();
        match sent {
            Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
            Poll::Ready(Err(failure)) => {
                self.keep = false;
                // A body that has failed must not be asked again: it could seem to have ended.
                self.out = Outgoing::default();
                Err(failure.into())
            }
        }
    }

    /// Reads more; how much.
    fn poll_fill(&mut self, cx: &mut Context<'_>, expected: u64) -> Poll<io::Result<usize>> {
        if self.input.capacity() - self.input.len() < LITTLE_ROOM {
            let expected = usize::try_from(expected.min(MOST_ROOM)).unwrap_or(ROOM);
            // What was read before and is let go of by now is used again.
            self.input.reserve(expected.max(ROOM));
        }
        pin!(self.stream.read_buf(&mut self.input)).poll(cx)
    }
}

/// After an upgrade, what follows on the connection is not HTTP.
impl AsyncRead for Http1 {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let wire = &mut *self.get_mut().wire;
        if wire.input.is_empty() {
            return Pin::new(&mut wire.stream).poll_read(cx, buf);
        }
        let size = wire.input.len().min(buf.remaining());
        buf.put_slice(&wire.input[..size]);
        wire.input.advance(size);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Http1 {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().wire.stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().wire.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().wire.stream).poll_shutdown(cx)
    }
}
