//! How a client's certificate is told to an upstream.

use http::header::{HeaderMap, HeaderValue};

use super::identity::IdentityHeaders;
use super::value::encode_value;
use crate::id::ClientCertificate;

/// What an upstream is told of a client's certificate: made once for a connection, set for each of its requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateHeaders {
    subject: HeaderValue,
    names: Option<HeaderValue>,
    fingerprint: HeaderValue,
}

impl CertificateHeaders {
    /// The values for this certificate. Names stand between commas, those within them as `%2C`.
    #[must_use]
    pub fn new(certificate: &ClientCertificate) -> Self {
        let names = certificate.names.iter();
        let names: Vec<String> = names
            .map(|name| {
                let encoded = encode_value(name);
                encoded.to_str().unwrap_or_default().replace(',', "%2C")
            })
            .collect();
        Self {
            subject: encode_value(&certificate.subject),
            names: HeaderValue::try_from(names.join(","))
                .ok()
                .filter(|names| !names.is_empty()),
            fingerprint: encode_value(&certificate.fingerprint),
        }
    }
}

impl IdentityHeaders {
    /// Sets the headers that say whose certificate a client has shown. To be called after
    /// [`rewrite_request`](super::rewrite_request) has removed what the client said under their names.
    pub fn set_certificate(&self, headers: &mut HeaderMap, certificate: &CertificateHeaders) {
        let [subject, names, fingerprint] = self.certificate();
        headers.insert(subject, certificate.subject.clone());
        if let Some(value) = &certificate.names {
            headers.insert(names, value.clone());
        }
        headers.insert(fingerprint, certificate.fingerprint.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_comma_is_one_name() {
        let certificate = ClientCertificate {
            subject: "CN=Jörg\\, the cat,O=100%".to_owned(),
            names: vec!["URI:spiffe://a/b,c".to_owned(), "DNS:a".to_owned()],
            fingerprint: "00ff".to_owned(),
        };
        let mut headers = HeaderMap::new();
        headers.insert("x-auth-client-cert-san", HeaderValue::from_static("spoofed"));
        let names = IdentityHeaders::new("X-Auth-").unwrap();
        names.set_certificate(&mut headers, &CertificateHeaders::new(&certificate));
        assert_eq!(
            headers["x-auth-client-cert-subject"],
            "CN=J%C3%B6rg\\, the cat,O=100%25"
        );
        assert_eq!(headers["x-auth-client-cert-san"], "URI:spiffe://a/b%2Cc,DNS:a");
        assert_eq!(headers["x-auth-client-cert-fingerprint"], "00ff");
    }
}
