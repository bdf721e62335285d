use std::time::Duration;

use serde::Deserialize;

use crate::config::units;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Http2 {
    pub(in crate::config) max_concurrent_streams: u32,
    #[serde(deserialize_with = "units::size")]
    pub(in crate::config) stream_window: u64,
    #[serde(deserialize_with = "units::size")]
    pub(in crate::config) connection_window: u64,
    #[serde(deserialize_with = "units::size")]
    pub(in crate::config) max_send_buffer: u64,
    #[serde(deserialize_with = "units::duration")]
    pub(in crate::config) ping_interval: Duration,
}
