//! What HTTP/2 on a client's connection may cost.

use std::time::Duration;

/// `[server.http2]`
#[derive(Clone, Copy, Debug)]
pub struct Http2 {
    /// The most streams of a connection at once (default 100; 1 to 1000).
    pub max_concurrent_streams: u32,
    /// The most bytes of a request body that a client may send ahead (default 256 KiB; 64 KiB to 16 MiB).
    pub stream_window: u32,
    /// The same for all bodies on a connection (default 1 MiB; 64 KiB to 64 MiB).
    pub connection_window: u32,
    /// The most bytes of an answer that wait for a client to take them (default 64 KiB; 16 KiB to 16 MiB).
    pub max_send_buffer: usize,
    /// How often a client is asked whether it is still there (default 30 s; 100 ms to 1 d).
    pub ping_interval: Duration,
}
