//! `tls_…` of `[upstreams.NAME]`: the files are read here, so that what they hold is wrong at a place in the configuration
//! and not at the first request.

use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;

use super::{Check, Reported, read_up_to};
use crate::config::error::Complaint;
use crate::config::typed::{ClientCertificate, Scheme, ServerAddress, UpstreamTls, certificate_name};
use crate::config::{keys, raw};

/// The largest file of certificates or keys that is read, in bytes: all public authorities take a quarter of it.
const MAX_PEM: usize = 1024 * 1024;

/// How the `https://` servers of an upstream are spoken to.
pub(super) fn tls(
    upstream: &str,
    raw: &raw::Upstream,
    servers: &[ServerAddress],
    check: &mut Check<'_>,
) -> Result<UpstreamTls, Reported> {
    let mut section = Section { upstream, check };
    let named = section.useless(raw, servers);
    let server_name = section.server_name(raw);
    let authorities = section.authorities(raw);
    let client = section.client(raw);
    let tls = UpstreamTls {
        authorities: authorities?,
        client: client?,
        server_name: server_name?,
        skip_verify: raw.tls_skip_verify,
    };
    named?;
    section.names(&tls, servers)?;
    Ok(tls)
}

struct Section<'a, 'b> {
    upstream: &'a str,
    check: &'a mut Check<'b>,
}

impl Section<'_, '_> {
    fn key(&self, name: &str) -> String {
        format!("upstreams.{}.{name}", self.upstream)
    }

    fn wrong(&mut self, name: &str, complaint: Complaint) -> Reported {
        let allowed = keys::find(&format!("upstreams.NAME.{name}")).map(|key| key.kind.allowed());
        let key = self.key(name);
        self.check.wrong(&key, complaint.allowed(allowed.unwrap_or_default()));
        Reported
    }

    /// What is said about TLS where there is none would be taken for protection.
    fn useless(&mut self, raw: &raw::Upstream, servers: &[ServerAddress]) -> Result<(), Reported> {
        let is = |wanted: Scheme| move |server: &ServerAddress| matches!(server, ServerAddress::Remote { scheme, .. } if *scheme == wanted);
        if !raw.http2 && servers.iter().any(is(Scheme::H2)) {
            let complaint = Complaint::new("a server with h2:// speaks HTTP/2 alone").found("false");
            self.check
                .wrong(&self.key("http2"), complaint.allowed("true, or https:// servers"));
            return Err(Reported);
        }
        // Servers that are wrong themselves are complained of already.
        if servers.is_empty() || servers.iter().any(is(Scheme::Https)) {
            return Ok(());
        }
        let said = [
            ("tls_ca_file", raw.tls_ca_file.is_some()),
            ("tls_cert_file", raw.tls_cert_file.is_some()),
            ("tls_key_file", raw.tls_key_file.is_some()),
            ("tls_server_name", raw.tls_server_name.is_some()),
            ("tls_skip_verify", raw.tls_skip_verify),
        ];
        let mut result = Ok(());
        for (name, _) in said.iter().filter(|(_, said)| *said) {
            let complaint =
                Complaint::new("no server of this upstream speaks TLS").allowed("only with https:// servers");
            let (key, servers) = (self.key(name), self.key("servers"));
            self.check.conflict(&key, &servers, complaint);
            result = Err(Reported);
        }
        result
    }

    fn server_name(&mut self, raw: &raw::Upstream) -> Result<Option<ServerName<'static>>, Reported> {
        let Some(text) = &raw.tls_server_name else {
            return Ok(None);
        };
        match certificate_name(text) {
            Some(name) => Ok(Some(name)),
            None => Err(self.wrong(
                "tls_server_name",
                Complaint::new("not a host name or address").found(text.clone()),
            )),
        }
    }

    /// Each `https://` server needs a name that a certificate can hold.
    fn names(&mut self, tls: &UpstreamTls, servers: &[ServerAddress]) -> Result<(), Reported> {
        for (index, server) in servers.iter().enumerate() {
            if let ServerAddress::Remote {
                scheme: Scheme::Https,
                host,
                ..
            } = server
                && tls.server_name.is_none()
                && certificate_name(host).is_none()
            {
                let complaint = Complaint::new("no certificate can be for this name").found(host.clone());
                let key = format!("{}[{index}]", self.key("servers"));
                self.check
                    .wrong(&key, complaint.allowed("a host name or address, or tls_server_name"));
                return Err(Reported);
            }
        }
        Ok(())
    }

    fn authorities(&mut self, raw: &raw::Upstream) -> Result<Option<Arc<[CertificateDer<'static>]>>, Reported> {
        let Some(file) = &raw.tls_ca_file else {
            return Ok(None);
        };
        let certificates = self.certificates("tls_ca_file", file)?;
        let mut roots = RootCertStore::empty();
        for certificate in &certificates {
            if let Err(error) = roots.add(certificate.clone()) {
                let complaint = Complaint::new(format!("a certificate in it can't be an authority: {error}"));
                return Err(self.wrong("tls_ca_file", complaint.found(file.clone())));
            }
        }
        Ok(Some(certificates.into()))
    }

    fn client(&mut self, raw: &raw::Upstream) -> Result<Option<Arc<ClientCertificate>>, Reported> {
        let (cert_file, key_file) = match (&raw.tls_cert_file, &raw.tls_key_file) {
            (None, None) => return Ok(None),
            (Some(cert), None) => {
                self.certificates("tls_cert_file", cert)?;
                return Err(self.wrong(
                    "tls_cert_file",
                    Complaint::new("a certificate without tls_key_file proves nothing"),
                ));
            }
            (None, Some(key)) => {
                self.private_key(key)?;
                return Err(self.wrong(
                    "tls_key_file",
                    Complaint::new("a key without tls_cert_file proves nothing"),
                ));
            }
            (Some(cert), Some(key)) => (cert, key),
        };
        let (chain, key) = (
            self.certificates("tls_cert_file", cert_file),
            self.private_key(key_file),
        );
        let (chain, key) = (chain?, key?);
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let fits = CertifiedKey::from_der(chain.clone(), key.clone_key(), &provider);
        if let Err(error) = fits {
            let complaint = Complaint::new(format!(
                "it can't be used with the certificate of tls_cert_file: {error}"
            ));
            return Err(self.wrong("tls_key_file", complaint.found(key_file.clone())));
        }
        Ok(Some(Arc::new(ClientCertificate { chain, key })))
    }

    fn certificates(&mut self, name: &str, file: &str) -> Result<Vec<CertificateDer<'static>>, Reported> {
        let pem = self.read(name, file)?;
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        match certificates {
            Ok(certificates) if !certificates.is_empty() => Ok(certificates),
            Ok(_) => Err(self.wrong(
                name,
                Complaint::new("there is no certificate in it").found(file.to_owned()),
            )),
            Err(_) => Err(self.wrong(name, Complaint::new("it is not PEM").found(file.to_owned()))),
        }
    }

    fn private_key(&mut self, file: &str) -> Result<PrivateKeyDer<'static>, Reported> {
        let pem = self.read("tls_key_file", file)?;
        PrivateKeyDer::from_pem_slice(&pem).map_err(|_| {
            let complaint = Complaint::new("there is no private key in PEM in it, or it is encrypted");
            self.wrong("tls_key_file", complaint.found(file.to_owned()))
        })
    }

    fn read(&mut self, name: &str, file: &str) -> Result<Vec<u8>, Reported> {
        let path = self.check.path(&self.key(name), file);
        self.bounded(name, &path)
    }

    fn bounded(&mut self, name: &str, path: &Path) -> Result<Vec<u8>, Reported> {
        let shown = path.display().to_string();
        match read_up_to(path, MAX_PEM + 1) {
            Ok(bytes) if bytes.len() <= MAX_PEM => Ok(bytes),
            Ok(_) => Err(self.wrong(name, Complaint::new("the file is larger than 1 MiB").found(shown))),
            Err(error) => {
                let complaint = Complaint::new(format!("the file can't be read: {error}"));
                Err(self.wrong(name, complaint.found(shown)))
            }
        }
    }
}
