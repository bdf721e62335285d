//! A certificate that the gateway gets and renews by itself (RFC 8555).
//!
//! What was issued is written to [`storage`](storage::Storage), from where it is read like any other certificate: so it
//! survives a restart, and one that is broken is got again. An authority that can't be reached changes nothing; it is asked
//! again after a while, and the certificate that is there is shown until then.

mod challenges;
mod client;
mod order;
mod storage;

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

pub(super) use challenges::ACME_TLS;
pub use challenges::Challenges;
pub use client::inspect_authority;
pub(super) use storage::certificate_file;

use super::{Summary, Tls};
use crate::config;
use crate::time::{Clock, Timestamp};
use storage::Storage;

/// How long all of one order may take.
const PATIENCE: Duration = Duration::from_mins(5);
/// The longest wait after failures.
const LONGEST_WAIT: Duration = Duration::from_hours(6);

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum AcmeError {
    /// The authority refuses, or can't be talked to.
    #[error("{0}")]
    Authority(#[from] instant_acme::Error),
    /// The authority does not offer the challenge that is configured.
    #[error("the authority offers no {0} for {1}")]
    NoChallenge(&'static str, String),
    /// The authority has seen something else than it expected.
    #[error("the authority did not find that the names are ours")]
    Invalid,
    /// The account or the certificate can't be kept.
    #[error("{0}: {1}")]
    Storage(String, std::io::Error),
    /// A key or a request could not be made.
    #[error("no request can be made: {0}")]
    Request(#[from] rcgen::Error),
    /// The library refuses.
    #[error("TLS can't be set up: {0}")]
    Setup(#[from] rustls::Error),
    /// The file with the directory's authorities can't be used.
    #[error(transparent)]
    File(#[from] super::TlsError),
    /// It took too long.
    #[error("not done within {PATIENCE:?}")]
    Timeout,
}

impl Tls {
    /// Sees to it that there is a certificate for the names in `[acme]`, until told to stop.
    pub async fn keep_issued(self: Arc<Self>, clock: Clock, mut stop: watch::Receiver<bool>) {
        let mut failures = 0;
        let mut wait = Duration::ZERO;
        loop {
            let every = self.state.load().settings.reload_every;
            let pause = wait.max(every);
            if tokio::time::timeout(pause, stop.wait_for(|stop| *stop)).await.is_ok() {
                return;
            }
            wait = Duration::ZERO;
            let wanted = self.state.load().settings.acme.clone();
            let Some(acme) = wanted.filter(|acme| self.is_due(acme, &clock)) else {
                continue;
            };
            let issued = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                issued = tokio::time::timeout(PATIENCE, self.issue(&acme)) => issued,
            };
            match issued.unwrap_or(Err(AcmeError::Timeout)) {
                Ok(()) if self.is_due(&acme, &clock) => {
                    // By our clock: nobody is asked for one after the other.
                    wait = backoff(acme.retry_every, failures);
                    failures += 1;
                    tracing::error!(
                        "a certificate was issued that is to be renewed at once: see whether the clock is right"
                    );
                    self.note_acme(Some("what is issued is to be renewed at once".to_owned()));
                }
                Ok(()) => {
                    failures = 0;
                    tracing::info!(domains = acme.domains.join(", "), "a certificate was issued");
                    self.note_acme(None);
                }
                Err(error) => {
                    wait = backoff(acme.retry_every, failures);
                    failures += 1;
                    tracing::error!(%error, again_in = ?wait, "no certificate was issued");
                    self.note_acme(Some(error.to_string()));
                }
            }
        }
    }

    fn is_due(&self, acme: &config::Acme, clock: &Clock) -> bool {
        let state = self.state.load();
        is_due(acme, state.issued(), state.digest, clock.now())
    }

    async fn issue(self: &Arc<Self>, acme: &config::Acme) -> Result<(), AcmeError> {
        let storage = Storage::open(acme)?;
        let pem = order::order(acme, &storage, &self.challenges).await?;
        storage.keep_certificate(&pem)?;
        self.reload().await?;
        self.issued.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// The answers to challenges that are open.
    #[must_use]
    pub fn challenges(&self) -> &Arc<Challenges> {
        &self.challenges
    }

    /// Why the last order came to nothing, if it did.
    #[must_use]
    pub fn acme_trouble(&self) -> Option<String> {
        self.acme_trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many certificates were issued since the start, and how many orders came to nothing.
    #[must_use]
    pub fn acme_orders(&self) -> (u64, u64) {
        (
            self.issued.load(Ordering::Relaxed),
            self.acme_failures.load(Ordering::Relaxed),
        )
    }

    fn note_acme(&self, trouble: Option<String>) {
        if trouble.is_some() {
            self.acme_failures.fetch_add(1, Ordering::Relaxed);
        }
        *self.acme_trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }
}

/// Whether a certificate has to be got now: there is none for these names, or two thirds of its time are over, and a little
/// more that differs from one to the next, so that not all are renewed at once.
fn is_due(acme: &config::Acme, issued: Option<&Summary>, digest: [u8; 32], now: Timestamp) -> bool {
    let Some(issued) = issued else { return true };
    if acme.domains.iter().any(|domain| !issued.names.contains(domain)) {
        return true;
    }
    let lifetime = issued.not_after.since(issued.not_before);
    let jitter = lifetime / 20 * u32::from(digest[0]) / 255;
    now >= issued.not_before + lifetime * 2 / 3 + jitter
}

/// Twice as long after each failure, and up to a half longer.
fn backoff(first: Duration, failures: u32) -> Duration {
    let mut byte = [0];
    // Without randomness it is the same for all, which is no harm.
    let _ = aws_lc_rs::rand::fill(&mut byte);
    let wait = first.saturating_mul(1 << failures.min(16)).min(LONGEST_WAIT);
    wait + wait / 2 * u32::from(byte[0]) / 255
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_renewed_after_two_thirds_of_its_time() {
        let acme = config::Acme {
            domains: vec!["a.example".to_owned()],
            directory_url: String::new(),
            ca_file: None,
            contact: None,
            challenge: config::AcmeChallenge::Http01,
            storage: "/x".into(),
            retry_every: Duration::from_secs(1),
        };
        let day = |day: i64| Timestamp::from_unix_seconds(day * 86_400);
        let mut issued = Summary {
            file: "/x".into(),
            names: vec!["a.example".to_owned(), "b.example".to_owned()],
            addresses: Vec::new(),
            not_before: day(0),
            not_after: day(90),
        };
        assert!(is_due(&acme, None, [0; 32], day(1)));
        for (digest, at, due) in [
            ([0; 32], 59, false),
            ([0; 32], 60, true),
            ([255; 32], 64, false),
            ([255; 32], 65, true),
        ] {
            assert_eq!(is_due(&acme, Some(&issued), digest, day(at)), due, "{at}");
        }
        issued.names.remove(0);
        assert!(is_due(&acme, Some(&issued), [0; 32], day(1)));
    }

    #[test]
    fn an_authority_that_fails_is_asked_less_and_less_often() {
        let second = Duration::from_secs(1);
        for (failures, least) in [(0, 1), (1, 2), (5, 32), (40, 21_600)] {
            let wait = backoff(second, failures);
            assert!(wait >= second * least && wait <= second * least * 3 / 2, "{wait:?}");
        }
    }
}
