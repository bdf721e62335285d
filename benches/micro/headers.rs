//! Making a request's and an answer's headers those that the other side may see.

use std::hint::black_box;

use criterion::{BatchSize, Criterion};
use doorward::rules::headers::{Forwarding, IdentityHeaders, rewrite_request, rewrite_response};
use doorward::rules::policy::{AuthMode, Permit, decide};
use http::header::{AUTHORIZATION, CONNECTION, HeaderMap, HeaderName, HeaderValue, VIA};
use serde_json::json;

use crate::people::{access, ann};

/// What a browser's page sends along when it asks for data.
const REQUEST: [(&str, &str); 15] = [
    ("host", "shop.example.com"),
    (
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0",
    ),
    ("accept", "application/json, text/plain, */*"),
    ("accept-language", "en-GB,en;q=0.7,de;q=0.3"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("referer", "https://shop.example.com/orders"),
    (
        "authorization",
        "Bearer eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    ),
    (
        "cookie",
        "theme=dark; consent=1; basket=0193f3f2-7c1e-7d6a-8a55-3d2a9b1c0e4f",
    ),
    ("connection", "keep-alive"),
    ("sec-fetch-dest", "empty"),
    ("sec-fetch-mode", "cors"),
    ("sec-fetch-site", "same-origin"),
    ("if-none-match", "\"5f3c-61f0a9d2b8e40\""),
    ("priority", "u=4"),
    ("cache-control", "no-cache"),
];

const ANSWER: [(&str, &str); 9] = [
    ("date", "Mon, 23 Nov 2026 02:30:00 GMT"),
    ("content-type", "application/json; charset=utf-8"),
    ("content-length", "1024"),
    ("cache-control", "private, max-age=60"),
    ("etag", "\"5f3c-61f0a9d2b8e40\""),
    ("vary", "accept-encoding"),
    (
        "set-cookie",
        "basket=0193f3f2-7c1e-7d6a-8a55-3d2a9b1c0e4f; Path=/; HttpOnly; Secure",
    ),
    ("connection", "keep-alive"),
    ("keep-alive", "timeout=5"),
];

pub(crate) fn bench(criterion: &mut Criterion) {
    let names = IdentityHeaders::new("X-Auth-").expect("a prefix");
    let (ann, id, host) = (
        ann(),
        HeaderValue::from_static("0193f3f2-7c1e-7d6a-8a55-3d2a9b1c0e4f"),
        HeaderValue::from_static("shop.example.com"),
    );
    let forwarding = Forwarding {
        peer: "192.0.2.17".parse().expect("an address"),
        peer_is_trusted: false,
        scheme: "https",
        host: Some(&host),
        version: http::Version::HTTP_11,
        request_id: &id,
    };
    let rewrite = |headers: &mut HeaderMap, permit: &Permit| {
        rewrite_request(headers, &names, black_box(permit), black_box(&forwarding), false);
    };
    let public = decide(&access(AuthMode::None, &[], json!({})), None).expect("a permit");
    let guarded = decide(&access(AuthMode::Required, &[], json!({})), Some(&ann)).expect("a permit");
    let user = ann.principal.to_string();

    let mut group = criterion.benchmark_group("headers");
    let request = headers(&REQUEST);
    for (what, permit, named) in [
        ("request, public", &public, None),
        ("request, with an identity", &guarded, Some(user.as_str())),
    ] {
        let mut rewritten = request.clone();
        rewrite(&mut rewritten, permit);
        let user = rewritten.get("x-auth-user-id").map(HeaderValue::as_bytes);
        assert_eq!(user, named.map(str::as_bytes), "{what}");
        assert!(
            rewritten.contains_key("x-forwarded-for") && !rewritten.contains_key(AUTHORIZATION),
            "{what}"
        );
        group.bench_function(what, |bencher| {
            bencher.iter_batched_ref(
                || request.clone(),
                |headers| rewrite(headers, permit),
                BatchSize::SmallInput,
            );
        });
    }

    let answer = headers(&ANSWER);
    let mut rewritten = answer.clone();
    rewrite_response(&mut rewritten);
    assert!(rewritten.contains_key(VIA) && !rewritten.contains_key(CONNECTION));
    group.bench_function("answer", |bencher| {
        bencher.iter_batched_ref(|| answer.clone(), rewrite_response, BatchSize::SmallInput);
    });
    group.finish();
}

fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    lines
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect()
}
