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
}
