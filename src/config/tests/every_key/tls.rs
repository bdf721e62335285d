//! `[tls]` and `[[certificates]]`

use super::rows::{DURATION, TEXT, WORD};
use super::{Row, row};

pub(super) const ROWS: &[Row] = &[
    row(
        "tls.listen",
        "[\"127.0.0.1:1443\", \"[::]:1443\"]",
        "tls: Tls { listen: [127.0.0.1:1443, [::]:1443]",
        &["\"localhost:443\"", "443", "[443]", "[\"[::]:80\", \"[::]:80\"]"],
    ),
    row("tls.min_version", "\"1.3\"", "min_version: Tls13", WORD),
    row("tls.reload_every", "\"3s\"", "reload_every: 3s, certificates", DURATION),
    row(
        "tls.redirect_listen",
        "\"[::]:1080\"",
        "redirect_listen: [[::]:1080]",
        &["\"localhost:80\"", "80", "[80]", "[\"[::]:443\"]", "\"127.0.0.1:9090\""],
    ),
    row(
        "tls.redirect_port",
        "8443",
        "redirect_port: 8443",
        &["0", "65536", "\"443\""],
    ),
    row(
        "tls.hsts",
        "\"max-age=31536000; includeSubDomains\"",
        "hsts: Some(\"max-age=31536000; includeSubDomains\")",
        &[
            "\"\"",
            "\"max-age=x\"",
            "\"includeSubDomains\"",
            "\"max-age=1; a\"",
            "\"max-age=1, max-age=2\"",
            "1",
        ],
    ),
    row(
        "tls.client_auth",
        "\"required\"",
        "client_auth: Some(ClientAuth { required: true",
        WORD,
    ),
    row(
        "tls.client_ca_file",
        "\"ca.pem\"",
        "ca_file: \"/base/ca.pem\", crl",
        TEXT,
    ),
    row(
        "tls.client_crl_file",
        "\"l.crl\"",
        "crl_file: Some(\"/base/l.crl\")",
        TEXT,
    ),
    row(
        "certificates[].cert_file",
        "\"c.pem\"",
        "cert_file: \"/base/c.pem\"",
        TEXT,
    ),
    row(
        "certificates[].key_file",
        "\"k.pem\"",
        "key_file: \"/base/k.pem\"",
        TEXT,
    ),
];

/// What else has to be said for the key to make sense, after the certificate's section begins or before it.
pub(super) fn beside(key: &str) -> &'static str {
    match key {
        "certificates[].cert_file" => "key_file = \"key.pem\"\n",
        "tls.client_auth" => "client_ca_file = \"ca.pem\"\n",
        "tls.client_ca_file" => "client_auth = \"optional\"\n",
        "tls.client_crl_file" => "client_auth = \"optional\"\nclient_ca_file = \"ca.pem\"\n",
        "certificates[].key_file" => "cert_file = \"cert.pem\"\n",
        _ => "",
    }
}

/// A certificate, for keys that need one.
pub(super) const CERTIFICATE: &str = "[[certificates]]\ncert_file = \"cert.pem\"\nkey_file = \"key.pem\"\n";
