//! Requests that two servers could cut apart differently are refused, and the connection with them: what follows on it
//! could be somebody's idea of a second request.

use crate::support::{Account, TestGateway, Upstream, exchange, usual_routes};

/// A request hidden behind each of the following: it must never be read as one.
const SMUGGLED: &str = "GET /c/smuggled HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer TOKEN\r\n\r\n";

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
