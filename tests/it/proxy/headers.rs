//! Headers on their way in and out.

use crate::support::{Account, Reply, Seen, TestGateway, Upstream, exchange, usual_routes};

/// Sends a GET with these header lines and gives what the upstream saw and what the client got.
async fn pass(gateway: &TestGateway, upstream: &Upstream, user: &Account, lines: &str) -> Seen {
    let before = upstream.seen().len();
    let raw =
        format!("GET /c/x HTTP/1.1\r\nHost: HOST\r\n{lines}Authorization: Bearer TOKEN\r\nConnection: close\r\n\r\n");
    let ended = exchange(gateway.address, gateway.fill(&raw, &user.token)).await;
    assert_eq!(ended.statuses(), [200], "{lines}: {ended:?}");
    upstream.seen().split_off(before).remove(0)
}

#[tokio::test]
async fn hop_by_hop_headers_stay_on_their_hop() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&usual_routes(&upstream)).await;
    let user = Account::sign_up(&gateway).await;
    for (lines, removed) in [
        ("Keep-Alive: timeout=9\r\n", "keep-alive"),
        ("Proxy-Connection: keep-alive\r\n", "proxy-connection"),
        ("Proxy-Authorization: Basic eHg=\r\n", "proxy-authorization"),
        ("Connection: X-Private\r\nX-Private: 1\r\n", "x-private"),
        ("Connection: keep-alive, x-private\r\nX-Private: 1\r\n", "x-private"),
        ("Connection: X-One\r\nConnection: X-Two\r\nX-Two: 1\r\n", "x-two"),
        ("Upgrade: foo\r\nConnection: Upgrade\r\n", "upgrade"),
        (
            "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
            "http2-settings",
        ),
        ("TE: gzip\r\nConnection: TE\r\n", "te"),
        ("Transfer_Encoding: chunked\r\n", "transfer_encoding"),
        ("Content_Length: 5\r\n", "content_length"),
    ] {
        let seen = pass(&gateway, &upstream, &user, lines).await;
        assert_eq!(seen.all(removed), [""; 0], "{lines}: {seen:?}");
        assert_eq!(seen.all("upgrade"), [""; 0], "{lines}: {seen:?}");
        for connection in seen.all("connection") {
            assert_eq!(connection.to_lowercase(), "keep-alive", "{lines}: {seen:?}");
        }
    }
    let seen = pass(
        &gateway,
        &upstream,
        &user,
        "X-Kept: 1\r\nCookie: a=b\r\nAccept: x/y\r\nX_Odd: 2\r\n",
    )
    .await;
    for (name, value) in [("x-kept", "1"), ("cookie", "a=b"), ("accept", "x/y"), ("x_odd", "2")] {
        assert_eq!(seen.header(name), Some(value));
    }
}

#[tokio::test]
async fn connection_cannot_take_away_what_the_gateway_says() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&usual_routes(&upstream)).await;
    let user = Account::sign_up(&gateway).await;
    let lines = "Connection: Host, X-Auth-User-Id, X-Forwarded-For, X-Forwarded-Host, X-Request-Id, Via, Forwarded\r\n";
    let seen = pass(&gateway, &upstream, &user, lines).await;
    for name in [
        "host",
        "x-auth-user-id",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-request-id",
        "via",
        "forwarded",
    ] {
        assert_eq!(seen.all(name).len(), 1, "{name} in {seen:?}");
    }
}

#[tokio::test]
async fn what_a_stranger_says_about_itself_is_replaced() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&usual_routes(&upstream)).await;
    let user = Account::sign_up(&gateway).await;
    let lines = "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 7.7.7.7\r\nX-Forwarded-Host: evil.example\r\n\
        X-Forwarded-Proto: https\r\nX-Forwarded-Port: 443\r\nX-Forwarded-Prefix: /x\r\nX-Real-IP: 6.6.6.6\r\n\
        Forwarded: for=6.6.6.6;host=evil.example\r\nX_Forwarded_For: 6.6.6.6\r\nX-Forwarded_Host: evil.example\r\n";
    let seen = pass(&gateway, &upstream, &user, lines).await;
    assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(seen.header("x-forwarded-proto"), Some("http"));
    assert_eq!(
        seen.header("x-forwarded-host"),
        Some(gateway.address.to_string().as_str())
    );
    let forwarded = seen.header("forwarded").unwrap();
    assert!(
        forwarded.contains("for=127.0.0.1") && forwarded.contains("proto=http"),
        "{forwarded}"
    );
    let all = format!("{:?}", seen.headers);
    for lie in ["6.6.6.6", "7.7.7.7", "evil.example", "\"443\"", "https"] {
        assert!(!all.contains(lie), "{lie} in {all}");
    }
    assert_eq!(
        seen.header("host"),
        Some(gateway.address.to_string().as_str()),
        "the host goes on as it came"
    );
}

#[tokio::test]
async fn what_a_trusted_proxy_says_is_added_to() {
    let upstream = Upstream::echo().await;
    let routes = format!(
        "[server]\ntrusted_proxies = [\"127.0.0.0/8\"]\n{}",
        usual_routes(&upstream)
    );
    let gateway = TestGateway::start(&routes).await;
    let user = Account::sign_up(&gateway).await;
    let lines = "X-Forwarded-For: 203.0.113.9, 198.51.100.2\r\nX-Forwarded-Host: shop.example\r\n\
        X-Forwarded-Proto: https\r\nForwarded: for=203.0.113.9;proto=https\r\n";
    let seen = pass(&gateway, &upstream, &user, lines).await;
    let for_: String = seen.all("x-forwarded-for").join(", ").replace(' ', "");
    assert_eq!(for_, "203.0.113.9,198.51.100.2,127.0.0.1");
    assert_eq!(seen.header("x-forwarded-host"), Some("shop.example"));
    assert_eq!(seen.header("x-forwarded-proto"), Some("https"));
    let forwarded = seen.all("forwarded").join(", ");
    assert!(forwarded.starts_with("for=203.0.113.9;proto=https"), "{forwarded}");
    assert!(forwarded.contains("for=127.0.0.1"), "{forwarded}");
    assert_eq!(seen.all("x_forwarded_for"), [""; 0]);
}

#[tokio::test]
async fn every_request_has_an_id_and_every_hop_its_name() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&usual_routes(&upstream)).await;
    let user = Account::sign_up(&gateway).await;
    let first = pass(&gateway, &upstream, &user, "").await;
    let second = pass(&gateway, &upstream, &user, "Via: 1.1 edge\r\n").await;
    let id = |seen: &Seen| seen.header("x-request-id").unwrap().to_owned();
    assert!(id(&first).len() >= 16, "{first:?}");
    assert_ne!(id(&first), id(&second));
    assert_eq!(first.header("via"), Some("1.1 doorward"));
    let via = second.all("via").join(", ");
    assert_eq!(via, "1.1 edge, 1.1 doorward");

    // One that looks like an id is kept, so that a request can be followed; one that could spoil a log is not.
    let kept = pass(&gateway, &upstream, &user, "X-Request-Id: 4bf92f35-77b3\r\n").await;
    assert_eq!(id(&kept), "4bf92f35-77b3");
    for odd in [
        format!("X-Request-Id: {}\r\n", "a".repeat(1000)),
        "X-Request-Id: a b<script>\r\n".to_owned(),
    ] {
        let made = pass(&gateway, &upstream, &user, &odd).await;
        assert!(!odd.contains(&id(&made)), "{made:?}");
    }
    let twice = pass(&gateway, &upstream, &user, "X-Request-Id: one\r\nX-Request-Id: two\r\n").await;
    assert_eq!(twice.all("x-request-id").len(), 1, "{twice:?}");
}

#[tokio::test]
async fn an_answer_loses_its_hop_by_hop_headers_and_keeps_the_rest() {
    let upstream = Upstream::start(|_| {
        Reply::raw(
            "HTTP/1.1 200 Fine\r\nConnection: close, X-Secret\r\nX-Secret: leak\r\nKeep-Alive: timeout=5\r\n\
             Proxy-Authenticate: Basic\r\nProxy-Connection: close\r\nUpgrade: foo\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\
             X-Auth-User-Id: 999\r\nServer: other\r\nContent-Length: 2\r\n\r\nok",
        )
    })
    .await;
    let gateway = TestGateway::start(&usual_routes(&upstream)).await;
    let user = Account::sign_up(&gateway).await;
    let mut conversation = crate::support::Conversation::open(gateway.address).await;
    for _ in 0..2 {
        let raw = "GET /c/x HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer TOKEN\r\n\r\n";
        conversation.send(gateway.fill(raw, &user.token)).await;
        let answer = conversation.answer().await;
        assert_eq!(answer.status, 200);
        for gone in [
            "x-secret",
            "keep-alive",
            "proxy-authenticate",
            "proxy-connection",
            "upgrade",
            "connection",
        ] {
            assert_eq!(answer.header(gone), None, "{answer:?}");
        }
        let cookies: Vec<_> = answer.headers.iter().filter(|(name, _)| name == "set-cookie").collect();
        assert_eq!(cookies.len(), 2, "{answer:?}");
        assert_eq!(answer.header("server"), Some("other"));
        assert!(answer.header("via").unwrap().contains("doorward"), "{answer:?}");
    }
}

#[tokio::test]
async fn an_upgrade_is_not_passed_on_and_needs_a_token_like_any_request() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&usual_routes(&upstream)).await;
    let user = Account::sign_up(&gateway).await;
    let websocket = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
    let raw = format!("GET /c/x HTTP/1.1\r\nHost: HOST\r\n{websocket}\r\n");
    let mut conversation = crate::support::Conversation::open(gateway.address).await;
    conversation.send(gateway.fill(&raw, "")).await;
    assert_eq!(conversation.answer().await.status, 401);
    assert!(upstream.seen().is_empty());

    for upgrade in [
        websocket,
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
    ] {
        let raw = format!("GET /c/x HTTP/1.1\r\nHost: HOST\r\n{upgrade}Authorization: Bearer TOKEN\r\n\r\n");
        let mut conversation = crate::support::Conversation::open(gateway.address).await;
        conversation.send(gateway.fill(&raw, &user.token)).await;
        let answer = conversation.answer().await;
        // WebSockets are not relayed yet, and say so; nobody is obliged to follow an offer of h2c.
        if upgrade == websocket {
            assert_eq!(answer.problem(), "upgrade_refused");
        } else {
            assert_eq!(answer.status, 200, "HTTP goes on: {answer:?}");
        }
    }
    for seen in upstream.seen() {
        assert_eq!(seen.all("upgrade"), [""; 0], "{seen:?}");
        assert_eq!(seen.all("http2-settings"), [""; 0], "{seen:?}");
    }
}
