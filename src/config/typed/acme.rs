//! A certificate that the gateway gets by itself.

use std::path::PathBuf;
use std::time::Duration;

/// `[acme]` (RFC 8555)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acme {
    /// The names, lower-case. At least one, none twice, no wildcard.
    pub domains: Vec<String>,
    /// The directory of the authority: `https` (default: that of Let's Encrypt).
    pub directory_url: String,
    /// Who vouches for the directory's server, in PEM; `None` (the default): the public authorities.
    pub ca_file: Option<PathBuf>,
    /// Where the authority may write to: an e-mail address.
    pub contact: Option<String>,
    /// How the authority sees that the names are ours.
    pub challenge: AcmeChallenge,
    /// The folder for account and certificate.
    pub storage: PathBuf,
    /// How long to wait after a failure (default 1 min; 100 ms to 1 d), doubled with each one more up to 6 h.
    pub retry_every: Duration,
}

/// How an authority sees that a name is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcmeChallenge {
    /// By a TLS handshake at port 443 (RFC 8737).
    TlsAlpn01,
    /// By a request to port 80 (RFC 8555, section 8.3).
    Http01,
}
