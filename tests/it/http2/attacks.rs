//! What a gateway must withstand on HTTP/2 as it does on HTTP/1: requests that are malformed, or that two programs could read
//! differently, reach no upstream.

use serde_json::json;

use super::play::{Play, get, play_at, stream};
use crate::attacks::place::{Place, Way};
use crate::support::Backend;

/// Fields that no good request has, beside those that it has.
const ADDED: &[&[(&str, &str)]] = &[
    &[("x", "a\rb")],
    &[("x", "a\nb")],
    &[("x", "a\0b")],
    &[("x", "a\r\nx-auth-user-id: 1")],
    &[("X-Upper", "1")],
    &[("x y", "1")],
    &[("x:y", "1")],
    &[("", "1")],
    &[("x", " 1")],
    &[("x", "1\t")],
    &[("connection", "close")],
    &[("keep-alive", "1")],
    &[("proxy-connection", "1")],
    &[("transfer-encoding", "chunked")],
    &[("upgrade", "websocket")],
    &[("te", "gzip")],
    &[("te", "trailers, gzip")],
    &[(":late", "1")],
    &[(":path", "/c/y")],
    &[(":status", "200")],
    &[(":protocol", "websocket")],
    &[("host", "other.example")],
    &[("content-length", "5")],
    &[("content-length", "0"), ("content-length", "0")],
    &[("content-length", "+0")],
    &[("content-length", "0x0")],
];

/// Values that pseudo-headers can't have.
const REPLACED: &[(&str, &[&str])] = &[
    (
        ":path",
        &[
            "",
            "*",
            "c/x",
            "http://a/c/x",
            "/c/\r\n",
            "/c/ x",
            "/c/\0",
            "?",
            "/c/../c",
            "/auth/..%2fc",
            "//c",
            "/c/\u{e9}",
        ],
    ),
    (":method", &["", "GE T", "GET\r\n", "TRACE", "CONNECT"]),
    (
        ":authority",
        &["", "a b", "a@127.0.0.1", "a/b", "127.0.0.1:x", "a\r\nb"],
    ),
    (":scheme", &["ht tp"]),
];

/// Trailers that are none.
const TRAILERS: &[(&str, &str)] = &[(":path", "/c/y"), ("x", "a\r\nb"), ("X", "1"), ("connection", "x")];

/// Every way to spoil a good request, and what was done.
fn spoiled<'a>(good: &[(&'a str, &'a str)]) -> Vec<(String, Play)> {
    let mut spoiled = Vec::new();
    let mut whole = |fields: Vec<(&str, &str)>| spoiled.push((format!("{fields:?}"), Play::request(&fields)));
    for added in ADDED {
        whole([good, added].concat());
    }
    for missing in [":method", ":scheme", ":path", ":authority"] {
        whole(good.iter().copied().filter(|(name, _)| *name != missing).collect());
    }
    for (name, values) in REPLACED {
        for value in *values {
            let instead = |field: &(&'a str, &'a str)| if field.0 == *name { (*name, *value) } else { *field };
            whole(good.iter().map(instead).collect());
        }
    }
    let mut post = good.to_vec();
    post[0].1 = "POST";
    for length in ["5", "3"] {
        let fields = [&post[..], &[("content-length", length)]].concat();
        let play = Play::default()
            .step(json!(["headers", 1, fields, false]))
            .step(json!(["data", 1, "four", true]))
            .step(json!(["end", 1]));
        spoiled.push((format!("four bytes said to be {length}"), play));
    }
    for trailer in TRAILERS {
        let play = Play::default()
            .step(json!(["headers", 1, post, false]))
            .step(json!(["data", 1, "body", false]))
            .step(json!(["headers", 1, [trailer], true]))
            .step(json!(["end", 1]));
        spoiled.push((format!("the trailer {trailer:?}"), play));
    }
    spoiled
}

/// What was not refused on a listener, and what the upstream saw of it.
async fn passed(way: &Way<'_>) -> Vec<String> {
    let (host, bearer) = (way.address.to_string(), way.place.user.bearer());
    let mut good = get(&host, "/c/x", &bearer);
    good[1].1 = way.door.scheme();
    let (cases, plays): (Vec<_>, Vec<_>) = spoiled(&good).into_iter().unzip();
    let told = play_at(way.address, way.is_tls(), plays).await;
    let mut passed = Vec::new();
    for (case, told) in cases.iter().zip(told) {
        let stream = stream(&told, 1);
        let refused = stream.status.is_none_or(|status| (400..500).contains(&status));
        let answered = stream.status.is_some() || stream.reset.is_some() || told["goaway"].is_number();
        if !(refused && answered) {
            passed.push(format!("{}, {case}: {told}", way.name()));
        }
    }
    passed
}

#[tokio::test]
async fn what_is_not_well_formed_reaches_no_upstream() {
    let on = async |backend| {
        let place = Place::on(backend).await;
        let [plain, tls] = place.ways();
        let passed = [passed(&plain).await, passed(&tls).await].concat();
        assert!(passed.is_empty(), "{passed:#?}");
        let seen = place.upstream.seen();
        assert!(seen.is_empty(), "{seen:?}");
    };
    tokio::join!(on(Backend::Sqlite), on(Backend::MariaDb));
}
