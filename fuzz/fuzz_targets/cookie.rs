//! Heads of HTTP/2 as they become those of HTTP/1: one Host that says what `:authority` said, a target that is a path, one
//! Cookie of all its crumbs, and every other header as it was.
//!
//! An input is lines: `METHOD URI`, then headers.
#![no_main]

use doorward::server::fuzzed::admit;
use doorward_fuzz::lines;
use http::{HeaderName, HeaderValue, Request, Uri, Version};
use libfuzzer_sys::fuzz_target;

const BYTES: usize = 1024;
const LINES: usize = 16;
const TARGET: usize = 256;

fuzz_target!(|input: &[u8]| {
    let mut lines = lines(input);
    let first = lines.next().unwrap_or_default();
    let Some(blank) = first.iter().position(|byte| *byte == b' ') else {
        return;
    };
    let (Ok(method), Ok(uri)) = (first[..blank].try_into(), Uri::try_from(&first[blank + 1..])) else {
        return;
    };
    let mut request = Request::new(());
    (*request.method_mut(), *request.uri_mut(), *request.version_mut()) = (method, uri, Version::HTTP_2);
    for line in lines.take(64) {
        let at = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let value = line.get(at + 1..).unwrap_or_default();
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(&line[..at]), HeaderValue::from_bytes(value)) {
            request.headers_mut().append(name, value);
        }
    }
    let (mut parts, ()) = request.into_parts();
    let before = parts.clone();
    if admit(&mut parts, BYTES, LINES, TARGET).is_err() {
        return;
    }
    assert_eq!((&parts.method, parts.version), (&before.method, before.version));
    assert!(parts.method != http::Method::CONNECT && parts.method != http::Method::TRACE);
    assert!(parts.uri.authority().is_none() && parts.uri.scheme().is_none());
    assert_eq!(parts.uri.path_and_query(), before.uri.path_and_query());
    assert!(before.headers.len() <= LINES && before.headers.get_all("content-length").iter().count() <= 1);

    let hosts: Vec<&HeaderValue> = parts.headers.get_all("host").iter().collect();
    let said = before.headers.get("host").map(HeaderValue::as_bytes);
    let authority = before.uri.authority().map(|authority| authority.as_str().as_bytes());
    assert_eq!(hosts.len(), 1);
    for meant in [said, authority].into_iter().flatten() {
        assert!(hosts[0].as_bytes().eq_ignore_ascii_case(meant));
    }

    let crumbs: Vec<&[u8]> = before
        .headers
        .get_all("cookie")
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    let cookies: Vec<&[u8]> = parts
        .headers
        .get_all("cookie")
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    let joined = crumbs.join(&b"; "[..]);
    assert_eq!(cookies, if crumbs.is_empty() { vec![] } else { vec![&joined[..]] });

    for name in before.headers.keys().chain(parts.headers.keys()) {
        if name != "host" && name != "cookie" {
            assert_eq!(before.headers.get_all(name), parts.headers.get_all(name));
        }
    }
});
