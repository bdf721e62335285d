use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::config::units;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Redirect {
    pub(in crate::config) to: Option<String>,
    pub(in crate::config) status: u16,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Maintenance {
    pub(in crate::config) on: bool,
    #[serde(deserialize_with = "units::duration")]
    pub(in crate::config) retry_after: Duration,
    pub(in crate::config) networks: Vec<String>,
    pub(in crate::config) roles: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Cors {
    pub(in crate::config) origins: Option<Vec<String>>,
    pub(in crate::config) methods: Option<Vec<String>>,
    pub(in crate::config) headers: Vec<String>,
    pub(in crate::config) expose: Vec<String>,
    pub(in crate::config) credentials: bool,
    #[serde(deserialize_with = "units::duration")]
    pub(in crate::config) max_age: Duration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct AuthCors {
    pub(in crate::config) origins: Option<Vec<String>>,
    #[serde(deserialize_with = "units::duration")]
    pub(in crate::config) max_age: Duration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct HeaderOperations {
    #[serde(default)]
    pub(in crate::config) set: BTreeMap<String, String>,
    #[serde(default)]
    pub(in crate::config) add: BTreeMap<String, String>,
    pub(in crate::config) remove: Vec<String>,
}
