//! What slows guessers down: passwords are tried under rules that all gateways share, by the store.
//!
//! A guess is counted before it is judged, and given back if it was right, or if nobody judged it. Whoever has to wait is told
//! for how long, at once, in the same way whether the account exists and whether the password is right: without bcrypt.

mod guess;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::AuthState;
use super::error::Failure;
use crate::limiter::{Place, Tally, network};
use crate::metrics::ThrottledMetrics;
use crate::problem::{Code, Problem};

pub(super) use guess::{Guess, Outcome};

/// What is known in this process beside what the store counts. Cheap to clone; outlives a configuration.
#[derive(Clone, Debug, Default)]
pub struct Throttle(Arc<Memory>);

struct Memory {
    /// The hashes that run or wait, by address.
    hashing: Tally,
    /// Whether the table of attempts has no room for newcomers.
    crowded: AtomicBool,
    metrics: OnceLock<ThrottledMetrics>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            // The configuration says how many, each time.
            hashing: Tally::new(1),
            crowded: AtomicBool::new(false),
            metrics: OnceLock::new(),
        }
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("crowded", &self.crowded)
            .finish_non_exhaustive()
    }
}

impl Throttle {
    /// Where to count who had to wait.
    pub fn count_in(&self, metrics: ThrottledMetrics) {
        // The first one stays: it is the same for as long as the process lives.
        let _ = self.0.metrics.set(metrics);
    }

    /// Notes how many rows the table of attempts has, of how many it may.
    pub fn note_rows(&self, rows: u64, capacity: u64) {
        if let Some(metrics) = self.0.metrics.get() {
            metrics.rows(rows);
        }
        let crowded = rows >= capacity;
        if self.0.crowded.swap(crowded, Ordering::Relaxed) != crowded {
            if crowded {
                tracing::warn!(
                    rows,
                    capacity,
                    "the table of attempts is full: newcomers share what a few may"
                );
            } else {
                tracing::info!(rows, capacity, "the table of attempts has room again");
            }
        }
    }

    fn is_crowded(&self) -> bool {
        self.0.crowded.load(Ordering::Relaxed)
    }

    /// A place among those whose passwords are hashed, of which one address may hold a part. It is free when dropped.
    fn enter(&self, state: &AuthState, from: IpAddr) -> Result<Place, Failure> {
        let tally = self.0.hashing.resized(state.config.passwords.queue_per_address);
        match tally.enter(&network(from)) {
            Some(place) if state.hasher.has_room() => Ok(place),
            Some(_) | None => {
                self.count("queue");
                Err(state.hasher.busy().into())
            }
        }
    }

    fn count(&self, kind: &'static str) {
        if let Some(metrics) = self.0.metrics.get() {
            metrics.note(kind);
        }
    }

    /// What somebody is told who has to wait: nothing of why.
    fn refusal(&self, kind: &'static str, from: IpAddr, wait: Duration) -> Failure {
        self.count(kind);
        tracing::info!(kind, client = %from, seconds = wait.as_secs_f64().ceil(), "an attempt has to wait");
        Problem::new(Code::TooManyAttempts, "too many attempts: try again later")
            .retry_after(wait)
            .into()
    }
}

/// Where a request comes from. Only a gateway that is not asked through sockets does not know: there, all are one.
fn address(from: Option<IpAddr>) -> IpAddr {
    from.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}
