//! HTTPS to the authority: one connection a request, HTTP/1.1, bounded in time and size.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::uri::Scheme;
use http::{HeaderValue, Request, Response, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::AcmeError;
use crate::config;
use crate::tls::certificate::Source;
use crate::tls::{error, file};

/// The largest answer, in bytes.
const MAX_BYTES: usize = 1024 * 1024;
/// How long one exchange may take.
const TIMEOUT: Duration = Duration::from_secs(30);
const CA_FILE: &str = "acme.ca_file";

/// Talks to the authority.
pub(super) struct Client(Arc<ClientConfig>);

impl Client {
    pub(super) fn new(acme: &config::Acme) -> Result<Self, AcmeError> {
        let mut roots = RootCertStore::empty();
        match &acme.ca_file {
            None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
            Some(path) => {
                let contents = file::read(CA_FILE, path)?;
                let source = Source {
                    key: CA_FILE,
                    path,
                    contents: &contents,
                };
                for certificate in source.certificates()? {
                    let added = roots.add(certificate);
                    added.map_err(|error| source.wrong(error::Why::Certificate(error.to_string())))?;
                }
            }
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }
}

/// Whether the authority's server can be verified: what `acme.ca_file` names is read. Nothing is asked of the authority.
pub fn inspect_authority(acme: &config::Acme) -> Result<(), AcmeError> {
    Client::new(acme).map(drop)
}

impl HttpClient for Client {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let tls = Arc::clone(&self.0);
        Box::pin(async move {
            let host = request.uri().host().unwrap_or_default().to_owned();
            let exchanged = tokio::time::timeout(TIMEOUT, exchange(request, &host, tls)).await;
            let timed_out = || format!("{host} took longer than {TIMEOUT:?}").into();
            let answer = exchanged.unwrap_or_else(|_| Err(timed_out()));
            answer.map(BytesResponse::from).map_err(Error::Other)
        })
    }
}

type Trouble = Box<dyn std::error::Error + Send + Sync>;

async fn exchange(
    mut request: Request<BodyWrapper<Bytes>>,
    host: &str,
    tls: Arc<ClientConfig>,
) -> Result<Response<Full<Bytes>>, Trouble> {
    let uri = request.uri().clone();
    if uri.scheme() != Some(&Scheme::HTTPS) {
        return Err(format!("{uri} is not https").into());
    }
    let authority = uri.authority().ok_or("a URL without a host")?;
    let bare = host.trim_matches(['[', ']']);
    let stream = TcpStream::connect((bare, authority.port_u16().unwrap_or(443))).await;
    let stream = stream.map_err(|error| format!("no connection to {authority}: {error}"))?;
    let name = ServerName::try_from(bare.to_owned())?;
    let stream = TlsConnector::from(tls).connect(name, stream).await;
    let stream = stream.map_err(|error| format!("no TLS with {authority}: {error}"))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let headers = request.headers_mut();
    headers.insert(header::HOST, HeaderValue::from_str(authority.as_str())?);
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    let path = uri.path_and_query().cloned();
    *request.uri_mut() = path.map_or_else(|| Uri::from_static("/"), Uri::from);
    let answered = async {
        let response = sender.send_request(request).await?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, MAX_BYTES).collect().await?.to_bytes();
        Ok::<_, Trouble>(Response::from_parts(parts, Full::new(body)))
    };
    let mut answered = std::pin::pin!(answered);
    tokio::select! {
        answered = answered.as_mut() => answered,
        // What breaks the connection shows in the answer.
        _ = connection => answered.await,
    }
}
