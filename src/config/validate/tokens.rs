//! `[tokens]`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Check, Reported};
use crate::config::error::Complaint;
use crate::config::{raw, typed};
use crate::secret::Secret;

pub(super) fn tokens(
    raw: &raw::Tokens,
    listeners: Option<(&typed::Server, &typed::Tls)>,
    auth: Option<&typed::Auth>,
    check: &mut Check<'_>,
) -> Option<typed::Tokens> {
    let issuer = match &raw.issuer {
        Some(text) => issuer(text, check),
        None => listeners
            .zip(auth)
            .and_then(|((server, tls), auth)| default_issuer(server, tls, &auth.path)),
    };
    let is_audience = (1..=255).contains(&raw.audience.len()) && raw.audience.bytes().all(|b| b.is_ascii_graphic());
    if !is_audience {
        check.invalid("tokens.audience", "tokens.audience", "not an audience", &raw.audience);
    }
    let algorithm = typed::Algorithm::from_name(&raw.algorithm)?;
    let secret = secret(raw, algorithm, check);
    Some(typed::Tokens {
        issuer: issuer?,
        audience: is_audience.then(|| raw.audience.clone())?,
        algorithm,
        access_ttl: raw.access_ttl,
        refresh_ttl: raw.refresh_ttl,
        session_ttl: raw.session_ttl,
        leeway: raw.leeway,
        secret: secret.ok()?,
        cache_capacity: raw.cache_capacity,
    })
}

fn issuer(text: &str, check: &mut Check<'_>) -> Option<String> {
    let uri = text.parse::<http::Uri>().ok();
    let authority = uri.as_ref().and_then(http::Uri::authority);
    let valid = (text.starts_with("https://") || text.starts_with("http://"))
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && !text.contains(['?', '#'])
        && authority.is_some_and(|authority| !authority.host().is_empty() && !authority.as_str().contains('@'));
    if !valid {
        check.invalid("tokens.issuer", "tokens.issuer", "not the URL of an issuer", text);
        return None;
    }
    Some(text.to_owned())
}

/// Where the endpoints are as seen from this machine: right for a first run, and never trusted by another gateway.
fn default_issuer(server: &typed::Server, tls: &typed::Tls, auth_path: &str) -> Option<String> {
    let plain = server.listen.first().map(|listen| ("http", listen));
    let (scheme, listen) = plain.or_else(|| Some(("https", tls.listen.first()?)))?;
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    Some(format!("{scheme}://{}{auth_path}", SocketAddr::new(ip, listen.port())))
}

/// The shared secret, where one is set.
fn secret(
    raw: &raw::Tokens,
    algorithm: typed::Algorithm,
    check: &mut Check<'_>,
) -> Result<Option<Secret<Vec<u8>>>, Reported> {
    let (key, bytes) = match (&raw.secret, &raw.secret_file) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => {
            let complaint = Complaint::new("the secret is also set by tokens.secret_file").allowed("one of the two");
            check.conflict("tokens.secret", "tokens.secret_file", complaint);
            return Err(Reported);
        }
        (Some(secret), None) => ("tokens.secret", secret.expose().clone().into_bytes()),
        (None, Some(file)) => ("tokens.secret_file", check.secret_file("tokens.secret_file", file)?),
    };
    let Some(least) = least_secret(algorithm) else {
        let complaint = Complaint::new(format!("{} takes no shared secret", algorithm.as_str()))
            .allowed("only with tokens.algorithm HS256, HS384 or HS512");
        check.conflict(key, "tokens.algorithm", complaint);
        return Err(Reported);
    };
    if bytes.len() < least {
        let complaint = Complaint::new("the secret is too short")
            .found(format!("{} bytes", bytes.len()))
            .allowed(format!(
                "at least {least} bytes for {} (RFC 7518, section 3.2)",
                algorithm.as_str()
            ));
        check.wrong(key, complaint);
        return Err(Reported);
    }
    Ok(Some(Secret::new(bytes)))
}

/// The fewest bytes of a shared secret: those of the hash (RFC 7518, section 3.2).
fn least_secret(algorithm: typed::Algorithm) -> Option<usize> {
    use typed::Algorithm as A;
    match algorithm {
        A::Hs256 => Some(32),
        A::Hs384 => Some(48),
        A::Hs512 => Some(64),
        A::EdDsa | A::Es256 | A::Es384 | A::Rs256 | A::Rs384 | A::Rs512 | A::Ps256 | A::Ps384 | A::Ps512 => None,
    }
}
