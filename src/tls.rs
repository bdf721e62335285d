//! TLS with clients: which certificate a client is shown, and how its files are kept up to date.
//!
//! [`Tls`] is shared by all workers and outlives configurations. Files are read as a whole and swapped as a whole: a
//! connection is served with the certificates of one moment, and a file that can't be used leaves those before in place.
//! rustls on aws-lc-rs speaks TLS 1.2 and 1.3 with forward secrecy alone; no early data is taken, since it can be replayed.

mod accept;
mod acme;
mod certificate;
mod choice;
mod client;
mod error;
mod file;
mod state;
mod watch;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::server::ProducesTickets;

pub use acme::{AcmeError, Challenges, inspect_authority};
pub use certificate::valid_until;
pub use client::client_certificate;
pub use error::TlsError;
pub use state::{State, inspect, inspect_clients};

use crate::config;
use crate::time::Timestamp;

/// How long before the end of a certificate it is time to say so.
const SOON: Duration = Duration::from_hours(30 * 24);

/// What clients are shown.
#[derive(Debug)]
pub struct Tls {
    state: ArcSwap<State>,
    /// Seals the sessions of clients that come back, with keys that are replaced every six hours. Shared by all states, so
    /// that new certificates end no session.
    tickets: Arc<dyn ProducesTickets>,
    /// Held while files are read again, so that the last word is the newest.
    turn: tokio::sync::Mutex<()>,
    trouble: Mutex<Option<String>>,
    failures: AtomicU64,
    reloads: AtomicU64,
    challenges: Arc<Challenges>,
    acme_trouble: Mutex<Option<String>>,
    acme_failures: AtomicU64,
    issued: AtomicU64,
}

/// A certificate, for those who watch over it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The file that it is from.
    pub file: PathBuf,
    /// The host names that it is for, wildcards as they are written.
    pub names: Vec<String>,
    /// The addresses that it is for.
    pub addresses: Vec<IpAddr>,
    /// From when on it is valid.
    pub not_before: Timestamp,
    /// Until when it is valid.
    pub not_after: Timestamp,
}

/// How long a certificate is still good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// For more than 30 days.
    Good,
    /// For so long.
    EndsSoon(Duration),
    /// No longer.
    Expired,
}

impl Summary {
    /// How long it is still good.
    #[must_use]
    pub fn standing(&self, now: Timestamp) -> Standing {
        Standing::of(self.not_after, now)
    }
}

impl Standing {
    /// How long a certificate that is valid until then is still good.
    #[must_use]
    pub fn of(not_after: Timestamp, now: Timestamp) -> Self {
        let left = not_after.since(now);
        if left.is_zero() {
            Self::Expired
        } else if left < SOON {
            Self::EndsSoon(left)
        } else {
            Self::Good
        }
    }
}

impl Tls {
    /// Reads the certificates of a configuration. One without any is fine, and serves nobody.
    pub fn new(settings: &config::Tls) -> Result<Self, TlsError> {
        let tickets = rustls::crypto::aws_lc_rs::Ticketer::new().map_err(TlsError::setup)?;
        Ok(Self {
            state: ArcSwap::from_pointee(State::load(settings, &tickets)?),
            tickets,
            turn: tokio::sync::Mutex::new(()),
            trouble: Mutex::new(None),
            failures: AtomicU64::new(0),
            reloads: AtomicU64::new(0),
            challenges: Arc::new(Challenges::default()),
            acme_trouble: Mutex::new(None),
            acme_failures: AtomicU64::new(0),
            issued: AtomicU64::new(0),
        })
    }

    /// The certificates that are shown, in the order of the configuration.
    #[must_use]
    pub fn summaries(&self) -> Vec<Summary> {
        self.state.load().summaries().to_vec()
    }
}

#[cfg(test)]
mod tests;
