//! One connection of a client: what it may cost, and who speaks what on it.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::sync::watch;

use super::guard::Timeouts;
use super::worker::Shared;
use super::{Phase, head, http1};
use crate::config;
use crate::proxy::Peer;
use crate::upstream::Pools;

/// What a connection may cost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) head: head::Limits,
    pub(super) timeouts: Timeouts,
}

impl Limits {
    pub(super) fn new(config: &config::Server) -> Self {
        let head = head::Limits {
            bytes: config.max_header_bytes,
            lines: config.max_headers,
            target: config.max_target_bytes,
        };
        Self {
            head,
            timeouts: Timeouts::new(config),
        }
    }
}

/// Serves a connection to its end.
pub(super) async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    shared: Shared,
    pools: Arc<Pools>,
    phase: watch::Receiver<Phase>,
) {
    // An answer is written whole: waiting for more to send with it only adds delay. It works without, too.
    let _ = stream.set_nodelay(true);
    let metrics = Arc::clone(shared.gateway.metrics());
    metrics.connections.inc();
    let peer = Peer {
        address: peer.ip().to_canonical(),
        scheme: "http",
    };
    http1::serve(stream, Arc::new(peer), shared, pools, phase).await;
    metrics.connections.dec();
}
