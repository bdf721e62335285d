//! `[upstreams.NAME]`

use super::Default::{Required, Unset, Value};
use super::Kind::{Bool, Duration, Integer, List, Text};
use super::{DAY, HOUR, Key, SECOND, key, ms};

const MONTH: std::time::Duration = std::time::Duration::from_hours(30 * 24);
const TEN_MINUTES: std::time::Duration = std::time::Duration::from_mins(10);

pub(super) static KEYS: &[Key] = &[
    key(
        "upstreams.NAME.servers",
        List(
            "\"http://HOST:PORT\", \"https://HOST:PORT\", \"h2://HOST:PORT\" or \"builtin:whoami\"; then \" weight=N\" (0 to 256)",
        ),
        Required,
        "The servers, each with its weight (1 where none is given; 0: it gets no requests). `http://` is HTTP/1.1, `https://` is HTTP/2 or HTTP/1.1 over TLS, `h2://` is HTTP/2 \
         without TLS. `builtin:whoami` answers with the request as an upstream would see it.",
    ),
    key(
        "upstreams.NAME.connect_timeout",
        Duration(ms(10), HOUR),
        Value("\"5s\""),
        "How long a connection may take to be made, with its TLS handshake.",
    ),
    key(
        "upstreams.NAME.response_timeout",
        Duration(ms(10), DAY),
        Value("\"60s\""),
        "How long the upstream may take from the whole request head sent to the head of its answer.",
    ),
    key(
        "upstreams.NAME.pool_idle_timeout",
        Duration(ms(10), DAY),
        Value("\"60s\""),
        "How long an idle connection is kept.",
    ),
    key(
        "upstreams.NAME.pool_max_idle",
        Integer(0, 100_000),
        Value("128"),
        "How many idle connections each worker keeps per server.",
    ),
    key(
        "upstreams.NAME.pool_max_age",
        Duration(ms(100), MONTH),
        Value("\"1h\""),
        "How long a connection takes new requests, more or less by a tenth, so that not all end at once. What it carries then \
         goes on to its end.",
    ),
    key(
        "upstreams.NAME.idle_timeout",
        Duration(ms(10), DAY),
        Unset,
        "How long an answer that has begun may bring nothing before it is broken off. Unset: for ever.",
    ),
    key(
        "upstreams.NAME.tcp_keepalive",
        Duration(SECOND, HOUR),
        Value("\"60s\""),
        "After how long without a byte the system asks whether the other end of a connection is still there.",
    ),
    key(
        "upstreams.NAME.http2_ping_interval",
        Duration(ms(100), HOUR),
        Unset,
        "How often a connection of HTTP/2 that carries requests is asked whether it is still there. Unset: never, since some \
         servers end connections that ask too often.",
    ),
    key(
        "upstreams.NAME.http2_ping_timeout",
        Duration(ms(10), TEN_MINUTES),
        Value("\"10s\""),
        "How long it may take to answer that.",
    ),
    key(
        "upstreams.NAME.http2",
        Bool,
        Value("true"),
        "Whether `https://` servers are offered HTTP/2 (ALPN).",
    ),
    key(
        "upstreams.NAME.tls_ca_file",
        Text("the path of a file with certificates in PEM"),
        Unset,
        "The authorities that `https://` servers are verified with, in place of the public ones.",
    ),
    key(
        "upstreams.NAME.tls_cert_file",
        Text("the path of a file with a certificate, and those between it and its authority, in PEM"),
        Unset,
        "What the gateway proves itself with to an `https://` server that asks. With `tls_key_file`.",
    ),
    key(
        "upstreams.NAME.tls_key_file",
        Text("the path of a file with a private key in PEM"),
        Unset,
        "The key of `tls_cert_file`.",
    ),
    key(
        "upstreams.NAME.tls_server_name",
        Text("a host name or address"),
        Unset,
        "The name that `https://` servers are asked for (SNI) and verified as, in place of their host.",
    ),
    key(
        "upstreams.NAME.tls_skip_verify",
        Bool,
        Value("false"),
        "Whether `https://` servers need not prove who they are: anybody on the way can then read and change everything. \
         `check` and `serve` warn of it.",
    ),
];
