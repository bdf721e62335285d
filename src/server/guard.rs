//! [`Guard`]: a connection as hyper may see it. Every request head and chunk line is checked before hyper gets it, and a
//! client that stalls is given up.
//!
//! A refused head is replaced by a plain request of our own, [`STAND_IN`], which hyper hands to the service in its turn; the
//! service asks [`Shared::begin`] and answers it with the problem. So a refusal comes after the answers to the requests
//! before it on the connection, in order, whatever was pipelined. Bytes that pass are handed on where they were read, without
//! a copy, unless a head arrives in pieces.

mod interims;
mod park;
mod shared;
mod write;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::oneshot;

use super::alarm::Alarm;
use super::framing::{Progress, Tracker};
use super::head::{Limits, Refusal};
use super::pace::Pace;
use super::patient::Stall;
use crate::config;

pub(super) use park::PARK_AFTER;
pub(super) use shared::Shared;

/// What hyper gets in place of a head that was refused.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";

/// The most that is read of what may follow an upgrade, before it is known whether there is one.
const HELD: usize = 64 * 1024;

/// How long to read away what a client sends after its last answer.
const LINGER: Duration = Duration::from_secs(1);

/// How long a client may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    keep_alive: Duration,
    head: Duration,
    body: Duration,
    /// Bytes a second that a client has to keep up, beyond that.
    rate: u64,
}

impl Timeouts {
    pub(super) fn new(config: &config::Server) -> Self {
        Self {
            keep_alive: config.keep_alive,
            head: config.header_timeout,
            body: config.body_idle_timeout,
            rate: config.min_body_rate,
        }
    }

    /// These very ones.
    #[cfg(test)]
    pub(super) const fn of(keep_alive: Duration, head: Duration, body: Duration) -> Self {
        Self {
            keep_alive,
            head,
            body,
            rate: 0,
        }
    }

    /// These, with this pace.
    #[cfg(test)]
    pub(super) const fn at_rate(mut self, rate: u64) -> Self {
        self.rate = rate;
        self
    }

    /// How slow a client may be on average, sending or receiving.
    pub(super) const fn pace(&self) -> Pace {
        Pace::new(self.rate, self.body)
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

/// What the connection waits for the client to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// To send a request, or to wait for its answer.
    Request,
    Head,
    Body,
}

/// What the connection has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Requests are followed.
    Http,
    /// A head was refused: nothing more is read.
    Refused,
    /// The framing of a body broke; what came before it is still to be used.
    Broken,
    /// HTTP is over: what follows is not ours to read.
    Upgraded,
}

/// A guarded connection.
#[derive(Debug)]
pub(super) struct Guard<S> {
    io: park::Bytes<S>,
    tracker: Tracker,
    shared: Arc<Shared>,
    timeouts: Timeouts,
    /// The beginning of a head that is not complete.
    held: BytesMut,
    /// Bytes that are good and did not go straight to hyper.
    passed: BytesMut,
    stage: Stage,
    lingering: bool,
    wait: Option<Wait>,
    read_alarm: Alarm,
    sends: Pace,
    stall: Stall,
    /// What is left to write of interim answers.
    interims: BytesMut,
    /// Who was said to write them.
    writer: Option<Waker>,
    /// The number of the request whose answer hyper writes next, if it has written all else and nothing since.
    clean_for: Option<u64>,
    /// Whether hyper has nothing left to write.
    flushed: bool,
    /// Where the bytes go when it is parked, if it can be.
    park: Option<oneshot::Sender<S>>,
    /// What was read before it came here.
    first: Option<u8>,
}

impl<S> Guard<S> {
    pub(super) fn new(io: S, limits: Limits, timeouts: Timeouts, shared: Arc<Shared>) -> Self {
        Self {
            io: park::Bytes::new(io),
            tracker: Tracker::new(limits),
            shared,
            timeouts,
            held: BytesMut::new(),
            passed: BytesMut::new(),
            stage: Stage::Http,
            lingering: false,
            wait: None,
            read_alarm: Alarm::default(),
            sends: timeouts.pace(),
            stall: Stall::new(&timeouts),
            interims: BytesMut::new(),
            writer: None,
            clean_for: None,
            flushed: true,
            park: None,
            first: None,
        }
    }

    fn refuse(&mut self, why: Refusal) {
        self.shared.refuse(self.tracker.heads(), why);
        self.stage = Stage::Refused;
        self.held = BytesMut::new();
        self.passed.extend_from_slice(STAND_IN);
    }

    /// Nothing more to read for now: is the client late?
    fn late(&mut self, cx: &mut Context<'_>) -> Poll<Wait> {
        let wait = match (self.tracker.between_requests(), self.held.is_empty()) {
            _ if self.tracker.holds() => Wait::Request,
            (false, _) => Wait::Body,
            (true, false) => Wait::Head,
            (true, true) => Wait::Request,
        };
        if self.wait != Some(wait) {
            self.wait = Some(wait);
            self.read_alarm.set(match wait {
                Wait::Request => self.idle_limit(),
                Wait::Head => self.timeouts.head,
                Wait::Body => self.timeouts.body.min(self.sends.wait()),
            });
        }
        loop {
            ready!(self.read_alarm.poll(cx));
            if wait != Wait::Request {
                return Poll::Ready(wait);
            }
            // hyper does not ask again when an answer is out, so it is only now seen how long the client has been idle.
            let limit = self.idle_limit();
            match self.shared.idle_time_left(limit) {
                Some(left) => self.read_alarm.set(left),
                None if limit < self.timeouts.keep_alive && self.park() => return Poll::Pending,
                None => return Poll::Ready(wait),
            }
        }
    }

    /// Sorts what was read into `buf` after its first `before` bytes. Whether hyper gets something.
    fn sort(&mut self, buf: &mut ReadBuf<'_>, before: usize) -> bool {
        self.sends.moved(buf.filled().len() - before);
        // A body that trickles on is alive, as long as it keeps its pace; a head has its time from the first byte on.
        if self.wait != Some(Wait::Head) {
            self.wait = None;
        }
        if !self.held.is_empty() {
            self.held.extend_from_slice(&buf.filled()[before..]);
            buf.set_filled(before);
            self.follow_held();
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

    /// Follows what is held, and hands on what of it is good.
    fn follow_held(&mut self) {
        let progress = self.tracker.advance(&self.held);
        let good = progress.good(self.held.len());
        self.passed.unsplit(self.held.split_to(good));
        if good > 0 {
            // The next head has a time of its own.
            self.wait = None;
        }
        self.stop_at(progress);
    }

    /// After a head that asks for an upgrade: what is held is the next head, or of another protocol, once that is known.
    /// Pending: neither yet, and enough is held.
    fn poll_upgrade(&mut self, cx: &Context<'_>) -> Poll<()> {
        match self.shared.poll_settled(self.tracker.heads(), cx) {
            Poll::Ready(true) => {
                self.stage = Stage::Upgraded;
                self.tracker.resume();
                self.passed.unsplit(std::mem::take(&mut self.held));
            }
            Poll::Ready(false) => {
                self.tracker.resume();
                self.follow_held();
            }
            Poll::Pending if self.held.len() >= HELD => return Poll::Pending,
            Poll::Pending => {}
        }
        Poll::Ready(())
    }

    fn stop_at(&mut self, progress: Progress) {
        match progress {
            Progress::All | Progress::Partial { .. } => {}
            Progress::Refused { why, .. } => self.refuse(why),
            Progress::Broken { .. } => self.stage = Stage::Broken,
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
            if this.tracker.holds() && !this.passed.has_remaining() {
                ready!(this.poll_upgrade(cx));
            }
            if this.passed.has_remaining() {
                let length = this.passed.remaining().min(buf.remaining());
                buf.put_slice(&this.passed[..length]);
                this.passed.advance(length);
                return Poll::Ready(Ok(()));
            }
            if this.stage == Stage::Upgraded {
                return Pin::new(&mut this.io).poll_read(cx, buf);
            }
            if this.stage == Stage::Refused {
                // The stand-in was the last request: whatever follows is not read.
                return Poll::Pending;
            }
            if this.stage == Stage::Broken {
                // hyper also reads while an earlier request is being answered, to learn of a hang-up: that answer is good.
                return if this.shared.has_called(this.tracker.heads()) {
                    Poll::Ready(Err(broken()))
                } else {
                    Poll::Pending
                };
            }
            let before = buf.filled().len();
            if let Some(first) = this.first.take() {
                buf.put_slice(&[first]);
            }
            match Pin::new(&mut this.io).poll_read(cx, buf) {
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) if buf.filled().len() == before => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) => {
                    if this.sort(buf, before) {
                        return Poll::Ready(Ok(()));
                    }
                }
                Poll::Pending if buf.filled().len() > before => {
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

impl<S: AsyncRead + Unpin> Guard<S> {
    /// Reads away, for a moment, what the client still sends after the last answer. Closing a socket with unread bytes
    /// resets the connection, and a reset can overtake the answer (RFC 9112, section 9.6).
    fn linger(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.stage == Stage::Upgraded || (self.stage != Stage::Refused && self.tracker.between_requests()) {
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
