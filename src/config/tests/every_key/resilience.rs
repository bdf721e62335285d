//! `[upstreams.NAME]`: what keeps an upstream going when servers of it fail.

use super::rows::DURATION;
use super::{Row, row};

const SHARE: &[&str] = &["-1", "101", "\"1\""];
const STATUSES: &[&str] = &[
    "\"99\"",
    "\"600\"",
    "\"5xx\"",
    "\"503-500\"",
    "\"0503\"",
    "[\"503\", \"\"]",
    "503",
];

/// What else has to stand in the section for the value to make sense.
pub(super) fn beside(key: &str) -> &'static str {
    match key {
        "upstreams.NAME.hash_by" => "balance = \"hash\"\n",
        "upstreams.NAME.health.host"
        | "upstreams.NAME.health.interval"
        | "upstreams.NAME.health.timeout"
        | "upstreams.NAME.health.passes"
        | "upstreams.NAME.health.failures"
        | "upstreams.NAME.health.status" => "health.path = \"/\"\n",
        _ => "",
    }
}

pub(super) const ROWS: &[Row] = &[
    row(
        "upstreams.NAME.balance",
        "\"round-robin\"",
        "balance: RoundRobin",
        &["\"other\"", "1", "\"\"", "\"hash\""],
    ),
    row(
        "upstreams.NAME.hash_by",
        "\"header:X-Session\"",
        "balance: Hash(Header(\"x-session\"))",
        &["\"header:\"", "\"header:a b\"", "\"cookie\"", "1", "[]"],
    ),
    row("upstreams.NAME.slow_start", "\"7s\"", "slow_start: 7s", DURATION),
    row(
        "upstreams.NAME.max_requests",
        "7",
        "max_requests: Some(7)",
        &["0", "1000001", "\"7\""],
    ),
    row(
        "upstreams.NAME.max_connections",
        "7",
        "max_connections: Some(7)",
        &["0", "1000001", "\"7\""],
    ),
    row("upstreams.NAME.queue", "7", "queue: 7", &["-1", "100001", "\"7\""]),
    row("upstreams.NAME.queue_timeout", "\"7s\"", "queue_timeout: 7s", DURATION),
    row(
        "upstreams.NAME.health.path",
        "\"/healthz?deep=1\"",
        "path: \"/healthz?deep=1\"",
        &[
            "\"healthz\"",
            "\"\"",
            "\"//a\"",
            "\"/a b\"",
            "\"/a#b\"",
            "\"http://a/\"",
            "1",
        ],
    ),
    row(
        "upstreams.NAME.health.host",
        "\"a.example.com:81\"",
        "host: Some(\"a.example.com:81\")",
        &["\"a b\"", "\"u@a\"", "\"\"", "\"a/b\"", "1"],
    ),
    row("upstreams.NAME.health.interval", "\"7s\"", "interval: 7s", DURATION),
    row(
        "upstreams.NAME.health.timeout",
        "\"7s\"",
        "timeout: 7s, passes",
        DURATION,
    ),
    row("upstreams.NAME.health.passes", "7", "passes: 7", &["0", "101"]),
    row("upstreams.NAME.health.failures", "7", "failures: 7", &["0", "101"]),
    row(
        "upstreams.NAME.health.status",
        "[\"200\", \"401-403\"]",
        "status: Statuses([200..=200, 401..=403])",
        &["\"99\"", "\"600\"", "\"2xx\"", "\"299-200\"", "[]", "200"],
    ),
    row("upstreams.NAME.health.panic", "7", "panic: 7", SHARE),
    row("upstreams.NAME.eject.after", "7", "after: 7", &["-1", "1001"]),
    row(
        "upstreams.NAME.eject.on_status",
        "\"502-504\"",
        "after: 5, status: Statuses([502..=504])",
        STATUSES,
    ),
    row("upstreams.NAME.eject.time", "\"7s\"", "time: 7s, max_time", DURATION),
    row(
        "upstreams.NAME.eject.time",
        "\"5m\"",
        "time: 300s, max_time",
        &["\"6m\""],
    ),
    row("upstreams.NAME.eject.max_time", "\"7m\"", "max_time: 420s", DURATION),
    row("upstreams.NAME.eject.max_share", "7", "max_share: 7", SHARE),
    row("upstreams.NAME.retry.attempts", "7", "attempts: 7", &["-1", "11"]),
    row(
        "upstreams.NAME.retry.body_limit",
        "\"7KiB\"",
        "body_limit: 7168",
        &["\"17MiB\"", "-1", "true"],
    ),
    row(
        "upstreams.NAME.retry.on_status",
        "[\"503\"]",
        "body_limit: 65536, status: Statuses([503..=503])",
        STATUSES,
    ),
    row("upstreams.NAME.retry.budget", "7", "budget: 7", SHARE),
    row("upstreams.NAME.retry.floor", "7", "floor: 7", &["-1", "1001"]),
    row(
        "upstreams.NAME.dns.servers",
        "[\"10.0.0.2\", \"[::1]:5353\"]",
        "servers: [10.0.0.2:53, [::1]:5353]",
        &["\"ns.example.com\"", "\"10.0.0.2:0\"", "\"\"", "1"],
    ),
    row("upstreams.NAME.dns.min_ttl", "\"7s\"", "min_ttl: 7s", DURATION),
    row("upstreams.NAME.dns.min_ttl", "\"5m\"", "min_ttl: 300s", &["\"6m\""]),
    row("upstreams.NAME.dns.max_ttl", "\"7m\"", "max_ttl: 420s", DURATION),
];
