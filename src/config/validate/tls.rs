//! `[tls]` and `[[certificates]]`. The files themselves are opened by those who use them.

use std::net::SocketAddr;
use std::path::PathBuf;

use http::HeaderValue;

use super::server::addresses;
use super::{Check, Reported};
use crate::config::error::Complaint;
use crate::config::{raw, typed};

pub(super) fn tls(raw: &raw::Config, server: Option<&typed::Server>, check: &mut Check<'_>) -> Option<typed::Tls> {
    let plain = server.map(|server| server.listen.as_slice()).unwrap_or_default();
    let listen = addresses("tls.listen", &raw.tls.listen, plain, check);
    let certificates = certificates(&raw.certificates, check);
    let is_empty = raw.certificates.is_empty();
    let acme = super::acme::acme(&raw.acme, check);
    // Names that were said and are wrong were reported.
    let asks = !raw.acme.domains.is_empty() || check.report.has("acme.domains");
    if is_empty && !asks && listen.as_ref().is_some_and(|listen| !listen.is_empty()) {
        let complaint =
            Complaint::new("there is no certificate to show").allowed("at least one [[certificates]], or acme.domains");
        check.wrong("tls.listen", complaint);
    }
    if !is_empty && raw.tls.listen.is_empty() && !check.report.has("tls.listen") {
        let complaint = Complaint::new("nothing is served with this certificate")
            .allowed("an address in tls.listen, or no [[certificates]]");
        check.wrong("certificates[0].cert_file", complaint);
    }
    if asks && raw.tls.listen.is_empty() && !check.report.has("tls.listen") && !check.report.has("acme.domains") {
        let complaint = Complaint::new("nothing is served with this certificate").allowed("an address in tls.listen");
        check.wrong("acme.domains", complaint);
    }
    let without_tls = plain.is_empty() && raw.tls.redirect_listen.is_empty();
    if asks && raw.acme.challenge == "http-01" && without_tls {
        let complaint = Complaint::new("the authority asks without TLS, and nothing listens without it")
            .allowed("an address in tls.redirect_listen or server.listen as well");
        check.conflict("acme.challenge", "tls.redirect_listen", complaint);
    }
    let taken: Vec<SocketAddr> = plain.iter().chain(listen.iter().flatten()).copied().collect();
    let redirect_listen = addresses("tls.redirect_listen", &raw.tls.redirect_listen, &taken, check);
    let first = listen.as_ref().and_then(|listen| listen.first());
    let redirects = !raw.tls.redirect_listen.is_empty();
    let redirect_port = raw.tls.redirect_port.or_else(|| first.map(SocketAddr::port));
    if redirects && raw.tls.listen.is_empty() && !check.report.has("tls.listen") {
        let complaint = Complaint::new("there is no TLS to send anybody to").allowed("an address in tls.listen");
        check.conflict("tls.redirect_listen", "tls.listen", complaint);
    } else if redirects && redirect_port == Some(0) {
        let complaint = Complaint::new("tls.listen leaves the port to the system").allowed("tls.redirect_port as well");
        check.conflict("tls.redirect_listen", "tls.listen", complaint);
    }
    let hsts = hsts(&raw.tls, check);
    let client_auth = client_auth(&raw.tls, check);
    Some(typed::Tls {
        redirect_listen: redirect_listen?,
        redirect_port: redirect_port.unwrap_or(443),
        hsts: hsts.ok()?,
        client_auth: client_auth.ok()?,
        acme: acme.ok()?,
        listen: listen?,
        min_version: match raw.tls.min_version.as_str() {
            "1.3" => typed::TlsVersion::Tls13,
            _ => typed::TlsVersion::Tls12,
        },
        reload_every: raw.tls.reload_every,
        certificates: certificates?,
    })
}

/// `max-age` in seconds and what else RFC 6797, section 6.1, knows; `preload`, which browsers' lists ask for.
fn hsts(raw: &raw::Tls, check: &mut Check<'_>) -> Result<Option<HeaderValue>, Reported> {
    let Some(text) = &raw.hsts else { return Ok(None) };
    let directives = || text.split(';').map(str::trim);
    let is_age = |directive: &str| {
        let age = directive.strip_prefix("max-age=");
        age.is_some_and(|age| (1..=10).contains(&age.len()) && age.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let ages = directives().filter(|directive| is_age(directive)).count();
    let known = |directive: &str| is_age(directive) || matches!(directive, "includeSubDomains" | "preload");
    match HeaderValue::from_str(text) {
        Ok(value) if ages == 1 && directives().all(known) => Ok(Some(value)),
        Ok(_) | Err(_) => {
            check.invalid("tls.hsts", "tls.hsts", "not a policy that browsers take", text);
            Err(Reported)
        }
    }
}

fn client_auth(raw: &raw::Tls, check: &mut Check<'_>) -> Result<Option<typed::ClientAuth>, Reported> {
    let ca_file = file("tls.client_ca_file", raw.client_ca_file.as_ref(), check);
    let crl_file = file("tls.client_crl_file", raw.client_crl_file.as_ref(), check);
    let (ca_file, crl_file) = (ca_file?, crl_file?);
    if raw.client_auth == "off" {
        let said = [
            ("tls.client_ca_file", ca_file.is_some()),
            ("tls.client_crl_file", crl_file.is_some()),
        ];
        let Some((key, _)) = said.into_iter().find(|(_, said)| *said) else {
            return Ok(None);
        };
        if !check.report.has("tls.client_auth") {
            let complaint = Complaint::new("clients are asked for no certificate")
                .allowed("tls.client_auth = \"optional\" or \"required\" as well");
            check.wrong(key, complaint);
        }
        return Err(Reported);
    }
    if ca_file.is_none() {
        check.missing("tls.client_ca_file", "tls.client_ca_file");
    }
    if raw.listen.is_empty() && !check.report.has("tls.listen") {
        let complaint = Complaint::new("there is no TLS to ask in").allowed("an address in tls.listen");
        check.conflict("tls.client_auth", "tls.listen", complaint);
        return Err(Reported);
    }
    Ok(Some(typed::ClientAuth {
        required: raw.client_auth == "required",
        ca_file: ca_file.ok_or(Reported)?,
        crl_file,
    }))
}

/// The path that `key` names, if it names one.
fn file(key: &str, text: Option<&String>, check: &mut Check<'_>) -> Result<Option<PathBuf>, Reported> {
    match text {
        Some(text) if text.is_empty() => {
            check.invalid(key, key, "not a path", text);
            Err(Reported)
        }
        Some(text) => Ok(Some(check.path(key, text))),
        None => Ok(None),
    }
}

fn certificates(raw: &[raw::Certificate], check: &mut Check<'_>) -> Option<Vec<typed::CertificateFiles>> {
    let mut all = Vec::new();
    for (index, certificate) in raw.iter().enumerate() {
        let mut file = |name: &str, text: Option<&String>| {
            let key = format!("certificates[{index}].{name}");
            match text {
                Some(text) if text.is_empty() => {
                    check.invalid(&key, &format!("certificates[].{name}"), "not a path", text);
                    None
                }
                Some(text) => Some(check.path(&key, text)),
                None => {
                    check.missing(&key, &format!("certificates[].{name}"));
                    None
                }
            }
        };
        let (cert_file, key_file) = (
            file("cert_file", certificate.cert_file.as_ref()),
            file("key_file", certificate.key_file.as_ref()),
        );
        if let (Some(cert_file), Some(key_file)) = (cert_file, key_file) {
            all.push(typed::CertificateFiles { cert_file, key_file });
        }
    }
    (all.len() == raw.len()).then_some(all)
}
