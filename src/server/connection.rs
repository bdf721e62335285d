//! One connection of a client: what it may cost, and who speaks what on it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::server::TlsStream;

use super::patient::Patient;
use super::proxy_protocol::Client;
use super::sniff::{Sniffed, sniff};
use super::timeouts::Timeouts;
use super::worker::Shared;
use super::{Door, Phase, head, http1, http2};
use crate::config;
use crate::limiter::{Place, network};
use crate::metrics::{Metrics, RefusedConnection};
use crate::proxy::Peer;
use crate::rules::headers::CertificateHeaders;
use crate::time::refresh;
use crate::tls;
use crate::upstream::Pools;

/// What a connection may cost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) head: head::Limits,
    pub(super) timeouts: Timeouts,
    pub(super) http2: config::Http2,
    /// What a client may speak on a listener without TLS.
    plain: Speaks,
    /// How long a TLS handshake may take.
    handshake: Duration,
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
            handshake: config.header_timeout,
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
    // Handshakes can keep a worker busy for long.
    refresh();
    // An answer is written whole: waiting for more to send with it only adds delay. It works without, too.
    let _ = stream.set_nodelay(true);
    let open = Open::new(&shared);
    let address = peer.ip().to_canonical();
    match admit(&mut stream, address, &shared, &mut phase).await {
        Ok((client, _place)) => match door {
            Door::Plain | Door::Redirect => {
                let peer = Peer {
                    address: client.address,
                    unnamed: client.unnamed,
                    scheme: "http",
                    redirects: door == Door::Redirect,
                    certificate: None,
                };
                let speaks = shared.limits.plain;
                established(stream, speaks, Arc::new(peer), shared, pools, phase).await;
            }
            // In a box, so that a connection without TLS does not take the room of one with it.
            Door::Tls => Box::pin(secure(stream, client, shared, pools, phase)).await,
        },
        Err(reason) => open.0.refused_connection(reason),
    }
}

/// Counts a connection for as long as it is there, however its task ends.
struct Open(Arc<Metrics>);

impl Open {
    fn new(shared: &Shared) -> Self {
        let metrics = Arc::clone(shared.gateway.metrics());
        metrics.connections.inc();
        Self(metrics)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections.dec();
    }
}

/// Serves a connection to its end that begins with a TLS handshake.
async fn secure(stream: TcpStream, client: Client, shared: Shared, pools: Arc<Pools>, phase: watch::Receiver<Phase>) {
    let Client { address, unnamed } = client;
    let Some(stream) = handshake(stream, address, &shared).await else {
        shared.gateway.metrics().tls.handshake_failures.inc();
        return;
    };
    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let shown = shown.map(|der| tls::client_certificate(der).ok_or(()));
    let Ok(shown) = shown.transpose() else {
        tracing::warn!(peer = %address, "a client's certificate was verified and can't be read");
        return;
    };
    let peer = Peer {
        address,
        unnamed,
        scheme: "https",
        redirects: false,
        certificate: shown.as_ref().map(CertificateHeaders::new),
    };
    let speaks = match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => Speaks::Http2,
        // An authority has seen what it wanted to see.
        Some(b"acme-tls/1") => return,
        Some(_) | None => Speaks::Http1,
    };
    established(stream, speaks, Arc::new(peer), shared, pools, phase).await;
}

async fn handshake(stream: TcpStream, address: IpAddr, shared: &Shared) -> Option<TlsStream<Patient<TcpStream>>> {
    let local = stream.local_addr().ok().map(|local| local.ip().to_canonical());
    let stream = Patient::new(stream, &shared.limits.timeouts);
    let accepted = tokio::time::timeout(shared.limits.handshake, shared.tls.accept(stream, || local)).await;
    match accepted {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            tracing::debug!(peer = %address, %error, "no TLS with a client");
            None
        }
        Err(_) => {
            tracing::debug!(peer = %address, "a client was too slow to begin TLS");
            None
        }
    }
}

/// Who the client is, and its place among the connections that it may have, if they are counted.
async fn admit(
    stream: &mut TcpStream,
    peer: IpAddr,
    shared: &Shared,
    phase: &mut watch::Receiver<Phase>,
) -> Result<(Client, Option<Place>), RefusedConnection> {
    let client = shared.proxies.client(stream, peer, phase).await.map_err(|error| {
        tracing::debug!(%peer, %error, "a connection was turned away");
        RefusedConnection::ProxyProtocol
    })?;
    let counted = shared
        .per_ip
        .as_ref()
        .filter(|_| !shared.proxies.include(client.address));
    let place = counted.map(|tally| tally.enter(&network(client.address)).ok_or(RefusedConnection::PerIp));
    Ok((client, place.transpose()?))
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
        // In a box, so that a connection of HTTP/1 does not take the room of one of HTTP/2.
        Speaks::Http2 => Box::pin(http2::serve(stream, peer, shared, pools, phase)).await,
        Speaks::Either => match sniff(stream, &shared.limits.timeouts, &mut phase).await {
            Sniffed::Http1(stream) => http1::serve(stream, peer, shared, pools, phase).await,
            Sniffed::Http2(stream) => Box::pin(http2::serve(stream, peer, shared, pools, phase)).await,
            Sniffed::Nothing => {}
        },
    }
}
