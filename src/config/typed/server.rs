//! The public listener and what clients may cost.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::rules::trace_context::TraceMode;

/// `[server]`
#[derive(Clone, Debug)]
pub struct Server {
    /// Where HTTP without TLS is served (default 127.0.0.1:8080; none where [`Tls::listen`](super::Tls::listen) has one). At
    /// least one between the two, none twice. Port 0 asks the system for a free one.
    pub listen: Vec<SocketAddr>,
    /// Peers whose `X-Forwarded-*`, `Forwarded` and PROXY headers are believed. Never a /0, nor networks that are one together.
    pub trusted_proxies: Vec<IpNet>,
    /// Proxy worker threads (default: one per core). 1 to 1024.
    pub workers: usize,
    /// How long requests in flight may take to finish once the gateway is told to stop (default 30 s; 0 to 1 d).
    pub drain: Duration,
    /// The Unix socket at which the listening sockets are offered to the process that takes over; `None`: they are not.
    pub handover: Option<PathBuf>,
    /// Whether another gateway of the same user may listen beside this one, on all listeners (default: no).
    pub reuse_port: bool,
    /// How often the configuration and the files that it names are looked at (10 ms to 1 h); `None`: they are not.
    pub watch: Option<Duration>,
    /// The largest request head, in bytes (default 64 KiB; 1 KiB to 1 MiB).
    pub max_header_bytes: usize,
    /// The most header lines in a request (default 100; 1 to 1000).
    pub max_headers: usize,
    /// The longest request target, in bytes (default 8 KiB or `max_header_bytes`, the lesser; 64 to
    /// `max_header_bytes`).
    pub max_target_bytes: usize,
    /// The largest request body where a route does not say otherwise, in bytes (default: no limit).
    pub max_body: Option<u64>,
    /// How long a client may take from the first byte of a request head to its end (default 10 s; 10 ms to 1 h).
    pub header_timeout: Duration,
    /// How long a connection may idle between requests (default 75 s; 10 ms to 1 d).
    pub keep_alive: Duration,
    /// How long a client may pause within a body, sending or receiving (default 30 s; 10 ms to 1 d).
    pub body_idle_timeout: Duration,
    /// What becomes of the traces that clients name (default: valid ones are passed on).
    pub trace: TraceMode,
    /// Whether answers get security headers where a route does not say otherwise, and those of our own endpoints do (default
    /// false).
    pub security_headers: bool,
    /// The most connections at once, over all listeners and workers (default 10,000; 1 to 10,000,000).
    pub max_connections: usize,
    /// Whether a client without TLS may begin with HTTP/2 ("prior knowledge"; default: no).
    pub h2c: bool,
    /// What HTTP/2 may cost.
    pub http2: super::Http2,
    /// Whether a PROXY header says who the client is (default: off).
    pub proxy_protocol: ProxyProtocol,
    /// The most connections at once of one client (default: no limit).
    pub max_connections_per_ip: Option<usize>,
    /// The most requests to upstreams at once (default: no limit).
    pub max_requests: Option<usize>,
    /// Bytes a second that a client has to send of a body, or take of an answer, on average (default 64; 0: none).
    pub min_body_rate: u64,
}

/// Whether a connection begins with a PROXY header. Only `trusted_proxies` may send one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// Never: one that comes is no HTTP.
    Off,
    /// Where one comes from a trusted proxy, it counts.
    Optional,
    /// Whoever sends none, or is not trusted, is turned away.
    Required,
}
