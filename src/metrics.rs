//! The gateway's metrics in Prometheus' terms. This room makes and holds the handles; the admin listener serves the text.
//!
//! Labels hold nothing that a client chooses: routes by their template, methods and codes from fixed sets.

mod durations;
mod refused;
mod routes;
mod throttled;
mod tls;
mod upstreams;

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use http::{Method, StatusCode};
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

pub use refused::RefusedConnection;
pub use routes::RouteMetrics;
pub use throttled::ThrottledMetrics;
pub use tls::TlsMetrics;
pub use upstreams::Upstreams;

use crate::problem::Code;
use routes::Routes;

/// All metrics of one gateway.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    routes: Routes,
    problems: Family<ProblemLabels, Counter>,
    upstream_errors: Family<UpstreamLabels, Counter>,
    exchanges_ended: Family<ProblemLabels, Counter>,
    issuer_keys: Family<IssuerLabels, Gauge>,
    issuer_failures: Family<IssuerLabels, Gauge>,
    refused_connections: Family<RefusedLabels, Counter>,
    config_reloads: Family<ReloadLabels, Counter>,
    /// Of upstreams and their servers.
    pub upstreams: Upstreams,
    /// Open client connections.
    pub connections: Gauge,
    /// Requests being answered.
    pub in_flight: Gauge,
    /// Tunnels that are open.
    pub tunnels: Gauge,
    /// Requests that this gateway counted against limits alone, as Redis did not answer.
    pub limits_alone: Counter,
    /// Revocations that are known.
    pub revocations: Gauge,
    /// Seconds since revocations were last read.
    pub revocations_age: Gauge<f64, AtomicU64>,
    /// Revocations that Redis had lost and that were written back from here.
    pub revocations_restored: Counter,
    /// Audit events that were not recorded, as they came faster than they could be written.
    pub audit_dropped: Counter,
    /// Panics in this process: each failed one request, or interrupted what goes on in the background.
    pub panics: Counter,
    /// Lines of the log that could not be written.
    pub log_lines_lost: Counter,
    /// Times that no connection could be accepted.
    pub accept_failures: Counter,
    /// Tasks that are alive, on all runtimes of the gateway.
    pub tasks: Gauge,
    /// Verified tokens that are remembered.
    pub tokens_remembered: Gauge,
    /// Exchanges whose token is judged again and again.
    pub exchanges_watched: Gauge,
    /// Signing keys that are held.
    pub signing_keys: Gauge,
    /// Seconds since the key that signs began to.
    pub signing_key_age: Gauge<f64, AtomicU64>,
    /// How often signing keys could not be read, opened or made.
    pub key_failures: Counter,
    /// Which configuration is in force: 1 at the start, one more with each reload that was taken.
    pub config_generation: Gauge,
    /// When it was taken, in seconds since 1970.
    pub config_loaded: Gauge<f64, AtomicU64>,
    /// TLS with clients.
    pub tls: TlsMetrics,
    /// Attempts that had to wait.
    pub throttled: ThrottledMetrics,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProblemLabels {
    code: CodeLabel,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct UpstreamLabels {
    upstream: String,
    code: CodeLabel,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct IssuerLabels {
    issuer: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusedLabels {
    reason: RefusedConnection,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReloadLabels {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct CodeLabel(Code);

impl EncodeLabelValue for CodeLabel {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        self.0.as_str().encode(encoder)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// New metrics, all at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("doorward"),
            routes: Routes::default(),
            problems: Family::default(),
            upstream_errors: Family::default(),
            exchanges_ended: Family::default(),
            issuer_keys: Family::default(),
            issuer_failures: Family::default(),
            refused_connections: Family::default(),
            config_reloads: Family::default(),
            upstreams: Upstreams::default(),
            connections: Gauge::default(),
            in_flight: Gauge::default(),
            tunnels: Gauge::default(),
            limits_alone: Counter::default(),
            revocations: Gauge::default(),
            revocations_age: Gauge::default(),
            revocations_restored: Counter::default(),
            audit_dropped: Counter::default(),
            panics: Counter::default(),
            log_lines_lost: Counter::default(),
            accept_failures: Counter::default(),
            tasks: Gauge::default(),
            tokens_remembered: Gauge::default(),
            exchanges_watched: Gauge::default(),
            signing_keys: Gauge::default(),
            signing_key_age: Gauge::default(),
            key_failures: Counter::default(),
            config_generation: Gauge::default(),
            config_loaded: Gauge::default(),
            tls: TlsMetrics::default(),
            throttled: ThrottledMetrics::default(),
        };
        let registry = &mut metrics.registry;
        metrics.tls.register(registry);
        metrics.throttled.register(registry);
        metrics.routes.register(registry);
        let help = "Errors that the gateway answered itself";
        registry.register("problems", help, metrics.problems.clone());
        let help = "Requests that an upstream did not answer";
        registry.register("upstream_errors", help, metrics.upstream_errors.clone());
        metrics.upstreams.register(registry);
        let help = "Answers and tunnels under way that were ended because their token was not good any more";
        registry.register("exchanges_ended", help, metrics.exchanges_ended.clone());
        registry.register("connections", "Open client connections", metrics.connections.clone());
        let help = "Requests being answered";
        registry.register("requests_in_flight", help, metrics.in_flight.clone());
        let help = "Open tunnels: WebSockets and other upgrades";
        registry.register("tunnels", help, metrics.tunnels.clone());
        registry.register("revocations", "Revocations that are known", metrics.revocations.clone());
        let help = "Time since revocations were last read";
        registry.register_with_unit("revocations_age", help, Unit::Seconds, metrics.revocations_age.clone());
        let help = "Revocations that Redis had lost and that were written back from here";
        registry.register("revocations_restored", help, metrics.revocations_restored.clone());
        let help = "Verified tokens that are remembered";
        registry.register("tokens_remembered", help, metrics.tokens_remembered.clone());
        let help = "Exchanges under way whose token is judged again and again";
        registry.register("exchanges_watched", help, metrics.exchanges_watched.clone());
        let help = "Signing keys that are held";
        registry.register("signing_keys", help, metrics.signing_keys.clone());
        let help = "Time since the key that signs began to";
        registry.register_with_unit("signing_key_age", help, Unit::Seconds, metrics.signing_key_age.clone());
        let help = "Times that signing keys could not be read, opened or made";
        registry.register("key_failures", help, metrics.key_failures.clone());
        let help = "Keys of another issuer that are known";
        registry.register("issuer_keys", help, metrics.issuer_keys.clone());
        let help = "Fetches of another issuer's keys that failed since the start";
        registry.register("issuer_fetch_failures", help, metrics.issuer_failures.clone());
        let help = "Changes of the configuration that were taken or refused";
        registry.register("config_reloads", help, metrics.config_reloads.clone());
        let help = "Audit events that were not recorded, as they came faster than they could be written";
        registry.register("audit_events_dropped", help, metrics.audit_dropped.clone());
        metrics.register_generation();
        metrics.register_limits();
        metrics.register_faults();
        // Both are there from the start, so that the first refusal is a change that an alert sees.
        let _ = [true, false].map(|taken| metrics.reloads(taken));
        metrics
    }

    fn register_generation(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "config_generation",
            "The configuration in force: 1 at the start, one more with each reload that was taken",
            self.config_generation.clone(),
        );
        let (help, loaded) = ("When the configuration in force was taken", self.config_loaded.clone());
        registry.register_with_unit("config_loaded_timestamp", help, Unit::Seconds, loaded);
    }

    fn register_limits(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "limits_alone",
            "Requests that this gateway counted against limits alone, as Redis did not answer",
            self.limits_alone.clone(),
        );
        registry.register(
            "connections_refused",
            "Connections that were closed before their first request",
            self.refused_connections.clone(),
        );
    }

    fn register_faults(&mut self) {
        let registry = &mut self.registry;
        let help = "Panics: each failed one request, or interrupted what goes on in the background";
        registry.register("panics", help, self.panics.clone());
        let help = "Lines of the log that nobody took, or for which there was no room";
        registry.register("log_lines_lost", help, self.log_lines_lost.clone());
        let help = "Times that no connection could be accepted, as when no more files can be opened";
        registry.register("accept_failures", help, self.accept_failures.clone());
        let help =
            "Tasks that are alive: of connections, of requests that the gateway answers itself, and of the background";
        registry.register("tasks", help, self.tasks.clone());
    }

    /// Notes a connection that was closed before its first request.
    pub fn refused_connection(&self, reason: RefusedConnection) {
        self.refused_connections.get_or_create(&RefusedLabels { reason }).inc();
    }

    /// Brings up to date what is told of another issuer, which the configuration names.
    pub fn issuer(&self, name: &str, keys: usize, failures: u64) {
        let labels = IssuerLabels {
            issuer: name.to_owned(),
        };
        let set = |family: &Family<IssuerLabels, Gauge>, value: Option<i64>| {
            family.get_or_create(&labels).set(value.unwrap_or(i64::MAX));
        };
        set(&self.issuer_keys, i64::try_from(keys).ok());
        set(&self.issuer_failures, i64::try_from(failures).ok());
    }

    /// Notes a change of the configuration that was taken, or one that was refused.
    pub fn reloaded(&self, taken: bool) {
        self.reloads(taken).inc();
    }

    fn reloads(&self, taken: bool) -> Counter {
        let result = if taken { "taken" } else { "refused" };
        self.config_reloads.get_or_create_owned(&ReloadLabels { result })
    }

    /// Where the requests of a route are counted: `route` is its template, never a path.
    #[must_use]
    pub fn route(&self, route: &str) -> RouteMetrics {
        self.routes.route(route)
    }

    /// Notes a request that was answered, where its route is not at hand.
    pub fn answered(&self, route: &str, method: &Method, status: StatusCode, took: Duration) {
        self.routes.answered(route, method, status, took);
    }

    /// Forgets what was counted of a route that is gone. What is still in flight on it is not told any more.
    pub fn forget_route(&self, route: &str) {
        self.routes.forget(route);
    }

    /// Forgets what was counted of an upstream that is gone.
    pub fn forget_upstream(&self, upstream: &str) {
        let mut labels = UpstreamLabels {
            upstream: upstream.to_owned(),
            code: CodeLabel(Code::NotFound),
        };
        for code in Code::ALL {
            labels.code = CodeLabel(*code);
            self.upstream_errors.remove(&labels);
        }
    }

    /// Notes an error that the gateway answered itself.
    pub fn problem(&self, code: Code) {
        self.problems
            .get_or_create(&ProblemLabels { code: CodeLabel(code) })
            .inc();
    }

    /// Notes an exchange under way that was ended because its token was not good any more.
    pub fn exchange_ended(&self, code: Code) {
        self.exchanges_ended
            .get_or_create(&ProblemLabels { code: CodeLabel(code) })
            .inc();
    }

    /// Notes a request that an upstream did not answer.
    pub fn upstream_error(&self, upstream: &str, code: Code) {
        let labels = UpstreamLabels {
            upstream: upstream.to_owned(),
            code: CodeLabel(code),
        };
        self.upstream_errors.get_or_create(&labels).inc();
    }

    /// All metrics as `OpenMetrics` text.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        match text::encode(&mut text, &self.registry) {
            Ok(()) => text,
            Err(fmt::Error) => String::from("# EOF\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_route_template_method_and_status() {
        let metrics = Metrics::new();
        metrics.answered("/orders/{id}", &Method::GET, StatusCode::OK, Duration::from_millis(3));
        metrics.answered(
            "/orders/{id}",
            &Method::from_bytes(b"BREW").unwrap(),
            StatusCode::OK,
            Duration::ZERO,
        );
        metrics.problem(Code::TokenMissing);
        let text = metrics.render();
        assert!(
            text.contains("doorward_requests_total{route=\"/orders/{id}\",method=\"GET\",status=\"200\"} 1"),
            "{text}"
        );
        assert!(text.contains("method=\"other\""), "{text}");
        assert!(
            text.contains("doorward_problems_total{code=\"token_missing\"} 1"),
            "{text}"
        );
        assert!(text.contains("doorward_request_duration_seconds_bucket{"), "{text}");
    }
}
