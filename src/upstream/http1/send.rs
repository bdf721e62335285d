//! [`Outgoing`]: a request on its way out: its head, and its body as it comes.

use std::io::{self, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::request;
use http_body::Body as _;

use super::gather::Gather;
use super::head::{self, Framing};
use super::stream::Stream;
use crate::upstream::{BodyFailure, RequestBody};

/// What is to be sent.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    out: Gather,
    body: Option<(RequestBody, Framing)>,
    /// Why the server takes no more.
    failure: Option<io::Error>,
}

impl Outgoing {
    pub(super) fn begin(&mut self, parts: &request::Parts, body: RequestBody) {
        let has_body = !body.is_end_stream();
        let framing = head::write(parts, has_body, self.out.text());
        self.body = has_body.then_some((body, framing));
    }

    /// Whether all has been sent, or the server takes no more.
    pub(super) const fn is_done(&self) -> bool {
        self.body.is_none() && self.out.is_out()
    }

    /// Whether the server takes no more.
    pub(super) const fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Why the server takes no more, if that is so.
    pub(super) const fn take_failure(&mut self) -> Option<io::Error> {
        self.failure.take()
    }

    /// Sends until all has been sent, or the server takes no more, which is kept for whoever gets no answer. The failure is
    /// the body's.
    pub(super) fn poll(&mut self, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<Result<(), BodyFailure>> {
        loop {
            // First what there is of the body, so that it goes out with the head.
            let waits = self.out.has_room() && self.body.is_some() && self.fetch(cx)?.is_pending();
            match self.poll_write(stream, cx, waits) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) if self.body.is_none() && self.out.is_written() => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) if waits => return Poll::Pending,
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => {
                    *self = Self {
                        failure: Some(error),
                        ..Self::default()
                    };
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }

    /// Takes the next part of the body.
    fn fetch(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, BodyFailure> {
        loop {
            let Some((body, framing)) = &mut self.body else {
                return Ok(Poll::Ready(()));
            };
            let frame = match Pin::new(&mut *body).poll_frame(cx) {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(frame) => frame.transpose()?,
            };
            let ended = body.is_end_stream();
            let Some(frame) = frame else {
                return self.end(b"0\r\n\r\n").map(Poll::Ready);
            };
            match frame.into_data() {
                Ok(data) if data.is_empty() => {}
                Ok(data) => {
                    match framing {
                        Framing::None => return Err(BodyFailure::Broken),
                        Framing::Length(left) => {
                            *left = left.checked_sub(data.len() as u64).ok_or(BodyFailure::Broken)?;
                        }
                        Framing::Chunked => {
                            let _ = write!(self.out.text(), "{:x}\r\n", data.len());
                        }
                    }
                    let tail: &[u8] = if *framing == Framing::Chunked { b"\r\n" } else { b"" };
                    self.out.put(data, tail);
                    if ended {
                        // Known at once, the end goes out with the data.
                        self.end(b"\r\n0\r\n\r\n")?;
                    }
                    return Ok(Poll::Ready(()));
                }
                Err(frame) => {
                    if let Ok(trailers) = frame.into_trailers()
                        && *framing == Framing::Chunked
                    {
                        self.out.text().extend_from_slice(b"0\r\n");
                        for (name, value) in &trailers {
                            head::write_header_line(name, value, self.out.text());
                        }
                        return self.end(b"\r\n").map(Poll::Ready);
                    }
                }
            }
        }
    }

    /// All of the body has come: `last` is what ends a chunked one.
    fn end(&mut self, last: &'static [u8]) -> Result<(), BodyFailure> {
        match self.body.take() {
            Some((_, Framing::Chunked)) => self.out.set_tail(last),
            Some((_, Framing::Length(left))) if left > 0 => return Err(BodyFailure::Broken),
            Some((_, Framing::Length(_) | Framing::None)) | None => {}
        }
        Ok(())
    }

    /// Writes what is there.
    fn poll_write(&mut self, stream: &mut Stream, cx: &mut Context<'_>, waits: bool) -> Poll<io::Result<()>> {
        ready!(self.out.poll_write(stream, cx))?;
        if waits || self.body.is_none() {
            ready!(self.out.poll_flush(stream, cx))?;
        }
        Poll::Ready(Ok(()))
    }
}
