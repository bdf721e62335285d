//! [`Guard`]: a connection as hyper may see it. Every request head and chunk line is checked before hyper gets it, and a
//! client that stalls is given up.
//!
//! A refused head is replaced by a plain request of our own, [`STAND_IN`], which hyper hands to the service in its turn; the
//! service asks [`Shared::refusal`] and answers it with the problem. So a refusal comes after the answers to the requests
//! before it on the connection, in order, whatever was pipelined. Bytes that pass are handed on where they were read, without
//! a copy, unless a head arrives in pieces.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::alarm::Alarm;
use super::framing::{Progress, Tracker};
use super::head::{Limits, Refusal};
use crate::config;

/// What hyper gets in place of a head that was refused.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";

/// How long to read away what a client sends after its last answer.
const LINGER: Duration = Duration::from_secs(1);

/// How long a client may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    keep_alive: Duration,
    head: Duration,
    body: Duration,
}

impl Timeouts {
    pub(super) fn new(config: &config::Server) -> Self {
        Self {
            keep_alive: config.keep_alive,
            head: config.header_timeout,
            body: config.body_idle_timeout,
        }
    }
}

/// What the guard of a connection and the service on it tell each other.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Whether a request is being answered: an idle client is then not idle, but waiting.
    busy: AtomicBool,
    /// Requests that the service has been called with.
    calls: AtomicU64,
    /// The number of the stand-in request, and why there is one.
    refused: OnceLock<(u64, Refusal)>,
}

impl Shared {
    /// Notes that the service is called, and says whether this call is the stand-in of a refused head.
    pub(super) fn begin(&self) -> Option<Refusal> {
        self.busy.store(true, Ordering::Relaxed);
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        self.refused
            .get()
            .filter(|(refused, _)| *refused == number)
            .map(|(_, why)| *why)
    }

    /// Notes that the answer is out.
    pub(super) fn finish(&self) {
        self.busy.store(false, Ordering::Relaxed);
    }
}

/// What the connection waits for the client to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// Nothing: it is our turn.
    Nothing,
    Request,
    Head,
    Body,
}

/// A guarded connection.
#[derive(Debug)]
pub(super) struct Guard<S> {
    io: S,
    tracker: Tracker,
    shared: Arc<Shared>,
    timeouts: Timeouts,
    /// The beginning of a head that is not complete.
    held: BytesMut,
    /// Bytes that are good and did not go straight to hyper.
    passed: BytesMut,
    refused: bool,
    lingering: bool,
    wait: Wait,
    read_alarm: Alarm,
    write_alarm: Alarm,
}

impl<S> Guard<S> {
    pub(super) fn new(io: S, limits: Limits, timeouts: Timeouts, shared: Arc<Shared>) -> Self {
        Self {
            io,
            tracker: Tracker::new(limits),
            shared,
            timeouts,
            held: BytesMut::new(),
            passed: BytesMut::new(),
            refused: false,
            lingering: false,
            wait: Wait::Nothing,
            read_alarm: Alarm::default(),
            write_alarm: Alarm::default(),
        }
    }

    fn refuse(&mut self, why: Refusal) {
        let _ = self.shared.refused.set((self.tracker.heads(), why));
        self.refused = true;
        self.held = BytesMut::new();
        self.passed.extend_from_slice(STAND_IN);
    }

    /// Nothing more to read for now: is the client late?
    fn late(&mut self, cx: &mut Context<'_>) -> Poll<Wait> {
        let wait = if !self.held.is_empty() {
            Wait::Head
        } else if !self.tracker.between_requests() {
            Wait::Body
        } else if self.shared.busy.load(Ordering::Relaxed) {
            Wait::Nothing
        } else {
            Wait::Request
        };
        if wait != self.wait {
            self.wait = wait;
            match wait {
                Wait::Nothing => self.read_alarm.clear(),
                Wait::Request => self.read_alarm.set(self.timeouts.keep_alive),
                Wait::Head => self.read_alarm.set(self.timeouts.head),
                Wait::Body => self.read_alarm.set(self.timeouts.body),
            }
        }
        ready!(self.read_alarm.poll(cx));
        Poll::Ready(wait)
    }

    /// Sorts what was read into `buf` after its first `before` bytes. Whether hyper gets something.
    fn sort(&mut self, buf: &mut ReadBuf<'_>, before: usize) -> io::Result<bool> {
        // A body that trickles on is alive; a head has its time from the first byte on.
        if self.wait == Wait::Body {
            self.wait = Wait::Nothing;
        }
        if !self.held.is_empty() {
            self.held.extend_from_slice(&buf.filled()[before..]);
            buf.set_filled(before);
            let progress = self.tracker.advance(&self.held);
            let good = match progress {
                Progress::All => self.held.len(),
                Progress::Partial { good } | Progress::Refused { good, .. } => good,
                Progress::Broken => return Err(broken()),
            };
            self.passed.unsplit(self.held.split_to(good));
            if let Progress::Refused { why, .. } = progress {
                self.refuse(why);
            }
            return Ok(false);
        }
        match self.tracker.advance(&buf.filled()[before..]) {
            Progress::All => return Ok(true),
            Progress::Partial { good } => {
                self.held.extend_from_slice(&buf.filled()[before + good..]);
                buf.set_filled(before + good);
            }
            Progress::Refused { good, why } => {
                buf.set_filled(before + good);
                self.refuse(why);
            }
            Progress::Broken => return Err(broken()),
        }
        Ok(buf.filled().len() > before)
    }
}

fn broken() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "the chunked framing of the request body is broken",
    )
}

impl<S: AsyncRead + Unpin> AsyncRead for Guard<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.passed.has_remaining() {
                let length = this.passed.remaining().min(buf.remaining());
                buf.put_slice(&this.passed[..length]);
                this.passed.advance(length);
                return Poll::Ready(Ok(()));
            }
            if this.refused {
                // The stand-in was the last request: whatever follows is not read.
                return Poll::Pending;
            }
            let before = buf.filled().len();
            match Pin::new(&mut this.io).poll_read(cx, buf) {
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) if buf.filled().len() == before => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) => {
                    if this.sort(buf, before)? {
                        return Poll::Ready(Ok(()));
                    }
                }
                Poll::Pending => match ready!(this.late(cx)) {
                    // An idle connection ends without a word: the end of the stream, as hyper sees it.
                    Wait::Request | Wait::Nothing => return Poll::Ready(Ok(())),
                    Wait::Head => this.refuse(Refusal::Timeout),
                    Wait::Body => {
                        let error =
                            io::Error::new(io::ErrorKind::TimedOut, "the client stopped sending its request body");
                        return Poll::Ready(Err(error));
                    }
                },
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> Guard<S> {
    /// A client that does not take its answer holds memory on both sides: it is given up like one that does not send.
    fn written<T>(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.write_alarm.clear();
            return result;
        }
        if !self.write_alarm.is_set() {
            self.write_alarm.set(self.timeouts.body);
        }
        ready!(self.write_alarm.poll(cx));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the client stopped reading its answer",
        )))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guard<S> {
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
        let this = self.get_mut();
        let result = Pin::new(&mut this.io).poll_flush(cx);
        this.written(cx, result)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.io).poll_shutdown(cx))?;
        this.linger(cx)
    }
}

impl<S: AsyncRead + Unpin> Guard<S> {
    /// Reads away, for a moment, what the client still sends after the last answer. Closing a socket with unread bytes
    /// resets the connection, and a reset can overtake the answer (RFC 9112, section 9.6).
    fn linger(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.refused && self.tracker.between_requests() {
            return Poll::Ready(Ok(()));
        }
        if !self.lingering {
            self.lingering = true;
            self.read_alarm.set(LINGER);
        }
        let mut space = [0; 16 * 1024];
        loop {
            let mut away = ReadBuf::new(&mut space);
            match Pin::new(&mut self.io).poll_read(cx, &mut away) {
                Poll::Ready(Ok(())) if !away.filled().is_empty() && !self.read_alarm.has_passed() => {}
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => return self.read_alarm.poll(cx).map(Ok),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const GOOD: &[u8] = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
    const BAD: &[u8] = b"GET /b HTTP/1.1\r\nHost: a\nX: y\r\n\r\n";

    fn guarded(head: Duration) -> (tokio::io::DuplexStream, Guard<tokio::io::DuplexStream>, Arc<Shared>) {
        let (client, server) = tokio::io::duplex(4096);
        let shared = Arc::new(Shared::default());
        let timeouts = Timeouts {
            keep_alive: Duration::from_secs(600),
            head,
            body: Duration::from_secs(600),
        };
        let limits = Limits {
            bytes: 1024,
            lines: 20,
            target: 512,
        };
        (
            client,
            Guard::new(server, limits, timeouts, Arc::clone(&shared)),
            shared,
        )
    }

    async fn read_exactly(guard: &mut Guard<tokio::io::DuplexStream>, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        guard.read_exact(&mut bytes).await.unwrap();
        bytes
    }

    #[tokio::test]
    async fn a_refused_head_becomes_the_stand_in_and_only_its_call_is_told_why() {
        let (mut client, mut guard, shared) = guarded(Duration::from_secs(600));
        client.write_all(GOOD).await.unwrap();
        client.write_all(BAD).await.unwrap();
        let seen = read_exactly(&mut guard, GOOD.len() + STAND_IN.len()).await;
        assert_eq!(seen, [GOOD, STAND_IN].concat());
        assert_eq!(shared.begin(), None);
        assert!(matches!(shared.begin(), Some(Refusal::Bad(_))));
    }

    #[tokio::test]
    async fn a_head_in_pieces_comes_out_whole() {
        let (mut client, mut guard, _) = guarded(Duration::from_secs(600));
        let writer = async {
            for byte in GOOD {
                client.write_all(&[*byte]).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let ((), seen) = tokio::join!(writer, read_exactly(&mut guard, GOOD.len()));
        assert_eq!(seen, GOOD);
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_does_not_end_is_refused_when_its_time_is_over() {
        let (mut client, mut guard, shared) = guarded(Duration::from_secs(10));
        client.write_all(b"GET /").await.unwrap();
        assert_eq!(read_exactly(&mut guard, STAND_IN.len()).await, STAND_IN);
        assert_eq!(shared.begin(), Some(Refusal::Timeout));
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_ends_and_a_busy_one_does_not() {
        let (_client, mut guard, shared) = guarded(Duration::from_secs(10));
        shared.begin();
        let mut byte = [0];
        let busy = tokio::time::timeout(Duration::from_secs(3600), guard.read(&mut byte)).await;
        assert!(busy.is_err(), "a client that waits for its answer was given up");
        shared.finish();
        assert_eq!(guard.read(&mut byte).await.unwrap(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_stops_within_a_body_is_given_up() {
        let (mut client, mut guard, shared) = guarded(Duration::from_secs(10));
        let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab";
        client.write_all(head).await.unwrap();
        shared.begin();
        read_exactly(&mut guard, head.len()).await;
        let error = guard.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_read_is_given_up() {
        let (_client, mut guard, _) = guarded(Duration::from_secs(10));
        let error = guard.write_all(&[0; 10_000]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
