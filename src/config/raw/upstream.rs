use std::time::Duration;

use serde::Deserialize;

use super::{Dns, Eject, Health, Retry};
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
    #[serde(deserialize_with = "units::duration")]
    pub(in crate::config) pool_max_age: Duration,
    #[serde(default, deserialize_with = "units::optional_duration")]
    pub(in crate::config) idle_timeout: Option<Duration>,
    #[serde(deserialize_with = "units::duration")]
    pub(in crate::config) tcp_keepalive: Duration,
    #[serde(default, deserialize_with = "units::optional_duration")]
    pub(in crate::config) http2_ping_interval: Option<Duration>,
    #[serde(deserialize_with = "units::duration")]
    pub(in crate::config) http2_ping_timeout: Duration,
    pub(in crate::config) http2: bool,
    pub(in crate::config) tls_ca_file: Option<String>,
    pub(in crate::config) tls_cert_file: Option<String>,
    pub(in crate::config) tls_key_file: Option<String>,
    pub(in crate::config) tls_server_name: Option<String>,
    pub(in crate::config) tls_skip_verify: bool,
    pub(in crate::config) balance: String,
    pub(in crate::config) hash_by: Option<String>,
    #[serde(deserialize_with = "units::duration")]
    pub(in crate::config) slow_start: Duration,
    pub(in crate::config) max_requests: Option<usize>,
    pub(in crate::config) max_connections: Option<usize>,
    pub(in crate::config) queue: usize,
    #[serde(deserialize_with = "units::duration")]
    pub(in crate::config) queue_timeout: Duration,
    pub(in crate::config) health: Health,
    pub(in crate::config) eject: Eject,
    pub(in crate::config) retry: Retry,
    pub(in crate::config) dns: Dns,
}
