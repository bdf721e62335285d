//! `[upstreams.NAME]`

use std::collections::BTreeMap;

use super::{Check, resilience, upstream_tls};
use crate::config::error::Complaint;
use crate::config::typed::Scheme;
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
    let (mut servers, mut weights) = (Vec::new(), Vec::new());
    for (index, text) in texts.iter().enumerate() {
        let key = format!("{key}[{index}]");
        let read = resilience::weight(text).and_then(|(address, weight)| Ok((server(address)?, weight)));
        match read {
            Ok((server, _)) if servers.contains(&server) => check.invalid(&key, pattern, "the same server twice", text),
            Ok((server, weight)) => {
                servers.push(server);
                weights.push(weight);
            }
            Err(message) => check.invalid(&key, pattern, message, text),
        }
    }
    let tls = upstream_tls::tls(name, raw, &servers, check);
    if !weights.is_empty() && weights.iter().all(|weight| *weight == 0) {
        check.wrong(
            &key,
            Complaint::new("every server has the weight 0").allowed("one or more with another weight"),
        );
        return None;
    }
    let resilience = resilience::resilience(name, raw, check);
    if servers.len() != texts.len() || texts.is_empty() {
        return None;
    }
    Some(typed::Upstream {
        name: name.to_owned(),
        servers,
        weights,
        resilience: resilience?,
        pool_max_age: raw.pool_max_age,
        idle_timeout: raw.idle_timeout,
        tcp_keepalive: raw.tcp_keepalive,
        http2_ping_interval: raw.http2_ping_interval,
        http2_ping_timeout: raw.http2_ping_timeout,
        http2: raw.http2,
        tls: tls.ok()?,
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
    let (scheme, rest) = text.split_once("://").ok_or("not the address of a server")?;
    let (scheme, default_port) = match scheme {
        "http" => (Scheme::Http, "80"),
        "https" => (Scheme::Https, "443"),
        "h2" => (Scheme::H2, "80"),
        _ => return Err("not the address of a server"),
    };
    let authority = rest;
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    if authority.contains('@') {
        return Err("an upstream's address takes no user and password");
    }
    if authority.contains(['/', '?', '#']) {
        return Err("an upstream's address takes no path: use strip_prefix on a route to shorten paths");
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (authority, default_port),
    };
    let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse::<u16>().ok().filter(|port| is_number && *port != 0);
    let port = port.ok_or("the port is not a number from 1 to 65535")?;
    if !is_host(host) {
        return Err("not a host name or address");
    }
    Ok(typed::ServerAddress::Remote {
        scheme,
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
        for (text, scheme, host, port) in [
            ("http://10.0.0.5:3000", Scheme::Http, "10.0.0.5", 3000),
            ("http://Orders.internal", Scheme::Http, "orders.internal", 80),
            ("http://localhost:3000/", Scheme::Http, "localhost", 3000),
            ("http://[::1]:3000", Scheme::Http, "[::1]", 3000),
            ("http://[::1]", Scheme::Http, "[::1]", 80),
            ("http://my_service", Scheme::Http, "my_service", 80),
            ("https://a", Scheme::Https, "a", 443),
            ("https://[::1]:8443/", Scheme::Https, "[::1]", 8443),
            ("h2://a", Scheme::H2, "a", 80),
            ("h2://a:50051", Scheme::H2, "a", 50051),
        ] {
            let expected = typed::ServerAddress::Remote {
                scheme,
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
            "https://",
            "https://a/b",
            "h2c://a",
            "h2:a",
            "://a",
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
