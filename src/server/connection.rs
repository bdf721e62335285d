//! One connection of a client: what it may cost, and who speaks what on it.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::guard::Timeouts;
use super::sniff::{Sniffed, sniff};
use super::worker::Shared;
use super::{Door, Phase, head, http1, http2};
use crate::config;
use crate::metrics::RefusedConnection;
use crate::proxy::Peer;
use crate::upstream::Pools;

/// What a connection may cost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) head: head::Limits,
    pub(super) timeouts: Timeouts,
    pub(super) http2: config::Http2,
    /// What a client may speak on a listener without TLS.
    plain: Speaks,
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
            http2: config.http2,
            plain: if config.h2c { Speaks::Either } else { Speaks::Http1 },
        }
    }
}

/// What is known of what the client of a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaks {
    /// HTTP/1, by ALPN or because nothing else is allowed.
    Http1,
    /// HTTP/2, by ALPN (RFC 9113, section 3.2).
    #[expect(dead_code, reason = "said by a listener with TLS")]
    Http2,
    /// HTTP/2 if it begins with the preface (RFC 9113, section 3.3), otherwise HTTP/1.
    Either,
}

/// Serves a connection to its end.
pub(super) async fn serve(
    mut stream: TcpStream,
    peer: SocketAddr,
    door: Door,
    shared: Shared,
    pools: Arc<Pools>,
    mut phase: watch::Receiver<Phase>,
) {
    // An answer is written whole: waiting for more to send with it only adds delay. It works without, too.
    let _ = stream.set_nodelay(true);
    let metrics = Arc::clone(shared.gateway.metrics());
    metrics.connections.inc();
    let address = peer.ip().to_canonical();
    match shared.proxies.client(&mut stream, address, &mut phase).await {
        Ok(address) => {
            let peer = Peer {
                address,
                scheme: match door {
                    Door::Plain => "http",
                },
            };
            let speaks = shared.limits.plain;
            established(stream, speaks, Arc::new(peer), shared, pools, phase).await;
        }
        Err(error) => {
            metrics.refused_connection(RefusedConnection::ProxyProtocol);
            tracing::debug!(peer = %address, %error, "a connection was turned away");
        }
    }
    metrics.connections.dec();
}

/// Serves a byte stream on which HTTP can begin (what comes before, such as a TLS handshake, is over) to its end.
pub(super) async fn established<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    speaks: Speaks,
    peer: Arc<Peer>,
    shared: Shared,
    pools: Arc<Pools>,
    mut phase: watch::Receiver<Phase>,
) {
    match speaks {
        Speaks::Http1 => http1::serve(stream, peer, shared, pools, phase).await,
        Speaks::Http2 => http2::serve(stream, peer, shared, pools, phase).await,
        Speaks::Either => match sniff(stream, &shared.limits.timeouts, &mut phase).await {
            Sniffed::Http1(stream) => http1::serve(stream, peer, shared, pools, phase).await,
            Sniffed::Http2(stream) => http2::serve(stream, peer, shared, pools, phase).await,
            Sniffed::Nothing => {}
        },
    }
}
