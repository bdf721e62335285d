//! [`Ending`]: whether the gateway stops, as a connection sees it.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

/// Whether the gateway stops: the answers from then on tell the client, and are followed by none. A connection that brings no
/// request is closed after a moment; late is as good as never.
#[derive(Debug)]
pub(super) struct Ending<'a, F> {
    /// Ready, with how long that moment is.
    stopping: Pin<&'a mut F>,
    begun: Option<(Instant, Duration)>,
}

impl<'a, F: Future<Output = Duration>> Ending<'a, F> {
    pub(super) const fn new(stopping: Pin<&'a mut F>) -> Self {
        Self { stopping, begun: None }
    }

    /// Whether it has just begun.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        if self.begun.is_some() {
            return false;
        }
        if let Poll::Ready(idle) = self.stopping.as_mut().poll(cx) {
            self.begun = Some((Instant::now(), idle));
        }
        self.begun.is_some()
    }

    /// Whether the gateway stops.
    pub(super) const fn has_begun(&self) -> bool {
        self.begun.is_some()
    }

    /// Until when a connection may idle on which no request has been under way since then, if the gateway stops.
    pub(super) fn idle_until(&self, since: Instant) -> Option<Instant> {
        self.begun.map(|(begun, idle)| begun.max(since) + idle)
    }
}
