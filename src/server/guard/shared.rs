//! [`Shared`]: what the guard of a connection and the service on it tell each other.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use tokio::time::Instant;

use super::interims::Interims;
use crate::server::head::Refusal;
use crate::token::{self, Watched};
use crate::upstream::InterimClient;

/// What the guard of a connection and the service on it tell each other.
#[derive(Debug)]
pub(in crate::server) struct Shared {
    /// Whether a request is being answered: an idle client is then not idle, but waiting.
    busy: AtomicBool,
    /// Whether the next answer is to be the last.
    ending: AtomicBool,
    /// When the connection began.
    started: Instant,
    /// Milliseconds from then until the last answer was out.
    finished: AtomicU64,
    /// Requests that the service has been called with.
    calls: AtomicU64,
    /// The number of the stand-in request, and why there is one.
    refused: OnceLock<(u64, Refusal)>,
    /// Twice the number of requests that have been answered, and one more if the last answer is an upgrade.
    settled: AtomicU64,
    /// Whom to tell of the next answer, where that is waited for.
    waiting: Mutex<Option<Waker>>,
    waits: AtomicBool,
    /// What the answer that is being sent may go on with.
    watched: Mutex<Option<Watched>>,
    is_watched: AtomicBool,
    interims: Interims,
}

impl Shared {
    pub(in crate::server) fn new() -> Self {
        Self {
            busy: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            started: Instant::now(),
            finished: AtomicU64::new(0),
            calls: AtomicU64::new(0),
            refused: OnceLock::new(),
            settled: AtomicU64::new(0),
            waiting: Mutex::new(None),
            waits: AtomicBool::new(false),
            watched: Mutex::new(None),
            is_watched: AtomicBool::new(false),
            interims: Interims::default(),
        }
    }

    /// How much of `limit` a connection between requests has left; all of it while a request is being answered.
    pub(super) fn idle_time_left(&self, limit: Duration) -> Option<Duration> {
        if self.busy.load(Ordering::Relaxed) {
            return Some(limit);
        }
        let finished = Duration::from_millis(self.finished.load(Ordering::Relaxed));
        let left = limit.saturating_sub(self.started.elapsed().saturating_sub(finished));
        (!left.is_zero()).then_some(left)
    }

    /// Notes that the service is called, and says whether this call is the stand-in of a refused head.
    pub(in crate::server) fn begin(&self) -> Option<Refusal> {
        self.busy.store(true, Ordering::Relaxed);
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        self.refused
            .get()
            .filter(|(refused, _)| *refused == number)
            .map(|(_, why)| *why)
    }

    /// Whether the service has been called with this many requests.
    pub(super) fn has_called(&self, heads: u64) -> bool {
        self.calls.load(Ordering::Relaxed) >= heads
    }

    /// The number, counting from one, of the request that the service was called with last.
    pub(in crate::server) fn current(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// The number of the request that the service was called with last, unless it has answered it.
    pub(super) fn unanswered(&self) -> Option<u64> {
        let current = self.current();
        (self.settled.load(Ordering::Acquire) / 2 < current).then_some(current)
    }

    /// The interim answers that wait to be written.
    pub(super) const fn interims(&self) -> &Interims {
        &self.interims
    }

    /// Notes what the answer to the request that the service was called with last is: an upgrade or not.
    pub(in crate::server) fn settle(&self, upgraded: bool) {
        let calls = self.calls.load(Ordering::Relaxed);
        self.settled.store(calls * 2 + u64::from(upgraded), Ordering::Release);
        if self.waits.swap(false, Ordering::AcqRel)
            && let Some(waker) = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take()
        {
            waker.wake();
        }
    }

    /// Whether the answer to the request of this number, counting from one, is an upgrade.
    pub(super) fn poll_settled(&self, number: u64, cx: &Context<'_>) -> Poll<bool> {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
        self.waits.store(true, Ordering::Release);
        let settled = self.settled.load(Ordering::Acquire);
        if settled / 2 < number {
            return Poll::Pending;
        }
        self.waits.store(false, Ordering::Release);
        Poll::Ready(settled == number * 2 + 1)
    }

    /// Notes that the head of this number, counting from nought, was refused, and that a stand-in takes its place.
    pub(super) fn refuse(&self, number: u64, why: Refusal) {
        let _ = self.refused.set((number, why));
    }

    /// Notes that the next answer is to be the last.
    pub(in crate::server) fn end(&self) {
        self.ending.store(true, Ordering::Relaxed);
    }

    /// Whether the next answer is to be the last.
    pub(in crate::server) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
    }

    /// Waits until, from now on, no request has been under way for this long.
    pub(in crate::server) async fn unused_for(&self, limit: Duration) {
        let from = self.started.elapsed();
        loop {
            let finished = Duration::from_millis(self.finished.load(Ordering::Relaxed));
            let since = if self.busy.load(Ordering::Relaxed) {
                self.started.elapsed()
            } else {
                finished.max(from)
            };
            if self.started.elapsed() >= since + limit {
                return;
            }
            tokio::time::sleep_until(self.started + since + limit).await;
        }
    }

    /// The answer that is being sent may go on only until this says that it ended.
    pub(in crate::server) fn tie(&self, watched: Watched) {
        *self.watched.lock().unwrap_or_else(PoisonError::into_inner) = Some(watched);
        self.is_watched.store(true, Ordering::Release);
    }

    /// Why the answer that is being sent must not go on.
    pub(super) fn ended(&self) -> Option<token::Refusal> {
        if !self.is_watched.load(Ordering::Acquire) {
            return None;
        }
        let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.as_ref().and_then(Watched::ended)
    }

    /// Notes that the answer is out.
    pub(in crate::server) fn finish(&self) {
        if self.is_watched.load(Ordering::Relaxed) {
            self.is_watched.store(false, Ordering::Relaxed);
            *self.watched.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.finished.store(now, Ordering::Relaxed);
        self.busy.store(false, Ordering::Relaxed);
    }
}

impl InterimClient for Shared {
    fn interim(&self, request: u64, status: StatusCode, headers: &HeaderMap) {
        if self.unanswered() == Some(request) {
            self.interims.push(request, status, headers);
        }
    }
}
