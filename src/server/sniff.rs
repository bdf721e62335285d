//! Telling HTTP/2 from HTTP/1 on a connection that says neither beforehand: by the preface with which HTTP/2 begins
//! (RFC 9113, section 3.4), which is no request of HTTP/1. What was read is handed on, byte for byte.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::timeouts::Timeouts;
use super::{Phase, until_stopping};

const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a client speaks, and its connection with all bytes still in it.
#[derive(Debug)]
pub(super) enum Sniffed<S> {
    /// Anything that is not HTTP/2: whether it is good HTTP/1 is seen there.
    Http1(Rewound<S>),
    /// HTTP/2.
    Http2(Rewound<S>),
    /// The client sent nothing.
    Nothing,
}

/// Reads until it is clear what the client speaks. It has `keep_alive` until its first byte (a moment when the gateway
/// stops) and `header_timeout` from then on; one that is late is left to HTTP/1.
pub(super) async fn sniff<S: AsyncRead + Unpin>(
    mut io: S,
    timeouts: &Timeouts,
    phase: &mut watch::Receiver<Phase>,
) -> Sniffed<S> {
    let mut read = [0; PREFACE.len()];
    let mut length = 0;
    let mut deadline = Instant::now() + timeouts.keep_alive();
    let mut stopping = false;
    while length < PREFACE.len() && read[..length] == PREFACE[..length] {
        let count = tokio::select! {
            count = io.read(&mut read[length..]) => count,
            () = sleep_until(deadline) => Ok(0),
            idle = until_stopping(phase), if !stopping => {
                stopping = true;
                deadline = deadline.min(Instant::now() + idle);
                continue;
            }
        };
        match count {
            Ok(count @ 1..) if length == 0 => {
                length = count;
                deadline = Instant::now() + timeouts.head();
            }
            Ok(count @ 1..) => length += count,
            Ok(0) | Err(_) if length == 0 => return Sniffed::Nothing,
            Ok(0) | Err(_) => break,
        }
    }
    let is_http2 = read == *PREFACE;
    let rewound = Rewound::new(Bytes::copy_from_slice(&read[..length]), io);
    if is_http2 {
        Sniffed::Http2(rewound)
    } else {
        Sniffed::Http1(rewound)
    }
}

/// A connection whose first bytes were read already and come again.
#[derive(Debug)]
pub(super) struct Rewound<S> {
    read: Bytes,
    io: S,
}

impl<S> Rewound<S> {
    pub(super) const fn new(read: Bytes, io: S) -> Self {
        Self { read, io }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Rewound<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.read.is_empty() {
            return Pin::new(&mut this.io).poll_read(cx, buf);
        }
        buf.put_slice(&this.read.split_to(this.read.len().min(buf.remaining())));
        if this.read.is_empty() {
            // Whatever they are part of is let go of.
            this.read = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Rewound<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write_vectored(cx, bufs)
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
