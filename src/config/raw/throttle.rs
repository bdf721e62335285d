use std::time::Duration;

use serde::Deserialize;

use crate::config::units;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Throttle {
    pub(in crate::config) free_failures: u32,
    #[serde(deserialize_with = "units::duration")]
    pub(in crate::config) first_delay: Duration,
    #[serde(deserialize_with = "units::duration")]
    pub(in crate::config) max_delay: Duration,
    #[serde(deserialize_with = "units::duration")]
    pub(in crate::config) forget_after: Duration,
    #[serde(deserialize_with = "units::duration")]
    pub(in crate::config) known_for: Duration,
    pub(in crate::config) per_account: String,
    pub(in crate::config) per_address: String,
    pub(in crate::config) per_network: String,
    pub(in crate::config) signups_per_address: String,
    pub(in crate::config) signups_per_network: String,
    pub(in crate::config) refreshes_per_session: String,
    pub(in crate::config) bad_refreshes_per_address: String,
    pub(in crate::config) bad_secrets_per_client: String,
    pub(in crate::config) capacity: u64,
}
