//! `[[routes]]`

use super::rows::{BOOL, DURATION, WORD};
use super::{Row, row};

pub(super) const ROWS: &[Row] = &[
    row(
        "routes[].path",
        "\"/a/{id}/b\"",
        "path: PathPattern { segments: [Literal(\"a\"), Any(\"id\"), Literal(\"b\")] }",
        &[
            "\"\"",
            "\"a\"",
            "\"/a/\"",
            "\"/a/../b\"",
            "\"/a%2f\"",
            "\"/*\"",
            "\"/auth\"",
            "\"/auth/x\"",
            "1",
        ],
    ),
    row(
        "routes[].upstream",
        "\"a\"",
        "upstream: Some(0)",
        &["\"b\"", "\"A\"", "1"],
    ),
    row(
        "routes[].host",
        "\"*.Example.com\"",
        "host: Subdomains(\"example.com\")",
        &["\"\"", "\"a b\"", "\"http://a\"", "\"a:80\"", "\"*\"", "\"a*.b\"", "1"],
    ),
    row("routes[].exact", "true", "exact: true", BOOL),
    row(
        "routes[].methods",
        "[\"GET\", \"PURGE\"]",
        "methods: [GET, PURGE]",
        &[
            "[]",
            "\"get\"",
            "\"CONNECT\"",
            "\"TRACE\"",
            "[\"GET\", \"GET\"]",
            "\"G T\"",
            "[1]",
            "\"\"",
        ],
    ),
    row("routes[].auth", "\"optional\"", "auth: Optional", WORD),
    row(
        "routes[].roles",
        "[\"admin\", \"support\"]",
        "roles: [Role(\"admin\"), Role(\"support\")]",
        &["[]", "[\"a b\"]", "[\"\"]", "1"],
    ),
    row(
        "routes[].claims",
        "{ tenant = \"acme\", level = 3, beta = true }",
        "claims: {\"beta\": Bool(true), \"level\": Number(3), \"tenant\": String(\"acme\")}",
        &[
            "[]",
            "\"x\"",
            "{ a = 1.5 }",
            "{ a = [1] }",
            "{ a = { b = 1 } }",
            "{ a = 2026-11-22 }",
        ],
    ),
    row("routes[].assertion", "true", "assertion: true", BOOL),
    row(
        "routes[].strip_prefix",
        "\"/orders\"",
        "strip_prefix: Some(\"/orders\")",
        &[
            "\"\"",
            "\"/\"",
            "\"orders\"",
            "\"/orders/\"",
            "\"/ord\"",
            "\"/orders/all/of\"",
            "1",
        ],
    ),
    row(
        "routes[].max_body",
        "\"2KiB\"",
        "max_body: Some(2048), timeout",
        &["-1", "\"all\"", "true"],
    ),
    row("routes[].timeout", "\"3s\"", "timeout: Some(3s)", DURATION),
    row("routes[].client_certificate", "true", "client_certificate: true", BOOL),
];
