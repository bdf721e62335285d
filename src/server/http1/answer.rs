//! [`Answer`]: an answer on its way to a client.

use std::io::{self, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Response;
use http_body::{Body as _, Frame};
use tokio::io::{AsyncRead, AsyncWrite};

use super::Alone;
use super::line::Line;
use super::status::{self, Asked, Framing};
use crate::gateway::Body;
use crate::upstream::{Gather, write_header_line};

/// Data that is no longer than this is copied behind what stands before it: cheaper than to tell the kernel of one piece more.
const COPIED: usize = 4 * 1024;
/// With more text than this, none is added before some is written.
const ENOUGH: usize = 16 * 1024;

/// An answer whose head was written.
#[derive(Debug)]
pub(super) struct Answer {
    /// Until the last byte is out: then the request is logged.
    body: Body<Alone>,
    framing: Framing,
    takes_trailers: bool,
    /// Whether all of the body was taken.
    ended: bool,
    /// Whether another request may follow.
    pub(super) keeps: bool,
}

impl Answer {
    /// Writes the head to `out`. The answer is the last on its connection if `is_last`.
    pub(super) fn begin(response: Response<Body<Alone>>, asked: Asked, is_last: bool, out: &mut Gather) -> Self {
        let (parts, body) = response.into_parts();
        let (framing, keeps) = status::write(&parts, body.size_hint().exact(), asked, is_last, out.text());
        Self {
            ended: framing == Framing::None || (framing == Framing::Length(0)),
            body,
            framing,
            takes_trailers: asked.wishes.trailers,
            keeps,
        }
    }

    /// Sends until all is out. An error: the client does not get all, and must not believe that it did.
    pub(super) fn poll<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        line: &mut Line<S>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            // First what there is of the body, so that it goes out with the head.
            let waits = match self.fetch(&mut line.out, cx) {
                Ok(waits) => waits,
                Err(error) => {
                    let _ = line.poll_flush(cx);
                    return Poll::Ready(Err(error));
                }
            };
            if line.poll_write(cx)?.is_pending() {
                // The body is not asked for more, which would say so, before the client takes what there is.
                return match self.body.ended() {
                    Some(why) => {
                        let error = format!("what the client does not take was ended: {why}");
                        Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionAborted, error)))
                    }
                    None => Poll::Pending,
                };
            }
            if self.ended || waits {
                ready!(line.poll_flush(cx))?;
                return if self.ended { Poll::Ready(Ok(())) } else { Poll::Pending };
            }
        }
    }

    /// Takes of the body what there is and what there is room for. Whether it has to be waited for.
    fn fetch(&mut self, out: &mut Gather, cx: &mut Context<'_>) -> io::Result<bool> {
        while !self.ended && out.has_room() && out.text_len() < ENOUGH {
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
                return Ok(true);
            };
            match frame.transpose().map_err(io::Error::other)? {
                Some(frame) => self.add(frame, out)?,
                None => self.end(out)?,
            }
        }
        Ok(false)
    }

    fn add(&mut self, frame: Frame<Bytes>, out: &mut Gather) -> io::Result<()> {
        match frame.into_data() {
            Ok(data) if data.is_empty() => {}
            Ok(data) => {
                let tail: &[u8] = match &mut self.framing {
                    Framing::None => return Ok(()),
                    Framing::Length(left) => {
                        *left = left.checked_sub(data.len() as u64).ok_or_else(wrong_length)?;
                        b""
                    }
                    Framing::Chunked => {
                        let _ = write!(out.text(), "{:x}\r\n", data.len());
                        b"\r\n"
                    }
                    Framing::Close => b"",
                };
                if data.len() <= COPIED {
                    out.text().extend_from_slice(&data);
                    out.text().extend_from_slice(tail);
                } else {
                    out.put(data, tail);
                }
            }
            Err(frame) => {
                if let Ok(trailers) = frame.into_trailers()
                    && self.framing == Framing::Chunked
                {
                    out.text().extend_from_slice(b"0\r\n");
                    // Whoever did not ask for them may not look for them (RFC 9110, section 6.5.1).
                    for (name, value) in trailers.iter().filter(|_| self.takes_trailers) {
                        write_header_line(name, value, out.text());
                    }
                    out.text().extend_from_slice(b"\r\n");
                    self.ended = true;
                    return Ok(());
                }
            }
        }
        if self.body.is_end_stream() {
            // Known at once, the end goes out with the data.
            self.end(out)?;
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Gather) -> io::Result<()> {
        self.ended = true;
        match self.framing {
            Framing::Chunked if out.has_room() => out.text().extend_from_slice(b"0\r\n\r\n"),
            Framing::Chunked => out.set_tail(b"\r\n0\r\n\r\n"),
            Framing::Length(1..) => return Err(wrong_length()),
            Framing::Length(0) | Framing::None | Framing::Close => {}
        }
        Ok(())
    }
}

fn wrong_length() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the answer is not as long as it says")
}
