use std::time::Duration;

use serde::Deserialize;

use crate::config::units;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Tls {
    pub(in crate::config) listen: Vec<String>,
    pub(in crate::config) min_version: String,
    #[serde(deserialize_with = "units::duration")]
    pub(in crate::config) reload_every: Duration,
    pub(in crate::config) redirect_listen: Vec<String>,
    pub(in crate::config) redirect_port: Option<u16>,
    pub(in crate::config) hsts: Option<String>,
    pub(in crate::config) client_auth: String,
    pub(in crate::config) client_ca_file: Option<String>,
    pub(in crate::config) client_crl_file: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Certificate {
    pub(in crate::config) cert_file: Option<String>,
    pub(in crate::config) key_file: Option<String>,
}
