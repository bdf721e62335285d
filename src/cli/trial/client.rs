//! A small HTTP/1.1 client: one connection per request, plain TCP, bounded in time and size.

use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::time::monotonic;

/// How long one exchange may take: a slow machine hashes a password in seconds.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The largest answer body that is read.
const LARGEST_BODY: usize = 1 << 20;

/// Where requests are sent.
pub(super) struct Client {
    authority: String,
    host: String,
    port: u16,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// From before the connection was made to the last byte of the body.
    pub(super) took: Duration,
}

impl Client {
    /// A client for `http://host:port`.
    pub(super) fn new(url: &str) -> anyhow::Result<Self> {
        let uri: Uri = url.parse()?;
        anyhow::ensure!(
            uri.scheme_str() == Some("http"),
            "expected http://HOST:PORT (no TLS here)"
        );
        let authority = uri.authority().context("expected http://HOST:PORT")?;
        anyhow::ensure!(!authority.as_str().contains('@'), "no user and password in it, please");
        anyhow::ensure!(
            matches!(uri.path(), "" | "/") && uri.query().is_none(),
            "expected no path after the host"
        );
        Ok(Self {
            authority: authority.as_str().to_owned(),
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(80),
        })
    }

    /// Sends a request with a target in origin form. `Host` is the gateway's own unless the request has one.
    pub(super) async fn send(&self, mut request: Request<Full<Bytes>>) -> anyhow::Result<Answer> {
        if !request.headers().contains_key(header::HOST) {
            let host = HeaderValue::try_from(&self.authority)?;
            request.headers_mut().insert(header::HOST, host);
        }
        let started = monotonic();
        let (status, headers, body) = tokio::time::timeout(TIMEOUT, self.exchange(request))
            .await
            .with_context(|| format!("no answer within {} s", TIMEOUT.as_secs()))??;
        Ok(Answer {
            status,
            headers,
            body,
            took: started.elapsed(),
        })
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> anyhow::Result<(StatusCode, HeaderMap, Bytes)> {
        let stream = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .with_context(|| format!("cannot connect to {}: is the gateway running?", self.authority))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // The connection must be driven beside the exchange; its own errors also end the exchange.
        let driver = tokio::spawn(connection);
        let response = sender.send_request(request).await.context("the gateway broke off")?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, LARGEST_BODY).collect().await;
        driver.abort();
        let body = body.map_err(|error| anyhow::anyhow!(error).context("the answer's body broke off"))?;
        Ok((head.status, head.headers, body.to_bytes()))
    }
}

impl Answer {
    /// The body as JSON; `Null` where it is none.
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The `code` of a problem, or the empty string.
    pub(super) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_scheme_host_and_port_alone() {
        let client = Client::new("http://[::1]:8080/").unwrap();
        assert_eq!(
            (client.host.as_str(), client.port, client.authority.as_str()),
            ("::1", 8080, "[::1]:8080")
        );
        assert_eq!(Client::new("http://localhost").unwrap().port, 80);
        for bad in [
            "localhost:8080",
            "https://localhost",
            "http://a:b@localhost",
            "http://localhost/x",
            "http:///",
            "/",
        ] {
            assert!(Client::new(bad).is_err(), "{bad}");
        }
    }
}
