//! Fetches one document: a GET over TLS, with a limit on time and size, that follows no redirect.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::config::FetchUrl;

/// The largest document that is read, in bytes.
pub(super) const MAX_BYTES: usize = 256 * 1024;

/// Why a document was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// There is no connection.
    #[error("no connection to {0}")]
    Connect(FetchUrl, #[source] io::Error),
    /// The server could not prove who it is, or there is no TLS with it.
    #[error("no TLS with {0}")]
    Tls(FetchUrl, #[source] io::Error),
    /// The name can't be that of a server.
    #[error("{0}: not the name of a server")]
    Name(FetchUrl),
    /// It does not speak HTTP, or broke off.
    #[error("{0} did not answer")]
    Http(FetchUrl, #[source] hyper::Error),
    /// The body broke off.
    #[error("the answer of {0} broke off")]
    Body(FetchUrl, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// It answered with another status than 200. Redirects are not followed.
    #[error("{0} answered {1}")]
    Status(FetchUrl, StatusCode),
    /// It compressed what it was not asked to compress.
    #[error("the answer of {0} is encoded")]
    Encoding(FetchUrl),
    /// The document is too large.
    #[error("the answer of {0} is larger than {MAX_BYTES} bytes")]
    TooLarge(FetchUrl),
    /// It took too long.
    #[error("not fetched within {0:?}")]
    Timeout(Duration),
}

/// Why there is no TLS to be had.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file with the authorities can't be read.
    #[error("ca_file {0}")]
    CaFile(String, #[source] io::Error),
    /// It holds no certificate that can be used.
    #[error("ca_file {0}: no certificate in PEM that can be used")]
    NoCertificate(String),
    /// The library refuses.
    #[error("TLS can't be set up")]
    Setup(#[source] rustls::Error),
}

/// How to talk TLS: with the public authorities, or with those in this file alone.
pub(super) fn tls(ca_file: Option<&std::path::Path>) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(path) => {
            let name = path.display().to_string();
            let pem = std::fs::read(path).map_err(|error| TlsError::CaFile(name.clone(), error))?;
            for certificate in CertificateDer::pem_slice_iter(&pem) {
                let certificate = certificate.map_err(|_| TlsError::NoCertificate(name.clone()))?;
                let added = roots.add(certificate);
                added.map_err(|_| TlsError::NoCertificate(name.clone()))?;
            }
            if roots.is_empty() {
                return Err(TlsError::NoCertificate(name));
            }
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Setup)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Fetches a document. The caller bounds the time.
pub(super) async fn get(url: &FetchUrl, tls: &Arc<ClientConfig>) -> Result<Bytes, FetchError> {
    let stream = TcpStream::connect((url.host.as_str(), url.port)).await;
    let stream = stream.map_err(|error| FetchError::Connect(url.clone(), error))?;
    if !url.secure {
        return exchange(url, stream).await;
    }
    let name = ServerName::try_from(url.host.clone()).map_err(|_| FetchError::Name(url.clone()))?;
    let stream = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await;
    exchange(url, stream.map_err(|error| FetchError::Tls(url.clone(), error))?).await
}

async fn exchange<S>(url: &FetchUrl, stream: S) -> Result<Bytes, FetchError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let failed = |error| FetchError::Http(url.clone(), error);
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    // Dropped, and with it the connection, when the answer has been read or its time is over.
    let driver = Driver(tokio::spawn(async move {
        // What breaks the connection shows in the answer.
        let _ = connection.await;
    }));
    let request = Request::get(&url.path)
        .header(header::HOST, &url.authority)
        .header(header::ACCEPT, "application/json, application/jwk-set+json")
        .header(header::ACCEPT_ENCODING, "identity")
        .header(header::USER_AGENT, concat!("doorward/", env!("CARGO_PKG_VERSION")))
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|_| FetchError::Name(url.clone()))?;
    let response = sender.send_request(request).await.map_err(failed)?;
    if response.status() != StatusCode::OK {
        return Err(FetchError::Status(url.clone(), response.status()));
    }
    if response.headers().contains_key(header::CONTENT_ENCODING) {
        return Err(FetchError::Encoding(url.clone()));
    }
    let body = Limited::new(response.into_body(), MAX_BYTES).collect().await;
    let body = body.map_err(|error| match error.downcast::<LengthLimitError>() {
        Ok(_) => FetchError::TooLarge(url.clone()),
        Err(error) => FetchError::Body(url.clone(), error),
    })?;
    drop(driver);
    Ok(body.to_bytes())
}

struct Driver(tokio::task::JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}
