//! [`Upload`]: the body of a request on its way from the connection to whoever handles the request.

use std::io;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite};

use super::framing::{Broken, Decoder, Step};
use super::line::Line;
use crate::server::head::Framing;
use crate::upstream::{Appetite, Feed, Incoming};

/// Tells a client that waits for it to send the body (RFC 9110, section 15.2.1).
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The body of one request.
#[derive(Debug)]
pub(super) struct Upload {
    decoder: Decoder,
    feed: Feed,
    /// Whether the client waits to be told to go on.
    expects: bool,
}

impl Upload {
    /// How the body is read that is framed like this, and what is read; `None`: there is nothing to read.
    pub(super) fn new(framing: Framing, expects: bool) -> (Option<Self>, Incoming) {
        let decoder = Decoder::new(framing);
        let length = match framing {
            Framing::None => return (None, Incoming::empty()),
            Framing::Length(bytes) => Some(bytes),
            Framing::Chunked => None,
        };
        let (feed, body) = Incoming::fed(length);
        let upload = Self { decoder, feed, expects };
        (Some(upload), body)
    }

    /// Whether all of the body was read.
    pub(super) fn has_ended(&self) -> bool {
        self.decoder == Decoder::Done
    }

    /// Brings the next part, if it is wanted: ready when whoever handles the request may go on with it. Nothing is asked of a
    /// client that has its answer already.
    pub(super) fn poll<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        line: &mut Line<S>,
        is_answered: bool,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        match self.feed.poll_wanted(cx) {
            Appetite::Hungry => {}
            Appetite::Full | Appetite::Gone => return Poll::Pending,
        }
        if std::mem::take(&mut self.expects) && !is_answered && line.is_drained() {
            line.out.text().extend_from_slice(CONTINUE);
            // What can't be written now is written with the answer, or goes the way of the connection.
            let _ = line.poll_flush(cx);
        }
        loop {
            let error = match self.decoder.step(&mut line.input, &line.limits) {
                Ok(Step::Frame(frame)) => {
                    if self.has_ended() {
                        line.body_ended();
                    }
                    self.feed.put(Some(frame), self.has_ended(), cx);
                    return Poll::Ready(());
                }
                Ok(Step::Ended) => {
                    line.body_ended();
                    self.feed.put(None, true, cx);
                    return Poll::Ready(());
                }
                Ok(Step::More) => match line.poll_read_body(self.decoder.expected(), cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(1..)) => continue,
                    Poll::Ready(Ok(0)) => io::Error::new(io::ErrorKind::UnexpectedEof, "the request body broke off"),
                    Poll::Ready(Err(error)) => error,
                },
                Err(Broken) => io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the chunked framing of the request body is broken",
                ),
            };
            self.feed.fail(error, cx);
            return Poll::Ready(());
        }
    }
}
