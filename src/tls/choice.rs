//! Which certificate a client is shown.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::certificate::Certificate;

/// Certificates by the names that they are for (RFC 6066, section 3). A client that names none of them, or nothing, gets the
/// first.
#[derive(Debug, Default)]
pub(super) struct Choice {
    all: Vec<Arc<CertifiedKey>>,
    exact: HashMap<String, Vec<usize>>,
    /// By what follows `*.`.
    wildcard: HashMap<String, Vec<usize>>,
}

impl Choice {
    pub(super) fn new<'a>(certificates: impl IntoIterator<Item = &'a Certificate>) -> Self {
        let mut choice = Self::default();
        for certificate in certificates {
            let index = choice.all.len();
            choice.all.push(Arc::clone(&certificate.key));
            for name in &certificate.summary.names {
                let (names, name) = match name.strip_prefix("*.") {
                    Some(parent) => (&mut choice.wildcard, parent),
                    None => (&mut choice.exact, name.as_str()),
                };
                names.entry(name.to_owned()).or_default().push(index);
            }
        }
        choice
    }

    /// The certificate for this name. Of several for one name, as with an RSA and an ECDSA key, the first that the client can
    /// verify.
    pub(super) fn choose(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let lower = name.map(str::to_ascii_lowercase);
        let named = lower.as_deref().and_then(|name| {
            let name = name.strip_suffix('.').unwrap_or(name);
            // A wildcard is for one label (RFC 9525, section 6.3).
            let parent = || name.split_once('.').and_then(|(_, parent)| self.wildcard.get(parent));
            self.exact.get(name).or_else(parent)
        });
        let usable = |key: &&Arc<CertifiedKey>| key.key.choose_scheme(schemes).is_some();
        let found = match named {
            Some(indices) => {
                let mut of_name = indices.iter().filter_map(|index| self.all.get(*index));
                of_name.clone().find(usable).or_else(|| of_name.next())
            }
            None => self.all.iter().find(usable).or_else(|| self.all.first()),
        };
        found.cloned()
    }
}

impl ResolvesServerCert for Choice {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name(), hello.signature_schemes())
    }
}
