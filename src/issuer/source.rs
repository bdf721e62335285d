//! [`Source`]: where the keys of one issuer come from, and the way there.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rustls::ClientConfig;
use serde_json::Value;

use super::fetch::{self, FetchError, MAX_BYTES, TlsError};
use super::jwks::InvalidJwks;
use crate::config::{self, FetchUrl, InvalidFetchUrl, KeySource};
use crate::json;

/// Why the keys of an issuer were not got.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A document was not fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// TLS can't be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The file can't be read.
    #[error("{}", .0.display())]
    File(PathBuf, #[source] std::io::Error),
    /// The file is larger than any key set.
    #[error("{} is larger than {MAX_BYTES} bytes", .0.display())]
    LargeFile(PathBuf),
    /// What was got is no JWK Set.
    #[error("not a JWK Set")]
    Jwks(#[from] InvalidJwks),
    /// The set has no key that can be used.
    #[error("no key in it that can be used: see `algorithms`")]
    NoKey,
    /// The metadata is not a JSON object, or says no `jwks_uri`.
    #[error("the metadata at {0} has no jwks_uri, or is not a JSON object")]
    Metadata(FetchUrl),
    /// The metadata is that of another issuer (`OpenID Connect` Discovery 1.0, section 4.3).
    #[error("the metadata at {0} is of another issuer")]
    OtherIssuer(FetchUrl),
    /// The metadata names a place that keys are not fetched from.
    #[error("the jwks_uri of the metadata")]
    JwksUri(#[source] InvalidFetchUrl),
    /// The metadata came over TLS and names a place without.
    #[error("the jwks_uri of the metadata is without TLS")]
    Downgrade,
}

/// Where the keys of one issuer come from.
#[derive(Debug)]
pub(super) struct Source {
    issuer: String,
    kind: KeySource,
    tls: Arc<ClientConfig>,
    timeout: Duration,
}

impl Source {
    pub(super) fn new(config: &config::Issuer) -> Result<Self, TlsError> {
        Ok(Self {
            issuer: config.issuer.clone(),
            kind: config.source.clone(),
            tls: fetch::tls(config.ca_file.as_deref())?,
            timeout: config.timeout,
        })
    }

    /// The JWK Set, unread.
    pub(super) async fn get(&self) -> Result<Bytes, SourceError> {
        match tokio::time::timeout(self.timeout, self.get_unbounded()).await {
            Ok(got) => got,
            Err(_) => Err(FetchError::Timeout(self.timeout).into()),
        }
    }

    async fn get_unbounded(&self) -> Result<Bytes, SourceError> {
        match &self.kind {
            KeySource::Url(url) => Ok(fetch::get(url, &self.tls).await?),
            KeySource::Discovery(url) => {
                let metadata = fetch::get(url, &self.tls).await?;
                let url = self.jwks_uri(url, &metadata)?;
                Ok(fetch::get(&url, &self.tls).await?)
            }
            KeySource::File(path) => {
                let text = tokio::fs::read(path).await;
                let text = text.map_err(|error| SourceError::File(path.clone(), error))?;
                if text.len() > MAX_BYTES {
                    return Err(SourceError::LargeFile(path.clone()));
                }
                Ok(text.into())
            }
        }
    }

    /// Reads the metadata. That they are those of this very issuer is what makes them worth anything.
    fn jwks_uri(&self, url: &FetchUrl, metadata: &[u8]) -> Result<FetchUrl, SourceError> {
        let metadata = json::object(metadata).map_err(|_| SourceError::Metadata(url.clone()))?;
        let member = |name| metadata.get(name).and_then(Value::as_str);
        if member("issuer") != Some(self.issuer.as_str()) {
            return Err(SourceError::OtherIssuer(url.clone()));
        }
        let jwks_uri = member("jwks_uri").ok_or_else(|| SourceError::Metadata(url.clone()))?;
        let jwks_uri = FetchUrl::parse(jwks_uri).map_err(SourceError::JwksUri)?;
        if url.secure && !jwks_uri.secure {
            return Err(SourceError::Downgrade);
        }
        Ok(jwks_uri)
    }
}
