//! What clients may cost, and how it is known who they are.

use super::rows::{BOOL, WORD};
use super::{Row, row};

/// A limit that others can name.
pub(super) const LIMIT: &str =
    "[[limits]]\nname = \"l\"\nrate = \"1/s\"\n[[limits]]\nname = \"u\"\nrate = \"1/s\"\nby = \"user\"\n";

/// What else a limit has to say beside this key.
pub(super) fn beside(key: &str) -> &'static str {
    match key {
        "limits[].name" => "rate = \"3/s\"\n",
        "limits[].rate" => "name = \"a\"\n",
        _ => "name = \"a\"\nrate = \"3/s\"\n",
    }
}

const COUNT: &[&str] = &["0", "10000001", "\"7\"", "-1"];

pub(super) const ROWS: &[Row] = &[
    row(
        "server.proxy_protocol",
        "\"required\"",
        "proxy_protocol: Required",
        WORD,
    ),
    row(
        "server.max_connections_per_ip",
        "7",
        "max_connections_per_ip: Some(7)",
        COUNT,
    ),
    row("server.max_requests", "7", "max_requests: Some(7), min", COUNT),
    row(
        "server.min_body_rate",
        "\"1KiB\"",
        "min_body_rate: 1024",
        &["-1", "\"2MiB\"", "\"x\"", "true"],
    ),
    row("auth.max_requests", "7", "max_requests: Some(7) }, identity", COUNT),
    row(
        "routes[].max_requests",
        "7",
        "max_requests: Some(7), max_requests_per",
        COUNT,
    ),
    row(
        "routes[].max_requests_per_user",
        "7",
        "max_requests_per_user: Some(7)",
        COUNT,
    ),
    row(
        "auth.limits",
        "\"l\"",
        "limits: [0], verify",
        &["\"x\"", "[\"l\", \"l\"]", "\"u\"", "1"],
    ),
    row(
        "limiter.url",
        "\"redis://:pw@cache:7000/3\"",
        "limiter: Limiter { redis: Some(Redis { host: \"cache\", port: 7000, tls: Off, user: None, password: Some([secret]), \
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
        "limiter.password",
        "\"0123\"",
        "password: Some([secret])",
        &["123", "[]", "true"],
    ),
    row("limiter.password_file", "", "", &["1", "\"/nowhere/at/all\""]),
    row(
        "limiter.ca_file",
        "\"ca.pem\"",
        "tls: Authority(\"/base/ca.pem\")",
        &["1", "[]"],
    ),
    row(
        "limiter.prefix",
        "\"gate:1\"",
        "prefix: \"gate:1\"",
        &["\"\"", "\"a b\"", "\"{a}\"", "1"],
    ),
    row(
        "limiter.timeout",
        "\"20ms\"",
        "timeout: 20ms",
        &["5", "\"0s\"", "\"2s\"", "true"],
    ),
    row(
        "limiter.capacity",
        "640",
        "capacity: 640",
        &["63", "100000001", "\"7\""],
    ),
    row("limiter.headers", "false", ", headers: false", BOOL),
    row(
        "limits[].name",
        "\"per-ip_1\"",
        "name: \"per-ip_1\"",
        &["\"\"", "\"A\"", "\"a b\"", "1"],
    ),
    row(
        "limits[].rate",
        "\"20/m\"",
        "quota: Quota { interval: 3000000000, burst: 20 }",
        &["\"20\"", "\"0/s\"", "\"1/w\"", "\"1000001/s\"", "20"],
    ),
    row("limits[].burst", "7", "burst: 7", &["0", "1000001", "\"7\""]),
    row("limits[].by", "\"all\"", "by: Everybody", WORD),
    row(
        "routes[].limits",
        "[\"u\", \"l\"]",
        "limits: [1, 0]",
        &["\"x\"", "[\"l\", \"l\"]", "1"],
    ),
];
