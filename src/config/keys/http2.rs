//! The keys of HTTP/2 on clients' connections.

use super::Default::Value;
use super::Kind::{Duration, Integer, Size};
use super::{DAY, KIB, Key, MIB, key, ms};

/// `[server.http2]`.
pub(super) static KEYS: &[Key] = &[
    key(
        "server.http2.max_concurrent_streams",
        Integer(1, 1000),
        Value("100"),
        "The most requests of one connection at once; more are refused unanswered, for the client to send again.",
    ),
    key(
        "server.http2.stream_window",
        Size(64 * KIB, 16 * MIB),
        Value("\"256KiB\""),
        "How much of a request body a client may send ahead of what the upstream takes.",
    ),
    key(
        "server.http2.connection_window",
        Size(64 * KIB, 64 * MIB),
        Value("\"1MiB\""),
        "The same for all request bodies on a connection together: what they cost in memory at the most.",
    ),
    key(
        "server.http2.max_send_buffer",
        Size(16 * KIB, 16 * MIB),
        Value("\"64KiB\""),
        "How much of an answer may wait for the client to take it.",
    ),
    key(
        "server.http2.ping_interval",
        Duration(ms(100), DAY),
        Value("\"30s\""),
        "How often a client is asked whether it is still there; one that does not answer within 20 s is given up.",
    ),
];
