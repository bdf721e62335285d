//! [`Tls`]: how to speak TLS with one server.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::config::{self, Scheme, ServerAddress, UpstreamTls};

/// The protocol that a server chooses when it wants HTTP/2 (RFC 9113, section 3.2).
const H2: &[u8] = b"h2";
/// The other one.
const HTTP1: &[u8] = b"http/1.1";

/// How to speak TLS with one server: shared by its connections, which take up each other's sessions.
#[derive(Clone)]
pub(super) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Tls {
    /// For this server, where it speaks TLS. `None` as well for what no valid configuration says.
    pub(super) fn of(address: &ServerAddress, upstream: &config::Upstream) -> Option<Self> {
        let host = match address {
            ServerAddress::Remote {
                scheme: Scheme::Https,
                host,
                ..
            } => host,
            ServerAddress::Remote { .. } | ServerAddress::Whoami => return None,
        };
        let name = upstream
            .tls
            .server_name
            .clone()
            .or_else(|| config::certificate_name(host))?;
        let config = client_config(&upstream.tls, upstream.http2).ok()?;
        Some(Self {
            connector: TlsConnector::from(Arc::new(config)),
            name,
        })
    }

    /// The handshake, in which HTTP/2 is not offered.
    pub(super) async fn connect_http1(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        let connector = self.connector.with_alpn(vec![HTTP1.to_vec()]);
        connector.connect(self.name.clone(), stream).await
    }

    /// The handshake; and whether the server chose HTTP/2.
    pub(super) async fn connect(&self, stream: TcpStream) -> std::io::Result<(TlsStream<TcpStream>, bool)> {
        let stream = self.connector.connect(self.name.clone(), stream).await?;
        let http2 = stream.get_ref().1.alpn_protocol() == Some(H2);
        Ok((stream, http2))
    }
}

fn client_config(tls: &UpstreamTls, http2: bool) -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore::empty();
    match &tls.authorities {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(authorities) => {
            for authority in authorities.iter() {
                roots.add(authority.clone())?;
            }
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let builder = if tls.skip_verify {
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
    } else {
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
        let verifier = verifier.map_err(|error| rustls::Error::General(error.to_string()))?;
        builder.with_webpki_verifier(verifier)
    };
    let mut config = match &tls.client {
        None => builder.with_no_client_auth(),
        Some(client) => builder.with_client_auth_cert(client.chain.clone(), client.key.clone_key())?,
    };
    config.alpn_protocols = vec![HTTP1.to_vec()];
    if http2 {
        config.alpn_protocols.insert(0, H2.to_vec());
    }
    Ok(config)
}

/// `tls_skip_verify`: any certificate will do, whose key the server has.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
