//! [`Line`]: the two directions of a client's connection: what was read and not yet used, what waits to be written, and how
//! long the client may take.
//!
//! A connection that idles holds no buffer: what is read is read into the stack and kept only as far as it came.

use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::ending::Ending;
use crate::server::alarm::Alarm;
use crate::server::head::{self, Head, Limits, Refusal};
use crate::server::pace::Pace;
use crate::server::patient::Patient;
use crate::server::sniff::Rewound;
use crate::server::timeouts::Timeouts;
use crate::time::{recent_for_timers, refresh};
use crate::upstream::Gather;

/// How much is read at once: the usual head fits.
const ROOM: usize = 8 * 1024;
/// The most that is read of a large body at once: as much as this only once a client has filled half of it.
const MOST_ROOM: usize = 256 * 1024;
/// How long to read away what a client sends after its last answer.
const LINGER: Duration = Duration::from_secs(1);

/// A connection.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is something that has come or has not"
)]
pub(super) struct Line<S> {
    io: Patient<S>,
    pub(super) limits: Limits,
    timeouts: Timeouts,
    /// What was read and not yet used.
    pub(super) input: BytesMut,
    /// How far the end of a head has been looked for in that.
    looked: usize,
    /// Whether that head, or the one before, is of a request that no answer to has a body.
    pub(super) asks_head: bool,
    /// Whether the client sends nothing any more.
    ended: bool,
    /// How much is read of a large body next.
    room: usize,
    /// Whether we send nothing any more, and whether to wait for the client to hear it.
    closing: bool,
    lingers: bool,
    /// What waits to be written.
    pub(super) out: Gather,
    /// What the client is waited for, and until when.
    wait: Option<Wait>,
    alarm: Alarm,
    sends: Pace,
    /// Since when no request is under way.
    idle_since: Instant,
}

/// What the client is to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    Request,
    Head,
    Body,
}

/// What comes next on a connection.
#[derive(Debug)]
pub(super) enum Next {
    /// A request.
    Request(Box<Head>),
    /// A head that is refused: whatever follows it can't be trusted.
    Refused(Refusal),
    /// Nothing.
    End,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Line<S> {
    pub(super) fn new(io: S, limits: Limits, timeouts: Timeouts) -> Self {
        Self {
            io: Patient::new(io, &timeouts),
            limits,
            timeouts,
            input: BytesMut::new(),
            looked: 0,
            asks_head: false,
            ended: false,
            room: 2 * ROOM,
            closing: false,
            lingers: false,
            out: Gather::default(),
            wait: None,
            alarm: Alarm::default(),
            sends: timeouts.pace(),
            idle_since: recent_for_timers(),
        }
    }

    /// Whether nothing was read that is not used, as far as is known.
    pub(super) fn is_drained(&self) -> bool {
        self.input.is_empty()
    }

    /// A body has been read to its end: the buffer that was made for it goes with it.
    pub(super) fn body_ended(&mut self) {
        self.room = 2 * ROOM;
        self.input = BytesMut::from(&self.input[..]);
    }

    /// An answer is out: from now on the client may idle.
    pub(super) fn idle(&mut self) {
        self.idle_since = recent_for_timers();
        self.wait = None;
        self.out.clear();
    }

    /// Reads more of what the client sends; `0`: nothing comes any more.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut space = [const { MaybeUninit::uninit() }; ROOM];
        let mut buffer = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer))?;
        let read = buffer.filled();
        self.input.extend_from_slice(read);
        self.ended = read.is_empty();
        Poll::Ready(Ok(read.len()))
    }

    /// Reads more of a body of which `expected` bytes are sure to come. A client that stops sending is late in the end, an error
    /// of the kind [`io::ErrorKind::TimedOut`].
    pub(super) fn poll_read_body(&mut self, expected: u64, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let read = if expected <= ROOM as u64 {
            self.poll_read(cx)
        } else {
            let room = usize::try_from(expected).unwrap_or(usize::MAX).min(self.room);
            self.input.reserve(room);
            let read = pin!(self.io.read_buf(&mut self.input)).poll(cx);
            if let Poll::Ready(Ok(bytes)) = read {
                self.ended = bytes == 0;
                if bytes >= self.room {
                    self.room = (2 * self.room).min(MOST_ROOM);
                }
            }
            read
        };
        if let Poll::Ready(read) = read {
            // A worker that has always something to read never waits, and waiting is when else it looks at the clock.
            refresh();
            self.sends.moved(read.as_ref().map_or(0, |bytes| *bytes));
            // A body that trickles on is alive, as long as it keeps its pace.
            self.wait = None;
            return Poll::Ready(read);
        }
        if self.wait != Some(Wait::Body) {
            self.wait = Some(Wait::Body);
            self.alarm.set(self.timeouts.body().min(self.sends.wait()));
        }
        ready!(self.alarm.poll(cx));
        let late = io::Error::new(io::ErrorKind::TimedOut, "the client stopped sending its request body");
        Poll::Ready(Err(late))
    }

    /// Waits for the next request. An idle connection ends without a word.
    pub(super) fn poll_next<F: Future<Output = Duration>>(
        &mut self,
        ending: &mut Ending<'_, F>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Next>> {
        loop {
            match self.take_head() {
                Ok(Some(head)) => return Poll::Ready(Ok(Next::Request(Box::new(head)))),
                Ok(None) => {}
                Err(why) => return Poll::Ready(Ok(Next::Refused(why))),
            }
            if self.ended {
                return Poll::Ready(Ok(Next::End));
            }
            if self.poll_read(cx)?.is_pending() {
                return self.poll_late(ending, cx).map(Ok);
            }
        }
    }

    /// Nothing more to read for now: is the client late?
    fn poll_late<F: Future<Output = Duration>>(
        &mut self,
        ending: &mut Ending<'_, F>,
        cx: &mut Context<'_>,
    ) -> Poll<Next> {
        // A head that has begun keeps the time that it had.
        if ending.poll(cx) && self.wait == Some(Wait::Request) {
            self.wait = None;
        }
        let wait = if self.input.is_empty() {
            Wait::Request
        } else {
            Wait::Head
        };
        if self.wait != Some(wait) {
            self.wait = Some(wait);
            match wait {
                Wait::Request => {
                    let idle_until = self.idle_since + self.timeouts.keep_alive();
                    let until = ending.idle_until(self.idle_since).unwrap_or(idle_until);
                    self.alarm.set_at(until);
                }
                // A head has its time from the first byte on.
                Wait::Head | Wait::Body => self.alarm.set(self.timeouts.head()),
            }
        }
        ready!(self.alarm.poll(cx));
        Poll::Ready(match wait {
            Wait::Request => Next::End,
            Wait::Head | Wait::Body => Next::Refused(Refusal::Timeout),
        })
    }

    /// The head at the start of what was read, if all of it was.
    fn take_head(&mut self) -> Result<Option<Head>, Refusal> {
        if self.input.is_empty() {
            return Ok(None);
        }
        // One empty line before a request is tolerated (RFC 9112, section 2.2).
        let skip = if self.input.starts_with(b"\r\n") { 2 } else { 0 };
        let head = &self.input[skip..];
        self.asks_head = head.starts_with(b"HEAD ");
        let from = self.looked.min(head.len());
        let Some(end) = memchr::memmem::find(&head[from..], b"\r\n\r\n") else {
            // Refuse early what no further byte can mend, so that nobody waits for the end of garbage.
            if head.len() > self.limits.bytes {
                return Err(Refusal::TooLarge);
            }
            if memchr::memmem::find(&head[from..], b"\n\n").is_some() {
                return Err(Refusal::Bad("a line of the head does not end with CR LF"));
            }
            self.looked = head.len().saturating_sub(3);
            return Ok(None);
        };
        let length = skip + from + end + 4;
        let mut head = if length == self.input.len() {
            std::mem::take(&mut self.input)
        } else {
            self.input.split_to(length)
        };
        head.advance(skip);
        self.looked = 0;
        self.wait = None;
        head::read(&head.freeze(), &self.limits).map(Some)
    }

    /// Writes all that waits.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.out.poll_write(&mut self.io, cx)
    }

    /// Writes all that waits, and sees it on its way.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.out.poll_write(&mut self.io, cx))?;
        self.out.poll_flush(&mut self.io, cx)
    }

    /// Says that nothing more is sent. Where the client may still be sending (`is_unread`), reads that away for a moment:
    /// closing a socket with unread bytes resets the connection, and a reset can overtake the answer (RFC 9112, section 9.6).
    pub(super) fn poll_close(&mut self, is_unread: bool, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.closing {
            self.closing = true;
            self.alarm.set(LINGER);
            // What has come meanwhile counts as well.
            self.lingers = is_unread || matches!(self.poll_read(cx), Poll::Ready(Ok(1..)));
        }
        ready!(Pin::new(&mut self.io).poll_shutdown(cx))?;
        if !self.lingers || self.ended {
            return Poll::Ready(Ok(()));
        }
        let mut space = [const { MaybeUninit::uninit() }; ROOM];
        loop {
            let mut away = ReadBuf::uninit(&mut space);
            match Pin::new(&mut self.io).poll_read(cx, &mut away) {
                Poll::Ready(Ok(())) if !away.filled().is_empty() && !self.alarm.has_passed() => {}
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => return self.alarm.poll(cx).map(Ok),
            }
        }
    }

    /// The bytes of the connection, with those in front that were read already: HTTP is over.
    pub(super) fn into_bytes(self) -> Rewound<Patient<S>> {
        Rewound::new(self.input.freeze(), self.io)
    }
}

#[cfg(test)]
mod tests;
