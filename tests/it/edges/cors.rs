//! Pages of other origins: preflights, answers that they may read, errors too.

use crate::support::{Account, Answer, Reply, TestGateway, Upstream, exchange};

fn routes(upstream: &Upstream) -> String {
    format!(
        "[auth]\ncors.origins = \"https://app.example\"\n[upstreams.app]\nservers = [\"{}\"]\n\
         [[routes]]\npath = \"/c\"\nupstream = \"app\"\n\
         cors = {{ origins = [\"https://app.example\", \"https://*.dev.example\"], expose = \"ETag\", credentials = true }}\n\
         [[routes]]\npath = \"/c\"\nmethods = [\"DELETE\"]\nupstream = \"app\"\nroles = [\"admin\"]\n\
         [[routes]]\npath = \"/open\"\nupstream = \"app\"\nauth = \"none\"\ncors.origins = \"*\"\n\
         [[routes]]\npath = \"/plain\"\nupstream = \"app\"\nauth = \"none\"\n",
        upstream.url()
    )
}

async fn start() -> (Upstream, TestGateway) {
    let upstream = Upstream::start(|_| {
        Reply::raw(
            "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: https://upstream.example\r\nVary: Accept\r\n\
             Access-Control-Allow-Credentials: true\r\nAccess-Control-Allow-Methods: PURGE\r\nContent-Length: 2\r\n\r\nok",
        )
    })
    .await;
    let gateway = TestGateway::start(&routes(&upstream)).await;
    (upstream, gateway)
}

async fn send(gateway: &TestGateway, method: &str, path: &str, lines: &str) -> Answer {
    let raw = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{lines}\r\n");
    exchange(gateway.address, raw).await.answers.remove(0)
}

fn preflight(origin: &str, method: &str) -> String {
    format!(
        "Origin: {origin}\r\nAccess-Control-Request-Method: {method}\r\nAccess-Control-Request-Headers: authorization\r\n"
    )
}

fn allowed(answer: &Answer) -> Option<&str> {
    answer.header("access-control-allow-origin")
}

#[tokio::test]
async fn a_preflight_is_answered_before_authentication_and_by_the_route_of_what_is_to_follow() {
    let (upstream, gateway) = start().await;
    for origin in ["https://app.example", "https://a.b.dev.example"] {
        let answer = send(&gateway, "OPTIONS", "/c/7", &preflight(origin, "PUT")).await;
        assert_eq!((answer.status, allowed(&answer)), (204, Some(origin)), "{answer:?}");
        assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
        assert_eq!(
            answer.header("access-control-allow-headers"),
            Some("authorization, content-type")
        );
        assert_eq!(answer.header("access-control-max-age"), Some("300"));
        assert_eq!(answer.header("vary"), Some("Origin"));
        let methods = answer.header("access-control-allow-methods").unwrap();
        assert!(methods.split(", ").any(|method| method == "PUT"), "{methods}");
    }
    // An origin that is not listed learns nothing.
    for origin in [
        "https://evil.example",
        "https://app.example.evil.example",
        "null",
        "http://app.example",
    ] {
        let answer = send(&gateway, "OPTIONS", "/c", &preflight(origin, "PUT")).await;
        assert_eq!((answer.status, allowed(&answer)), (204, None), "{origin}");
        assert_eq!(answer.header("vary"), Some("Origin"));
    }
    // The route for DELETE says nothing of other origins: its OPTIONS is a request like any other.
    let answer = send(&gateway, "OPTIONS", "/c", &preflight("https://app.example", "DELETE")).await;
    assert_eq!(answer.status, 401, "{answer:?}");
    // What is not a preflight is not answered as one.
    for lines in [
        "",
        "Origin: https://app.example\r\n",
        "Access-Control-Request-Method: PUT\r\n",
    ] {
        assert_eq!(
            send(&gateway, "OPTIONS", "/c", lines).await.problem(),
            "token_missing",
            "{lines}"
        );
    }
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn answers_say_what_the_route_says_and_not_what_the_upstream_says() {
    let (_upstream, gateway) = start().await;
    let user = Account::sign_up(&gateway).await;
    let bearer = format!("Authorization: {}\r\n", user.bearer());
    let answer = send(
        &gateway,
        "GET",
        "/c",
        &format!("{bearer}Origin: https://app.example\r\n"),
    )
    .await;
    assert_eq!((answer.status, allowed(&answer)), (200, Some("https://app.example")));
    assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
    assert_eq!(answer.header("access-control-expose-headers"), Some("etag"));
    assert_eq!(answer.header("access-control-allow-methods"), None);
    let vary: Vec<&str> = answer
        .headers
        .iter()
        .filter(|(name, _)| name == "vary")
        .map(|(_, value)| &**value)
        .collect();
    assert_eq!(vary, ["Accept", "Origin"]);
    for lines in [String::new(), "Origin: https://evil.example\r\n".to_owned()] {
        let answer = send(&gateway, "GET", "/c", &format!("{bearer}{lines}")).await;
        assert_eq!((answer.status, allowed(&answer)), (200, None), "{lines}");
        assert_eq!(answer.header("access-control-allow-credentials"), None);
    }
    let answer = send(&gateway, "GET", "/open", "Origin: https://evil.example\r\n").await;
    assert_eq!(
        (allowed(&answer), answer.header("access-control-allow-credentials")),
        (Some("*"), None)
    );
    // Where the route says nothing, the upstream does.
    let answer = send(&gateway, "GET", "/plain", "Origin: https://app.example\r\n").await;
    assert_eq!(allowed(&answer), Some("https://upstream.example"));
}

#[tokio::test]
async fn a_page_can_read_why_it_was_refused() {
    let (upstream, gateway) = start().await;
    let origin = "Origin: https://app.example\r\n";
    let answer = send(&gateway, "GET", "/c", origin).await;
    assert_eq!(
        (answer.problem().as_str(), allowed(&answer)),
        ("token_missing", Some("https://app.example"))
    );
    let answer = send(
        &gateway,
        "GET",
        "/c",
        &format!("{origin}Authorization: Bearer x.y.z\r\n"),
    )
    .await;
    assert_eq!(
        (answer.problem().as_str(), allowed(&answer)),
        ("token_invalid", Some("https://app.example"))
    );
    let address = upstream.address;
    drop(upstream);
    let answer = send(&gateway, "GET", "/open", origin).await;
    assert_eq!(
        (answer.problem().as_str(), allowed(&answer)),
        ("upstream_unreachable", Some("*")),
        "{address}"
    );
}

#[tokio::test]
async fn a_page_of_a_listed_origin_can_log_in() {
    let (_upstream, gateway) = start().await;
    let answer = send(
        &gateway,
        "OPTIONS",
        "/auth/login",
        &preflight("https://app.example", "POST"),
    )
    .await;
    assert_eq!((answer.status, allowed(&answer)), (204, Some("https://app.example")));
    let length = "Content-Type: application/json\r\nContent-Length: 2\r\n";
    let raw = |origin: &str| {
        format!("POST /auth/login HTTP/1.1\r\nHost: x\r\nConnection: close\r\nOrigin: {origin}\r\n{length}\r\n{{}}")
    };
    let answer = exchange(gateway.address, raw("https://app.example"))
        .await
        .answers
        .remove(0);
    assert_eq!(
        (answer.problem().as_str(), allowed(&answer)),
        ("invalid_fields", Some("https://app.example"))
    );
    let answer = exchange(gateway.address, raw("https://evil.example"))
        .await
        .answers
        .remove(0);
    assert_eq!((answer.status, allowed(&answer)), (422, None));
    let answer = send(
        &gateway,
        "OPTIONS",
        "/auth/login",
        &preflight("https://evil.example", "POST"),
    )
    .await;
    assert_eq!((answer.status, allowed(&answer)), (204, None));
}
