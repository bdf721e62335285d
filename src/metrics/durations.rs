//! [`Durations`]: a histogram of how long requests took, which is added to without a lock.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// Upper bounds, in seconds.
const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
/// The same in microseconds.
const MICROS: [u64; 12] = [
    1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 10_000_000,
];
const NANOS_PER_MICRO: u64 = 1000;

/// A histogram; a clone is the same one.
#[derive(Clone, Debug, Default)]
pub(super) struct Durations(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// By the first bound that they are not beyond; the last is of those beyond all.
    buckets: [AtomicU64; MICROS.len() + 1],
    /// All together, in microseconds: enough for half a million years.
    sum: AtomicU64,
}

impl Durations {
    pub(super) fn observe(&self, took: Duration) {
        let nanos = took
            .as_secs()
            .saturating_mul(1_000_000_000)
            .saturating_add(took.subsec_nanos().into());
        let bucket = MICROS.partition_point(|bound| bound * NANOS_PER_MICRO < nanos);
        if let Some(count) = self.0.buckets.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let micros = nanos.saturating_add(NANOS_PER_MICRO / 2) / NANOS_PER_MICRO;
        self.0.sum.fetch_add(micros, Ordering::Relaxed);
    }
}

impl TypedMetric for Durations {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Durations {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        let mut count = 0;
        let bounds = SECONDS.into_iter().chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds
            .zip(&self.0.buckets)
            .map(|(bound, bucket)| {
                let bucket = bucket.load(Ordering::Relaxed);
                count += bucket;
                (bound, bucket)
            })
            .collect();
        let sum = Duration::from_micros(self.0.sum.load(Ordering::Relaxed));
        encoder.encode_histogram::<NoLabelSet>(sum.as_secs_f64(), count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::encoding::text::encode;
    use prometheus_client::metrics::histogram::Histogram;
    use prometheus_client::registry::{Metric, Registry};

    fn text(metric: impl Metric) -> String {
        let mut registry = Registry::default();
        registry.register("took", "how long", metric);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        // The sum of floats is not that of integers to the last digit.
        let lines = text.lines().filter(|line| !line.contains("_sum"));
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn it_says_what_the_librarys_own_says() {
        let (ours, theirs) = (Durations::default(), Histogram::new(SECONDS));
        let near = MICROS.map(|bound| bound * NANOS_PER_MICRO);
        let near = near.into_iter().flat_map(|bound| [bound - 1, bound, bound + 1]);
        for nanos in near.chain([0, 1 << 50]) {
            let took = Duration::from_nanos(nanos);
            ours.observe(took);
            theirs.observe(took.as_secs_f64());
        }
        assert_eq!(text(ours), text(theirs));
    }
}
