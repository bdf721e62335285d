//! [`RouteMetrics`]: what is counted of the requests of one route. What its labels lead to is looked up once, so that a request
//! is counted without a lock and without a text.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::{Method, StatusCode};
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::{Registry, Unit};

use super::durations::Durations;

/// So many pairs of a method and a status are kept of each route: more than nearly all have.
const KEPT: usize = 16;

/// What is counted of all routes.
#[derive(Clone, Debug, Default)]
pub(super) struct Routes {
    requests: Family<RequestLabels, Counter>,
    durations: Family<RouteLabels, Durations>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: String,
    method: MethodLabel,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: String,
}

/// The methods that have labels of their own.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
/// The label of all others.
const OTHER: &str = "other";

/// A method out of the registered ones; any other is `other`, so that clients can't make labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct MethodLabel(&'static str);

impl EncodeLabelValue for MethodLabel {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        self.0.encode(encoder)
    }
}

impl From<&Method> for MethodLabel {
    fn from(method: &Method) -> Self {
        let known = METHODS.into_iter().find(|known| *known == method.as_str());
        Self(known.unwrap_or(OTHER))
    }
}

impl Routes {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("requests", "Requests answered", self.requests.clone());
        let help = "From the request's head to the end of its answer";
        registry.register_with_unit("request_duration", help, Unit::Seconds, self.durations.clone());
    }

    pub(super) fn route(&self, route: &str) -> RouteMetrics {
        RouteMetrics {
            route: route.into(),
            all: self.clone(),
            counts: Default::default(),
            durations: OnceLock::new(),
        }
    }

    pub(super) fn answered(&self, route: &str, method: &Method, status: StatusCode, took: Duration) {
        self.count(route, method.into(), status).inc();
        self.durations(route).observe(took);
    }

    fn count(&self, route: &str, method: MethodLabel, status: StatusCode) -> Counter {
        self.requests.get_or_create_owned(&RequestLabels {
            route: route.to_owned(),
            method,
            status: status.as_u16(),
        })
    }

    fn durations(&self, route: &str) -> Durations {
        let route = route.to_owned();
        self.durations.get_or_create_owned(&RouteLabels { route })
    }

    pub(super) fn forget(&self, route: &str) {
        let route = route.to_owned();
        let mut labels = RouteLabels { route };
        if !self.durations.remove(&labels) {
            return;
        }
        for method in METHODS.into_iter().chain([OTHER]).map(MethodLabel) {
            let mut request = RequestLabels {
                route: labels.route,
                method,
                status: 0,
            };
            for status in 100..=999 {
                request.status = status;
                self.requests.remove(&request);
            }
            labels.route = request.route;
        }
    }
}

/// Where the requests of one route are counted.
#[derive(Debug)]
pub struct RouteMetrics {
    route: Arc<str>,
    all: Routes,
    /// Those that there have been, from the first on: what there has not been has no labels.
    counts: [OnceLock<(MethodLabel, StatusCode, Counter)>; KEPT],
    durations: OnceLock<Durations>,
}

impl RouteMetrics {
    /// What the route is called: its template, never a path.
    #[must_use]
    pub fn route(&self) -> &str {
        &self.route
    }

    /// Notes a request that was answered.
    pub fn answered(&self, method: &Method, status: StatusCode, took: Duration) {
        self.count(method, status);
        self.durations
            .get_or_init(|| self.all.durations(&self.route))
            .observe(took);
    }

    fn count(&self, method: &Method, status: StatusCode) {
        let method = MethodLabel::from(method);
        for known in &self.counts {
            // Another worker may fill the place first, with the same or with something else.
            let (of, with, count) = known.get_or_init(|| (method, status, self.all.count(&self.route, method, status)));
            if (*of, *with) == (method, status) {
                count.inc();
                return;
            }
        }
        self.all.count(&self.route, method, status).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    const TOOK: Duration = Duration::from_millis(3);

    #[test]
    fn a_route_that_is_held_counts_where_its_name_does() {
        let metrics = Metrics::new();
        let before = metrics.render();
        let (one, other) = (metrics.route("/a"), metrics.route("/a"));
        assert_eq!(metrics.render(), before, "what was not asked for is not told");
        for held in [&one, &other, &one] {
            held.answered(&Method::GET, StatusCode::OK, TOOK);
        }
        one.answered(&Method::from_bytes(b"BREW").unwrap(), StatusCode::OK, TOOK);
        metrics.answered("/a", &Method::GET, StatusCode::OK, TOOK);
        let text = metrics.render();
        for line in [
            "doorward_requests_total{route=\"/a\",method=\"GET\",status=\"200\"} 4",
            "doorward_requests_total{route=\"/a\",method=\"other\",status=\"200\"} 1",
            "doorward_request_duration_seconds_count{route=\"/a\"} 5",
            "doorward_request_duration_seconds_bucket{le=\"0.0025\",route=\"/a\"} 0",
            "doorward_request_duration_seconds_bucket{le=\"0.005\",route=\"/a\"} 5",
            "doorward_request_duration_seconds_bucket{le=\"+Inf\",route=\"/a\"} 5",
            "doorward_request_duration_seconds_sum{route=\"/a\"} 0.015",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }

    #[test]
    fn more_statuses_than_are_kept_are_counted_as_well() {
        let metrics = Metrics::new();
        let route = metrics.route("/a");
        for _ in 0..2 {
            for status in 200..250 {
                route.answered(&Method::PUT, StatusCode::from_u16(status).unwrap(), TOOK);
            }
        }
        let text = metrics.render();
        for status in 200..250 {
            let line = format!("method=\"PUT\",status=\"{status}\"}} 2\n");
            assert!(text.contains(&line), "{line}{text}");
        }
    }

    #[test]
    fn what_is_in_flight_on_a_route_that_is_gone_does_not_bring_it_back() {
        let metrics = Metrics::new();
        let route = metrics.route("/gone");
        route.answered(&Method::GET, StatusCode::OK, TOOK);
        metrics.forget_route("/gone");
        route.answered(&Method::GET, StatusCode::OK, TOOK);
        assert!(!metrics.render().contains("/gone"));
        metrics.route("/gone").answered(&Method::GET, StatusCode::OK, TOOK);
        assert!(
            metrics
                .render()
                .contains("{route=\"/gone\",method=\"GET\",status=\"200\"} 1")
        );
    }
}
