//! [`Challenges`]: what an authority is answered that looks whether a name is ours.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use super::AcmeError;

/// The protocol by which an authority asks in a handshake (RFC 8737, section 4).
pub(in crate::tls) const ACME_TLS: &[u8] = b"acme-tls/1";
/// Where an authority asks without TLS (RFC 8555, section 8.3).
const WELL_KNOWN: &str = "/.well-known/acme-challenge/";

/// The challenges of the order that is open, if one is.
#[derive(Default)]
pub struct Challenges {
    /// By token.
    http: Mutex<HashMap<String, String>>,
    /// By name.
    tls: Mutex<HashMap<String, Arc<ServerConfig>>>,
}

/// What is in there is an answer to the authority alone.
impl fmt::Debug for Challenges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Challenges").finish_non_exhaustive()
    }
}

impl Challenges {
    /// What is to be answered to a request for this path.
    #[must_use]
    pub fn http01(&self, path: &str) -> Option<String> {
        let token = path.strip_prefix(WELL_KNOWN)?;
        let open = self.http.lock().unwrap_or_else(PoisonError::into_inner);
        open.get(token).cloned()
    }

    /// How to shake hands with an authority that asks for this name.
    pub(in crate::tls) fn tls_alpn01(&self, name: &str) -> Option<Arc<ServerConfig>> {
        let open = self.tls.lock().unwrap_or_else(PoisonError::into_inner);
        open.get(&name.to_ascii_lowercase()).cloned()
    }

    pub(super) fn open_http01(&self, token: &str, answer: &str) {
        let mut open = self.http.lock().unwrap_or_else(PoisonError::into_inner);
        open.insert(token.to_owned(), answer.to_owned());
    }

    /// Makes the certificate that the authority expects (RFC 8737, section 3).
    pub(super) fn open_tls_alpn01(&self, name: &str, digest: &[u8]) -> Result<(), AcmeError> {
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        let private = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        // Not held against each other: what is critical in it is unknown to all but the authority.
        let private = provider.key_provider.load_private_key(private)?;
        let certified = CertifiedKey::new(vec![certificate.der().clone()], private);
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        server.alpn_protocols = vec![ACME_TLS.to_vec()];
        let mut open = self.tls.lock().unwrap_or_else(PoisonError::into_inner);
        open.insert(name.to_owned(), Arc::new(server));
        Ok(())
    }

    /// Forgets all of them: the order is over.
    pub(super) fn close(&self) {
        self.http.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.tls.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
