//! Making one connection to one server.

use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::http1::{Http1, Stream};
use super::http2::Http2;
use super::slots::Slot;
use super::{Server, UpstreamError};
use crate::config::{self, Scheme, ServerAddress};
use crate::time::monotonic;

/// The most header lines an upstream's answer may have.
pub(super) const MAX_HEADERS: usize = 128;
/// The largest head of an upstream's answer, in bytes.
pub(super) const MAX_HEAD: usize = 128 * 1024;

/// How long after one question of TCP, which was not answered, the next one is asked.
const PROBE_INTERVAL: Duration = Duration::from_secs(15);

/// A connection that has just been made.
#[derive(Debug)]
pub(super) enum Connection {
    Http1(Http1),
    Http2(Arc<Http2>),
}

/// Why there is no connection. All who waited for the one attempt are told.
#[derive(Clone, Debug)]
pub(super) enum NoConnection {
    Tcp(Arc<io::Error>),
    Tls(Arc<io::Error>),
    Timeout(Duration),
    /// There are as many connections to the server as there may be.
    Full,
}

impl From<NoConnection> for UpstreamError {
    fn from(why: NoConnection) -> Self {
        match why {
            NoConnection::Tcp(error) => Self::Connect(error),
            NoConnection::Tls(error) => Self::Tls(error),
            NoConnection::Timeout(limit) => Self::ConnectTimeout(limit),
            NoConnection::Full => Self::Full,
        }
    }
}

/// Whether a connection to this server may turn out to speak HTTP/2.
pub(super) fn may_be_http2(server: &Server) -> bool {
    match server.address() {
        ServerAddress::Remote { scheme, .. } => match scheme {
            Scheme::Http => false,
            Scheme::Https => server.settings().http2,
            Scheme::H2 => true,
        },
        ServerAddress::Whoami => false,
    }
}

/// Connects within the upstream's `connect_timeout` (name resolution, all addresses of the name and the handshakes included)
/// and leaves the connection running on the worker that calls.
pub(super) async fn connect(server: &Server, slot: Option<Slot>) -> Result<Connection, NoConnection> {
    within(server, open(server, slot)).await
}

/// The same, but the connection speaks HTTP/1.1, which alone can be upgraded. `Unsupported`: the server is one of HTTP/2
/// alone.
pub(super) async fn connect_http1(server: &Server, slot: Option<Slot>) -> Result<Http1, NoConnection> {
    let unsupported = || NoConnection::Tcp(Arc::new(io::ErrorKind::Unsupported.into()));
    let ServerAddress::Remote { scheme, host, port } = server.address() else {
        return Err(unsupported());
    };
    let settings = server.settings();
    let opening = async {
        let connect = async || {
            let resolved = server.resolved().map(|ip| ip.to_string());
            let stream = tcp(resolved.as_deref().unwrap_or(host), *port, settings.tcp_keepalive).await;
            stream.map_err(|error| NoConnection::Tcp(Arc::new(error)))
        };
        match scheme {
            Scheme::Http => Ok(http1(Stream::Tcp(connect().await?), settings, slot)),
            Scheme::H2 => Err(unsupported()),
            Scheme::Https => {
                let tls = server.tls().ok_or_else(unsupported)?;
                let stream = tls.connect_http1(connect().await?).await;
                let stream = stream.map_err(|error| NoConnection::Tls(Arc::new(error)))?;
                Ok(http1(Stream::Tls(Box::new(stream)), settings, slot))
            }
        }
    };
    match within(server, opening).await? {
        Connection::Http1(connection) => Ok(connection),
        Connection::Http2(_) => Err(unsupported()),
    }
}

async fn within(
    server: &Server,
    opening: impl Future<Output = Result<Connection, NoConnection>>,
) -> Result<Connection, NoConnection> {
    let limit = server.settings().connect_timeout;
    match timeout(limit, opening).await {
        Ok(connection) => connection,
        Err(_) => Err(NoConnection::Timeout(limit)),
    }
}

async fn open(server: &Server, slot: Option<Slot>) -> Result<Connection, NoConnection> {
    let ServerAddress::Remote { scheme, host, port } = server.address() else {
        return Err(NoConnection::Tcp(Arc::new(io::ErrorKind::Unsupported.into())));
    };
    let settings = server.settings();
    let resolved = server.resolved().map(|ip| ip.to_string());
    let stream = tcp(resolved.as_deref().unwrap_or(host), *port, settings.tcp_keepalive)
        .await
        .map_err(|error| NoConnection::Tcp(Arc::new(error)))?;
    match scheme {
        Scheme::Http => Ok(http1(Stream::Tcp(stream), settings, slot)),
        Scheme::H2 => Ok(Connection::Http2(Http2::open(stream, "http", settings, slot).await?)),
        Scheme::Https => {
            let tls = server
                .tls()
                .ok_or_else(|| NoConnection::Tls(Arc::new(io::ErrorKind::Unsupported.into())))?;
            let (stream, http2) = tls
                .connect(stream)
                .await
                .map_err(|error| NoConnection::Tls(Arc::new(error)))?;
            if http2 {
                Ok(Connection::Http2(Http2::open(stream, "https", settings, slot).await?))
            } else {
                Ok(http1(Stream::Tls(Box::new(stream)), settings, slot))
            }
        }
    }
}

async fn tcp(host: &str, port: u16, keepalive: Duration) -> io::Result<TcpStream> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, port)).await?;
    // Requests are written whole: waiting for more to send with them only adds delay.
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(keepalive).with_interval(PROBE_INTERVAL);
    SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
    Ok(stream)
}

fn http1(stream: Stream, settings: &config::Upstream, slot: Option<Slot>) -> Connection {
    Connection::Http1(Http1::new(stream, young_until(settings.pool_max_age), slot))
}

/// The connection broke before it could be used.
pub(super) fn broken(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> NoConnection {
    NoConnection::Tcp(Arc::new(io::Error::other(error)))
}

/// When a connection that is made now has reached this age, more or less by a tenth: connections that were made together, as
/// after a restart of the server, are not all made again together.
pub(super) fn young_until(max_age: Duration) -> Instant {
    let random = RandomState::new().hash_one(()) % 201;
    // At most ten per cent more or less, in steps of a thousandth.
    let thousandths = u32::try_from(900 + random).unwrap_or(1000);
    monotonic() + max_age / 1000 * thousandths
}
