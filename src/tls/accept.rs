//! The handshake.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::{Acceptor, ClientHello};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::Tls;
use super::acme::ACME_TLS;

impl Tls {
    /// Shakes hands with a client, or with an authority that looks whether a name is ours: there nothing follows, and the
    /// protocol within is `acme-tls/1`. `local` is the address that it connected to, asked for only where that makes a difference.
    /// The caller bounds the time.
    pub async fn accept<S>(&self, stream: S, local: impl FnOnce() -> Option<IpAddr>) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        // Only now: a client that is slow to begin gets the certificates of when it does.
        if let Some(open) = self.challenge(&start.client_hello()) {
            let server = open.ok_or_else(|| io::Error::other("no challenge is open for this name"))?;
            return start.into_stream(server).await;
        }
        let server = {
            let state = self.state.load();
            Arc::clone(state.server(start.client_hello().server_name(), local))
        };
        start.into_stream(server).await
    }

    /// Where an authority asks: the challenge that is open for the name, if one is.
    #[expect(
        clippy::option_option,
        reason = "who asks and gets no answer is not one who does not ask"
    )]
    fn challenge(&self, hello: &ClientHello<'_>) -> Option<Option<Arc<ServerConfig>>> {
        let mut offered = hello.alpn()?;
        let asks = offered.next() == Some(ACME_TLS) && offered.next().is_none();
        asks.then(|| hello.server_name().and_then(|name| self.challenges.tls_alpn01(name)))
    }
}
