use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Cors, HeaderOperations, Maintenance, Redirect};
use crate::config::units;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Route {
    pub(in crate::config) path: Option<String>,
    pub(in crate::config) upstream: Option<String>,
    pub(in crate::config) host: Option<String>,
    pub(in crate::config) exact: bool,
    pub(in crate::config) methods: Option<Vec<String>>,
    pub(in crate::config) auth: String,
    pub(in crate::config) issuers: Vec<String>,
    pub(in crate::config) roles: Option<Vec<String>>,
    #[serde(default)]
    pub(in crate::config) claims: Map<String, Value>,
    pub(in crate::config) assertion: Option<bool>,
    pub(in crate::config) strip_prefix: Option<String>,
    pub(in crate::config) add_prefix: Option<String>,
    pub(in crate::config) rewrite: Option<String>,
    pub(in crate::config) upstream_host: String,
    pub(in crate::config) verify_only: bool,
    pub(in crate::config) security_headers: Option<bool>,
    pub(in crate::config) redirect: Redirect,
    pub(in crate::config) maintenance: Maintenance,
    pub(in crate::config) cors: Cors,
    pub(in crate::config) request_headers: HeaderOperations,
    pub(in crate::config) response_headers: HeaderOperations,
    pub(in crate::config) max_body: Option<units::Limit>,
    #[serde(default, deserialize_with = "units::optional_duration")]
    pub(in crate::config) timeout: Option<Duration>,
    #[serde(default)]
    pub(in crate::config) limits: Vec<String>,
    pub(in crate::config) on_token_end: String,
    pub(in crate::config) upgrades: Vec<String>,
    #[serde(deserialize_with = "units::duration")]
    pub(in crate::config) upgrade_idle_timeout: Duration,
    #[serde(default, deserialize_with = "units::optional_duration")]
    pub(in crate::config) upgrade_max_age: Option<Duration>,
    pub(in crate::config) websocket_token: String,
    pub(in crate::config) client_certificate: bool,
    pub(in crate::config) max_requests: Option<usize>,
    pub(in crate::config) max_requests_per_user: Option<usize>,
}
