//! `[[routes]]`: what a route does at its edges.

use super::rows::BOOL;
use super::{Row, row};

pub(super) const ROWS: &[Row] = &[
    row(
        "routes[].add_prefix",
        "\"/v2\"",
        "add_prefix: Some(\"/v2\")",
        &[
            "\"\"",
            "\"/\"",
            "\"v2\"",
            "\"/v2/\"",
            "\"/a/..\"",
            "\"/...\"",
            "\"/{id}\"",
            "\"/%61\"",
            "1",
        ],
    ),
    row(
        "routes[].rewrite",
        "\"/v2/x\"",
        "Plain(\"v2\"), Plain(\"x\")",
        &[
            "\"\"",
            "\"v2\"",
            "\"/v2/\"",
            "\"//a\"",
            "\"/..\"",
            "\"/{id}\"",
            "\"/%61\"",
            "\"/a?b\"",
            "1",
        ],
    ),
    row(
        "routes[].upstream_host",
        "\"orders.internal:8443\"",
        "upstream_host: Named(\"orders.internal:8443\")",
        &["\"\"", "\"http://a\"", "\"a b\"", "\"a/b\"", "1"],
    ),
    row("routes[].verify_only", "true", "verify_only: true", BOOL),
    row("auth.verify", "true", "verify: true", BOOL),
    row(
        "routes[].redirect.to",
        "\"https://new.example/{path}\"",
        "origin: \"https://new.example\"",
        &[
            "\"\"",
            "\"new.example\"",
            "\"//a\"",
            "\"ftp://a\"",
            "\"https://{a}/\"",
            "\"https://u@a/\"",
            "\"/{nobody}\"",
            "1",
        ],
    ),
    row(
        "routes[].redirect.status",
        "302",
        "status: 302",
        &["200", "304", "309", "\"302\""],
    ),
];
