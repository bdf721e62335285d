//! Where a request comes from, and what another proxy asks about: only what trusted proxies say counts, nothing that is put in
//! front of it changes the answer, and two words that differ make none.
//!
//! An input is lines: the peer's address, then headers.
#![no_main]

use std::net::{IpAddr, SocketAddr};
use std::sync::LazyLock;

use doorward::rules::headers::client_address;
use doorward::rules::host::normalise_host;
use doorward::rules::original::Original;
use doorward_fuzz::lines;
use http::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;
use libfuzzer_sys::fuzz_target;

static TRUSTED: LazyLock<[IpNet; 3]> =
    LazyLock::new(|| ["10.0.0.0/8", "192.168.1.0/24", "fd00::/8"].map(|net| net.parse().expect("a network")));

fuzz_target!(|input: &[u8]| {
    let mut lines = lines(input);
    let peer = lines
        .next()
        .and_then(|line| std::str::from_utf8(line).ok()?.parse().ok());
    let peer = peer.unwrap_or(IpAddr::from([10, 0, 0, 1]));
    let mut headers = HeaderMap::new();
    for line in lines.take(32) {
        let at = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let value = line.get(at + 1..).unwrap_or_default();
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(&line[..at]),
            HeaderValue::from_bytes(value.trim_ascii()),
        ) {
            headers.append(name, value);
        }
    }
    client(&headers, peer);
    original(&headers);
});

fn is_trusted(address: IpAddr) -> bool {
    TRUSTED.iter().any(|net| net.contains(&address))
}

fn client(headers: &HeaderMap, peer: IpAddr) {
    let found = client_address(headers, peer, &*TRUSTED);
    let chain: Vec<&[u8]> = headers
        .get_all("x-forwarded-for")
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    let chain = chain.join(&b","[..]);
    let entries = chain
        .split(|byte| *byte == b',')
        .map(String::from_utf8_lossy)
        .map(|entry| address(entry.trim_ascii_start_end()));
    // From right to left: on, as long as who speaks is trusted and says an address.
    let mut expected = peer.to_canonical();
    for entry in entries.collect::<Vec<_>>().into_iter().rev() {
        match entry {
            Some(earlier) if is_trusted(expected) => expected = earlier,
            _ => break,
        }
    }
    assert_eq!(found, expected);

    // Whoever is not trusted may have said all that stands before.
    let lie = HeaderValue::from_static("203.0.113.66, 10.6.6.6");
    let mut more = HeaderMap::new();
    more.append("x-forwarded-for", lie);
    for value in headers.get_all("x-forwarded-for") {
        more.append("x-forwarded-for", value.clone());
    }
    if !is_trusted(found) {
        assert_eq!(client_address(&more, peer, &*TRUSTED), found);
    }
}

trait Trim {
    fn trim_ascii_start_end(&self) -> &str;
}

impl Trim for std::borrow::Cow<'_, str> {
    fn trim_ascii_start_end(&self) -> &str {
        self.trim_matches(|c: char| c.is_ascii_whitespace())
    }
}

fn address(text: &str) -> Option<IpAddr> {
    let with_port = || text.parse::<SocketAddr>().map(|address| address.ip()).ok();
    let in_brackets = || {
        let inner = text.strip_prefix('[')?.strip_suffix(']')?;
        inner.parse::<std::net::Ipv6Addr>().ok().map(IpAddr::from)
    };
    let address: Option<IpAddr> = text.parse().ok().or_else(with_port).or_else(in_brackets);
    address.map(|address| address.to_canonical())
}

fn original(headers: &HeaderMap) {
    let Ok(original) = Original::read(headers) else { return };
    let all = |name: &'static str| headers.get_all(name).iter().map(|value| value.to_str().expect("text"));
    let target = original.uri.to_string();
    assert!(target.starts_with('/') && original.uri.authority().is_none());
    let host = normalise_host(original.host.to_str().expect("text")).expect("a host");
    for (name, meant) in [("method", original.method.as_str()), ("uri", &*target)] {
        for prefix in ["x-forwarded", "x-original"] {
            let said = headers.get_all(format!("{prefix}-{name}"));
            assert!(said.iter().all(|said| said == meant) && said.iter().count() <= 1);
        }
    }
    for name in ["x-forwarded-host", "x-original-host"] {
        assert!(all(name).all(|said| normalise_host(said) == Some(host.clone())));
    }
    for url in all("x-original-url") {
        let rest = url
            .strip_prefix("https://")
            .or_else(|| url.strip_prefix("http://"))
            .expect("a URL");
        assert!(rest.ends_with(&target) && normalise_host(&rest[..rest.len() - target.len()]) == Some(host.clone()));
    }
}
