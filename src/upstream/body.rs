//! [`RequestBody`]: the client's body on its way to an upstream, streamed, bounded and watched.

use std::error::Error;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

use super::Incoming;
use super::tape::{Reader, Tape};
use crate::rules::headers::{IdentityHeaders, clean_trailers};
use crate::time::monotonic;

/// Why a client's body could not be forwarded to its end. On HTTP/2, the upstream is told that the stream is cancelled, not
/// that we failed: that is this error's source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFailure {
    /// It is larger than the route takes.
    TooLarge,
    /// It broke off, or its framing is wrong.
    Broken,
    /// The client stopped sending it.
    Stalled,
    /// The exchange has ended without it.
    Unwanted,
}

impl fmt::Display for BodyFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "the request body is larger than the route takes",
            Self::Broken => "the request body broke off or is not framed as HTTP asks",
            Self::Stalled => "the request body stopped coming",
            Self::Unwanted => "nobody waits for the rest of the request body",
        })
    }
}

impl Error for BodyFailure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        static CANCEL: LazyLock<h2::Error> = LazyLock::new(|| h2::Reason::CANCEL.into());
        Some(&*CANCEL)
    }
}

/// The body of a request to an upstream.
#[derive(Debug)]
pub struct RequestBody {
    inner: Option<Incoming>,
    /// Where to read from instead, and how much of that was read.
    tape: Option<Reader>,
    left: u64,
    watch: Option<Arc<BodyWatch>>,
    identity: Arc<IdentityHeaders>,
    stream: Option<Stream>,
}

/// What a body that comes on an HTTP/2 stream asks for beside: flow control hides a client that stops from whoever looks at
/// the connection, and a reset may look like an end.
#[derive(Debug)]
struct Stream {
    idle: Duration,
    late: Option<Pin<Box<Sleep>>>,
}

/// What became of a request body so far, for whoever waits for the answer to it.
#[derive(Debug)]
pub struct BodyWatch {
    start: Instant,
    /// Milliseconds after `start` at which the last of the body passed.
    moved: AtomicU64,
    bytes: AtomicU64,
    ended: AtomicBool,
    answered: AtomicBool,
    failure: AtomicU8,
    unwanted: AtomicBool,
    /// Whoever forwards the body and waits for more of it.
    forwarder: Mutex<Option<Waker>>,
}

impl RequestBody {
    /// Wraps the client's body; at most `limit` bytes of it are forwarded. A body that is there is watched.
    #[must_use]
    pub fn new(body: Incoming, limit: Option<u64>, identity: Arc<IdentityHeaders>) -> (Self, Option<Arc<BodyWatch>>) {
        if body.is_end_stream() {
            return (
                Self {
                    inner: None,
                    tape: None,
                    left: 0,
                    watch: None,
                    identity,
                    stream: None,
                },
                None,
            );
        }
        let watch = Arc::new(BodyWatch {
            start: monotonic(),
            moved: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            answered: AtomicBool::new(false),
            failure: AtomicU8::new(0),
            unwanted: AtomicBool::new(false),
            forwarder: Mutex::new(None),
        });
        let body = Self {
            inner: Some(body),
            tape: None,
            left: limit.unwrap_or(u64::MAX),
            watch: Some(Arc::clone(&watch)),
            identity,
            stream: None,
        };
        (body, Some(watch))
    }

    /// No body.
    #[must_use]
    pub fn empty(identity: Arc<IdentityHeaders>) -> Self {
        Self {
            inner: None,
            tape: None,
            left: 0,
            watch: None,
            identity,
            stream: None,
        }
    }

    /// The same body, where it comes on a stream of HTTP/2. A client that stops sending it for this long is given up, as long
    /// as there is no answer; then both sides may pause as they like, within the bounds of the answer.
    #[must_use]
    pub fn on_stream(mut self, idle: Duration) -> Self {
        self.stream = Some(Stream { idle, late: None });
        self
    }

    /// Nothing has come for now: is the client late?
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (Some(stream), Some(watch)) = (&mut self.stream, &self.watch) else {
            return Poll::Pending;
        };
        if watch.answered.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        let moved = Duration::from_millis(watch.moved.load(Ordering::Relaxed));
        let deadline = tokio::time::Instant::from_std(watch.start + moved + stream.idle);
        let late = stream
            .late
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if late.deadline() != deadline {
            late.as_mut().reset(deadline);
        }
        late.as_mut().poll(cx)
    }

    /// The same body, of which the first `limit` bytes are kept on a tape for as long as there are no more.
    #[must_use]
    pub fn taped(self, limit: u64) -> (Self, Arc<Tape>) {
        let identity = Arc::clone(&self.identity);
        let tape = Arc::new(Tape::new(self, limit));
        (Self::replay(&tape, &identity), tape)
    }

    /// What is on the tape from its beginning, and then the rest of the body.
    #[must_use]
    pub fn replay(tape: &Arc<Tape>, identity: &Arc<IdentityHeaders>) -> Self {
        Self {
            tape: Some(Reader::new(tape)),
            ..Self::empty(Arc::clone(identity))
        }
    }

    fn fail(&mut self, failure: BodyFailure) -> Poll<Option<Result<Frame<Bytes>, BodyFailure>>> {
        if let Some(watch) = &self.watch {
            watch.failure.store(failure as u8 + 1, Ordering::Relaxed);
        }
        self.inner = None;
        Poll::Ready(Some(Err(failure)))
    }
}

impl BodyWatch {
    /// How long ago the body last moved.
    #[must_use]
    pub fn still_for(&self) -> Duration {
        self.start
            .elapsed()
            .saturating_sub(Duration::from_millis(self.moved.load(Ordering::Relaxed)))
    }

    /// Bytes of the body that have passed.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether all of the body has passed.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Notes that the answer has begun.
    pub fn answered(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    /// How the body failed, if it did.
    #[must_use]
    pub fn failure(&self) -> Option<BodyFailure> {
        match self.failure.load(Ordering::Relaxed) {
            0 => None,
            1 => Some(BodyFailure::TooLarge),
            2 => Some(BodyFailure::Broken),
            3 => Some(BodyFailure::Stalled),
            _ => Some(BodyFailure::Unwanted),
        }
    }

    /// Ends the forwarding: the exchange has ended, and on a connection that goes on nothing else would.
    pub fn stop(&self) {
        self.unwanted.store(true, Ordering::Relaxed);
        if let Some(forwarder) = self.forwarder().take() {
            forwarder.wake();
        }
    }

    fn forwarder(&self) -> MutexGuard<'_, Option<Waker>> {
        self.forwarder.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connection gives a client that stops sending up with a timeout; all else is the client's own doing.
fn why_broken(error: &io::Error) -> BodyFailure {
    let said = |error: &(dyn Error + 'static)| {
        let error = error.downcast_ref::<io::Error>();
        error.is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
    };
    // On HTTP/2, hyper's error is around what the connection said.
    let within = error.get_ref().and_then(|error| Error::source(error));
    if said(error) || within.is_some_and(said) {
        BodyFailure::Stalled
    } else {
        BodyFailure::Broken
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyFailure;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFailure>>> {
        let this = self.get_mut();
        if let Some(tape) = &mut this.tape {
            return tape.poll_frame(cx);
        }
        let Some(inner) = &mut this.inner else {
            return Poll::Ready(None);
        };
        if this
            .watch
            .as_ref()
            .is_some_and(|watch| watch.unwanted.load(Ordering::Relaxed))
        {
            return this.fail(BodyFailure::Unwanted);
        }
        let frame = match Pin::new(&mut *inner).poll_frame(cx) {
            Poll::Pending => {
                if let Some(watch) = &this.watch {
                    *watch.forwarder() = Some(cx.waker().clone());
                }
                ready!(this.poll_late(cx));
                return this.fail(BodyFailure::Stalled);
            }
            // hyper takes a reset without an error for the end of the body; to the upstream it would look whole.
            Poll::Ready(None) if this.stream.is_some() && !inner.is_end_stream() => {
                return this.fail(BodyFailure::Broken);
            }
            Poll::Ready(None) => None,
            Poll::Ready(Some(Err(error))) => return this.fail(why_broken(&error)),
            Poll::Ready(Some(Ok(frame))) => Some(frame),
        };
        if let Some(watch) = &this.watch {
            let moved = u64::try_from(watch.start.elapsed().as_millis()).unwrap_or(u64::MAX);
            watch.moved.store(moved, Ordering::Relaxed);
            // Whoever knows the length stops asking after the last byte, and nobody asks after trailers: the end must be
            // seen here.
            let last = frame.as_ref().is_none_or(Frame::is_trailers);
            if last || this.inner.as_ref().is_none_or(Body::is_end_stream) {
                watch.ended.store(true, Ordering::Relaxed);
            }
        }
        let Some(frame) = frame else { return Poll::Ready(None) };
        let frame = match frame.into_data() {
            Ok(data) => {
                let length = data.len() as u64;
                let Some(left) = this.left.checked_sub(length) else {
                    return this.fail(BodyFailure::TooLarge);
                };
                this.left = left;
                if let Some(watch) = &this.watch {
                    watch.bytes.fetch_add(length, Ordering::Relaxed);
                }
                Frame::data(data)
            }
            Err(other) => match other.into_trailers() {
                Ok(mut trailers) => {
                    // What the header section may not carry, a trailer section may not carry either.
                    clean_trailers(&mut trailers, &this.identity);
                    Frame::trailers(trailers)
                }
                Err(other) => other,
            },
        };
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        match &self.tape {
            Some(tape) => tape.is_end_stream(),
            None => self.inner.as_ref().is_none_or(Body::is_end_stream),
        }
    }

    fn size_hint(&self) -> SizeHint {
        if let Some(tape) = &self.tape {
            return tape.size_hint();
        }
        self.inner
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
