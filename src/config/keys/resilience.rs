//! `[upstreams.NAME]`: what keeps an upstream going when servers of it fail.

use super::Default::{Unset, Value};
use super::Kind::{Duration, Integer, List, OneOf, Size, Text};
use super::{DAY, HOUR, Key, MIB, MINUTE, SECOND, key, ms};

/// What statuses are written as.
const STATUSES: &str = "statuses or ranges of them, such as \"503\" or \"500-599\"";
const ZERO: std::time::Duration = std::time::Duration::ZERO;

pub(super) static KEYS: &[Key] = &[
    key(
        "upstreams.NAME.balance",
        OneOf(&["least-requests", "round-robin", "hash"]),
        Value("\"least-requests\""),
        "Who gets a request: of two servers drawn by weight the one with fewer requests in flight for its weight, each in its turn, or always the same one for the same `hash_by`.",
    ),
    key(
        "upstreams.NAME.hash_by",
        Text("\"user\", \"ip\" or \"header:NAME\""),
        Unset,
        "What `balance = \"hash\"` goes by: the token's user, the client's address, or a request header. Requests without it are balanced by `least-requests`.",
    ),
    key(
        "upstreams.NAME.slow_start",
        Duration(ZERO, HOUR),
        Value("\"0s\""),
        "How long the share of a server that is back grows from a tenth to its weight.",
    ),
    key(
        "upstreams.NAME.max_requests",
        Integer(1, 1_000_000),
        Unset,
        "The most requests in flight per server, over all workers. Unset: no limit.",
    ),
    key(
        "upstreams.NAME.max_connections",
        Integer(1, 1_000_000),
        Unset,
        "The most connections per server, over all workers; health checks do not count. Unset: no limit.",
    ),
    key(
        "upstreams.NAME.queue",
        Integer(0, 100_000),
        Value("100"),
        "How many requests may wait for a server below `max_requests`, and how many for each server below `max_connections`; more get 503 at once.",
    ),
    key(
        "upstreams.NAME.queue_timeout",
        Duration(ms(10), HOUR),
        Value("\"1s\""),
        "How long a request may wait so, before it gets 503.",
    ),
    key(
        "upstreams.NAME.health.path",
        Text("a path, with or without a query, such as \"/healthz\""),
        Unset,
        "What each server is asked for (`GET`, HTTP as for requests) to learn whether it is well. Unset: servers are not asked.",
    ),
    key(
        "upstreams.NAME.health.host",
        Text("a host name or address, with or without a port"),
        Unset,
        "The `Host` of that request. Unset: the server's own.",
    ),
    key(
        "upstreams.NAME.health.interval",
        Duration(ms(10), HOUR),
        Value("\"10s\""),
        "How long from one such request to the next, and at most 1 s while the server is down; a tenth more or less, by chance.",
    ),
    key(
        "upstreams.NAME.health.timeout",
        Duration(ms(10), MINUTE),
        Value("\"2s\""),
        "How long the head of the answer may take, connecting included.",
    ),
    key(
        "upstreams.NAME.health.passes",
        Integer(1, 100),
        Value("2"),
        "How many passes in a row make a server that is down well again.",
    ),
    key(
        "upstreams.NAME.health.failures",
        Integer(1, 100),
        Value("3"),
        "How many failures in a row make a server down: it gets no requests.",
    ),
    key(
        "upstreams.NAME.health.status",
        List(STATUSES),
        Value("[\"200-299\"]"),
        "The statuses that pass.",
    ),
    key(
        "upstreams.NAME.health.panic",
        Integer(0, 100),
        Value("0"),
        "With less than this share of the servers up, in percent, all are used, whatever the checks say: they may be wrong. 0: never; with all down requests get 503.",
    ),
    key(
        "upstreams.NAME.eject.after",
        Integer(0, 1000),
        Value("5"),
        "How many requests in a row a server must fail (no connection, broken off, too late, no HTTP, or `eject.on_status`) to get none for a while. 0: never.",
    ),
    key(
        "upstreams.NAME.eject.on_status",
        List(STATUSES),
        Value("[]"),
        "The statuses that count as failures of the server.",
    ),
    key(
        "upstreams.NAME.eject.time",
        Duration(ms(10), DAY),
        Value("\"10s\""),
        "For how long; then one request tries the server, and if it fails, the time doubles.",
    ),
    key(
        "upstreams.NAME.eject.max_time",
        Duration(SECOND, DAY),
        Value("\"5m\""),
        "The most that the time doubles to.",
    ),
    key(
        "upstreams.NAME.eject.max_share",
        Integer(0, 100),
        Value("50"),
        "The largest share of the servers that is ejected at a time, in percent, but one where there are several. The last that is left stays.",
    ),
    key(
        "upstreams.NAME.retry.attempts",
        Integer(0, 10),
        Value("2"),
        "How often a request that a server may have seen is sent again, to another where there is one. Only where its method is idempotent.",
    ),
    key(
        "upstreams.NAME.retry.body_limit",
        Size(0, 16 * MIB),
        Value("\"64KiB\""),
        "The most of a request's body that is kept to be sent again. A request with a longer one is sent once.",
    ),
    key(
        "upstreams.NAME.retry.on_status",
        List(STATUSES),
        Value("[]"),
        "The statuses of an answer that is not taken, but asked for again at another server.",
    ),
    key(
        "upstreams.NAME.retry.budget",
        Integer(0, 100),
        Value("20"),
        "How many requests may be sent again, in percent of those of the last 10 s, beside `retry.floor`.",
    ),
    key(
        "upstreams.NAME.retry.floor",
        Integer(0, 1000),
        Value("10"),
        "How many requests a second may be sent again however few there are.",
    ),
    key(
        "upstreams.NAME.dns.servers",
        List("the address of a name server, such as \"10.0.0.2\" or \"127.0.0.1:5353\""),
        Unset,
        "Who is asked for the addresses of servers that are given by name. Unset: whom the system asks (`/etc/hosts`, `/etc/resolv.conf`).",
    ),
    key(
        "upstreams.NAME.dns.min_ttl",
        Duration(ms(100), HOUR),
        Value("\"1s\""),
        "How long an answer is used at least, and how soon a name server that failed is asked again.",
    ),
    key(
        "upstreams.NAME.dns.max_ttl",
        Duration(SECOND, DAY),
        Value("\"5m\""),
        "How long an answer is used at most.",
    ),
];
