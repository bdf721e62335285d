//! What was counted of routes and upstreams that a reload has removed: without this, metrics would grow with each.

use std::collections::HashSet;

use super::Snapshot;
use crate::metrics::Metrics;
use crate::upstream::Upstream;

/// Forgets what `next` has no more.
pub(super) fn forget(metrics: &Metrics, before: &Snapshot, next: &Snapshot) {
    let stay: HashSet<&str> = next.routes.labels().collect();
    for label in before.routes.labels() {
        if !stay.contains(label) {
            metrics.forget_route(label);
        }
    }
    let stay: HashSet<&str> = next.upstreams.iter().map(Upstream::name).collect();
    for name in before.upstreams.iter().map(Upstream::name) {
        if !stay.contains(name) {
            metrics.forget_upstream(name);
        }
    }
}
