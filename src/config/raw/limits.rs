use std::time::Duration;

use serde::Deserialize;

use crate::config::units;
use crate::secret::Secret;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Limiter {
    pub(in crate::config) url: Option<Secret<String>>,
    pub(in crate::config) password: Option<Secret<String>>,
    pub(in crate::config) password_file: Option<String>,
    pub(in crate::config) ca_file: Option<String>,
    pub(in crate::config) prefix: String,
    #[serde(deserialize_with = "units::duration")]
    pub(in crate::config) timeout: Duration,
    pub(in crate::config) capacity: usize,
    pub(in crate::config) headers: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Limit {
    pub(in crate::config) name: Option<String>,
    pub(in crate::config) rate: Option<String>,
    pub(in crate::config) burst: Option<u32>,
    pub(in crate::config) by: String,
}
