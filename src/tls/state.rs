//! [`State`]: the files of one configuration at one moment, ready to be shown.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ProducesTickets, ResolvesServerCert};
use rustls::version::{TLS12, TLS13};

use super::Summary;
use super::acme::certificate_file;
use super::certificate::{Certificate, Source};
use super::choice::Choice;
use super::client;
use super::error::TlsError;
use super::file::{self, Contents};
use crate::config;

const STORAGE: &str = "acme.storage";
const CLIENT_CA: &str = "tls.client_ca_file";
const CLIENT_CRL: &str = "tls.client_crl_file";

/// What is offered as the protocol within (RFC 7301), the best first.
const PROTOCOLS: &[&[u8]] = &[b"h2", b"http/1.1"];

/// The certificates of one configuration at one moment, and how to speak with them.
#[derive(Debug)]
pub struct State {
    pub(super) settings: config::Tls,
    pub(super) digest: [u8; 32],
    summaries: Vec<Summary>,
    /// Which of them was issued for `[acme]`.
    issued: Option<usize>,
    server: Arc<ServerConfig>,
    /// For clients that name no host and connect to an address that a certificate is for.
    by_address: Vec<(IpAddr, Arc<ServerConfig>)>,
}

/// The files as they were read.
pub(super) struct Files {
    pairs: Vec<(Contents, Contents)>,
    /// What was issued for `[acme]`: certificate and key.
    issued: Option<Contents>,
    authorities: Option<Contents>,
    revoked: Option<Contents>,
    pub(super) digest: [u8; 32],
}

impl Files {
    pub(super) fn read(settings: &config::Tls) -> Result<Self, TlsError> {
        let each = settings.certificates.iter().enumerate();
        let pairs: Result<Vec<_>, _> = each.map(|(index, paths)| Self::read_pair(index, paths)).collect();
        let pairs = pairs?;
        let clients = settings.client_auth.as_ref();
        let authorities = clients
            .map(|clients| file::read(CLIENT_CA, &clients.ca_file))
            .transpose()?;
        let lists = clients.and_then(|clients| clients.crl_file.as_deref());
        let revoked = lists.map(|path| file::read(CLIENT_CRL, path)).transpose()?;
        // One that can't be read is got again.
        let issued = settings
            .acme
            .as_ref()
            .map(certificate_file)
            .filter(|path| path.exists());
        let issued = issued.and_then(|path| file::read(STORAGE, &path).ok());
        let all = pairs.iter().flat_map(|(cert, key)| [cert, key]);
        let digest = file::digest(all.chain(&issued).chain(&authorities).chain(&revoked));
        Ok(Self {
            pairs,
            issued,
            authorities,
            revoked,
            digest,
        })
    }

    fn read_pair(index: usize, paths: &config::CertificateFiles) -> Result<(Contents, Contents), TlsError> {
        let [cert_key, key_key] = keys(index);
        Ok((
            file::read(&cert_key, &paths.cert_file)?,
            file::read(&key_key, &paths.key_file)?,
        ))
    }
}

/// Whether what the certificates of clients are verified with can be used; `None` where clients are asked for none.
#[must_use]
pub fn inspect_clients(settings: &config::Tls) -> Option<Result<(), TlsError>> {
    settings.client_auth.as_ref()?;
    let bare = config::Tls {
        certificates: Vec::new(),
        ..settings.clone()
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = Files::read(&bare).and_then(|files| clients(&bare, &files, &provider));
    Some(verifier.map(drop))
}

/// Reads each certificate of a configuration by itself: what it is for, or what is wrong with it.
#[must_use]
pub fn inspect(settings: &config::Tls) -> Vec<Result<Summary, TlsError>> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let each = settings.certificates.iter().enumerate();
    each.map(|(index, paths)| {
        let contents = Files::read_pair(index, paths)?;
        Ok(certificate(index, paths, &contents, &provider)?.summary)
    })
    .collect()
}

fn certificate(
    index: usize,
    paths: &config::CertificateFiles,
    (cert, key): &(Contents, Contents),
    provider: &CryptoProvider,
) -> Result<Certificate, TlsError> {
    let [cert_key, key_key] = keys(index);
    let cert = Source {
        key: &cert_key,
        path: &paths.cert_file,
        contents: cert,
    };
    let key = Source {
        key: &key_key,
        path: &paths.key_file,
        contents: key,
    };
    Certificate::read(cert, key, provider)
}

/// The keys of the configuration that name the files of a certificate.
fn keys(index: usize) -> [String; 2] {
    ["cert_file", "key_file"].map(|name| format!("certificates[{index}].{name}"))
}

impl State {
    /// Reads all files of a configuration.
    pub(super) fn load(settings: &config::Tls, tickets: &Arc<dyn ProducesTickets>) -> Result<Self, TlsError> {
        Self::new(settings, &Files::read(settings)?, tickets)
    }

    pub(super) fn new(
        settings: &config::Tls,
        files: &Files,
        tickets: &Arc<dyn ProducesTickets>,
    ) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut certificates = Vec::new();
        for (index, (paths, contents)) in settings.certificates.iter().zip(&files.pairs).enumerate() {
            certificates.push(certificate(index, paths, contents, &provider)?);
        }
        let mut issued = None;
        if let Some(certificate) = issued_certificate(settings, files, &provider) {
            issued = Some(certificates.len());
            certificates.push(certificate);
        }
        let clients = clients(settings, files, &provider)?;
        let server = |choice: Choice| server_config(settings, Arc::new(choice), tickets, clients.clone(), &provider);
        let mut by_address = Vec::new();
        for certificate in &certificates {
            for &address in &certificate.summary.addresses {
                if !by_address.iter().any(|(taken, _)| *taken == address) {
                    by_address.push((address, server(Choice::new([certificate]))?));
                }
            }
        }
        Ok(Self {
            settings: settings.clone(),
            digest: files.digest,
            server: server(Choice::new(&certificates))?,
            by_address,
            issued,
            summaries: certificates
                .into_iter()
                .map(|certificate| certificate.summary)
                .collect(),
        })
    }

    pub(super) fn summaries(&self) -> &[Summary] {
        &self.summaries
    }

    /// The certificate that was issued for `[acme]`, if one was.
    pub(super) fn issued(&self) -> Option<&Summary> {
        self.issued.and_then(|index| self.summaries.get(index))
    }

    /// How to speak with a client that names this host, or none.
    pub(super) fn server(&self, host: Option<&str>, local: impl FnOnce() -> Option<IpAddr>) -> &Arc<ServerConfig> {
        if host.is_some() || self.by_address.is_empty() {
            return &self.server;
        }
        let own = local().and_then(|local| self.by_address.iter().find(|(address, _)| *address == local));
        own.map_or(&self.server, |(_, server)| server)
    }
}

/// What was issued. One that is broken is got again: it is no reason not to start.
fn issued_certificate(settings: &config::Tls, files: &Files, provider: &CryptoProvider) -> Option<Certificate> {
    let (acme, contents) = (settings.acme.as_ref()?, files.issued.as_ref()?);
    let path = certificate_file(acme);
    let source = Source {
        key: STORAGE,
        path: &path,
        contents,
    };
    let read = Certificate::read(source, source, provider);
    let warned = read.inspect_err(|error| tracing::warn!(%error, "the certificate that was issued is got again"));
    warned.ok()
}

fn clients(
    settings: &config::Tls,
    files: &Files,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
    let (Some(asked), Some(contents)) = (&settings.client_auth, &files.authorities) else {
        return Ok(None);
    };
    let authorities = Source {
        key: CLIENT_CA,
        path: &asked.ca_file,
        contents,
    };
    let revoked = asked.crl_file.as_ref().zip(files.revoked.as_ref());
    let revoked = revoked.map(|(path, contents)| Source {
        key: CLIENT_CRL,
        path,
        contents,
    });
    client::verifier(authorities, revoked, asked.required, provider).map(Some)
}

fn server_config(
    settings: &config::Tls,
    choice: Arc<dyn ResolvesServerCert>,
    tickets: &Arc<dyn ProducesTickets>,
    clients: Option<Arc<dyn ClientCertVerifier>>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let versions: &[&'static rustls::SupportedProtocolVersion] = match settings.min_version {
        config::TlsVersion::Tls12 => &[&TLS13, &TLS12],
        config::TlsVersion::Tls13 => &[&TLS13],
    };
    let server = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(versions)
        .map_err(TlsError::setup)?;
    let asks = clients.is_some();
    let mut server = match clients {
        Some(verifier) => server.with_client_cert_verifier(verifier),
        None => server.with_no_client_auth(),
    }
    .with_cert_resolver(choice);
    server.alpn_protocols = PROTOCOLS.iter().map(|name| name.to_vec()).collect();
    // Sessions are kept by the clients, sealed: nothing grows here.
    server.session_storage = Arc::new(NoServerSessionStorage {});
    if asks {
        // Who takes up a session shows no certificate, which may have been revoked since: each connection proves it anew.
        server.send_tls13_tickets = 0;
    } else {
        server.ticketer = Arc::clone(tickets);
    }
    Ok(Arc::new(server))
}
