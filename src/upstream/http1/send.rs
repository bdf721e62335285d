//! [`Outgoing`]: a request on its way out: its head, and its body as it comes.

use std::io::{self, IoSlice, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::request;
use http_body::Body as _;
use tokio::io::AsyncWrite;

use super::head::{self, Framing};
use super::stream::Stream;
use crate::upstream::{BodyFailure, RequestBody};

/// A buffer that has grown larger than this is not kept.
const KEPT: usize = 16 * 1024;

/// What is to be sent.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    /// The head, or what stands before a chunk; sent up to `at`.
    text: Vec<u8>,
    at: usize,
    /// Part of the body, where it was read to: no copy.
    data: Bytes,
    /// What follows it.
    tail: &'static [u8],
    body: Option<(RequestBody, Framing)>,
    unflushed: bool,
    /// Why the server takes no more.
    failure: Option<io::Error>,
}

impl Outgoing {
    pub(super) fn begin(&mut self, parts: &request::Parts, body: RequestBody) {
        self.text.clear();
        self.at = 0;
        let has_body = !body.is_end_stream();
        let framing = head::write(parts, has_body, &mut self.text);
        self.body = has_body.then_some((body, framing));
    }

    /// Whether all has been sent, or the server takes no more.
    pub(super) const fn is_done(&self) -> bool {
        self.body.is_none() && self.is_written() && !self.unflushed
    }

    const fn is_written(&self) -> bool {
        self.at == self.text.len() && self.data.is_empty() && self.tail.is_empty()
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
            let waits =
                self.data.is_empty() && self.tail.is_empty() && self.body.is_some() && self.fetch(cx)?.is_pending();
            match self.poll_write(stream, cx, waits) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) if self.body.is_none() && self.is_written() => return Poll::Ready(Ok(())),
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
                            let _ = write!(self.text, "{:x}\r\n", data.len());
                            self.tail = b"\r\n";
                        }
                    }
                    self.data = data;
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
                        self.text.extend_from_slice(b"0\r\n");
                        for (name, value) in &trailers {
                            head::line(name, value, &mut self.text);
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
            Some((_, Framing::Chunked)) => self.tail = last,
            Some((_, Framing::Length(left))) if left > 0 => return Err(BodyFailure::Broken),
            Some((_, Framing::Length(_) | Framing::None)) | None => {}
        }
        Ok(())
    }

    /// Writes what is there.
    fn poll_write(&mut self, stream: &mut Stream, cx: &mut Context<'_>, waits: bool) -> Poll<io::Result<()>> {
        while !self.is_written() {
            let text = self.text.get(self.at..).unwrap_or_default();
            let sent = if self.data.is_empty() && self.tail.is_empty() {
                ready!(Pin::new(&mut *stream).poll_write(cx, text))?
            } else {
                let slices = [IoSlice::new(text), IoSlice::new(&self.data), IoSlice::new(self.tail)];
                ready!(Pin::new(&mut *stream).poll_write_vectored(cx, &slices))?
            };
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unflushed = true;
            self.sent(sent);
        }
        if self.unflushed && (waits || self.body.is_none()) {
            ready!(Pin::new(stream).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    fn sent(&mut self, mut sent: usize) {
        let of_text = sent.min(self.text.len() - self.at);
        self.at += of_text;
        sent -= of_text;
        if self.at == self.text.len() {
            self.text.clear();
            self.text.shrink_to(KEPT);
            self.at = 0;
        }
        let of_data = sent.min(self.data.len());
        self.data.advance(of_data);
        if self.data.is_empty() {
            // Whatever it is part of is let go of.
            self.data = Bytes::new();
        }
        self.tail = &self.tail[sent - of_data..];
    }
}
