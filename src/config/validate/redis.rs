//! How to reach a Redis: the keys that `[revocation]` and `[limiter]` have alike.

use super::redis_url::{self, RedisUrl};
use super::store::{Password, password};
use super::{Check, Reported};
use crate::config::error::Complaint;
use crate::config::{keys, mask, typed};
use crate::secret::Secret;

/// What a section says of its Redis.
pub(super) struct Said<'a> {
    /// The keys of the URL, the password, its file, the authority and the prefix.
    pub(super) keys: [&'static str; 5],
    pub(super) url: Option<&'a Secret<String>>,
    pub(super) password: Option<&'a Secret<String>>,
    pub(super) password_file: Option<&'a str>,
    pub(super) ca_file: Option<&'a str>,
    pub(super) prefix: &'a str,
}

/// The Redis, if there is one.
pub(super) fn redis(said: &Said<'_>, check: &mut Check<'_>) -> Result<Option<typed::Redis>, Reported> {
    let [url_key, password_key, file_key, _, prefix_key] = said.keys;
    let Some(url) = said.url else {
        return without(said, check).map(|()| None);
    };
    let parsed = match redis_url::parse(url.expose()) {
        Ok(parsed) => parsed,
        Err(message) => {
            let allowed = keys::find(url_key).map(|key| key.kind.allowed()).unwrap_or_default();
            let complaint = Complaint::new(message)
                .found(format!("\"{}\"", mask::mask_url(url.expose())))
                .allowed(allowed);
            check.wrong(url_key, complaint);
            return Err(Reported);
        }
    };
    let tls = tls(said, &parsed, check);
    let is_prefix = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
    let is_prefix = (1..=64).contains(&said.prefix.len()) && said.prefix.bytes().all(is_prefix);
    if !is_prefix {
        check.invalid(prefix_key, prefix_key, "not a prefix of keys", said.prefix);
    }
    let (user, in_url) = (parsed.user, parsed.password);
    let password = password(
        &Password {
            keys: [password_key, file_key, url_key],
            here: said.password,
            file: said.password_file,
            in_url,
        },
        check,
    )?;
    if user.is_some() && password.is_none() {
        let complaint = Complaint::new("the URL names a user and no password is set")
            .allowed(format!("a password in {password_key}, {file_key} or the URL"));
        check.wrong(url_key, complaint);
        return Err(Reported);
    }
    let tls = tls?;
    if !is_prefix {
        return Err(Reported);
    }
    Ok(Some(typed::Redis {
        host: parsed.host,
        port: parsed.port,
        tls,
        user,
        password,
        database: parsed.database,
        prefix: said.prefix.to_owned(),
    }))
}

/// Reports what is said about a Redis that there is not.
fn without(said: &Said<'_>, check: &mut Check<'_>) -> Result<(), Reported> {
    let [url_key, password_key, file_key, ca_key, _] = said.keys;
    let mut valid = Ok(());
    for (key, is_said) in [
        (password_key, said.password.is_some()),
        (file_key, said.password_file.is_some()),
        (ca_key, said.ca_file.is_some()),
    ] {
        if is_said {
            let complaint =
                Complaint::new("there is no Redis that this is for").allowed(format!("only with {url_key}"));
            check.conflict(key, url_key, complaint);
            valid = Err(Reported);
        }
    }
    valid
}

fn tls(said: &Said<'_>, url: &RedisUrl, check: &mut Check<'_>) -> Result<typed::RedisTls, Reported> {
    let [url_key, _, _, ca_key, _] = said.keys;
    let (key, ca) = match (said.ca_file, &url.ca) {
        (Some(_), Some(_)) => {
            let complaint = Complaint::new("the authority is also named by the URL").allowed("one of the two");
            check.conflict(ca_key, url_key, complaint);
            return Err(Reported);
        }
        (Some(file), None) => (ca_key, file),
        (None, Some(file)) => (url_key, file.as_str()),
        (None, None) if url.tls => return Ok(typed::RedisTls::System),
        (None, None) => return Ok(typed::RedisTls::Off),
    };
    if url.tls {
        Ok(typed::RedisTls::Authority(check.path(key, ca)))
    } else {
        let complaint = Complaint::new("redis:// is without TLS").allowed("an authority only with rediss://");
        check.conflict(key, url_key, complaint);
        Err(Reported)
    }
}
