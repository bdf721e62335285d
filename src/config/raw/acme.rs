use std::time::Duration;

use serde::Deserialize;

use crate::config::units;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Acme {
    pub(in crate::config) domains: Vec<String>,
    pub(in crate::config) directory_url: String,
    pub(in crate::config) ca_file: Option<String>,
    pub(in crate::config) contact: Option<String>,
    pub(in crate::config) agree_terms: bool,
    pub(in crate::config) challenge: String,
    pub(in crate::config) storage: String,
    #[serde(deserialize_with = "units::duration")]
    pub(in crate::config) retry_every: Duration,
}
