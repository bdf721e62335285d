//! HTTPS: where, with which certificates, and how.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use http::HeaderValue;

use super::Acme;

/// `[tls]` and `[[certificates]]`
#[derive(Clone, Debug)]
pub struct Tls {
    /// Where HTTPS is served; none (the default): nowhere. None twice, none that is in `server.listen`, unless of port 0.
    pub listen: Vec<SocketAddr>,
    /// The oldest protocol version that is spoken (default 1.2).
    pub min_version: TlsVersion,
    /// How often the files are read again (default 10 s; 100 ms to 1 d).
    pub reload_every: Duration,
    /// The certificates, the one for clients that ask for none of the names first. At least one where `listen` has one.
    pub certificates: Vec<CertificateFiles>,
    /// Where clients without TLS are sent to where it is; none (the default): nowhere. None that is in another list.
    pub redirect_listen: Vec<SocketAddr>,
    /// The port that they are sent to (default: that of the first `listen`).
    pub redirect_port: u16,
    /// `Strict-Transport-Security` of answers over TLS (RFC 6797); `None` (the default): as upstreams say.
    pub hsts: Option<HeaderValue>,
    /// Whether clients are asked for certificates; `None` (the default): they are not.
    pub client_auth: Option<ClientAuth>,
    /// A certificate that the gateway gets by itself, beside `certificates`.
    pub acme: Option<Acme>,
}

/// How clients are asked for certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientAuth {
    /// Whether one has to be shown. One that is shown has to be good in any case.
    pub required: bool,
    /// The authorities that vouch for them, in PEM.
    pub ca_file: PathBuf,
    /// Lists of certificates that were revoked, in PEM.
    pub crl_file: Option<PathBuf>,
}

/// Nothing is served over TLS.
impl Default for Tls {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            min_version: TlsVersion::Tls12,
            reload_every: Duration::from_secs(10),
            certificates: Vec::new(),
            redirect_listen: Vec::new(),
            redirect_port: 443,
            hsts: None,
            client_auth: None,
            acme: None,
        }
    }
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    /// RFC 5246
    Tls12,
    /// RFC 8446
    Tls13,
}

/// `[[certificates]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate and those between it and its authority, in PEM.
    pub cert_file: PathBuf,
    /// Its private key, in PEM.
    pub key_file: PathBuf,
}
