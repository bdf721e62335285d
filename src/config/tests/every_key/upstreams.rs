//! `[upstreams.NAME]`

use super::rows::DURATION;
use super::{Row, row};

pub(super) const ROWS: &[Row] = &[
    row(
        "upstreams.NAME.servers",
        "[\"http://b:3000\", \"builtin:whoami\"]",
        "servers: [Remote { scheme: Http, host: \"b\", port: 3000 }, Whoami]",
        &[
            "[]",
            "\"b:3000\"",
            "\"ftp://b\"",
            "[\"https://b\", \"https://B:443/\"]",
            "[\"http://b\", \"http://b:80\"]",
            "[\"http://b\", \"http://b:80 weight=2\"]",
            "\"http://b weight=257\"",
            "\"http://b weight=0\"",
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
    row(
        "upstreams.NAME.pool_max_age",
        "\"3s\"",
        "pool_max_age: 3s",
        &["\"1ms\"", "\"31d\"", "3"],
    ),
    row(
        "upstreams.NAME.idle_timeout",
        "\"3s\"",
        "idle_timeout: Some(3s), tcp",
        DURATION,
    ),
    row(
        "upstreams.NAME.tcp_keepalive",
        "\"3s\"",
        "tcp_keepalive: 3s",
        &["\"0s\"", "\"2h\"", "3"],
    ),
    row(
        "upstreams.NAME.http2_ping_interval",
        "\"3s\"",
        "http2_ping_interval: Some(3s)",
        &["\"0s\"", "\"2h\"", "3"],
    ),
    row(
        "upstreams.NAME.http2_ping_timeout",
        "\"3s\"",
        "http2_ping_timeout: 3s",
        &["\"0s\"", "\"2h\"", "3"],
    ),
    row("upstreams.NAME.http2", "false", "http2: false", &["1", "\"yes\""]),
    // What files they take is in `upstream_tls`.
    row("upstreams.NAME.tls_ca_file", "", "", &["\"none.pem\"", "1"]),
    row("upstreams.NAME.tls_cert_file", "", "", &["\"none.pem\"", "1"]),
    row("upstreams.NAME.tls_key_file", "", "", &["\"none.pem\"", "1"]),
    row(
        "upstreams.NAME.tls_server_name",
        "\"b.example\"",
        "server_name: Some(DnsName(\"b.example\"))",
        &["\"a b\"", "\"\"", "\"b:443\"", "1"],
    ),
    row(
        "upstreams.NAME.tls_skip_verify",
        "true",
        "skip_verify: true",
        &["1", "\"yes\""],
    ),
];
