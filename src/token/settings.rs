//! What of the configuration decides how tokens are issued and judged.

use std::sync::Arc;
use std::time::Duration;

use super::cache::Cache;
use super::{Accepted, MAX_ACCESS_TTL, MAX_LEEWAY};
use crate::config;

/// What of `[tokens]` is needed to issue and verify.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) issuer: String,
    pub(super) audience: String,
    pub(super) access_ttl: Duration,
    pub(super) leeway: Duration,
    pub(super) cache_capacity: u64,
}

impl Settings {
    pub(super) fn new(config: &config::Tokens) -> Self {
        Self {
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
            access_ttl: config.access_ttl.min(MAX_ACCESS_TTL),
            leeway: config.leeway.min(MAX_LEEWAY),
            cache_capacity: config.cache_capacity,
        }
    }

    pub(super) fn cache(&self) -> Arc<Cache<Accepted>> {
        Arc::new(Cache::new(self.cache_capacity))
    }
}
