//! [`Readiness`]: whether this replica should be sent requests, and why not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

use crate::issuer::Issuers;
use crate::metrics::Metrics;
use crate::time::Clock;
use crate::token::{Blocklist, Freshness, Keyring, Tokens};

/// Knows what readiness depends on.
#[derive(Debug)]
pub struct Readiness {
    draining: AtomicBool,
    blocklist: Arc<Blocklist>,
    tokens: Arc<Tokens>,
    keyring: Option<Arc<Keyring>>,
    clock: Clock,
    issuers: Arc<Issuers>,
}

/// The answer of `/readyz`.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) ready: bool,
    /// Why not, or what is not as it should be; empty when all is well.
    reasons: Vec<String>,
}

impl Readiness {
    /// Ready as soon as it exists: it is made once everything else is there.
    #[must_use]
    pub fn new(
        blocklist: Arc<Blocklist>,
        tokens: Arc<Tokens>,
        keyring: Option<Arc<Keyring>>,
        issuers: Arc<Issuers>,
        clock: Clock,
    ) -> Self {
        Self {
            draining: AtomicBool::new(false),
            blocklist,
            tokens,
            keyring,
            clock,
            issuers,
        }
    }

    /// From now on not ready: the gateway is going down.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    pub(super) fn report(&self) -> Report {
        let mut reasons = Vec::new();
        let mut ready = true;
        if self.draining.load(Ordering::SeqCst) {
            ready = false;
            reasons.push("the gateway is shutting down".to_owned());
        }
        match self.blocklist.status() {
            Freshness::Fresh { .. } => {}
            Freshness::Stale { age } => {
                ready &= self.blocklist.allows_stale();
                reasons.push(format!("revocations have not been read for {} s", age.as_secs()));
            }
            Freshness::NeverLoaded => {
                ready = false;
                reasons.push("revocations have never been read".to_owned());
            }
        }
        if let Some(error) = self.blocklist.last_error() {
            reasons.push(format!("the last read of the revocations failed: {error}"));
        }
        // The keys that are held go on: no reason not to be ready.
        if let Some(trouble) = self.keyring.as_ref().and_then(|keyring| keyring.trouble()) {
            reasons.push(format!("the signing keys can't all be kept up to date: {trouble}"));
        }
        // Nothing else suffers when another issuer is down: it is said, and requests go on.
        for issuer in self.issuers.iter() {
            if let Some(error) = issuer.last_error() {
                let name = &issuer.config().name;
                reasons.push(format!("the keys of the issuer {name} can't be fetched: {error}"));
            }
        }
        Report { ready, reasons }
    }

    /// Brings the gauges up to date that are only read here.
    pub(super) fn measure(&self, metrics: &Metrics) {
        metrics
            .revocations
            .set(i64::try_from(self.blocklist.len()).unwrap_or(i64::MAX));
        if let Freshness::Fresh { age } | Freshness::Stale { age } = self.blocklist.status() {
            metrics.revocations_age.set(age.as_secs_f64());
        }
        for issuer in self.issuers.iter() {
            metrics.issuer(issuer.config().name.as_str(), issuer.held(), issuer.failures());
        }
        // The list counts from its start, as the counter does.
        let restored = self.blocklist.restored();
        metrics
            .revocations_restored
            .inc_by(restored.saturating_sub(metrics.revocations_restored.get()));
        metrics
            .tokens_remembered
            .set(i64::try_from(self.tokens.remembered()).unwrap_or(i64::MAX));
        metrics
            .signing_keys
            .set(i64::try_from(self.tokens.key_count()).unwrap_or(i64::MAX));
        if let Some(keyring) = &self.keyring {
            let now = self.clock.now();
            if let Some((_, since)) = self.tokens.signing_with(now) {
                metrics.signing_key_age.set(now.since(since).as_secs_f64());
            }
            metrics
                .key_failures
                .inner()
                .store(keyring.failures(), Ordering::Relaxed);
        }
    }
}
