//! `[upstreams.NAME]`

use std::collections::BTreeMap;

use super::Check;
use crate::config::error::Complaint;
use crate::config::{raw, typed};

pub(super) fn upstreams(raw: &BTreeMap<String, raw::Upstream>, check: &mut Check<'_>) -> Option<Vec<typed::Upstream>> {
    let upstreams: Vec<_> = raw.iter().map(|(name, raw)| upstream(name, raw, check)).collect();
    upstreams.into_iter().collect()
}

fn upstream(name: &str, raw: &raw::Upstream, check: &mut Check<'_>) -> Option<typed::Upstream> {
    let key = format!("upstreams.{name}.servers");
    let pattern = "upstreams.NAME.servers";
    let Some(texts) = &raw.servers else {
        check.missing(&key, pattern);
        return None;
    };
    if texts.is_empty() {
        check.wrong(&key, Complaint::new("no server").allowed("at least one"));
    }
    let mut servers = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        let key = format!("{key}[{index}]");
        match server(text) {
            Ok(server) if servers.contains(&server) => check.invalid(&key, pattern, "the same server twice", text),
            Ok(server) => servers.push(server),
            Err(message) => check.invalid(&key, pattern, message, text),
        }
    }
    (servers.len() == texts.len() && !texts.is_empty()).then(|| typed::Upstream {
        name: name.to_owned(),
        servers,
        connect_timeout: raw.connect_timeout,
        response_timeout: raw.response_timeout,
        pool_idle_timeout: raw.pool_idle_timeout,
        pool_max_idle: raw.pool_max_idle,
    })
}

fn server(text: &str) -> Result<typed::ServerAddress, &'static str> {
    if text == "builtin:whoami" {
        return Ok(typed::ServerAddress::Whoami);
    }
    if text.starts_with("https://") {
        return Err("TLS to upstreams is not supported yet");
    }
    let authority = text.strip_prefix("http://").ok_or("not the address of a server")?;
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    if authority.contains('@') {
        return Err("an upstream's address takes no user and password");
    }
    if authority.contains(['/', '?', '#']) {
        return Err("an upstream's address takes no path: use strip_prefix on a route to shorten paths");
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (authority, "80"),
    };
    let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse::<u16>().ok().filter(|port| is_number && *port != 0);
    let port = port.ok_or("the port is not a number from 1 to 65535")?;
    if !is_host(host) {
        return Err("not a host name or address");
    }
    Ok(typed::ServerAddress::Http {
        host: host.to_ascii_lowercase(),
        port,
    })
}

fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[') {
        return address
            .strip_suffix(']')
            .is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok());
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let name = host.strip_suffix('.').unwrap_or(host);
    name.len() <= 253 && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_host_and_a_port() {
        for (text, host, port) in [
            ("http://10.0.0.5:3000", "10.0.0.5", 3000),
            ("http://Orders.internal", "orders.internal", 80),
            ("http://localhost:3000/", "localhost", 3000),
            ("http://[::1]:3000", "[::1]", 3000),
            ("http://[::1]", "[::1]", 80),
            ("http://my_service", "my_service", 80),
        ] {
            let expected = typed::ServerAddress::Http {
                host: host.into(),
                port,
            };
            assert_eq!(server(text), Ok(expected), "{text}");
        }
        assert_eq!(server("builtin:whoami"), Ok(typed::ServerAddress::Whoami));
    }

    #[test]
    fn what_is_no_server_is_refused() {
        for bad in [
            "",
            "10.0.0.5:3000",
            "https://a",
            "ftp://a",
            "http://",
            "http://:80",
            "http://a:",
            "http://a:0",
            "http://a:+1",
            "http://a:99999",
            "http://a/b",
            "http://a//",
            "http://a?b",
            "http://a#b",
            "http://u:p@a",
            "http://a b",
            "http://ä",
            "http://[::1",
            "http://::1",
            "http://[x]:1",
            "http://a..b",
            "http://-a",
            "builtin:echo",
            "HTTP://a",
            "http://a\r\n",
        ] {
            assert!(server(bad).is_err(), "{bad:?}");
        }
    }
}
