//! [`Pace`]: whether it is the client's turn on a stream, and for how long it has been.
//!
//! A client that opens no window for an answer leaves no trace on the connection. hyper asks the answer's body for more only
//! when it could send what it has; so a body that gave something and is not asked again waits for the client. The task of
//! the stream watches that: [`Attendants`] makes it.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::rt::Executor;

use crate::server::alarm::Alarm;
use crate::token::Watched;

/// The most of an answer that is handed to hyper at once: it keeps that until the client takes it.
const PIECE: usize = 16 * 1024;

/// What the body of an answer tells the task of its stream.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Whether the client has something to take.
    clients_turn: AtomicBool,
    /// How often the body has given something.
    given: AtomicU64,
    /// What the answer may go on with.
    watched: OnceLock<Watched>,
}

impl Pace {
    /// The answer may go on only until this says that it ended.
    pub(super) fn tie(&self, watched: Watched) {
        let _ = self.watched.set(watched);
    }
}

/// The body of an answer, in pieces, that notes when it is asked for more.
#[derive(Debug)]
pub(super) struct Paced<B> {
    inner: B,
    /// What of the last frame has not been given yet.
    rest: Bytes,
    pace: Arc<Pace>,
}

impl<B> Paced<B> {
    pub(super) fn new(inner: B, pace: Arc<Pace>) -> Self {
        Self {
            inner,
            rest: Bytes::new(),
            pace,
        }
    }

    fn give(&mut self) -> Frame<Bytes> {
        let length = self.rest.len().min(PIECE);
        Frame::data(self.rest.split_to(length))
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Paced<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.get_mut();
        this.pace.clients_turn.store(false, Ordering::Relaxed);
        let frame = if this.rest.is_empty() {
            match ready!(Pin::new(&mut this.inner).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        this.rest = data;
                        this.give()
                    }
                    Err(other) => other,
                },
                end => return Poll::Ready(end),
            }
        } else {
            this.give()
        };
        this.pace.given.fetch_add(1, Ordering::Relaxed);
        this.pace.clients_turn.store(true, Ordering::Relaxed);
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        let inner = self.inner.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower().saturating_add(rest));
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint
    }
}

/// Runs the streams of a connection, each in a task that gives it up when its client stops taking its answer.
#[derive(Clone, Debug)]
pub(super) struct Attendants {
    limit: Duration,
    /// The pace of the request that the service has just been called with: its task is the next to be run.
    next: Arc<Mutex<Option<Arc<Pace>>>>,
}

impl Attendants {
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            limit,
            next: Arc::default(),
        }
    }

    /// The pace of the request that the service is called with.
    pub(super) fn next(&self) -> Arc<Pace> {
        let pace = Arc::new(Pace::default());
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        *next = Some(Arc::clone(&pace));
        pace
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Attendants {
    fn execute(&self, stream: F) {
        let next = self.next.lock().unwrap_or_else(PoisonError::into_inner).take();
        match next {
            Some(pace) => drop(tokio::spawn(attend(stream, pace, self.limit))),
            None => drop(tokio::spawn(stream)),
        }
    }
}

/// Runs a stream to its end, or until the client has not taken what there is for so long; then the stream is reset.
async fn attend(stream: impl Future<Output = ()>, pace: Arc<Pace>, limit: Duration) {
    let mut stream = Box::pin(stream);
    let mut alarm = Alarm::default();
    // How much had been given when the alarm was set.
    let mut set_at = None;
    std::future::poll_fn(|cx| {
        if stream.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if !pace.clients_turn.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        if let Some(why) = pace.watched.get().and_then(Watched::ended) {
            tracing::debug!("what an HTTP/2 client does not take was ended: {why}");
            return Poll::Ready(());
        }
        let given = pace.given.load(Ordering::Relaxed);
        if set_at != Some(given) {
            set_at = Some(given);
            alarm.set(limit);
        }
        ready!(alarm.poll(cx));
        tracing::debug!("an HTTP/2 client stopped taking its answer");
        Poll::Ready(())
    })
    .await;
}

#[cfg(test)]
mod tests;
