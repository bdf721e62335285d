//! [`Upstreams`]: what is told of upstreams and their servers. All labels are out of the configuration and its names' addresses.

use std::sync::atomic::Ordering;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Read when the metrics are asked for, and only then.
#[derive(Debug, Default)]
pub struct Upstreams {
    up: Family<ServerLabels, Gauge>,
    ejected: Family<ServerLabels, Gauge>,
    in_flight: Family<ServerLabels, Gauge>,
    retries: Family<UpstreamLabels, Counter>,
    ejections: Family<UpstreamLabels, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServerLabels {
    upstream: String,
    server: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct UpstreamLabels {
    upstream: String,
}

impl Upstreams {
    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Whether a server's checks pass (1 where it is not checked)";
        registry.register("upstream_server_up", help, self.up.clone());
        let help = "Whether a server gets no requests since requests to it failed";
        registry.register("upstream_server_ejected", help, self.ejected.clone());
        let help = "Requests on their way to a server or being answered by it, where they are counted";
        registry.register("upstream_server_requests_in_flight", help, self.in_flight.clone());
        let help = "Requests that were sent to an upstream again";
        registry.register("upstream_retries", help, self.retries.clone());
        let help = "How often a server was ejected";
        registry.register("upstream_ejections", help, self.ejections.clone());
    }

    /// Forgets all, since servers come and go.
    pub fn clear(&self) {
        self.up.clear();
        self.ejected.clear();
        self.in_flight.clear();
    }

    /// Tells of a server.
    pub fn server(&self, upstream: &str, server: &str, up: bool, ejected: bool, in_flight: usize) {
        let labels = ServerLabels {
            upstream: upstream.to_owned(),
            server: server.to_owned(),
        };
        self.up.get_or_create(&labels).set(i64::from(up));
        self.ejected.get_or_create(&labels).set(i64::from(ejected));
        let in_flight = i64::try_from(in_flight).unwrap_or(i64::MAX);
        self.in_flight.get_or_create(&labels).set(in_flight);
    }

    /// Tells of an upstream what was counted since the start.
    pub fn totals(&self, upstream: &str, retries: u64, ejections: u64) {
        let labels = UpstreamLabels {
            upstream: upstream.to_owned(),
        };
        let set = |family: &Family<UpstreamLabels, Counter>, value| {
            family.get_or_create(&labels).inner().store(value, Ordering::Relaxed);
        };
        set(&self.retries, retries);
        set(&self.ejections, ejections);
    }
}
