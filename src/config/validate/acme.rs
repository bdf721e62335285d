//! `[acme]`

use super::{Check, Reported};
use crate::config::error::Complaint;
use crate::config::{raw, typed};
use crate::rules::host::normalise_host;

/// `None`: no certificate is asked for.
pub(super) fn acme(raw: &raw::Acme, check: &mut Check<'_>) -> Result<Option<typed::Acme>, Reported> {
    let url = directory_url(&raw.directory_url, check);
    let contact = contact(raw.contact.as_deref(), check);
    let domains = domains(&raw.domains, check);
    let file = |key: &str, text: &str, check: &mut Check<'_>| {
        if text.is_empty() {
            check.invalid(key, key, "not a path", text);
        }
        check.path(key, text)
    };
    let ca_file = raw.ca_file.as_ref().map(|text| file("acme.ca_file", text, check));
    let storage = file("acme.storage", &raw.storage, check);
    if raw.domains.is_empty() {
        return Ok(None);
    }
    if !raw.agree_terms && !check.report.has("acme.agree_terms") {
        let complaint =
            Complaint::new("the authority gives certificates to those alone who agree to its terms of service")
                .allowed("acme.agree_terms = true as well");
        check.wrong("acme.domains", complaint);
        return Err(Reported);
    }
    Ok(Some(typed::Acme {
        domains: domains.ok_or(Reported)?,
        directory_url: url.ok_or(Reported)?,
        ca_file,
        contact: contact?,
        challenge: match raw.challenge.as_str() {
            "http-01" => typed::AcmeChallenge::Http01,
            _ => typed::AcmeChallenge::TlsAlpn01,
        },
        storage,
        retry_every: raw.retry_every,
    }))
}

fn domains(texts: &[String], check: &mut Check<'_>) -> Option<Vec<String>> {
    let mut domains: Vec<String> = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        let key = format!("acme.domains[{index}]");
        let is_name = !text.contains([':', '[']) && text.parse::<std::net::IpAddr>().is_err();
        match normalise_host(text).filter(|_| is_name) {
            Some(name) if domains.iter().any(|other| *other == name) => {
                check.invalid(&key, "acme.domains", "the same name twice", text);
            }
            Some(name) => domains.push(name.into_owned()),
            None => check.invalid(&key, "acme.domains", "not the name of a host", text),
        }
    }
    (domains.len() == texts.len()).then_some(domains)
}

fn directory_url(text: &str, check: &mut Check<'_>) -> Option<String> {
    let key = "acme.directory_url";
    match typed::FetchUrl::parse(text) {
        Ok(url) if url.secure => Some(text.to_owned()),
        Ok(_) | Err(_) => {
            check.invalid(key, key, "not the URL of a directory", text);
            None
        }
    }
}

fn contact(text: Option<&str>, check: &mut Check<'_>) -> Result<Option<String>, Reported> {
    let Some(text) = text else { return Ok(None) };
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b',' | b'?' | b':' | b'/'));
    let parts = text
        .split_once('@')
        .filter(|(user, host)| !user.is_empty() && host.contains('.'));
    if !plain || parts.is_none() {
        check.invalid("acme.contact", "acme.contact", "not an e-mail address", text);
        return Err(Reported);
    }
    Ok(Some(text.to_owned()))
}
