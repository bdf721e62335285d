//! `revocation.url`: `redis://USER:PASSWORD@HOST:PORT/NUMBER`, or `rediss://` for TLS. As in `store.url`, errors repeat
//! nothing of it.

use super::database_url::{decode, host_and_port};
use crate::secret::Secret;

/// The greatest number of a database: more than anybody sets up.
const MAX_DATABASE: u32 = 65_535;

/// A URL in its parts; the path of the authority as it is written.
#[derive(Debug)]
pub(super) struct RedisUrl {
    pub(super) tls: bool,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: Option<String>,
    pub(super) password: Option<Secret<String>>,
    pub(super) database: u32,
    pub(super) ca: Option<String>,
}

pub(super) fn parse(url: &str) -> Result<RedisUrl, &'static str> {
    let (tls, rest) = match (url.strip_prefix("redis://"), url.strip_prefix("rediss://")) {
        (Some(rest), _) => (false, rest),
        (None, Some(rest)) => (true, rest),
        (None, None) => return Err("not the URL of a Redis: it begins with neither redis:// nor rediss://"),
    };
    if rest.contains('#') {
        return Err("the URL holds `#`: write %23 in a password");
    }
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    if database.contains('@') {
        return Err("the URL holds `@` after a `/`: write %40, %2F and %3A in a password");
    }
    let (userinfo, address) = authority.rsplit_once('@').unwrap_or(("", authority));
    if userinfo.contains('@') {
        return Err("the URL holds two `@`: write %40 in a password");
    }
    let (user, password) = match userinfo.split_once(':') {
        Some((user, password)) => (user, Some(decode(password)?).filter(|password| !password.is_empty())),
        None => (userinfo, None),
    };
    let (host, port) = host_and_port(address, "6379")?;
    let database = match database {
        "" => 0,
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            let number = digits.parse().ok().filter(|number| *number <= MAX_DATABASE);
            number.ok_or("the URL's database is a number that is too large")?
        }
        _ => return Err("the URL's database is not a number"),
    };
    let mut ca = None;
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        match parameter.split_once('=') {
            Some(("ca", file)) if !file.is_empty() => ca = Some(decode(file)?),
            Some(("ca", _)) | None => return Err("?ca= takes a path"),
            Some(_) => return Err("the URL has a parameter other than ca"),
        }
    }
    Ok(RedisUrl {
        tls,
        host: decode(host)?,
        port,
        user: Some(decode(user)?).filter(|user| !user.is_empty()),
        password: password.map(Secret::new),
        database,
        ca,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_redis_url_has_parts_with_defaults() {
        let url = parse("redis://").unwrap();
        assert_eq!(
            (url.host.as_str(), url.port, url.database, url.tls),
            ("localhost", 6379, 0, false)
        );
        assert!(url.user.is_none() && url.password.is_none() && url.ca.is_none());
        let url = parse("rediss://a%40b:p%2F%3a%25w@[::1]:6380/7?ca=ca.pem").unwrap();
        assert_eq!(
            (url.host.as_str(), url.port, url.database, url.tls),
            ("::1", 6380, 7, true)
        );
        assert_eq!((url.user.as_deref(), url.ca.as_deref()), (Some("a@b"), Some("ca.pem")));
        assert_eq!(url.password.unwrap().expose(), "p/:%w");
        let url = parse("redis://:pw@cache").unwrap();
        assert_eq!((url.user, url.host.as_str()), (None, "cache"));
        assert_eq!(url.password.unwrap().expose(), "pw");
    }

    #[test]
    fn what_is_no_redis_url_is_refused() {
        for bad in [
            "",
            "redis",
            "redis:h",
            "http://h",
            "redis+unix:///run/redis.sock",
            "REDIS://h",
            "redis://h:0",
            "redis://h:x",
            "redis://h:99999",
            "redis://h/x",
            "redis://h/-1",
            "redis://h/+1",
            "redis://h/65536",
            "redis://h/1/2",
            "redis://a:p/w@h",
            "redis://a:p@w@h",
            "redis://a:p#w@h",
            "redis://a:%zz@h",
            "redis://a:%00@h",
            "redis://h?x=1",
            "redis://h?ca",
            "redis://h?ca=",
            "redis://[::1",
            "redis://h h",
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "(rediss?://)?[a-z:@/%?=&\\[\\]é0-9]{0,30}|\\PC{0,40}") {
            let _ = parse(&text);
        }
    }
}
