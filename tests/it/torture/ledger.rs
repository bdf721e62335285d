//! What happened, as everybody in a run knows it: the logouts that were answered, and who was disturbed when.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use doorward::time::monotonic;
use tokio::sync::Notify;

/// A session whose end was answered with 204.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    pub(super) token: String,
    /// When the 204 was there.
    pub(super) at: Instant,
    /// The gateway that answered.
    pub(super) by: usize,
}

/// Something that was done to a gateway or a server.
#[derive(Clone, Debug)]
struct Disturbance {
    /// The gateways that felt it.
    gateways: Vec<usize>,
    kind: &'static str,
    from: Instant,
    to: Option<Instant>,
}

#[derive(Default)]
pub(super) struct Ledger {
    ended: Mutex<Vec<Ended>>,
    disturbances: Mutex<Vec<Disturbance>>,
    over: AtomicBool,
    bell: Notify,
}

impl Ledger {
    pub(super) fn end(&self, ended: Ended) {
        self.ended.lock().expect("nobody panicked").push(ended);
    }

    /// The logouts from this one on.
    pub(super) fn ended_from(&self, first: usize) -> Vec<Ended> {
        self.ended.lock().expect("nobody panicked")[first..].to_vec()
    }

    /// Says that something is being done; what it returns says to [`Self::recovered`] what is over.
    pub(super) fn disturb(&self, kind: &'static str, gateways: Vec<usize>) -> usize {
        let mut disturbances = self.disturbances.lock().expect("nobody panicked");
        disturbances.push(Disturbance {
            gateways,
            kind,
            from: monotonic(),
            to: None,
        });
        disturbances.len() - 1
    }

    pub(super) fn recovered(&self, disturbance: usize) {
        self.disturbances.lock().expect("nobody panicked")[disturbance].to = Some(monotonic());
    }

    /// Whether nothing was done that this gateway could feel, from `settle` before `from` until now.
    pub(super) fn was_calm(&self, gateway: usize, from: Instant, settle: Duration) -> bool {
        let disturbances = self.disturbances.lock().expect("nobody panicked");
        disturbances
            .iter()
            .all(|it| !it.gateways.contains(&gateway) || it.to.is_some_and(|to| to + settle < from))
    }

    /// How many disturbances of a gateway are over.
    pub(super) fn recoveries(&self, gateway: usize) -> usize {
        let disturbances = self.disturbances.lock().expect("nobody panicked");
        let over = |it: &&Disturbance| it.to.is_some() && it.gateways.contains(&gateway);
        disturbances.iter().filter(over).count()
    }

    /// Of each kind of disturbance, how many there were, and how long the longest was.
    pub(super) fn kinds(&self) -> Vec<(&'static str, usize, Duration)> {
        let mut kinds: Vec<(&'static str, usize, Duration)> = Vec::new();
        for it in &*self.disturbances.lock().expect("nobody panicked") {
            let lasted = it.to.unwrap_or(it.from) - it.from;
            match kinds.iter_mut().find(|(kind, _, _)| *kind == it.kind) {
                Some((_, count, longest)) => (*count, *longest) = (*count + 1, lasted.max(*longest)),
                None => kinds.push((it.kind, 1, lasted)),
            }
        }
        kinds.sort_unstable();
        kinds
    }

    /// Tells all who wait that nothing more is to be disturbed.
    pub(super) fn finish(&self) {
        self.over.store(true, Ordering::SeqCst);
        self.bell.notify_waiters();
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// Waits, but not beyond the end.
    pub(super) async fn rest(&self, time: Duration) {
        let bell = self.bell.notified();
        if !self.is_over() {
            drop(tokio::time::timeout(time, bell).await);
        }
    }
}
