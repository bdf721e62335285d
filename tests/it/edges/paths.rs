//! Rewrites, redirects and the host that the upstream gets.

use crate::support::{Account, TestGateway, Upstream, exchange};

async fn in_front_of(upstream: &Upstream, route: &str) -> TestGateway {
    TestGateway::start(&format!(
        "[upstreams.app]\nservers = [\"{}\"]\n[[routes]]\nauth = \"none\"\n{route}\n",
        upstream.url()
    ))
    .await
}

/// The only target and Host that the upstream has seen, after this request.
async fn seen(route: &str, target: &str) -> (String, String) {
    let upstream = Upstream::echo().await;
    let gateway = in_front_of(&upstream, &format!("upstream = \"app\"\n{route}")).await;
    let raw = format!("GET {target} HTTP/1.1\r\nHost: client.example\r\nConnection: close\r\n\r\n");
    assert_eq!(exchange(gateway.address, raw).await.statuses(), [200], "{route}");
    let seen = upstream.only();
    (seen.target.clone(), seen.header("host").unwrap().to_owned())
}

#[tokio::test]
async fn a_path_is_forwarded_as_the_route_rewrites_it() {
    for (route, sent, forwarded) in [
        (
            "path = \"/orders/{id}\"\nrewrite = \"/v2/{id}/order\"",
            "/orders/7%20a/lines/?q=%2F&r",
            "/v2/7%20a/order/lines/?q=%2F&r",
        ),
        (
            "path = \"/api\"\nstrip_prefix = \"/api\"\nadd_prefix = \"/v2\"",
            "/api/%7Ex?a",
            "/v2/%7Ex?a",
        ),
        ("path = \"/api\"\nadd_prefix = \"/v2\"", "/api/x", "/v2/api/x"),
    ] {
        assert_eq!(seen(route, sent).await.0, forwarded, "{route}");
    }
}

#[tokio::test]
async fn a_rewrite_is_never_a_way_around_the_one_reading_of_a_path() {
    let upstream = Upstream::echo().await;
    let route = "upstream = \"app\"\npath = \"/orders/{id}\"\nrewrite = \"/v2/{id}\"";
    let gateway = in_front_of(&upstream, route).await;
    for target in [
        "/orders/..",
        "/orders/%2e%2e/x",
        "/orders/7/..%2fx",
        "/orders//7",
        "/orders/a%2fb",
        "/orders/;x",
    ] {
        let (status, body) = gateway.get_raw(target, "x").await;
        assert!(status == 400 && body.contains("ambiguous_path"), "{target}: {body}");
    }
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn the_upstream_gets_the_host_that_the_route_says() {
    let route = "path = \"/a\"\nupstream_host =";
    assert_eq!(seen(&format!("{route} \"client\""), "/a").await.1, "client.example");
    assert_eq!(
        seen(&format!("{route} \"orders.internal:8443\""), "/a").await.1,
        "orders.internal:8443"
    );
    let host = seen(&format!("{route} \"server\""), "/a").await.1;
    assert!(host.starts_with("127.0.0.1:"), "{host}");
}

#[tokio::test]
async fn a_redirect_needs_no_upstream_and_keeps_segments_and_query() {
    let gateway = TestGateway::start(
        "[[routes]]\npath = \"/old/{id}\"\nauth = \"none\"\nredirect = { to = \"https://new.example/{path}\", status = 302 }\n\
         [[routes]]\npath = \"/mine\"\nredirect.to = \"/new/{rest}\"\n",
    )
    .await;
    let get = |target: &str, more: &str| {
        let raw = format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}\r\n");
        let address = gateway.address;
        async move { exchange(address, raw).await.answers.remove(0) }
    };
    let answer = get("/old/7%20a/b?next=//evil.example", "").await;
    assert_eq!(
        (
            answer.status,
            answer.header("location"),
            answer.header("content-length")
        ),
        (
            302,
            Some("https://new.example/old/7%20a/b?next=//evil.example"),
            Some("0")
        )
    );
    for target in [
        "/old/7//evil.example",
        "/old//evil.example",
        "/old/7%0d%0aSet-Cookie:x",
        "/old/7/%5cevil",
    ] {
        let answer = get(target, "").await;
        assert_eq!((answer.status, answer.header("location")), (400, None), "{target}");
    }

    // Guarded as any other route is.
    let answer = get("/mine/x", "").await;
    assert_eq!(
        (answer.problem().as_str(), answer.header("location")),
        ("token_missing", None)
    );
    let user = Account::sign_up(&gateway).await;
    let answer = get("/mine/x?y", &format!("Authorization: {}\r\n", user.bearer())).await;
    assert_eq!((answer.status, answer.header("location")), (308, Some("/new/x?y")));
}

#[tokio::test]
async fn explain_says_what_becomes_of_the_path_and_the_host() {
    let upstream = Upstream::echo().await;
    let gateway = in_front_of(
        &upstream,
        "upstream = \"app\"\npath = \"/orders/{id}\"\nrewrite = \"/v2/{id}\"\nupstream_host = \"orders.internal\"\n\
         [[routes]]\npath = \"/old\"\nauth = \"none\"\nredirect.to = \"https://new.example/{path}\"",
    )
    .await;
    let (_, said, _) = gateway.command("explain GET http://x/orders/7/l?q").await;
    assert!(
        said.contains("it sees   GET /v2/7/l?q") && said.contains("host: orders.internal"),
        "{said}"
    );
    let (_, said, _) = gateway.command("explain GET http://x/old/a?q").await;
    assert!(said.contains("redirect  308 https://new.example/old/a?q"), "{said}");
}
