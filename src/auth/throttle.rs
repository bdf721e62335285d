//! What slows guessers down: passwords are tried under rules that all gateways share, by the store.
//!
//! A guess is counted before it is judged, and given back if it was right, or if nobody judged it. Whoever has to wait is told
//! for how long, at once, in the same way whether the account exists and whether the password is right: without bcrypt.

mod guess;
mod judging;
mod reports;
mod signup;
mod tokens;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::AuthState;
use super::caller::Client;
use super::error::Failure;
use crate::limiter::{Counts, Place, Tally, network};
use crate::metrics::ThrottledMetrics;
use crate::problem::{Code, Problem};
use crate::store::audit::Event;
use crate::store::{Attempt, CounterId, StoreError, Taken};

pub(super) use guess::{Guess, Outcome};
pub(super) use reports::Report;
use reports::Reports;
pub(super) use signup::SignUp;
use tokens::Tokens;

/// What is known in this process beside what the store counts. Cheap to clone; outlives a configuration.
#[derive(Clone, Debug, Default)]
pub struct Throttle(Arc<Memory>);

struct Memory {
    /// The hashes that run or wait, by address.
    hashing: Tally,
    /// The passwords that were judged, by address.
    judged: Counts,
    /// How many rows the table of attempts had when it was last looked at, but for those of known addresses.
    rows: AtomicU64,
    /// Whether that was found to be too many.
    crowded: AtomicBool,
    tokens: Tokens,
    reports: Reports,
    metrics: OnceLock<ThrottledMetrics>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            // The configuration says how many, each time.
            hashing: Tally::new(1),
            judged: Counts::new("judged", tokens::CAPACITY),
            rows: AtomicU64::new(0),
            crowded: AtomicBool::new(false),
            tokens: Tokens::default(),
            reports: Reports::default(),
            metrics: OnceLock::new(),
        }
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

impl Throttle {
    /// Where to count who had to wait.
    pub fn count_in(&self, metrics: ThrottledMetrics) {
        // The first one stays: it is the same for as long as the process lives.
        let _ = self.0.metrics.set(metrics);
    }

    /// Notes how many rows the table of attempts has.
    pub fn note_rows(&self, rows: u64) {
        self.0.rows.store(rows, Ordering::Relaxed);
        if let Some(metrics) = self.0.metrics.get() {
            metrics.rows(rows);
        }
    }

    /// Whether the table of attempts has no room for newcomers.
    fn is_crowded(&self, state: &AuthState) -> bool {
        let (rows, capacity) = (self.0.rows.load(Ordering::Relaxed), state.config.throttle.capacity);
        let crowded = rows >= capacity;
        if self.0.crowded.swap(crowded, Ordering::Relaxed) != crowded {
            let change = if crowded {
                "is full: newcomers share"
            } else {
                "has room again"
            };
            tracing::warn!(rows, capacity, "the table of attempts {change}");
        }
        crowded
    }

    /// A place among those whose passwords are judged and hashed, of which one address may hold a part. It is to be held for as
    /// long as anything is done with a password, and free when dropped.
    pub(super) fn enter(&self, state: &AuthState, client: &Client) -> Result<Place, Failure> {
        let tally = self.0.hashing.resized(state.config.passwords.queue_per_address);
        match tally.enter(&network(address(client.ip))) {
            Some(place) if state.hasher.has_room() => Ok(place),
            Some(_) | None => {
                self.count("queue");
                Err(state.hasher.busy().into())
            }
        }
    }

    /// Counts an attempt, or refuses it.
    async fn take(&self, state: &AuthState, attempt: &Attempt, from: IpAddr) -> Result<Taken, Failure> {
        let taken = state.store.take_attempt(attempt, state.clock.now()).await?;
        taken.map_err(|throttled| self.refusal(throttled.kind.as_str(), from, throttled.wait))
    }

    /// Settles what was counted. Nothing fails because this does: what is not given back is forgotten in time.
    async fn settle(&self, state: &AuthState, taken: &Taken, here: Option<CounterId>, outcome: Outcome) {
        let (store, now) = (&state.store, state.clock.now());
        let settled = match outcome {
            Outcome::Right => {
                let here = here.map(|id| (id, now + state.config.throttle.known_for));
                store.attempt_succeeded(taken, here, now).await
            }
            Outcome::Wrong => Ok(()),
            Outcome::Unjudged => {
                // Whoever asked does not wait for it: as a rule it is the store that has failed.
                let (store, taken) = (store.clone(), taken.clone());
                tokio::spawn(async move { is_settled(&store.give_back(&taken, now).await) });
                return;
            }
        };
        is_settled(&settled);
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
        let problem = Problem::new(Code::TooManyAttempts, "too many attempts: try again later").retry_after(wait);
        Failure::from(problem).counted_by(kind)
    }

    /// What is to be recorded of an attempt that has to wait, if anything is: the event is of it, and of those before it that
    /// no other is of.
    pub(super) fn report(&self, event: &Event, by: &'static str) -> Option<Report> {
        self.0.reports.count(event, by)
    }
}

/// Where a request comes from. Only a gateway that is not asked through sockets does not know: there, all are one.
fn address(from: Option<IpAddr>) -> IpAddr {
    from.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

fn is_settled(settled: &Result<(), StoreError>) {
    if let Err(error) = settled {
        tracing::warn!(%error, "what was counted of an attempt is not settled");
    }
}
