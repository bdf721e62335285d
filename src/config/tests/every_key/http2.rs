//! `[server.http2]`, and whether it is spoken without TLS.

use super::rows::{BOOL, DURATION};
use super::{Row, row};

pub(super) static ROWS: &[Row] = &[
    row("server.h2c", "true", "h2c: true", BOOL),
    row(
        "server.http2.max_concurrent_streams",
        "7",
        "max_concurrent_streams: 7",
        &["0", "1001", "\"7\""],
    ),
    row(
        "server.http2.stream_window",
        "\"65KiB\"",
        "stream_window: 66560",
        &["\"1KiB\"", "\"17MiB\"", "\"much\""],
    ),
    row(
        "server.http2.connection_window",
        "\"66KiB\"",
        "connection_window: 67584",
        &["\"1KiB\"", "\"65MiB\"", "\"much\""],
    ),
    row(
        "server.http2.max_send_buffer",
        "\"17KiB\"",
        "max_send_buffer: 17408",
        &["\"1KiB\"", "\"17MiB\"", "\"much\""],
    ),
    row("server.http2.ping_interval", "\"6s\"", "ping_interval: 6s", DURATION),
];
