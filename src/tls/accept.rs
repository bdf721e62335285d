//! The handshake.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::Tls;

impl Tls {
    /// Shakes hands with a client. `local` is the address that it connected to, asked for only where that makes a difference.
    /// The caller bounds the time.
    pub async fn accept<S>(&self, stream: S, local: impl FnOnce() -> Option<IpAddr>) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        // Only now: a client that is slow to begin gets the certificates of when it does.
        let server = {
            let state = self.state.load();
            Arc::clone(state.server(start.client_hello().server_name(), local))
        };
        start.into_stream(server).await
    }
}
