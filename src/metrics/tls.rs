//! What is measured of TLS with clients.

use std::sync::atomic::AtomicI64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Metrics of TLS with clients.
#[derive(Debug, Default)]
pub struct TlsMetrics {
    /// Handshakes that came to nothing.
    pub handshake_failures: Counter,
    /// Times that files were read again and changed what is shown.
    pub reloads: Counter,
    /// Times that files could not be read again.
    pub reload_failures: Counter,
    /// Certificates that were issued for `[acme]`.
    pub issued: Counter,
    /// Orders for one that came to nothing.
    pub issue_failures: Counter,
    until: Family<FileLabels, Gauge<i64, AtomicI64>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FileLabels {
    file: String,
}

impl TlsMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "tls_handshake_failures",
            "TLS handshakes with clients that came to nothing",
            self.handshake_failures.clone(),
        );
        registry.register(
            "certificate_reloads",
            "Times that the files of certificates were read again and had changed",
            self.reloads.clone(),
        );
        registry.register(
            "certificate_reload_failures",
            "Times that the files of certificates could not be read again",
            self.reload_failures.clone(),
        );
        registry.register(
            "certificates_issued",
            "Certificates that an ACME authority has issued",
            self.issued.clone(),
        );
        registry.register(
            "certificate_issue_failures",
            "Orders for a certificate that came to nothing",
            self.issue_failures.clone(),
        );
        registry.register(
            "certificate_until_seconds",
            "When a certificate ends, in seconds since the epoch",
            self.until.clone(),
        );
    }

    /// Brings up to date until when certificates are valid: by file, in seconds since the epoch.
    pub fn certificates(&self, certificates: impl IntoIterator<Item = (String, i64)>) {
        // A file that is no longer used has no line.
        self.until.clear();
        for (file, until) in certificates {
            self.until.get_or_create(&FileLabels { file }).set(until);
        }
    }
}
