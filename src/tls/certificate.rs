//! One certificate with its key, and what it says.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::Summary;
use super::error::{TlsError, Why};
use super::file::Contents;
use crate::time::Timestamp;

/// A certificate that can be shown.
#[derive(Clone, Debug)]
pub(super) struct Certificate {
    pub(super) key: Arc<CertifiedKey>,
    pub(super) summary: Summary,
}

/// A file and the key of the configuration that names it.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) key: &'a str,
    pub(super) path: &'a Path,
    pub(super) contents: &'a Contents,
}

impl Source<'_> {
    pub(super) fn wrong(&self, why: Why) -> TlsError {
        TlsError::file(self.key, self.path, why)
    }

    /// All certificates in PEM, at least one.
    pub(super) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(self.contents).collect();
        match chain {
            Ok(chain) if !chain.is_empty() => Ok(chain),
            Ok(_) | Err(_) => Err(self.wrong(Why::NoCertificate)),
        }
    }

    fn private_key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        // Both ways to say so: PKCS #8 in its label, and what OpenSSL wrote before in a header (RFC 1421).
        let is_encrypted = memchr::memmem::find(self.contents, b"ENCRYPTED").is_some();
        PrivateKeyDer::from_pem_slice(self.contents)
            .map_err(|_| self.wrong(if is_encrypted { Why::Encrypted } else { Why::NoKey }))
            .and_then(|key| {
                if is_encrypted {
                    Err(self.wrong(Why::Encrypted))
                } else {
                    Ok(key)
                }
            })
    }
}

impl Certificate {
    /// Reads a certificate and its key, which must belong to each other.
    pub(super) fn read(cert: Source<'_>, key: Source<'_>, provider: &CryptoProvider) -> Result<Self, TlsError> {
        let chain = cert.certificates()?;
        let summary = summary(cert, &chain)?;
        let private = key.private_key()?;
        let private = provider.key_provider.load_private_key(private);
        let certified = CertifiedKey::new(chain, private.map_err(|error| key.wrong(Why::Key(error)))?);
        match certified.keys_match() {
            Ok(()) => {}
            Err(rustls::Error::InconsistentKeys(_)) => return Err(key.wrong(Why::Mismatch(cert.path.to_owned()))),
            Err(error) => return Err(cert.wrong(Why::Certificate(error.to_string()))),
        }
        Ok(Self {
            key: Arc::new(certified),
            summary,
        })
    }
}

/// What the first certificate of the chain says of itself. Names are those of the subject alternative names alone, as
/// clients see it (RFC 9525).
fn summary(cert: Source<'_>, chain: &[CertificateDer<'static>]) -> Result<Summary, TlsError> {
    let unreadable = |error: &dyn std::fmt::Display| cert.wrong(Why::Certificate(error.to_string()));
    let first = chain.first().ok_or_else(|| cert.wrong(Why::NoCertificate))?;
    let (_, parsed) = X509Certificate::from_der(first).map_err(|error| unreadable(&error))?;
    let mut summary = Summary {
        file: cert.path.to_owned(),
        names: Vec::new(),
        addresses: Vec::new(),
        not_before: Timestamp::from_unix_seconds(parsed.validity().not_before.timestamp()),
        not_after: Timestamp::from_unix_seconds(parsed.validity().not_after.timestamp()),
    };
    let names = parsed.subject_alternative_name().map_err(|error| unreadable(&error))?;
    for name in names.iter().flat_map(|names| &names.value.general_names) {
        match name {
            GeneralName::DNSName(name) => summary.names.push(name.to_ascii_lowercase()),
            GeneralName::IPAddress(bytes) => summary.addresses.extend(address(bytes)),
            _ => {}
        }
    }
    Ok(summary)
}

/// Until when a certificate is valid; `None` for what is not one.
#[must_use]
pub fn valid_until(certificate: &CertificateDer<'_>) -> Option<Timestamp> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some(Timestamp::from_unix_seconds(parsed.validity().not_after.timestamp()))
}

/// The address in an `iPAddress` (RFC 5280, section 4.2.1.6).
pub(super) fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}
