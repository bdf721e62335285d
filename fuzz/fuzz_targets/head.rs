//! Bytes of a client, through the whole gateway, to an upstream: whatever they are, each request that reaches the upstream is
//! one that the strictest reading finds in them, in their order, with the same method, path, host and body; nothing of it is
//! the client's that a client may not say; and two programs read it alike.
#![no_main]

use std::sync::LazyLock;

use doorward_fuzz::naive::Request;
use doorward_fuzz::rig::{CLIENT, Rig};
use doorward_fuzz::{fold, lenient, naive, parts};
use libfuzzer_sys::fuzz_target;

const ROUTES: &str = r#"
[[routes]]
path = "/"
auth = "none"
upstream = "app"

[[routes]]
path = "/c"
upstream = "app"

[[routes]]
path = "/o"
auth = "optional"
upstream = "app"

[[routes]]
host = "*.example"
path = "/p/{id}"
methods = ["POST", "PUT"]
auth = "none"
upstream = "app"
"#;

/// Stands for the user's token in an input.
const TOKEN: &[u8] = b"{T}";

/// What the gateway may say of the connection to the upstream.
const HOP: &[(&str, &[&str])] = &[
    ("connection", &["te", "upgrade"]),
    ("te", &["trailers"]),
    ("transfer-encoding", &["chunked"]),
    ("upgrade", &["websocket"]),
];

/// What no client may say to an upstream, in any spelling.
const NEVER: &[&str] = &[
    "authorization",
    "expect",
    "http2-settings",
    "keep-alive",
    "proxy",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "remote-user",
    "x-consumer-username",
    "x-forwarded-user",
    "x-http-method-override",
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
    "x-user-id",
];

/// What the gateway sets: the client's own counts for nothing.
const SET: &[&str] = &[
    "forwarded",
    "traceparent",
    "tracestate",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-request-id",
];

/// What means the same in one spelling alone.
const PLAIN: &[&str] = &["content-length", "content-type", "host", "via", "x-request-id"];

static RIG: LazyLock<Rig> = LazyLock::new(|| {
    let rig = Rig::new(ROUTES);
    // Were nothing forwarded, all would hold.
    for path in ["/x", "/c/x", "/o?y"] {
        let text = format!(
            "GET {path} HTTP/1.1\r\nHost: a.example\r\nAuthorization: Bearer {}\r\nX: y\r\n\r\n",
            rig.token
        );
        let passed = rig.pass([text.clone().into_bytes()].into_iter());
        assert_eq!(
            passed.requests.len(),
            1,
            "{path}: {}",
            String::from_utf8_lossy(&passed.answers)
        );
        check(text.as_bytes(), &passed.requests, &rig);
    }
    rig
});

fuzz_target!(|input: &[u8]| {
    let input = with_token(input, &RIG.token);
    let passed = RIG.pass(parts(&input).map(<[u8]>::to_vec));
    check(&input, &passed.requests, &RIG);
    check_answers(&input, &passed.answers);
});

fn with_token(input: &[u8], token: &str) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), input);
    while let Some(at) = rest.windows(TOKEN.len()).position(|some| some == TOKEN) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(token.as_bytes());
        rest = &rest[at + TOKEN.len()..];
    }
    out.extend_from_slice(rest);
    out
}

fn check(input: &[u8], received: &[Vec<u8>], rig: &Rig) {
    let sent = naive::requests(input);
    let mut sent = sent.iter();
    for bytes in received {
        let seen = naive::requests(bytes);
        let [seen] = &seen[..] else {
            panic!("not one request: {:?}", String::from_utf8_lossy(bytes));
        };
        assert!(seen.is_whole && naive_length(bytes, seen), "more than one request");
        agrees_with_another_reader(bytes, seen);
        let Some(meant) = sent.by_ref().find(|sent| is_meant(sent, seen, rig)) else {
            panic!("nobody sent this: {seen:?}");
        };
        check_headers(meant, seen, rig);
    }
}

/// Whether the request is all that there is.
fn naive_length(bytes: &[u8], seen: &Request) -> bool {
    let (_, length) = naive::head(bytes).expect("a head");
    let body = &bytes[length..];
    match naive::chunks(body) {
        naive::Chunked::Whole { length, .. } if seen.all("transfer-encoding").next().is_some() => length == body.len(),
        _ => body.len() == seen.body.len(),
    }
}

fn agrees_with_another_reader(bytes: &[u8], seen: &Request) {
    let mut headers = [httparse::EMPTY_HEADER; 512];
    let mut other = httparse::Request::new(&mut headers);
    other.parse(bytes).expect("a head that every program can read");
    assert_eq!((other.method, other.path), (Some(&*seen.method), Some(&*seen.target)));
    assert_eq!(other.version, Some(1));
    let names = other.headers.iter().map(|header| header.name.to_ascii_lowercase());
    assert!(names.eq(seen.headers.iter().map(|(name, _)| name.clone())));
}

/// The path and query of a target, byte for byte.
fn origin(target: &str) -> String {
    let below = target.to_ascii_lowercase();
    let authority = below.strip_prefix("http://").or_else(|| below.strip_prefix("https://"));
    let Some(authority) = authority else {
        return target.to_owned();
    };
    let rest = &target[target.len() - authority.len()..];
    match rest.find(['/', '?']) {
        None => "/".to_owned(),
        Some(at) if rest[at..].starts_with('?') => format!("/{}", &rest[at..]),
        Some(at) => rest[at..].to_owned(),
    }
}

/// Whether this is what was sent: of several that are alike, the one whose other headers are the same, and who has a token
/// where the user is named.
fn is_meant(sent: &Request, seen: &Request, rig: &Rig) -> bool {
    let host = sent.all("host").next();
    sent.is_whole
        && sent.method == seen.method
        && origin(&sent.target) == seen.target
        && sent.body == seen.body
        && (host.is_none() || host == seen.all("host").next())
        && (has_token(sent, rig) || !check_identity(&seen.headers, rig))
        && seen
            .headers
            .iter()
            .filter(|(name, _)| is_the_clients(&fold(name)))
            .all(|(name, _)| sent.all(name).eq(seen.all(name)))
}

/// Whether a header is none that the gateway sets.
fn is_the_clients(folded: &str) -> bool {
    let is_hop = HOP.iter().any(|(hop, _)| *hop == folded);
    !is_hop && !SET.contains(&folded) && !PLAIN[..3].contains(&folded) && !folded.starts_with("x-auth-")
}

fn has_token(sent: &Request, rig: &Rig) -> bool {
    sent.all("authorization")
        .any(|value| value.ends_with(rig.token.as_bytes()))
}

fn check_headers(sent: &Request, seen: &Request, rig: &Rig) {
    assert!(seen.target.starts_with('/') && seen.is_http11, "{seen:?}");
    assert_eq!(seen.all("host").count(), 1, "{seen:?}");
    let has_length = seen.all("content-length").count() + seen.all("transfer-encoding").count();
    assert!(has_length <= 1 && (has_length == 1 || seen.body.is_empty()), "{seen:?}");
    let path = seen.target.split('?').next().unwrap_or_default();
    let segments = lenient::segments(path);
    let first = segments.first().map_or("", String::as_str);
    assert!(!first.eq_ignore_ascii_case("auth"), "ours, and forwarded: {seen:?}");
    let has_token = has_token(sent, rig);
    let names_user = check_identity(&seen.headers, rig);
    match first {
        "c" => assert!(has_token && names_user, "guarded: {seen:?}"),
        "o" => assert!(has_token || !names_user, "{seen:?}"),
        _ => assert!(!names_user, "not asked for: {seen:?}"),
    }
    assert!(!check_identity(&seen.trailers, rig), "{seen:?}");

    let mut named = sent.elements("connection");
    named.retain(|name| !SET.contains(&&*fold(name)) && !PLAIN.contains(&&*fold(name)));
    for (name, value) in &seen.headers {
        let folded = fold(name);
        assert!(!NEVER.contains(&&*folded), "{name}: {seen:?}");
        assert!(*name == folded || !PLAIN.contains(&&*folded), "{name}: {seen:?}");
        let text = String::from_utf8_lossy(value);
        if let Some((_, allowed)) = HOP.iter().find(|(hop, _)| *hop == folded) {
            assert!(*name == folded && allowed.contains(&&*text), "{name}: {seen:?}");
            continue;
        }
        if SET.contains(&&*folded) {
            assert_eq!(*name, folded, "{seen:?}");
            continue;
        }
        if folded.starts_with("x-auth-") || PLAIN[..3].contains(&&*folded) {
            continue;
        }
        assert!(!folded.starts_with("x-forwarded-"), "{name}: {seen:?}");
        assert!(
            !named.contains(name) || kept_all_the_same(&folded),
            "named by Connection: {name} in {seen:?}"
        );
        let values = |request: &Request| request.all(name).map(<[u8]>::to_vec).collect::<Vec<_>>();
        assert_eq!(values(sent), values(seen), "{name}");
    }
    let address = std::net::IpAddr::from(CLIENT).to_string();
    assert!(seen.all("x-forwarded-for").eq([address.as_bytes()]), "{seen:?}");
    assert!(seen.all("x-forwarded-proto").eq([b"http"]), "{seen:?}");
    assert_eq!(seen.all("x-request-id").count(), 1, "{seen:?}");
    assert_eq!(seen.all("forwarded").count(), 1, "{seen:?}");
    // The client can add no trailer that it did not send.
    for (name, value) in &seen.trailers {
        assert!(sent.trailers.contains(&(name.clone(), value.clone())), "{name}");
    }
}

/// What `Connection` can't take away, because the exchange rests on it.
fn kept_all_the_same(folded: &str) -> bool {
    matches!(folded, "content-encoding" | "content-type")
}

/// Whether the user is named: by us alone, and as who they are.
fn check_identity(headers: &[(String, Vec<u8>)], rig: &Rig) -> bool {
    let expected = [
        ("x-auth-user-id", &*rig.user),
        ("x-auth-session", &*rig.session),
        ("x-auth-email", "ann@example.com"),
        ("x-auth-name", "Ann"),
        ("x-auth-roles", "admin,user"),
        ("x-auth-issuer", "self"),
    ];
    let mut found: Vec<(&str, &[u8])> = headers
        .iter()
        .filter(|(name, _)| fold(name).starts_with("x-auth-"))
        .map(|(name, value)| (&**name, &**value))
        .collect();
    found.sort_unstable();
    let mut expected = expected.map(|(name, value)| (name, value.as_bytes()));
    expected.sort_unstable();
    assert!(found.is_empty() || found == expected, "{found:?}");
    !found.is_empty()
}

/// What the client is answered can be read, and there is no more of it than it asked for.
fn check_answers(input: &[u8], answers: &[u8]) {
    let asked = naive::requests(input);
    let (mut rest, mut count) = (answers, 0);
    while !rest.is_empty() {
        let mut headers = [httparse::EMPTY_HEADER; 128];
        let mut head = httparse::Response::new(&mut headers);
        let Ok(httparse::Status::Complete(length)) = head.parse(rest) else {
            panic!("not an answer: {:?}", String::from_utf8_lossy(rest));
        };
        rest = &rest[length..];
        if head.code.is_some_and(|code| code < 200) {
            continue;
        }
        // A head that is refused for itself may have been of a HEAD request: then nothing follows its answer.
        let is_head = match asked.get(count) {
            Some(request) => request.method == "HEAD",
            None => rest.is_empty() && input.windows(5).any(|five| five == b"HEAD "),
        };
        count += 1;
        let said = head
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case("content-length"));
        let said = said.and_then(|header| std::str::from_utf8(header.value).ok()?.parse::<usize>().ok());
        let is_next = rest.is_empty() || rest.starts_with(b"HTTP/1.");
        let said = if is_head && is_next { 0 } else { said.unwrap_or(0) };
        assert!(rest.len() >= said, "an answer that breaks off");
        rest = &rest[said..];
    }
    assert!(
        count <= asked.len() + 1,
        "more answers than requests: {:?}",
        String::from_utf8_lossy(answers)
    );
}
