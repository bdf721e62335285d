//! The keys of `[revocation]`.

use super::rows::{DURATION, WORD};
use super::{Row, row};

pub(super) const ROWS: &[Row] = &[
    row(
        "revocation.url",
        "\"rediss://:pw@cache:7000/3\"",
        "revocations: Redis(Redis { host: \"cache\", port: 7000, tls: System, user: None, password: Some([secret]), \
         database: 3, prefix: \"doorward\" })",
        &[
            "\"\"",
            "\"cache:6379\"",
            "\"redis://cache/x\"",
            "\"redis://ann@cache\"",
            "1",
        ],
    ),
    row(
        "revocation.password",
        "\"0123\"",
        "password: Some([secret])",
        &["123", "[]", "true"],
    ),
    row("revocation.password_file", "", "", &["1", "\"/nowhere/at/all\""]),
    row(
        "revocation.ca_file",
        "\"ca.pem\"",
        "tls: Authority(\"/base/ca.pem\")",
        &["1", "[]"],
    ),
    row(
        "revocation.prefix",
        "\"gate:1\"",
        "prefix: \"gate:1\"",
        &["\"\"", "\"a b\"", "\"{a}\"", "1"],
    ),
    row(
        "revocation.poll_interval",
        "\"3s\"",
        "poll_interval: 3s",
        &["\"9ms\"", "\"61s\"", "1", "\"10s\""],
    ),
    row("revocation.overlap", "\"7s\"", "overlap: 7s", DURATION),
    row("revocation.full_reread", "\"3s\"", "full_reread: 3s", DURATION),
    row(
        "revocation.max_staleness",
        "\"3s\"",
        "max_staleness: 3s",
        &["\"500ms\"", "\"99ms\"", "\"2h\"", "1"],
    ),
    row("revocation.on_stale", "\"allow\"", "on_stale: Allow", WORD),
];
