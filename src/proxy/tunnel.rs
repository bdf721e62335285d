//! [`Tunnel`]: what follows an upgrade, both ways, until one side ends it, nothing has moved for too long, or its token is
//! not good any more.
//!
//! A direction reads again only when the other side has taken what was read, so what is in memory is bounded; a tunnel in
//! which nothing moves holds no buffer at all.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Sleep, sleep_until, timeout};

use super::error::token_code;
use super::upgrade::{ClientBytes, ClientSide, Frames};
use crate::config::Streams;
use crate::problem::Code;
use crate::time::monotonic;
use crate::token::{Leash, Refusal};
use crate::upstream::{Flight, Upgraded};

/// The most that is read at once.
const CHUNK: usize = 16 * 1024;

/// How long a client may take to take the last word.
const FAREWELL: Duration = Duration::from_secs(1);

/// The client's side of a tunnel.
type Client = Box<dyn ClientBytes>;

/// A tunnel that is about to begin: both handshakes are done, or will be in a moment.
#[derive(Debug)]
pub struct Tunnel {
    client: ClientSide,
    upstream: Upgraded,
    /// The request's place at the server.
    _flight: Option<Flight>,
    leash: Option<Leash>,
    idle: Duration,
    max_age: Option<Duration>,
    websocket: bool,
}

/// How many bytes have passed.
#[derive(Debug, Default)]
pub struct Traffic {
    /// From the client.
    pub received: AtomicU64,
    /// To the client.
    pub sent: AtomicU64,
}

/// Why a tunnel ended.
#[derive(Debug, thiserror::Error)]
pub enum TunnelEnd {
    /// A side broke off.
    #[error("a side broke off")]
    Broken(#[source] io::Error),
    /// A side did not go on as had been agreed.
    #[error("a side did not begin")]
    NotBegun(#[source] io::Error),
    /// Nothing has moved for longer than the route allows.
    #[error("nothing moved for {0:?}")]
    Idle(Duration),
    /// It lasted for as long as the route allows.
    #[error("it lasted for {0:?}")]
    Age(Duration),
    /// The token that let it in is not good any more.
    #[error("it was ended: {0}")]
    TokenEnded(Refusal),
}

impl TunnelEnd {
    /// Why the gateway itself ended it for the token's sake, if that is so.
    #[must_use]
    pub const fn code(&self) -> Option<Code> {
        match self {
            Self::TokenEnded(refusal) => Some(token_code(*refusal)),
            Self::Broken(_) | Self::NotBegun(_) | Self::Idle(_) | Self::Age(_) => None,
        }
    }

    /// What a WebSocket client is told (RFC 6455, section 7.4.1), where it is there to be told something.
    fn farewell(&self) -> Option<Vec<u8>> {
        match self {
            Self::TokenEnded(refusal) => Some(Frames::close(1008, token_code(*refusal).as_str())),
            Self::Idle(_) | Self::Age(_) => Some(Frames::close(1001, "")),
            Self::Broken(_) | Self::NotBegun(_) => None,
        }
    }
}

impl Tunnel {
    pub(super) const fn new(client: ClientSide, upstream: Upgraded, websocket: bool) -> Self {
        Self {
            client,
            upstream,
            _flight: None,
            leash: None,
            idle: Duration::MAX,
            max_age: None,
            websocket,
        }
    }

    /// The same, which keeps the request's place at the server until it ends.
    pub(super) fn holding(self, place: Flight) -> Self {
        Self {
            _flight: Some(place),
            ..self
        }
    }

    /// The same, for as long as the route allows and the token is good.
    pub(super) fn bounded(self, streams: &Streams, leash: Option<Leash>) -> Self {
        Self {
            leash,
            idle: streams.upgrade_idle_timeout,
            max_age: streams.upgrade_max_age,
            ..self
        }
    }

    /// Relays until the end.
    pub async fn run(self, traffic: Arc<Traffic>) -> Result<(), TunnelEnd> {
        let mut client = self.client.clone().bytes().await.map_err(TunnelEnd::NotBegun)?;
        let mut relay = Relay::new(&self, &traffic);
        let Self {
            mut upstream,
            mut leash,
            _flight: flight,
            ..
        } = self;
        let end = poll_fn(|cx| relay.poll(cx, &mut client, &mut upstream, leash.as_mut())).await;
        let Err(why) = &end else { return end };
        drop((upstream, flight));
        if let Some(frame) = why.farewell().filter(|_| relay.may_speak()) {
            traffic.sent.fetch_add(frame.len() as u64, Ordering::Relaxed);
            // Whoever does not listen misses nothing but the reason.
            let _ = timeout(FAREWELL, say(&mut client, &frame)).await;
        }
        end
    }
}

/// The last word, and time for it to arrive: a socket that is closed with unread bytes is reset.
async fn say(client: &mut Client, frame: &[u8]) -> io::Result<()> {
    client.write_all(frame).await?;
    client.shutdown().await?;
    let mut space = [0; 1024];
    while client.read(&mut space).await? > 0 {}
    Ok(())
}

/// The two directions, and what bounds them.
struct Relay<'a> {
    up: Half,
    down: Half,
    frames: Frames,
    /// Whether frames are followed.
    websocket: bool,
    traffic: &'a Traffic,
    idle: Duration,
    moved: Instant,
    end_at: Option<(Instant, Duration)>,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl<'a> Relay<'a> {
    fn new(tunnel: &Tunnel, traffic: &'a Traffic) -> Self {
        let now = monotonic();
        Self {
            up: Half::default(),
            down: Half::default(),
            frames: Frames::default(),
            websocket: tunnel.websocket,
            traffic,
            idle: tunnel.idle,
            moved: now,
            end_at: tunnel.max_age.and_then(|age| Some((now.checked_add(age)?, age))),
            alarm: None,
        }
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut Client,
        upstream: &mut Upgraded,
        leash: Option<&mut Leash>,
    ) -> Poll<Result<(), TunnelEnd>> {
        if let Some(Poll::Ready(why)) = leash.map(|leash| leash.poll_ended(cx)) {
            return Poll::Ready(Err(TunnelEnd::TokenEnded(why)));
        }
        let (traffic, frames, websocket) = (self.traffic, &mut self.frames, self.websocket);
        let mut bytes = 0;
        let up = self.up.poll(cx, client, upstream, |written| {
            bytes += written.len();
            traffic.received.fetch_add(written.len() as u64, Ordering::Relaxed);
        });
        let down = self.down.poll(cx, upstream, client, |written| {
            bytes += written.len();
            traffic.sent.fetch_add(written.len() as u64, Ordering::Relaxed);
            if websocket {
                frames.advance(written);
            }
        });
        if bytes > 0 {
            self.moved = monotonic();
        }
        match (up, down) {
            (Poll::Ready(Err(error)), _) | (_, Poll::Ready(Err(error))) => Poll::Ready(Err(TunnelEnd::Broken(error))),
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(Ok(())),
            (Poll::Pending, _) | (_, Poll::Pending) => self.poll_late(cx).map(Err),
        }
    }

    /// Whether it has lasted, or been still, for too long.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<TunnelEnd> {
        loop {
            let still_until = self.moved.checked_add(self.idle);
            let until = still_until.into_iter().chain(self.end_at.map(|(at, _)| at)).min();
            let Some(until) = until else { return Poll::Pending };
            if self.alarm.is_none() {
                self.alarm = Some(Box::pin(sleep_until(until.into())));
            }
            let Some(alarm) = &mut self.alarm else {
                return Poll::Pending;
            };
            ready!(alarm.as_mut().poll(cx));
            let now = monotonic();
            if let Some((_, age)) = self.end_at.filter(|(at, _)| *at <= now) {
                return Poll::Ready(TunnelEnd::Age(age));
            }
            if until <= now {
                return Poll::Ready(TunnelEnd::Idle(self.idle));
            }
            // Something has moved since the alarm was set.
            alarm.as_mut().reset(until.into());
        }
    }

    /// Whether a frame of ours is one to the client: nothing that was read waits to be sent before it.
    fn may_speak(&self) -> bool {
        self.websocket && self.down.left.is_empty() && !self.down.ended && self.frames.between()
    }
}

/// One direction.
#[derive(Debug, Default)]
struct Half {
    /// Read and not yet written.
    left: Vec<u8>,
    /// How much of that has been written.
    at: usize,
    unflushed: bool,
    ended: bool,
    done: bool,
}

impl Half {
    /// Relays until the reader has ended and the writer knows.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        reader: &mut (impl AsyncRead + Unpin),
        writer: &mut (impl AsyncWrite + Unpin),
        mut written: impl FnMut(&[u8]),
    ) -> Poll<io::Result<()>> {
        let mut space = [const { MaybeUninit::uninit() }; CHUNK];
        while !self.done {
            while self.at < self.left.len() {
                let n = ready!(Pin::new(&mut *writer).poll_write(cx, &self.left[self.at..]))?;
                if n == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                written(&self.left[self.at..self.at + n]);
                self.at += n;
            }
            (self.left, self.at) = (Vec::new(), 0);
            if self.ended {
                ready!(Pin::new(&mut *writer).poll_shutdown(cx))?;
                self.done = true;
                break;
            }
            let mut buffer = ReadBuf::uninit(&mut space);
            if Pin::new(&mut *reader).poll_read(cx, &mut buffer)?.is_pending() {
                if self.unflushed {
                    ready!(Pin::new(&mut *writer).poll_flush(cx))?;
                    self.unflushed = false;
                }
                return Poll::Pending;
            }
            let read = buffer.filled();
            if read.is_empty() {
                self.ended = true;
                continue;
            }
            self.unflushed = true;
            // Usually there is room, and then nothing is kept.
            let n = match Pin::new(&mut *writer).poll_write(cx, read)? {
                Poll::Ready(n) => n,
                Poll::Pending => 0,
            };
            written(&read[..n]);
            self.left = read[n..].to_vec();
        }
        Poll::Ready(Ok(()))
    }
}
