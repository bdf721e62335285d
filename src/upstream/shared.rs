//! [`Shared`]: what requests that began with an earlier configuration share with those of the one in force.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use arc_swap::ArcSwap;

use super::budget::Budget;
use super::ledger::Ledger;
use super::queue::Queue;
use crate::config::{self, ServerAddress};

/// What of one upstream outlives a reload. Limits are those of the configuration in force, for all: what is counted is
/// counted over all.
#[derive(Debug)]
pub(super) struct Shared {
    /// The upstream as the configuration in force has it.
    in_force: ArcSwap<config::Upstream>,
    /// The most requests per server, as it says; `usize::MAX`: no limit.
    max_requests: AtomicUsize,
    /// What is known of each server, for as long as somebody has the server.
    ledgers: Mutex<HashMap<Place, Weak<Ledger>>>,
    /// Held while turns are counted.
    pub(super) round: Mutex<()>,
    /// Held while it is decided whether one more server can be done without, and while a configuration comes in force.
    deciding: Mutex<()>,
    pub(super) queue: Queue,
    pub(super) budget: Budget,
    /// Requests that were sent again.
    pub(super) retries: AtomicU64,
    /// How often a server was ejected.
    pub(super) ejections: AtomicU64,
}

/// Where a server is: as the configuration has it, and which of the addresses of its name it is.
type Place = (ServerAddress, Option<IpAddr>);

impl Shared {
    /// For an upstream that there was not before.
    pub(super) fn new(config: &Arc<config::Upstream>) -> Self {
        let max_requests = config.resilience.caps.max_requests.unwrap_or(usize::MAX);
        Self {
            in_force: ArcSwap::new(Arc::clone(config)),
            max_requests: AtomicUsize::new(max_requests),
            ledgers: Mutex::default(),
            round: Mutex::default(),
            deciding: Mutex::default(),
            queue: Queue::default(),
            budget: Budget::default(),
            retries: AtomicU64::new(0),
            ejections: AtomicU64::new(0),
        }
    }

    /// What is known of the server at this place; nothing yet where nobody has it.
    pub(super) fn ledger(self: &Arc<Self>, address: &ServerAddress, resolved: Option<IpAddr>) -> Arc<Ledger> {
        let mut ledgers = self.ledgers.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (address.clone(), resolved);
        if let Some(known) = ledgers.get(&place).and_then(Weak::upgrade) {
            return known;
        }
        ledgers.retain(|_, ledger| ledger.strong_count() > 0);
        let ledger = Arc::new(Ledger::new(self));
        ledgers.insert(place, Arc::downgrade(&ledger));
        ledger
    }

    /// While this is held, no server is ejected and no configuration comes in force.
    pub(super) fn decide(&self) -> MutexGuard<'_, ()> {
        self.deciding.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The upstream as the configuration in force has it.
    pub(super) fn in_force(&self) -> Arc<config::Upstream> {
        self.in_force.load_full()
    }

    /// From now on this is in force.
    pub(super) fn follow(&self, config: &Arc<config::Upstream>) {
        let max_requests = config.resilience.caps.max_requests.unwrap_or(usize::MAX);
        self.max_requests.store(max_requests, Ordering::Release);
        self.in_force.store(Arc::clone(config));
    }

    /// The most requests per server that are in force.
    pub(super) fn max_requests(&self) -> Option<usize> {
        let max = self.max_requests.load(Ordering::Acquire);
        (max != usize::MAX).then_some(max)
    }
}
