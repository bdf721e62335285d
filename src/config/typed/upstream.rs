//! What stands behind the gateway.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use super::Resilience;

/// `[upstreams.NAME]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// The name: 1 to 64 characters of `A-Z a-z 0-9 _ -`.
    pub name: String,
    /// The servers. At least one, none twice.
    pub servers: Vec<ServerAddress>,
    /// How long a connection may take to be made, with its TLS handshake (default 5 s; 10 ms to 1 h).
    pub connect_timeout: Duration,
    /// How long the upstream may take from the whole request head sent to the head of its answer (default 60 s; 10 ms
    /// to 1 d).
    pub response_timeout: Duration,
    /// How long an idle connection is kept (default 60 s; 10 ms to 1 d).
    pub pool_idle_timeout: Duration,
    /// How many idle connections each worker keeps per server (default 128; 0 to 100,000).
    pub pool_max_idle: usize,
    /// How long a connection takes new requests, more or less by a tenth (default 1 h; 100 ms to 30 d).
    pub pool_max_age: Duration,
    /// How long an answer that has begun may bring nothing (default: for ever; 10 ms to 1 d).
    pub idle_timeout: Option<Duration>,
    /// After how long without a byte the system asks whether the other end is still there (default 60 s; 1 s to 1 h).
    pub tcp_keepalive: Duration,
    /// How often a connection of HTTP/2 that carries something is asked whether it is still there (default: never; 100 ms
    /// to 1 h).
    pub http2_ping_interval: Option<Duration>,
    /// How long it may take to say so (default 10 s; 10 ms to 10 min).
    pub http2_ping_timeout: Duration,
    /// Whether HTTP/2 is offered to `https://` servers (default true).
    pub http2: bool,
    /// How `https://` servers are spoken to.
    pub tls: UpstreamTls,
    /// The weight of each server, in their order: 0 (no requests) to 256. Not all are 0.
    pub weights: Vec<u16>,
    /// What keeps it going when servers fail.
    pub resilience: Resilience,
}

impl Upstream {
    /// Whether all that the connections to a server depend on is the same, so that those made for one serve the other: all
    /// but the name, which servers there are, how they are chosen from and judged, and how long an answer may take.
    #[must_use]
    pub fn same_connections(&self, other: &Self) -> bool {
        let bare = |upstream: &Self| Self {
            name: String::new(),
            servers: Vec::new(),
            weights: Vec::new(),
            response_timeout: Duration::ZERO,
            resilience: self.resilience.clone(),
            ..upstream.clone()
        };
        bare(self) == bare(other) && self.resilience.caps.hold_connections_as(&other.resilience.caps)
    }
}

/// How the `https://` servers of an upstream are spoken to. The files were read and judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamTls {
    /// The authorities that servers are verified with; `None`: those that browsers trust.
    pub authorities: Option<Arc<[CertificateDer<'static>]>>,
    /// What we prove ourselves with to a server that asks.
    pub client: Option<Arc<ClientCertificate>>,
    /// The name that is asked for and verified, in place of the server's host.
    pub server_name: Option<ServerName<'static>>,
    /// Whether servers need not prove who they are (default false).
    pub skip_verify: bool,
}

/// The name of a server as a certificate holds it: an address without brackets, a name without the dot at its end.
#[must_use]
pub fn certificate_name(host: &str) -> Option<ServerName<'static>> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let bare = bare.strip_suffix('.').unwrap_or(bare);
    ServerName::try_from(bare.to_owned()).ok()
}

/// A certificate and its key, which fit each other.
#[derive(Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate, and those between it and its authority.
    pub chain: Vec<CertificateDer<'static>>,
    /// Its private key.
    pub key: PrivateKeyDer<'static>,
}

/// One server of an upstream.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ServerAddress {
    /// `http://host:port`, `https://host:port` or `h2://host:port`
    Remote {
        /// What is spoken there.
        scheme: Scheme,
        /// Host name or address, in lower case; IPv6 in brackets.
        host: String,
        /// TCP port.
        port: u16,
    },
    /// `builtin:whoami`: answers with the request as an upstream would see it.
    Whoami,
}

/// What a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// HTTP/1.1.
    Http,
    /// TLS, and what it settles on: HTTP/2 or HTTP/1.1.
    Https,
    /// HTTP/2 without TLS, known beforehand (RFC 9113, section 3.3).
    H2,
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::H2 => "h2",
        })
    }
}

/// As the file names it.
impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Remote { scheme, host, port } => write!(f, "{scheme}://{host}:{port}"),
            Self::Whoami => f.write_str("builtin:whoami"),
        }
    }
}
