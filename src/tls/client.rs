//! Certificates of clients: who vouches for them, and what they say.

use std::fmt::Write as _;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

use super::certificate::{Source, address};
use super::error::{TlsError, Why};
use crate::id::ClientCertificate;

/// Verifies the certificates of clients: by these authorities, and by their list of those that were revoked, if there is one.
/// With a list, a certificate that it says nothing of is refused, and so is every one once the list has expired: nobody can
/// know.
pub(super) fn verifier(
    authorities: Source<'_>,
    revoked: Option<Source<'_>>,
    required: bool,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in authorities.certificates()? {
        let added = roots.add(certificate);
        added.map_err(|error| authorities.wrong(Why::Certificate(error.to_string())))?;
    }
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    if let Some(source) = revoked {
        let lists: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(source.contents).collect();
        let lists = lists.ok().filter(|lists| !lists.is_empty());
        let lists = lists.ok_or_else(|| source.wrong(Why::NoList))?;
        builder = builder
            .with_crls(lists)
            .only_check_end_entity_revocation()
            .enforce_revocation_expiration();
    }
    if !required {
        builder = builder.allow_unauthenticated();
    }
    builder.build().map_err(|error| {
        let source = revoked.unwrap_or(authorities);
        source.wrong(Why::Certificate(error.to_string()))
    })
}

/// What a certificate that was verified says. `None`: it can't be read, which a verified one always can.
#[must_use]
pub fn client_certificate(der: &CertificateDer<'_>) -> Option<ClientCertificate> {
    let (_, parsed) = X509Certificate::from_der(der).ok()?;
    let alternatives = parsed.subject_alternative_name().ok()?;
    let names = alternatives.iter().flat_map(|names| &names.value.general_names);
    Some(ClientCertificate {
        subject: distinguished_name(parsed.subject()),
        names: names.filter_map(alternative_name).collect(),
        fingerprint: hex(digest(&SHA256, der).as_ref()),
    })
}

fn alternative_name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(format!("DNS:{name}")),
        GeneralName::RFC822Name(address) => Some(format!("EMAIL:{address}")),
        GeneralName::URI(uri) => Some(format!("URI:{uri}")),
        GeneralName::IPAddress(bytes) => address(bytes).map(|address| format!("IP:{address}")),
        _ => None,
    }
}

/// The name as RFC 4514 writes it, so that no value can look like two: the last part first, what has a meaning escaped.
fn distinguished_name(name: &X509Name<'_>) -> String {
    let mut parts: Vec<String> = name
        .iter_rdn()
        .map(|part| part.iter().map(attribute).collect::<Vec<_>>().join("+"))
        .collect();
    parts.reverse();
    parts.join(",")
}

/// The attributes that RFC 4514, section 3, has names for, and those that everybody knows beside them.
const ATTRIBUTES: &[(&str, &str)] = &[
    ("2.5.4.3", "CN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let oid = attribute.attr_type().to_id_string();
    let known = ATTRIBUTES.iter().find(|(known, _)| *known == oid);
    let kind = known.map_or(oid.as_str(), |(_, name)| *name);
    match attribute.as_str() {
        Ok(value) => format!("{kind}={}", escaped(value)),
        // Not a string: its bytes (section 2.4).
        Err(_) => format!("{kind}=#{}", hex(attribute.attr_value().data)),
    }
}

/// Section 2.4 of RFC 4514.
pub(super) fn escaped(value: &str) -> String {
    let last = value.chars().count().saturating_sub(1);
    let mut text = String::with_capacity(value.len());
    for (at, c) in value.chars().enumerate() {
        match c {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => text.extend(['\\', c]),
            ' ' if at == 0 || at == last => text.extend(['\\', c]),
            '#' if at == 0 => text.extend(['\\', c]),
            '\0' => text.push_str("\\00"),
            _ => text.push(c),
        }
    }
    text
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // A string that grows does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
