use std::time::Duration;

use serde::Deserialize;

use crate::config::units;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Upstream {
    pub(in crate::config) servers: Option<Vec<String>>,
    #[serde(deserialize_with = "units::duration")]
    pub(in crate::config) connect_timeout: Duration,
    #[serde(deserialize_with = "units::duration")]
    pub(in crate::config) response_timeout: Duration,
    #[serde(deserialize_with = "units::duration")]
    pub(in crate::config) pool_idle_timeout: Duration,
    pub(in crate::config) pool_max_idle: usize,
}
