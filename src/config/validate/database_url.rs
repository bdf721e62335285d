//! `store.url`: `sqlite://PATH`, or `mysql://USER:PASSWORD@HOST:PORT/DATABASE` with a few parameters.
//!
//! Errors name what is wrong without repeating any of it: there is no telling where the password is in a URL that is
//! not one.

use crate::config::typed::MySqlTls;
use crate::secret::Secret;

/// A URL in its parts; paths as they are written.
#[derive(Debug)]
pub(super) enum DatabaseUrl {
    Sqlite { path: String },
    MySql(MySqlUrl),
}

#[derive(Debug)]
pub(super) struct MySqlUrl {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) password: Option<Secret<String>>,
    pub(super) database: String,
    pub(super) socket: Option<String>,
    pub(super) tls: MySqlTls,
    pub(super) ca: Option<String>,
}

/// The words for `?tls=`.
const TLS: [(&str, MySqlTls); 5] = [
    ("disabled", MySqlTls::Disabled),
    ("preferred", MySqlTls::Preferred),
    ("required", MySqlTls::Required),
    ("verify-ca", MySqlTls::VerifyCa),
    ("verify-identity", MySqlTls::VerifyIdentity),
];

pub(super) fn parse(url: &str) -> Result<DatabaseUrl, &'static str> {
    if let Some(path) = url.strip_prefix("sqlite:") {
        return sqlite(path.strip_prefix("//").unwrap_or(path));
    }
    match url.strip_prefix("mysql://").or_else(|| url.strip_prefix("mariadb://")) {
        Some(rest) => mysql(rest).map(DatabaseUrl::MySql),
        None => Err("not a database URL: it begins with neither sqlite:// nor mysql://"),
    }
}

fn sqlite(path: &str) -> Result<DatabaseUrl, &'static str> {
    if path.is_empty() || path.ends_with('/') {
        Err("the URL names no file")
    } else if path.contains(":memory:") {
        Err("a database in memory forgets users and revocations: name a file")
    } else if path.contains(['?', '#', '\0']) {
        Err("the URL of an SQLite file takes no parameters")
    } else {
        Ok(DatabaseUrl::Sqlite { path: path.to_owned() })
    }
}

fn mysql(rest: &str) -> Result<MySqlUrl, &'static str> {
    if rest.contains('#') {
        return Err("the URL holds `#`: write %23 in a password");
    }
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = rest.split_once('/').ok_or("the URL names no database")?;
    if database.contains('@') {
        return Err("the URL holds `@` after a `/`: write %40, %2F and %3A in a password");
    }
    let (userinfo, address) = authority.rsplit_once('@').ok_or("the URL names no user")?;
    if userinfo.contains('@') {
        return Err("the URL holds two `@`: write %40 in a password");
    }
    let (user, password) = match userinfo.split_once(':') {
        Some((user, password)) => (user, Some(decode(password)?)),
        None => (userinfo, None),
    };
    let (host, port) = host_and_port(address, "3306")?;
    let mut parsed = MySqlUrl {
        host: decode(host)?,
        port,
        user: decode(user)?,
        password: password.map(Secret::new),
        database: decode(database)?,
        socket: None,
        tls: MySqlTls::Preferred,
        ca: None,
    };
    if parsed.user.is_empty() {
        return Err("the URL names no user");
    }
    if parsed.database.is_empty() || parsed.database.contains('/') {
        return Err("the URL names no database");
    }
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        parameter_into(&mut parsed, parameter)?;
    }
    if parsed.ca.is_none() && parsed.tls == MySqlTls::VerifyCa {
        return Err("tls=verify-ca needs ?ca=/path/to/ca.pem");
    }
    Ok(parsed)
}

fn parameter_into(url: &mut MySqlUrl, parameter: &str) -> Result<(), &'static str> {
    let (name, value) = parameter.split_once('=').ok_or("a parameter of the URL has no value")?;
    let value = decode(value)?;
    match name {
        "socket" if value.starts_with('/') => url.socket = Some(value),
        "socket" => return Err("?socket= takes an absolute path"),
        "ca" if !value.is_empty() => url.ca = Some(value),
        "ca" => return Err("?ca= takes a path"),
        "tls" => {
            let mode = TLS.iter().find(|(word, _)| *word == value);
            url.tls = mode
                .ok_or("?tls= takes disabled, preferred, required, verify-ca or verify-identity")?
                .1;
        }
        _ => return Err("the URL has a parameter other than socket, tls and ca"),
    }
    Ok(())
}

/// The host (default `localhost`, IPv6 without brackets) and the port.
pub(super) fn host_and_port<'a>(address: &'a str, default_port: &'a str) -> Result<(&'a str, u16), &'static str> {
    let (host, port) = match address.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or("the URL's host has no closing bracket")?;
            host.parse::<std::net::Ipv6Addr>()
                .map_err(|_| "the URL's host in brackets is not an IPv6 address")?;
            (
                host,
                after.strip_prefix(':').or(after.is_empty().then_some(default_port)),
            )
        }
        None => match address.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (address, Some(default_port)),
        },
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':');
    if !host.bytes().all(is_name) {
        return Err("the URL's host is not a host name");
    }
    let port = port.and_then(|port| port.parse::<u16>().ok()).filter(|port| *port != 0);
    let port = port.ok_or("the URL's port is not a number from 1 to 65535")?;
    Ok((if host.is_empty() { "localhost" } else { host }, port))
}

/// Decodes percent-encoding (RFC 3986, section 2.1).
pub(super) fn decode(text: &str) -> Result<String, &'static str> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
            match (digit(), digit()) {
                (Some(high), Some(low)) => bytes.extend(u8::try_from(high * 16 + low)),
                _ => return Err("the URL holds a `%` that begins no escape: write %25"),
            }
        } else {
            bytes.push(byte);
        }
    }
    let text = String::from_utf8(bytes).map_err(|_| "the URL holds escapes that are not UTF-8")?;
    if text.contains('\0') {
        Err("the URL holds a NUL")
    } else {
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(url: &str) -> String {
        match parse(url).unwrap() {
            DatabaseUrl::Sqlite { path } => path,
            DatabaseUrl::MySql(_) => panic!("{url}"),
        }
    }

    fn mysql(url: &str) -> MySqlUrl {
        match parse(url).unwrap() {
            DatabaseUrl::MySql(mysql) => mysql,
            DatabaseUrl::Sqlite { .. } => panic!("{url}"),
        }
    }

    #[test]
    fn an_sqlite_url_names_a_file() {
        assert_eq!(path("sqlite://data/doorward.db"), "data/doorward.db");
        assert_eq!(path("sqlite:///var/lib/doorward.db"), "/var/lib/doorward.db");
        assert_eq!(path("sqlite:data/doorward.db"), "data/doorward.db");
    }

    #[test]
    fn a_mysql_url_has_parts_with_defaults() {
        let url = mysql("mysql://ann@/gate");
        assert_eq!(
            (url.host.as_str(), url.port, url.tls),
            ("localhost", 3306, MySqlTls::Preferred)
        );
        assert!(url.password.is_none() && url.socket.is_none() && url.ca.is_none());
        let url = mysql("mariadb://a%40b:p%2F%3a%25w@[::1]:3307/gate?tls=verify-ca&ca=ca.pem&socket=/run/my.sock");
        assert_eq!((url.user.as_str(), url.host.as_str(), url.port), ("a@b", "::1", 3307));
        assert_eq!(url.password.unwrap().expose(), "p/:%w");
        assert_eq!(url.ca.unwrap(), "ca.pem");
        assert_eq!(url.socket.unwrap(), "/run/my.sock");
        for (word, mode) in TLS {
            assert_eq!(mysql(&format!("mysql://a@h/d?ca=x&tls={word}")).tls, mode);
        }
    }

    #[test]
    fn what_is_no_database_url_is_refused() {
        for bad in [
            "",
            "sqlite",
            "sqlite://",
            "sqlite:",
            "sqlite://data/",
            "sqlite::memory:",
            "sqlite://x?mode=ro",
            "postgres://a@b/c",
            "mysql:a@b/c",
            "mysql://",
            "mysql://a@b",
            "mysql://a@b/",
            "mysql://b/c",
            "mysql://@b/c",
            "mysql://:p@b/c",
            "mysql://a@b:0/c",
            "mysql://a@b:x/c",
            "mysql://a@b:99999/c",
            "mysql://a:p/w@b/c",
            "mysql://a:p@w@b/c",
            "mysql://a:p#w@b/c",
            "mysql://a:%zz@b/c",
            "mysql://a:%ff@b/c",
            "mysql://a:%00@b/c",
            "mysql://a@b/c/d",
            "mysql://a@b/c?x=1",
            "mysql://a@b/c?tls",
            "mysql://a@b/c?tls=no",
            "mysql://a@b/c?socket=x",
            "mysql://a@b/c?ca=",
            "mysql://a@b/c?tls=verify-ca",
            "mysql://a@[::1/c",
            "mysql://a@[x]/c",
            "mysql://a@[::1]x/c",
            "mysql://a@b c/d",
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "(mysql://)?[a-z:@/%?=&\\[\\]é0-9]{0,30}|\\PC{0,40}") {
            let _ = parse(&text);
        }
    }
}
