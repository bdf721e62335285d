//! `[upstreams.NAME]`

use super::rows::DURATION;
use super::{Row, row};

pub(super) const ROWS: &[Row] = &[
    row(
        "upstreams.NAME.servers",
        "[\"http://b:3000\", \"builtin:whoami\"]",
        "servers: [Http { host: \"b\", port: 3000 }, Whoami]",
        &[
            "[]",
            "\"b:3000\"",
            "\"https://b\"",
            "[\"http://b\", \"http://b:80\"]",
            "[1]",
            "1",
        ],
    ),
    row(
        "upstreams.NAME.connect_timeout",
        "\"3s\"",
        "connect_timeout: 3s, response",
        DURATION,
    ),
    row(
        "upstreams.NAME.response_timeout",
        "\"3s\"",
        "response_timeout: 3s",
        DURATION,
    ),
    row(
        "upstreams.NAME.pool_idle_timeout",
        "\"3s\"",
        "pool_idle_timeout: 3s",
        DURATION,
    ),
    row(
        "upstreams.NAME.pool_max_idle",
        "3",
        "pool_max_idle: 3",
        &["-1", "100001"],
    ),
];
