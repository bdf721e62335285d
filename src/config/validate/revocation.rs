//! `[revocation]`.

use std::time::Duration;

use super::redis_url::{self, RedisUrl};
use super::store::{Password, password};
use super::{Check, Reported};
use crate::config::error::Complaint;
use crate::config::{keys, mask, raw, typed, units};

/// The keys that say how to reach Redis, and make no sense without `revocation.url`.
const NEEDS_URL: [&str; 3] = ["revocation.password", "revocation.password_file", "revocation.ca_file"];

/// Where revocations are kept.
pub(super) fn place(raw: &raw::Revocation, check: &mut Check<'_>) -> Option<typed::Revocations> {
    let Some(url) = &raw.url else {
        return without_redis(raw, check).then_some(typed::Revocations::Database);
    };
    let parsed = match redis_url::parse(url.expose()) {
        Ok(parsed) => parsed,
        Err(message) => {
            let allowed = keys::find("revocation.url")
                .map(|key| key.kind.allowed())
                .unwrap_or_default();
            let complaint = Complaint::new(message)
                .found(format!("\"{}\"", mask::mask_url(url.expose())))
                .allowed(allowed);
            check.wrong("revocation.url", complaint);
            return None;
        }
    };
    let tls = tls(raw, &parsed, check);
    let is_prefix = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
    let is_prefix = (1..=64).contains(&raw.prefix.len()) && raw.prefix.bytes().all(is_prefix);
    if !is_prefix {
        check.invalid(
            "revocation.prefix",
            "revocation.prefix",
            "not a prefix of keys",
            &raw.prefix,
        );
    }
    let (user, in_url) = (parsed.user, parsed.password);
    let password = password(
        &Password {
            keys: ["revocation.password", "revocation.password_file", "revocation.url"],
            here: raw.password.as_ref(),
            file: raw.password_file.as_deref(),
            in_url,
        },
        check,
    )
    .ok()?;
    if user.is_some() && password.is_none() {
        let complaint = Complaint::new("the URL names a user and no password is set")
            .allowed("a password in revocation.password, revocation.password_file or the URL");
        check.wrong("revocation.url", complaint);
        return None;
    }
    Some(typed::Revocations::Redis(typed::Redis {
        host: parsed.host,
        port: parsed.port,
        tls: tls.ok()?,
        user,
        password,
        database: parsed.database,
        prefix: is_prefix.then(|| raw.prefix.clone())?,
    }))
}

/// Whether nothing is said about a Redis that there is not.
fn without_redis(raw: &raw::Revocation, check: &mut Check<'_>) -> bool {
    let said = [
        raw.password.is_some(),
        raw.password_file.is_some(),
        raw.ca_file.is_some(),
    ];
    let mut valid = true;
    for (key, _) in NEEDS_URL.iter().zip(said).filter(|(_, said)| *said) {
        let complaint = Complaint::new("there is no Redis that this is for").allowed("only with revocation.url");
        check.conflict(key, "revocation.url", complaint);
        valid = false;
    }
    valid
}

fn tls(raw: &raw::Revocation, url: &RedisUrl, check: &mut Check<'_>) -> Result<typed::RedisTls, Reported> {
    let (key, ca) = match (&raw.ca_file, &url.ca) {
        (Some(_), Some(_)) => {
            let complaint = Complaint::new("the authority is also named by the URL").allowed("one of the two");
            check.conflict("revocation.ca_file", "revocation.url", complaint);
            return Err(Reported);
        }
        (Some(file), None) => ("revocation.ca_file", file),
        (None, Some(file)) => ("revocation.url", file),
        (None, None) if url.tls => return Ok(typed::RedisTls::System),
        (None, None) => return Ok(typed::RedisTls::Off),
    };
    if url.tls {
        Ok(typed::RedisTls::Authority(check.path(key, ca)))
    } else {
        let complaint = Complaint::new("redis:// is without TLS").allowed("an authority only with rediss://");
        check.conflict(key, "revocation.url", complaint);
        Err(Reported)
    }
}

pub(super) fn revocation(
    raw: &raw::Revocation,
    query_timeout: Duration,
    check: &mut Check<'_>,
) -> Option<typed::Revocation> {
    let mut valid = true;
    // A logout may be answered that long after its number was taken, and must not become visible to polls that look no more.
    if raw.url.is_none() && raw.overlap <= query_timeout {
        let complaint = Complaint::new("too short for store.query_timeout")
            .found(units::show_duration(raw.overlap))
            .allowed(format!("longer than {}", units::show_duration(query_timeout)));
        check.conflict("revocation.overlap", "store.query_timeout", complaint);
        valid = false;
    }
    for (key, value, least) in [
        ("revocation.max_staleness", raw.max_staleness, "longer than"),
        ("revocation.full_reread", raw.full_reread, "at least"),
    ] {
        let too_short = match least {
            "at least" => value < raw.poll_interval,
            _ => value <= raw.poll_interval,
        };
        if too_short {
            let complaint = Complaint::new("too short for revocation.poll_interval")
                .found(units::show_duration(value))
                .allowed(format!("{least} {}", units::show_duration(raw.poll_interval)));
            check.conflict(key, "revocation.poll_interval", complaint);
            valid = false;
        }
    }
    let on_stale = match raw.on_stale.as_str() {
        "allow" => typed::OnStale::Allow,
        // Whatever else it could be: the safe one.
        _ => typed::OnStale::Refuse,
    };
    valid.then_some(typed::Revocation {
        poll_interval: raw.poll_interval,
        overlap: raw.overlap,
        full_reread: raw.full_reread,
        max_staleness: raw.max_staleness,
        on_stale,
    })
}
