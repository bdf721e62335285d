//! [`Readiness`]: whether this replica should be sent requests, and why not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use serde::Serialize;
use tokio::runtime::Handle;

use crate::gateway::Gateway;
use crate::issuer::Issuers;
use crate::log;
use crate::metrics::Metrics;
use crate::reload::Reloads;
use crate::store::Store;
use crate::time::{Clock, Timestamp};
use crate::tls::{Standing, Tls};
use crate::token::{Blocklist, Freshness, Keyring, Tokens};
use crate::upstream::{Breaker, Health};

/// Knows what readiness depends on.
#[derive(Debug)]
pub struct Readiness {
    draining: AtomicBool,
    store: Store,
    blocklist: Arc<Blocklist>,
    keyring: Option<Arc<Keyring>>,
    reloads: Arc<Reloads>,
    tls: Arc<Tls>,
    clock: Clock,
    gateway: Arc<Gateway>,
    /// Those whose tasks are counted.
    runtimes: Vec<Handle>,
    /// What a reload replaces.
    current: ArcSwap<Current>,
}

#[derive(Debug)]
struct Current {
    tokens: Arc<Tokens>,
    issuers: Arc<Issuers>,
}

/// The answer of `/readyz`.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) ready: bool,
    /// Why not, or what is not as it should be; empty when all is well.
    reasons: Vec<String>,
    /// The number of the process that answers: another one may listen beside it.
    process: u32,
    config: InForce,
}

/// The configuration in force.
#[derive(Debug, Serialize)]
struct InForce {
    /// 1 at the start, one more with each that was taken since.
    generation: u64,
    /// RFC 3339.
    loaded_at: String,
}

impl Readiness {
    /// Ready as soon as it exists: it is made once everything else is there.
    #[must_use]
    pub fn new(
        (store, blocklist): (Store, Arc<Blocklist>),
        keyring: Option<Arc<Keyring>>,
        (tokens, issuers): (Arc<Tokens>, Arc<Issuers>),
        reloads: Arc<Reloads>,
        tls: Arc<Tls>,
        clock: Clock,
        gateway: Arc<Gateway>,
    ) -> Self {
        Self {
            draining: AtomicBool::new(false),
            store,
            blocklist,
            keyring,
            reloads,
            tls,
            clock,
            current: ArcSwap::from_pointee(Current { tokens, issuers }),
            gateway,
            runtimes: Vec::new(),
        }
    }

    /// The tasks of these runtimes are counted.
    #[must_use]
    pub fn with_runtimes(self, runtimes: Vec<Handle>) -> Self {
        Self { runtimes, ..self }
    }

    /// From now on these are in force.
    pub fn follow(&self, tokens: Arc<Tokens>, issuers: Arc<Issuers>) {
        self.current.store(Arc::new(Current { tokens, issuers }));
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
        for issuer in self.current.load().issuers.iter() {
            if let Some(error) = issuer.last_error() {
                let name = &issuer.config().name;
                reasons.push(format!("the keys of the issuer {name} can't be fetched: {error}"));
            }
        }
        self.certificates(&mut reasons);
        // Nor other routes when servers of an upstream are.
        for upstream in self.gateway.upstreams().iter() {
            for server in upstream.servers() {
                if let Some(trouble) = server.trouble() {
                    reasons.push(format!("{server} of the upstream {} is {trouble}", upstream.name()));
                }
            }
        }
        // The configuration that is in force goes on: no reason not to be ready.
        let in_force = self.reloads.in_force();
        if let Some(why) = in_force.refused {
            reasons.push(format!("the configuration was changed and is not taken: {why}"));
        }
        Report {
            ready,
            reasons,
            process: std::process::id(),
            config: InForce {
                generation: in_force.generation,
                loaded_at: in_force.loaded_at.to_string(),
            },
        }
    }

    /// What is not as it should be with the certificates. Those that are shown go on being shown.
    fn certificates(&self, reasons: &mut Vec<String>) {
        if let Some(trouble) = self.tls.trouble() {
            reasons.push(format!(
                "certificates can't be read again, those before are shown: {trouble}"
            ));
        }
        if let Some(trouble) = self.tls.acme_trouble() {
            reasons.push(format!("no certificate was issued for [acme]: {trouble}"));
        }
        let now = self.clock.now();
        for certificate in self.tls.summaries() {
            let (file, until) = (certificate.file.display(), certificate.not_after);
            match certificate.standing(now) {
                Standing::Good | Standing::EndsSoon(_) => {}
                Standing::Expired => reasons.push(format!(
                    "the certificate in {file} has expired: it was for until {until}"
                )),
            }
        }
    }

    /// Brings the gauges up to date that are only read here.
    pub(super) fn measure(&self, metrics: &Metrics) {
        metrics
            .revocations
            .set(i64::try_from(self.blocklist.len()).unwrap_or(i64::MAX));
        if let Freshness::Fresh { age } | Freshness::Stale { age } = self.blocklist.status() {
            metrics.revocations_age.set(age.as_secs_f64());
        }
        let current = self.current.load();
        for issuer in current.issuers.iter() {
            metrics.issuer(issuer.config().name.as_str(), issuer.held(), issuer.failures());
        }
        let in_force = self.reloads.in_force();
        metrics
            .config_generation
            .set(i64::try_from(in_force.generation).unwrap_or(i64::MAX));
        metrics
            .config_loaded
            .set(in_force.loaded_at.since(Timestamp::from_unix_ms(0)).as_secs_f64());
        let (issued, failures) = self.tls.acme_orders();
        metrics.tls.issued.inner().store(issued, Ordering::Relaxed);
        metrics.tls.issue_failures.inner().store(failures, Ordering::Relaxed);
        metrics.tls.reloads.inner().store(self.tls.reloads(), Ordering::Relaxed);
        metrics
            .tls
            .reload_failures
            .inner()
            .store(self.tls.failures(), Ordering::Relaxed);
        let certificates = self.tls.summaries().into_iter();
        metrics.tls.certificates(certificates.map(|certificate| {
            (
                certificate.file.display().to_string(),
                certificate.not_after.unix_seconds(),
            )
        }));
        metrics.upstreams.clear();
        for upstream in self.gateway.upstreams().iter() {
            let name = upstream.name();
            metrics.upstreams.totals(name, upstream.retries(), upstream.ejections());
            for server in upstream.servers() {
                let (health, breaker) = server.condition();
                let ejected = !matches!(breaker, Breaker::Closed { .. });
                let up = matches!(health, Health::Up { .. });
                metrics
                    .upstreams
                    .server(name, &server.to_string(), up, ejected, server.in_flight());
            }
        }
        // The list counts from its start, as the counter does.
        let restored = self.blocklist.restored();
        metrics
            .revocations_restored
            .inc_by(restored.saturating_sub(metrics.revocations_restored.get()));
        let dropped = &metrics.audit_dropped;
        dropped.inc_by(self.store.audit_dropped().saturating_sub(dropped.get()));
        metrics.panics.inner().store(log::panics(), Ordering::Relaxed);
        let lost = metrics.log_lines_lost.inner();
        lost.store(log::lines_lost(), Ordering::Relaxed);
        let alive = self.runtimes.iter().map(|runtime| runtime.metrics().num_alive_tasks());
        metrics
            .tasks
            .set(i64::try_from(alive.sum::<usize>()).unwrap_or(i64::MAX));
        metrics
            .tokens_remembered
            .set(i64::try_from(current.tokens.remembered()).unwrap_or(i64::MAX));
        metrics
            .exchanges_watched
            .set(i64::try_from(current.tokens.watched()).unwrap_or(i64::MAX));
        metrics
            .signing_keys
            .set(i64::try_from(current.tokens.key_count()).unwrap_or(i64::MAX));
        if let Some(keyring) = &self.keyring {
            let now = self.clock.now();
            if let Some((_, since)) = current.tokens.signing_with(now) {
                metrics.signing_key_age.set(now.since(since).as_secs_f64());
            }
            metrics
                .key_failures
                .inner()
                .store(keyring.failures(), Ordering::Relaxed);
        }
    }
}
