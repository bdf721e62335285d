//! `[acme]`

use super::rows::{BOOL, DURATION, TEXT, WORD};
use super::{Row, row};

pub(super) const ROWS: &[Row] = &[
    row(
        "acme.domains",
        "[\"A.example\", \"b.example\"]",
        "domains: [\"a.example\", \"b.example\"]",
        &[
            "\"*.example\"",
            "\"a b\"",
            "\"10.0.0.1\"",
            "\"a:80\"",
            "[\"a\", \"A\"]",
            "1",
            "[1]",
        ],
    ),
    row(
        "acme.directory_url",
        "\"https://acme.example/dir\"",
        "directory_url: \"https://acme.example/dir\"",
        &["\"http://127.0.0.1/dir\"", "\"acme\"", "\"\"", "1"],
    ),
    row("acme.ca_file", "\"ca.pem\"", "ca_file: Some(\"/base/ca.pem\")", TEXT),
    row(
        "acme.contact",
        "\"ops@a.example\"",
        "contact: Some(\"ops@a.example\")",
        &["\"\"", "\"ops\"", "\"mailto:ops@a.example\"", "\"a@b.c,d@e.f\"", "1"],
    ),
    row("acme.agree_terms", "true", "acme: Some(", BOOL),
    row("acme.challenge", "\"http-01\"", "challenge: Http01", WORD),
    row("acme.storage", "\"kept\"", "storage: \"/base/kept\"", TEXT),
    row("acme.retry_every", "\"3s\"", "retry_every: 3s", DURATION),
];

/// What else has to stand in the section.
pub(super) fn beside(key: &str) -> &'static str {
    match key {
        "acme.domains" => "agree_terms = true\n",
        "acme.agree_terms" => "domains = \"a.example\"\n",
        _ => "domains = \"a.example\"\nagree_terms = true\n",
    }
}
