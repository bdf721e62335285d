use std::time::Duration;

use serde::Deserialize;

use crate::config::units;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Server {
    pub(in crate::config) listen: Option<Vec<String>>,
    pub(in crate::config) trusted_proxies: Vec<String>,
    pub(in crate::config) workers: Option<usize>,
    #[serde(deserialize_with = "units::duration")]
    pub(in crate::config) drain: Duration,
    pub(in crate::config) handover: Option<String>,
    pub(in crate::config) reuse_port: bool,
    #[serde(default, deserialize_with = "units::optional_duration")]
    pub(in crate::config) watch: Option<Duration>,
    #[serde(deserialize_with = "units::size")]
    pub(in crate::config) max_header_bytes: u64,
    pub(in crate::config) max_headers: usize,
    #[serde(default, deserialize_with = "units::optional_size")]
    pub(in crate::config) max_target_bytes: Option<u64>,
    pub(in crate::config) max_body: units::Limit,
    #[serde(deserialize_with = "units::duration")]
    pub(in crate::config) header_timeout: Duration,
    #[serde(deserialize_with = "units::duration")]
    pub(in crate::config) keep_alive: Duration,
    #[serde(deserialize_with = "units::duration")]
    pub(in crate::config) body_idle_timeout: Duration,
    pub(in crate::config) trace: String,
    pub(in crate::config) security_headers: bool,
    pub(in crate::config) max_connections: usize,
    pub(in crate::config) h2c: bool,
    pub(in crate::config) http2: super::Http2,
    pub(in crate::config) proxy_protocol: String,
    pub(in crate::config) max_connections_per_ip: Option<usize>,
    pub(in crate::config) max_requests: Option<usize>,
    #[serde(deserialize_with = "units::size")]
    pub(in crate::config) min_body_rate: u64,
}
