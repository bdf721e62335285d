//! Header rewriting: whatever a client sends, an upstream sees nothing that is for one connection, nobody's identity but what
//! the policy vouches for, and one word on where a request comes from; what is the client's own stays as it is.
//!
//! An input is lines: first flags (`i`: somebody is logged in, `t`: the peer is trusted, `f`: the token is forwarded, `6`: the
//! peer has an address of version 6), then headers.
#![no_main]

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use doorward::id::{Identity, SessionId, Told, UserId};
use doorward::rules::headers::{
    Forwarding, IdentityHeaders, clean_trailers, encode_value, rewrite_request, rewrite_response,
};
use doorward::rules::policy::{Access, AuthMode, TrustedIssuers, decide};
use doorward_fuzz::{fold, lines};
use http::{HeaderMap, HeaderName, HeaderValue, Version};
use libfuzzer_sys::fuzz_target;

static NAMES: LazyLock<IdentityHeaders> = LazyLock::new(|| IdentityHeaders::new("X-Auth-").expect("a prefix"));

static ANN: LazyLock<Arc<Identity>> = LazyLock::new(|| {
    Arc::new(Identity {
        principal: UserId::from_bytes([1; 16]).into(),
        email: Some("ann@example.com".parse().expect("an address")),
        name: Some("Änn".parse().expect("a name")),
        roles: vec!["admin".parse().expect("a role"), "user".parse().expect("a role")],
        session: Some(SessionId::from_bytes([2; 16])),
        claims: serde_json::Map::new(),
        told: Told::default(),
    })
});

const IDENTITY: [(&str, &str); 6] = [
    ("x-auth-email", "ann@example.com"),
    ("x-auth-issuer", "self"),
    ("x-auth-name", "%C3%84nn"),
    ("x-auth-roles", "admin,user"),
    ("x-auth-session", "02020202-0202-0202-0202-020202020202"),
    ("x-auth-user-id", "01010101-0101-0101-0101-010101010101"),
];

const HOP: [&str; 9] = [
    "connection",
    "expect",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
];

fuzz_target!(|input: &[u8]| {
    let mut lines = lines(input);
    let flags = lines.next().unwrap_or_default();
    let is = |flag: u8| flags.contains(&flag);
    let mut headers = HeaderMap::new();
    for line in lines.take(100) {
        let at = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let value = line.get(at + 1..).unwrap_or_default();
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(&line[..at]),
            HeaderValue::from_bytes(value.trim_ascii()),
        ) {
            headers.append(name, value);
        }
    }
    let before = headers.clone();
    request(&before, headers.clone(), is);
    response(&before, headers.clone());
    trailers(&before, headers);
    if let Ok(text) = std::str::from_utf8(input) {
        let value = encode_value(text);
        assert!(value.as_bytes().iter().all(|byte| matches!(byte, b' '..=b'~')));
    }
});

fn request(before: &HeaderMap, mut headers: HeaderMap, is: impl Fn(u8) -> bool) {
    let (trusted, forward_token) = (is(b't'), is(b'f'));
    let who = is(b'i').then_some(&*ANN);
    let access = Access {
        auth: AuthMode::Optional,
        issuers: TrustedIssuers::own(),
        roles: Vec::new(),
        claims: serde_json::Map::new(),
    };
    let permit = decide(&access, who).expect("a permit");
    let host = before.get("host");
    let id = HeaderValue::from_static("the-id");
    let peer: IpAddr = if is(b'6') {
        [0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into()
    } else {
        [192, 0, 2, 7].into()
    };
    let forwarding = Forwarding {
        peer,
        peer_is_trusted: trusted,
        scheme: "https",
        host,
        version: Version::HTTP_11,
        request_id: &id,
    };
    rewrite_request(&mut headers, &NAMES, &permit, &forwarding, forward_token);

    let mut identity: Vec<(&str, &str)> = headers
        .iter()
        .filter(|(name, _)| fold(name.as_str()).starts_with("x-auth-"))
        .map(|(name, value)| (name.as_str(), value.to_str().expect("text")))
        .collect();
    identity.sort_unstable();
    assert_eq!(identity, if who.is_some() { &IDENTITY[..] } else { &[] });

    for name in headers.keys() {
        let folded = fold(name.as_str());
        assert!(!HOP.contains(&&*folded), "{name}");
        assert!(folded != "te" || (name == "te" && headers.get_all(name).iter().eq(["trailers"])));
        assert!(folded != "authorization" || (forward_token && name == "authorization"));
        let is_origin = folded.starts_with("x-forwarded-") || folded == "forwarded" || folded == "x-real-ip";
        let is_ours = matches!(
            &*folded,
            "x-forwarded-for" | "x-forwarded-proto" | "x-forwarded-host" | "forwarded"
        );
        assert!(
            !is_origin || (name.as_str() == folded && (is_ours || trusted)),
            "{name}"
        );
        assert!(folded != "x-forwarded-user" && folded != "x-original-url" && folded != "proxy");
    }
    let text = |name: &str| {
        headers
            .get_all(name)
            .iter()
            .map(HeaderValue::as_bytes)
            .collect::<Vec<_>>()
    };
    let (seen, element) = (text("x-forwarded-for"), text("forwarded"));
    assert_eq!(
        (seen.len(), element.len(), text("x-request-id")),
        (1, 1, vec![b"the-id".as_slice()])
    );
    let address = peer.to_string();
    let quoted = if peer.is_ipv6() {
        format!("for=\"[{address}]\"")
    } else {
        format!("for={address}")
    };
    if trusted {
        assert!(seen[0].ends_with(address.as_bytes()));
        assert!(String::from_utf8_lossy(element[0]).contains(&quoted));
    } else {
        assert_eq!(seen[0], address.as_bytes());
        let element = String::from_utf8_lossy(element[0]);
        assert!(element.starts_with(&quoted) && element.ends_with(";proto=https") && !element.contains(','));
        assert_eq!(text("x-forwarded-proto"), [b"https"]);
        assert_eq!(
            text("x-forwarded-host"),
            host.map(HeaderValue::as_bytes).into_iter().collect::<Vec<_>>()
        );
    }
    assert_eq!(headers.get_all("host"), before.get_all("host"));
    assert_eq!(headers.get_all("content-length"), before.get_all("content-length"));
    assert_eq!(text("via").len(), before.get_all("via").iter().count() + 1);
    kept(before, &headers);
}

fn response(before: &HeaderMap, mut headers: HeaderMap) {
    rewrite_response(&mut headers);
    for name in headers.keys() {
        assert!(!HOP.contains(&name.as_str()) || name == "expect", "{name}");
        assert!(
            !["te", "proxy-authentication-info", "x-doorward-error"].contains(&name.as_str()),
            "{name}"
        );
    }
    kept(before, &headers);
}

fn trailers(before: &HeaderMap, mut headers: HeaderMap) {
    clean_trailers(&mut headers, &NAMES);
    for (name, _) in &headers {
        let folded = fold(name.as_str());
        let means_something = [
            "host",
            "content-length",
            "authorization",
            "cookie",
            "te",
            "x-request-id",
            "trailer",
        ];
        assert!(
            !means_something.contains(&&*folded) && !HOP.contains(&&*folded),
            "{name}"
        );
        assert!(
            !folded.starts_with("x-auth-") && !folded.starts_with("x-forwarded-"),
            "{name}"
        );
    }
    for name in headers.keys() {
        assert_eq!(headers.get_all(name), before.get_all(name));
    }
    for name in ["etag", "grpc-status", "x-checksum"] {
        assert_eq!(headers.get_all(name), before.get_all(name));
    }
}

/// What is between client and upstream alone is as it was, unless `Connection` names it; and nothing else is there.
fn kept(before: &HeaderMap, after: &HeaderMap) {
    let named: Vec<String> = before
        .get_all("connection")
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .map(|option| String::from_utf8_lossy(option.trim_ascii()).to_ascii_lowercase())
        .collect();
    for name in [
        "accept",
        "cookie",
        "etag",
        "user-agent",
        "x",
        "x-private",
        "range",
        "content_type_x",
    ] {
        let expected = if named.iter().any(|named| named == name) {
            0
        } else {
            before.get_all(name).iter().count()
        };
        assert_eq!(after.get_all(name).iter().count(), expected, "{name}");
        assert!(expected == 0 || after.get_all(name) == before.get_all(name));
    }
}
