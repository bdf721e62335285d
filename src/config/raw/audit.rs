use std::time::Duration;

use serde::Deserialize;

use crate::config::units;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Audit {
    pub(in crate::config) store: bool,
    pub(in crate::config) log: bool,
    #[serde(deserialize_with = "units::duration")]
    pub(in crate::config) retention: Duration,
}
