use std::time::Duration;

use serde::Deserialize;

use crate::config::units;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Health {
    pub(in crate::config) path: Option<String>,
    pub(in crate::config) host: Option<String>,
    #[serde(deserialize_with = "units::duration")]
    pub(in crate::config) interval: Duration,
    #[serde(deserialize_with = "units::duration")]
    pub(in crate::config) timeout: Duration,
    pub(in crate::config) passes: u32,
    pub(in crate::config) failures: u32,
    pub(in crate::config) status: Vec<String>,
    pub(in crate::config) panic: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Eject {
    pub(in crate::config) after: u32,
    pub(in crate::config) on_status: Vec<String>,
    #[serde(deserialize_with = "units::duration")]
    pub(in crate::config) time: Duration,
    #[serde(deserialize_with = "units::duration")]
    pub(in crate::config) max_time: Duration,
    pub(in crate::config) max_share: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Retry {
    pub(in crate::config) attempts: u32,
    #[serde(deserialize_with = "units::size")]
    pub(in crate::config) body_limit: u64,
    pub(in crate::config) on_status: Vec<String>,
    pub(in crate::config) budget: u32,
    pub(in crate::config) floor: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Dns {
    #[serde(default)]
    pub(in crate::config) servers: Vec<String>,
    #[serde(deserialize_with = "units::duration")]
    pub(in crate::config) min_ttl: Duration,
    #[serde(deserialize_with = "units::duration")]
    pub(in crate::config) max_ttl: Duration,
}
