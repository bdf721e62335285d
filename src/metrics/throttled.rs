//! [`ThrottledMetrics`]: attempts that had to wait, and what is remembered of attempts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Attempts that had to wait, by what they are counted by; and the rows of the table of attempts.
#[derive(Clone, Debug, Default)]
pub struct ThrottledMetrics {
    waited: Family<Labels, Counter>,
    rows: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    kind: &'static str,
}

impl ThrottledMetrics {
    /// Notes one. The kinds are a fixed set.
    pub fn note(&self, kind: &'static str) {
        self.waited.get_or_create(&Labels { kind }).inc();
    }

    /// Brings up to date how many rows there are.
    pub fn rows(&self, rows: u64) {
        self.rows.set(i64::try_from(rows).unwrap_or(i64::MAX));
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Logins, sign-ups and refreshes that were told to wait, by what they are counted by";
        registry.register("throttled", help, self.waited.clone());
        let help = "Rows of the table of attempts but for known addresses, as of the last removal of expired ones";
        registry.register("throttle_rows", help, self.rows.clone());
    }
}
