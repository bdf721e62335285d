//! `[[routes]]`: what goes on for longer than a request and its answer.

use super::rows::{DURATION, WORD};
use super::{Row, row};

pub(super) const ROWS: &[Row] = &[
    row("routes[].on_token_end", "\"finish\"", "on_token_end: Finish", WORD),
    row(
        "routes[].upgrades",
        "[\"WebSocket\", \"x-line/2\"]",
        "upgrades: [\"websocket\", \"x-line/2\"]",
        &[
            "[\"h2c\"]",
            "[\"HTTP/2.0\"]",
            "[\"TLS/1.2\"]",
            "[\"connect\"]",
            "[\"a b\"]",
            "[\"a/\"]",
            "\"\"",
            "[\"websocket\", \"WebSocket\"]",
            "[1]",
            "true",
        ],
    ),
    row(
        "routes[].upgrade_idle_timeout",
        "\"3s\"",
        "upgrade_idle_timeout: 3s",
        DURATION,
    ),
    row(
        "routes[].upgrade_max_age",
        "\"3s\"",
        "upgrade_max_age: Some(3s)",
        DURATION,
    ),
    row(
        "routes[].websocket_token",
        "\"protocol\"",
        "token_in_protocol: true",
        WORD,
    ),
];
