//! [`Guard`]: a connection as hyper may see it. Every request head and chunk line is checked before hyper gets it, and a
//! client that stalls is given up.
//!
//! A refused head is replaced by a plain request of our own, [`STAND_IN`], which hyper hands to the service in its turn; the
//! service asks [`Shared::begin`] and answers it with the problem. So a refusal comes after the answers to the requests
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
use tokio::sync::Notify;
use tokio::time::Instant;

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

    /// These very ones.
    #[cfg(test)]
    pub(super) const fn of(keep_alive: Duration, head: Duration, body: Duration) -> Self {
        Self { keep_alive, head, body }
    }

    /// How long a connection may idle between requests.
    pub(super) const fn keep_alive(&self) -> Duration {
        self.keep_alive
    }

    /// How long a client may pause within a body, sending or receiving.
    pub(super) const fn body(&self) -> Duration {
        self.body
    }

    /// How long a request head may take from its first byte on.
    pub(super) const fn head(&self) -> Duration {
        self.head
    }
}

/// What the guard of a connection and the service on it tell each other.
#[derive(Debug)]
pub(super) struct Shared {
    /// Whether a request is being answered: an idle client is then not idle, but waiting.
    busy: AtomicBool,
    /// When the connection began.
    started: Instant,
    /// Milliseconds from then until the last answer was out.
    finished: AtomicU64,
    /// Requests that the service has been called with.
    calls: AtomicU64,
    /// Told of the first of them.
    called: Notify,
    /// The number of the stand-in request, and why there is one.
    refused: OnceLock<(u64, Refusal)>,
}

impl Shared {
    pub(super) fn new() -> Self {
        Self {
            busy: AtomicBool::new(false),
            started: Instant::now(),
            finished: AtomicU64::new(0),
            calls: AtomicU64::new(0),
            called: Notify::new(),
            refused: OnceLock::new(),
        }
    }

    /// How much of `limit` a connection between requests has left; all of it while a request is being answered.
    fn idle_time_left(&self, limit: Duration) -> Option<Duration> {
        if self.busy.load(Ordering::Relaxed) {
            return Some(limit);
        }
        let finished = Duration::from_millis(self.finished.load(Ordering::Relaxed));
        let left = limit.saturating_sub(self.started.elapsed().saturating_sub(finished));
        (!left.is_zero()).then_some(left)
    }

    /// Notes that the service is called, and says whether this call is the stand-in of a refused head.
    pub(super) fn begin(&self) -> Option<Refusal> {
        self.busy.store(true, Ordering::Relaxed);
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        if number == 0 {
            self.called.notify_one();
        }
        self.refused
            .get()
            .filter(|(refused, _)| *refused == number)
            .map(|(_, why)| *why)
    }

    /// Whether the service has been called with this many requests.
    fn has_called(&self, heads: u64) -> bool {
        self.calls.load(Ordering::Relaxed) >= heads
    }

    /// Waits until the service has been called.
    pub(super) async fn first_call(&self) {
        if self.calls.load(Ordering::Relaxed) == 0 {
            self.called.notified().await;
        }
    }

    /// Notes that the answer is out.
    pub(super) fn finish(&self) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.finished.store(now, Ordering::Relaxed);
        self.busy.store(false, Ordering::Relaxed);
    }
}

/// What the connection waits for the client to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// To send a request, or to wait for its answer.
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
    /// The framing of a body broke; what came before it is still to be used.
    broken: bool,
    lingering: bool,
    wait: Option<Wait>,
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
            broken: false,
            lingering: false,
            wait: None,
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
        let wait = match (self.tracker.between_requests(), self.held.is_empty()) {
            (false, _) => Wait::Body,
            (true, false) => Wait::Head,
            (true, true) => Wait::Request,
        };
        if self.wait != Some(wait) {
            self.wait = Some(wait);
            self.read_alarm.set(match wait {
                Wait::Request => self.timeouts.keep_alive,
                Wait::Head => self.timeouts.head,
                Wait::Body => self.timeouts.body,
            });
        }
        loop {
            ready!(self.read_alarm.poll(cx));
            if wait != Wait::Request {
                return Poll::Ready(wait);
            }
            // hyper does not ask again when an answer is out, so it is only now seen how long the client has been idle.
            match self.shared.idle_time_left(self.timeouts.keep_alive) {
                Some(left) => self.read_alarm.set(left),
                None => return Poll::Ready(wait),
            }
        }
    }

    /// Sorts what was read into `buf` after its first `before` bytes. Whether hyper gets something.
    fn sort(&mut self, buf: &mut ReadBuf<'_>, before: usize) -> bool {
        // A body that trickles on is alive; a head has its time from the first byte on.
        if self.wait != Some(Wait::Head) {
            self.wait = None;
        }
        if !self.held.is_empty() {
            self.held.extend_from_slice(&buf.filled()[before..]);
            buf.set_filled(before);
            let progress = self.tracker.advance(&self.held);
            let good = progress.good(self.held.len());
            self.passed.unsplit(self.held.split_to(good));
            if good > 0 {
                // The next head has a time of its own.
                self.wait = None;
            }
            self.stop_at(progress);
            return false;
        }
        let fresh = &buf.filled()[before..];
        let progress = self.tracker.advance(fresh);
        let good = progress.good(fresh.len());
        if let Progress::Partial { .. } = progress {
            self.held.extend_from_slice(&fresh[good..]);
        }
        buf.set_filled(before + good);
        self.stop_at(progress);
        good > 0
    }

    fn stop_at(&mut self, progress: Progress) {
        match progress {
            Progress::All | Progress::Partial { .. } => {}
            Progress::Refused { why, .. } => self.refuse(why),
            Progress::Broken { .. } => self.broken = true,
        }
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
            if this.broken {
                // hyper also reads while an earlier request is being answered, to learn of a hang-up: that answer is good.
                return if this.shared.has_called(this.tracker.heads()) {
                    Poll::Ready(Err(broken()))
                } else {
                    Poll::Pending
                };
            }
            let before = buf.filled().len();
            match Pin::new(&mut this.io).poll_read(cx, buf) {
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) if buf.filled().len() == before => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) => {
                    if this.sort(buf, before) {
                        return Poll::Ready(Ok(()));
                    }
                }
                Poll::Pending => match ready!(this.late(cx)) {
                    // An idle connection ends without a word: the end of the stream, as hyper sees it.
                    Wait::Request => return Poll::Ready(Ok(())),
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
        // A socket has nothing to flush: this says nothing about whether the client reads.
        Pin::new(&mut this.io).poll_flush(cx)
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
mod tests;
