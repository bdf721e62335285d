//! [`Routes`]: what metrics and logs call routes and upstreams, and where the requests of each route are counted.

use std::sync::Arc;

use crate::config::Config;
use crate::metrics::{Metrics, RouteMetrics};
use crate::rules::route::{HostPattern, Rule};

/// How requests that no route took are labelled.
pub(super) const NO_ROUTE: &str = "none";

/// The names of one configuration, by the indices of what they name.
#[derive(Debug)]
pub(super) struct Routes {
    labels: Vec<Arc<str>>,
    /// As soon as it is known where.
    counted: Vec<Arc<RouteMetrics>>,
    upstreams: Vec<Arc<str>>,
}

/// What a request's line calls that which took it, and where the request is counted.
#[derive(Clone, Debug, Default)]
pub(super) enum Called {
    /// Nothing took it.
    #[default]
    Nothing,
    /// A route, or what is asked as often as all routes together.
    Route(Arc<RouteMetrics>),
    /// Something that is rare.
    Other(Arc<str>),
}

impl Routes {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            labels: config.routes.iter().map(|route| label(&route.rule)).collect(),
            counted: Vec::new(),
            upstreams: config
                .upstreams
                .iter()
                .map(|upstream| upstream.name.as_str().into())
                .collect(),
        }
    }

    /// Counts here.
    pub(super) fn count_in(&mut self, metrics: &Metrics) {
        self.counted = self.labels.iter().map(|label| Arc::new(metrics.route(label))).collect();
    }

    pub(super) fn labels(&self) -> impl Iterator<Item = &str> {
        self.labels.iter().map(AsRef::as_ref)
    }

    pub(super) fn get(&self, route: usize) -> Option<Called> {
        self.counted.get(route).cloned().map(Called::Route)
    }

    pub(super) fn upstream(&self, upstream: usize) -> Option<Arc<str>> {
        self.upstreams.get(upstream).cloned()
    }
}

impl Called {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Nothing => NO_ROUTE,
            Self::Route(counted) => counted.route(),
            Self::Other(name) => name,
        }
    }
}

/// What metrics and logs call a route: its host, if it asks for one, and its path as written.
fn label(rule: &Rule) -> Arc<str> {
    match &rule.host {
        HostPattern::Any => rule.path.to_string().into(),
        host @ (HostPattern::Exact(_) | HostPattern::Subdomains(_)) => format!("{host}{}", rule.path).into(),
    }
}
