//! [`RefusedConnection`]: connections that never brought a request.

use std::fmt;

use prometheus_client::encoding::{EncodeLabelValue, LabelValueEncoder};

/// Why a connection was closed before its first request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefusedConnection {
    /// It did not say in a PROXY header, or not in a valid one, whom it comes from.
    ProxyProtocol,
    /// Its client has as many as it may.
    PerIp,
}

impl EncodeLabelValue for RefusedConnection {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        match self {
            Self::ProxyProtocol => "proxy_protocol",
            Self::PerIp => "per_ip",
        }
        .encode(encoder)
    }
}
