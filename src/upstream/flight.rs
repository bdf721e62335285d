//! [`Flight`]: one request's place at one server, until its answer has ended.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Server;
use crate::time::monotonic;

/// A request on its way to a server, counted there until dropped.
#[derive(Debug)]
pub struct Flight {
    server: Arc<Server>,
    counted: bool,
    /// Whether it is the one that finds out whether the server is back.
    probe: bool,
}

impl Flight {
    /// One that nobody counts.
    pub(super) fn uncounted(server: &Arc<Server>) -> Self {
        Self {
            server: Arc::clone(server),
            counted: false,
            probe: false,
        }
    }

    /// One that is counted, if the server has fewer than `max`.
    pub(super) fn counted(server: &Arc<Server>, max: Option<usize>, probe: bool) -> Option<Self> {
        let count = &server.ledger.in_flight;
        match max {
            None => {
                count.fetch_add(1, Ordering::AcqRel);
            }
            Some(max) => {
                let room = |count: usize| (count < max).then_some(count + 1);
                count.fetch_update(Ordering::AcqRel, Ordering::Acquire, room).ok()?;
            }
        }
        Some(Self {
            server: Arc::clone(server),
            counted: true,
            probe,
        })
    }

    /// The server.
    #[must_use]
    pub const fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// Whether it is the one that finds out, which only one outcome is told of.
    pub(super) fn take_probe(&mut self) -> bool {
        std::mem::take(&mut self.probe)
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if self.probe {
            self.server.ledger.standing.abandon_probe(monotonic());
        }
        if self.counted {
            self.server.ledger.in_flight.fetch_sub(1, Ordering::AcqRel);
            // Whatever limit it began under: one may be in force by now.
            self.server.ledger.shared.queue.wake();
        }
    }
}
