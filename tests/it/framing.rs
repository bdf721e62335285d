//! Requests that two servers could cut apart differently are refused, and the connection with them: what follows on it
//! could be somebody's idea of a second request.

use crate::support::{Account, TestGateway, Upstream, exchange, usual_routes};

/// A request hidden behind each of the following: it must never be read as one.
const SMUGGLED: &str = "GET /c/smuggled HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer TOKEN\r\n\r\n";

/// Header lines that say in two ways, or in no proper way, where the body of a POST ends. `^` stands for a NUL.
const BODY_IN_DOUBT: &[&str] = &[
    "Content-Length: 5\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nContent-Length: 5",
    "Transfer-Encoding: chunked\r\nContent-Length: 0",
    "Content-Length: 5\r\nTransfer-Encoding: chunked, identity",
    "Content-Length: 5\r\nTransfer-Encoding: identity",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding: chunkedx",
    "Transfer-Encoding: identity",
    "Transfer-Encoding: gzip",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    "Transfer-Encoding: chunked, chunked",
    "Transfer-Encoding: ,chunked",
    "Transfer-Encoding: chunked,",
    "Transfer-Encoding: chunked;q=1",
    "Transfer-Encoding: \u{b}chunked",
    "Transfer-Encoding: \u{c}chunked",
    "Transfer-Encoding: chunked\u{b}",
    "Transfer-Encoding: \u{85}chunked",
    "Transfer-Encoding: chunked^",
    "Transfer-Encoding: \"chunked\"",
    "Transfer-Encoding: 'chunked'",
    "Transfer-Encoding: chun ked",
    "Transfer-Encoding:",
    "Transfer-Encoding : chunked",
    "Transfer-Encoding\t: chunked",
    " Transfer-Encoding: chunked",
    "X: y\r\n Transfer-Encoding: chunked",
    "X: y\rTransfer-Encoding: chunked",
    "X: y\nTransfer-Encoding: chunked",
    "Transfer-Encoding:\r\n chunked",
    "Transfer-Encoding:\n chunked",
    "Transfer-Encoding: chunked\r\n\tx",
    "Transfer-Encoding: chunked\n",
    "Content-Length: 5\r\nContent-Length: 6",
    "Content-Length: 6\r\nContent-Length: 5",
    "Content-Length: 5, 6",
    "Content-Length: 05\r\nContent-Length: 5",
    "Content-Length: ,5",
    "Content-Length: 5,",
    "Content-Length: +5",
    "Content-Length: -5",
    "Content-Length: 5 6",
    "Content-Length: 0x5",
    "Content-Length: 5_0",
    "Content-Length: 5;",
    "Content-Length: 5e0",
    "Content-Length: 5.0",
    "Content-Length: \"5\"",
    "Content-Length:",
    "Content-Length: a",
    "Content-Length: 5^",
    "Content-Length : 5",
    "Content-Length: 18446744073709551616",
    "Content-Length: 18446744073709551621",
    "Content-Length: 99999999999999999999999999",
    "Content-Length: \u{b}5",
    "Content-Length:\r\n 5",
];

/// Puts a NUL where `^` stands, and the gateway's address and the token in.
fn fill(gateway: &TestGateway, raw: &str, token: &str) -> String {
    gateway.fill(raw, token).replace('^', "\0")
}

#[tokio::test]
async fn a_body_whose_end_is_in_doubt_is_refused_with_its_connection() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&usual_routes(&upstream)).await;
    let user = Account::sign_up(&gateway).await;
    for token in [user.token.as_str(), ""] {
        for header in BODY_IN_DOUBT {
            let authorization = if token.is_empty() {
                ""
            } else {
                "Authorization: Bearer TOKEN\r\n"
            };
            let raw = format!("POST /c/x HTTP/1.1\r\nHost: HOST\r\n{authorization}{header}\r\n\r\n0\r\n\r\n");
            let request = fill(&gateway, &raw, token) + &fill(&gateway, SMUGGLED, &user.token);
            let ended = exchange(gateway.address, request).await;
            let statuses = ended.statuses();
            // 501 is what RFC 9112, section 6.1 asks for a coding that is not known.
            assert!(statuses == [400] || statuses == [501], "{header:?}: {ended:?}");
            ended.answers[0].problem();
            assert_eq!(ended.answers[0].header("connection"), Some("close"), "{header:?}");
            assert!(upstream.seen().is_empty(), "{header:?}: {:?}", upstream.seen());
        }
    }
    assert!(upstream.raw().iter().all(Vec::is_empty), "not a byte went on");
}

/// Chunked bodies that are not.
const BROKEN_CHUNKS: &[&str] = &[
    "5\r\nhello\r\n0_2e\r\n\r\n",
    "0x5\r\nhello\r\n0\r\n\r\n",
    "+5\r\nhello\r\n0\r\n\r\n",
    "-5\r\nhello\r\n0\r\n\r\n",
    " 5\r\nhello\r\n0\r\n\r\n",
    "5 5\r\nhello\r\n0\r\n\r\n",
    "\r\nhello\r\n0\r\n\r\n",
    ";x\r\nhello\r\n0\r\n\r\n",
    "FFFFFFFFFFFFFFFF\r\nhello",
    "10000000000000005\r\nhello\r\n0\r\n\r\n",
    "5\nhello\n0\n\n",
    "5\nhello\r\n0\r\n\r\n",
    "5\r\nhello\n0\r\n\r\n",
    "5\rhello\r0\r\r",
    "5;a=\"\n\"\r\nhello\r\n0\r\n\r\n",
    "5;a\nb\r\nhello\r\n0\r\n\r\n",
    "5;a\rb\r\nhello\r\n0\r\n\r\n",
    "5\r\r;ABCD\r\n34\r\nE\r\n0\r\n\r\n",
    "5\r\nhelloXX0\r\n\r\n",
    "5\r\nhello0\r\n\r\n",
    "5\r\nhello world\r\n0\r\n\r\n",
    "G\r\nx\r\n0\r\n\r\n",
    "5^\r\nhello\r\n0\r\n\r\n",
    "5\r\nhello\r\n0\r\n X: y\r\n\r\n",
    "5\r\nhello\r\n0\r\nno colon\r\n\r\n",
    "5\r\nhello\r\n0\r\nX : y\r\n\r\n",
    "5\r\nhello\r\n0\r\nX: a^b\r\n\r\n",
    "5\r\nhello\r\n0\r\nX: a\nY: b\r\n\r\n",
    "5\r\nhello\r\n0\r\nX: a\r\n b\r\n\r\n",
    "5\r\nhello\r\n0\n\n",
];

#[tokio::test]
async fn a_broken_chunked_body_is_never_a_whole_request_upstream() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&usual_routes(&upstream)).await;
    let user = Account::sign_up(&gateway).await;
    for body in BROKEN_CHUNKS {
        let raw = format!(
            "POST /c/x HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer TOKEN\r\nTransfer-Encoding: chunked\r\n\r\n\
             {body}{SMUGGLED}"
        );
        let ended = exchange(gateway.address, fill(&gateway, &raw, &user.token)).await;
        // The upstream is not to blame: 400, or the connection just ends.
        assert!(
            ended.statuses() == [400] || ended.statuses().is_empty(),
            "{body:?}: {ended:?}"
        );
        assert!(upstream.seen().is_empty(), "{body:?}: {:?}", upstream.seen());
    }
    assert!(upstream.faults().is_empty(), "{:?}", upstream.faults());
    let raw = upstream.raw().concat();
    assert!(!String::from_utf8_lossy(&raw).contains("smuggled"));
    assert_eq!(
        gateway.get("/c/x", Some(&user.token)).await.0,
        200,
        "the gateway goes on"
    );
}

#[tokio::test]
async fn megabytes_of_chunk_extensions_are_refused() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&usual_routes(&upstream)).await;
    let user = Account::sign_up(&gateway).await;
    let head = "POST /c/x HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer TOKEN\r\nTransfer-Encoding: chunked\r\n\r\n";
    let one_long = format!("{head}5;a={}\r\nhello\r\n0\r\n\r\n", "b".repeat(2_000_000));
    let many_short = format!(
        "{head}{}0\r\n\r\n",
        format!("1;{}\r\nx\r\n", "e".repeat(1000)).repeat(2000)
    );
    let long_trailer = format!("{head}5\r\nhello\r\n0\r\nX: {}\r\n\r\n", "t".repeat(2_000_000));
    let many_trailers = format!("{head}5\r\nhello\r\n0\r\n{}\r\n", "X: y\r\n".repeat(100_000));
    for (name, raw) in [
        ("one long", one_long),
        ("many short", many_short),
        ("a long trailer", long_trailer),
        ("many trailers", many_trailers),
    ] {
        let ended = exchange(gateway.address, gateway.fill(&raw, &user.token)).await;
        let statuses = ended.statuses();
        assert!(
            statuses.is_empty() || [400, 413, 431].contains(&statuses[0]),
            "{name}: {statuses:?}"
        );
        assert!(upstream.seen().is_empty(), "{name}");
    }
}

/// Not a request head.
const BROKEN_HEADS: &[&str] = &[
    "GET /c/x HTTP/1.1\r\nHost: HOST\r\nX : b\r\n\r\n",
    "GET /c/x HTTP/1.1\r\nHost: HOST\r\nX\t: b\r\n\r\n",
    "GET /c/x HTTP/1.1\r\nHost: HOST\r\nX: a\rb\r\n\r\n",
    "GET /c/x HTTP/1.1\r\nHost: HOST\r\nX: a\u{7}b\r\n\r\n",
    "GET /c/x HTTP/1.1\r\nHost: HOST\r\nX: a\u{7f}b\r\n\r\n",
    "GET /c/x HTTP/1.1\r\nHost: HOST\r\nX: a^b\r\n\r\n",
    "GET /c/x HTTP/1.1\r\nHost: HOST\r\nX: a\r\n b\r\n\r\n",
    "GET /c/x HTTP/1.1\r\nHost: HOST\r\nX: a\r\n\tb\r\n\r\n",
    "GET /c/x HTTP/1.1\r\n Host: HOST\r\n\r\n",
    "GET /c/x HTTP/1.1\r\n\tX: y\r\nHost: HOST\r\n\r\n",
    "GET /c/x HTTP/1.1\r\nHost: HOST\r\nX[A]: b\r\n\r\n",
    "GET /c/x HTTP/1.1\r\nHost: HOST\r\n\"X\": b\r\n\r\n",
    "GET /c/x HTTP/1.1\r\nHost: HOST\r\nX/A: b\r\n\r\n",
    "GET /c/x HTTP/1.1\r\nHost: HOST\r\nX(A): b\r\n\r\n",
    "GET /c/x HTTP/1.1\r\nHost: HOST\r\nX\u{e4}: b\r\n\r\n",
    "GET /c/x HTTP/1.1\r\nHost: HOST\r\nX^A: b\r\n\r\n",
    "GET /c/x HTTP/1.1\r\nHost: HOST\r\nX\r\n\r\n",
    "GET /c/x HTTP/1.1\r\nHost: HOST\r\n: b\r\n\r\n",
    "GET /c/x HTTP/1.1\r\nHost: HOST\r\nX: a\r\r\n\r\n",
    "GET /c/x HTTP/1.1\r\nHost: HOST\r\nX: a\r\rX-Auth-User-Id: 1\r\n\r\n",
    "GET /c/x HTTP/1.1\nHost: HOST\n\n",
    "GET /c/x HTTP/1.1\r\nHost: HOST\nX: y\r\n\r\n",
    "GET /c/x HTTP/1.1\nHost: HOST\r\n\r\n",
    " GET /c/x HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "GET  /c/x HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "GET /c/x  HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "GET\t/c/x\tHTTP/1.1\r\nHost: HOST\r\n\r\n",
    "GET /c/x HTTP/1.1 \r\nHost: HOST\r\n\r\n",
    "GET /c/x y HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "GET /c/x\r\nHost: HOST\r\n\r\n",
    "GET /c/x HTTP/1.10\r\nHost: HOST\r\n\r\n",
    "GET /c/x HTTP/1\r\nHost: HOST\r\n\r\n",
    "GET /c/x HTTP/2.0\r\nHost: HOST\r\n\r\n",
    "GET /c/x HTTP/0.9\r\nHost: HOST\r\n\r\n",
    "GET /c/x http/1.1\r\nHost: HOST\r\n\r\n",
    "GET /c/x HTTPS/1.1\r\nHost: HOST\r\n\r\n",
    "G=T /c/x HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "G\u{e9}T /c/x HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "GET /c/^x HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "GET /c/\u{7f}x HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "GET c/x HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "GET ?x HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "GET * HTTP/1.1\r\nHost: HOST\r\n\r\n",
    // TLS and HTTP/2 on a port that speaks neither.
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "\u{16}\u{3}\u{1}\u{0}\u{5}\u{1}^^^^\r\n\r\n",
];

#[tokio::test]
async fn a_broken_head_is_refused_with_its_connection() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&usual_routes(&upstream)).await;
    let user = Account::sign_up(&gateway).await;
    for head in BROKEN_HEADS {
        let head = head
            .replace("\r\n\r\n", "\r\nAuthorization: Bearer TOKEN\r\n\r\n")
            .replace("\n\n", "\nAuthorization: Bearer TOKEN\n\n");
        let request = fill(&gateway, &(head.clone() + SMUGGLED), &user.token);
        let ended = exchange(gateway.address, request).await;
        let statuses = ended.statuses();
        assert!(
            statuses.len() == 1 && [400, 501, 505].contains(&statuses[0]),
            "{head:?}: {ended:?}"
        );
        assert!(upstream.seen().is_empty(), "{head:?}: {:?}", upstream.seen());
    }
    assert!(upstream.raw().iter().all(Vec::is_empty), "not a byte went on");
}

/// Not one Host that is a name and perhaps a port (RFC 9112, section 3.2).
const BROKEN_HOSTS: &[&str] = &[
    "X: y",
    "Host: HOST\r\nHost: HOST",
    "Host: HOST\r\nHost: evil.example",
    "Host: HOST, evil.example",
    "Host: a@HOST",
    "Host: HOST/x",
    "Host: ev il",
    "Host: evil:99999",
    "Host: evil:80:80",
    "Host: [::1",
    "Host: <b>",
    "Host: a\\b",
    "Host: a%2fb",
    "Host:",
    "Host : HOST",
];

#[tokio::test]
async fn a_request_without_one_proper_host_is_400() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&usual_routes(&upstream)).await;
    let user = Account::sign_up(&gateway).await;
    for host in BROKEN_HOSTS {
        let raw = format!("GET /c/x HTTP/1.1\r\n{host}\r\nAuthorization: Bearer TOKEN\r\nConnection: close\r\n\r\n");
        let ended = exchange(gateway.address, fill(&gateway, &raw, &user.token)).await;
        assert_eq!(ended.statuses(), [400], "{host:?}");
        assert_eq!(ended.answers[0].problem(), "bad_request", "{host:?}");
        assert!(upstream.seen().is_empty(), "{host:?}: {:?}", upstream.seen());
    }
}

#[tokio::test]
async fn an_odd_but_proper_head_passes() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&usual_routes(&upstream)).await;
    let user = Account::sign_up(&gateway).await;
    for (head, name, value) in [
        ("X-A:b", "x-a", "b"),
        ("X-A:", "x-a", ""),
        ("X-A: \t b \t ", "x-a", "b"),
        ("X-A: \u{c3}\u{a9}", "x-a", "\u{c3}\u{83}\u{c2}\u{a9}"),
        ("!#$%&'*+-.`|~0: x", "!#$%&'*+-.`|~0", "x"),
        ("Content_Length: 5", "x-b", "1"),
        ("Transfer-Encodin: chunked", "transfer-encodin", "chunked"),
        ("Foo: Transfer-Encoding: chunked", "foo", "Transfer-Encoding: chunked"),
    ] {
        let before = upstream.seen().len();
        let raw = format!(
            "GET /c/x HTTP/1.1\r\nHost: HOST\r\n{head}\r\nX-B: 1\r\nAuthorization: Bearer TOKEN\r\nConnection: close\r\n\r\n"
        );
        let ended = exchange(gateway.address, gateway.fill(&raw, &user.token)).await;
        assert_eq!(ended.statuses(), [200], "{head}");
        let seen = upstream.seen().split_off(before).remove(0);
        assert_eq!(seen.header(name), Some(value), "{head}");
        assert!(seen.all("content_length").is_empty(), "Content_Length never frames");
    }
}

#[tokio::test]
async fn a_head_beyond_the_limits_is_431_or_414() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&usual_routes(&upstream)).await;
    let user = Account::sign_up(&gateway).await;
    let many = "X: 1\r\n".repeat(10_000);
    for (raw, expected) in [
        (
            format!("GET /c/x HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer TOKEN\r\n{many}\r\n"),
            "headers_too_large",
        ),
        (
            format!(
                "GET /c/x HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer TOKEN\r\nX: {}\r\n\r\n",
                "a".repeat(1_000_000)
            ),
            "headers_too_large",
        ),
        (
            format!(
                "GET /c/x HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer {}\r\n\r\n",
                "A".repeat(1_000_000)
            ),
            "headers_too_large",
        ),
        (
            format!("GET /c/x HTTP/1.1\r\nHost: HOST\r\n{}\r\n", "X: 1\r\n".repeat(101)),
            "headers_too_large",
        ),
        (
            format!("GET /c/{} HTTP/1.1\r\nHost: HOST\r\n\r\n", "a".repeat(9000)),
            "target_too_long",
        ),
        (
            format!("GET /c/{} HTTP/1.1\r\nHost: HOST\r\n\r\n", "a".repeat(60_000)),
            "target_too_long",
        ),
    ] {
        let ended = exchange(gateway.address, gateway.fill(&raw, &user.token)).await;
        assert_eq!(ended.answers.len(), 1, "{}: {ended:?}", &raw[..60]);
        assert_eq!(ended.answers[0].problem(), expected, "{}", &raw[..60]);
    }
    let method = format!("{} /c/x HTTP/1.1\r\nHost: HOST\r\n\r\n", "A".repeat(200_000));
    let ended = exchange(gateway.address, gateway.fill(&method, "")).await;
    assert!(
        ended.statuses().iter().all(|status| (400..=501).contains(status)),
        "{ended:?}"
    );
    assert!(upstream.seen().is_empty());

    // A cookie of 6 KB is ordinary.
    let raw = format!(
        "GET /c/x HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer TOKEN\r\nCookie: {}\r\nConnection: close\r\n\r\n",
        "a=b; ".repeat(1200).trim_end_matches("; ")
    );
    let ended = exchange(gateway.address, gateway.fill(&raw, &user.token)).await;
    assert_eq!(ended.statuses(), [200]);
}

#[tokio::test]
async fn the_body_of_a_refused_request_is_never_read_as_the_next_request() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&usual_routes(&upstream)).await;
    let user = Account::sign_up(&gateway).await;
    let smuggled = gateway.fill(SMUGGLED, &user.token);
    for (refused, status) in [
        ("POST /c/x HTTP/1.1\r\nHost: HOST\r\n", 401),
        ("GET /c/x HTTP/1.1\r\nHost: HOST\r\n", 401),
        ("POST /nowhere HTTP/1.1\r\nHost: HOST\r\n", 404),
        ("POST /c/../x HTTP/1.1\r\nHost: HOST\r\n", 400),
        ("POST /auth/nosuch HTTP/1.1\r\nHost: HOST\r\n", 404),
        ("PUT /auth/login HTTP/1.1\r\nHost: HOST\r\n", 405),
        (
            "POST /auth/login HTTP/1.1\r\nHost: HOST\r\nContent-Type: text/plain\r\n",
            415,
        ),
        (
            "POST /auth/login HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/json\r\n",
            400,
        ),
    ] {
        let with_length = format!("{refused}Content-Length: {}\r\n\r\n{smuggled}", smuggled.len());
        let chunked = format!(
            "{refused}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{smuggled}\r\n0\r\n\r\n",
            smuggled.len()
        );
        for raw in [with_length, chunked] {
            let last = "GET /auth/ping HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n";
            let ended = exchange(gateway.address, gateway.fill(&format!("{raw}{last}"), "")).await;
            // The connection is closed, or goes on with what stands behind the body.
            assert!(
                ended.statuses() == [status] || ended.statuses() == [status, 200],
                "{raw}: {ended:?}"
            );
            assert!(upstream.seen().is_empty(), "{raw}: {:?}", upstream.seen());
        }
    }
}

#[tokio::test]
async fn a_body_on_a_get_stays_a_body() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&usual_routes(&upstream)).await;
    let user = Account::sign_up(&gateway).await;
    for method in ["GET", "DELETE", "OPTIONS", "POST"] {
        let before = upstream.seen().len();
        let body = gateway.fill(SMUGGLED, &user.token);
        let raw = format!(
            "{method} /c/x HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer TOKEN\r\nConnection: close\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let ended = exchange(gateway.address, gateway.fill(&raw, &user.token)).await;
        assert_eq!(ended.statuses(), [200], "{method}");
        let seen = upstream.seen().split_off(before);
        assert_eq!(seen.len(), 1, "{method}: {seen:?}");
        assert_eq!(seen[0].body, body.as_bytes(), "{method}");
    }
}

#[tokio::test]
async fn http_1_0_is_served_without_tricks() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&usual_routes(&upstream)).await;
    let user = Account::sign_up(&gateway).await;
    let plain = "GET /c/x HTTP/1.0\r\nHost: HOST\r\nAuthorization: Bearer TOKEN\r\n\r\n";
    let ended = exchange(gateway.address, gateway.fill(plain, &user.token)).await;
    assert_eq!(ended.statuses(), [200], "and the connection ended");
    assert_eq!(
        ended.answers[0].header("transfer-encoding"),
        None,
        "1.0 knows no chunks"
    );

    let before = upstream.seen().len();
    let chunked = format!(
        "POST /c/x HTTP/1.0\r\nHost: HOST\r\nAuthorization: Bearer TOKEN\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{SMUGGLED}"
    );
    let ended = exchange(gateway.address, gateway.fill(&chunked, &user.token)).await;
    assert_eq!(ended.statuses(), [400]);
    let no_host = "GET /c/x HTTP/1.0\r\nAuthorization: Bearer TOKEN\r\n\r\n";
    let ended = exchange(gateway.address, gateway.fill(no_host, &user.token)).await;
    assert!(ended.statuses() == [200] || ended.statuses() == [400], "{ended:?}");
    assert!(upstream.seen_with("smuggled").is_empty());
    assert!(upstream.seen().len() <= before + 1);
}
