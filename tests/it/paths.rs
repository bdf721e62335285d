//! What was matched is what is forwarded: paths, targets and hosts that two programs could read differently never open
//! a route that they should not.

use crate::support::{Account, Conversation, TestGateway, Upstream, exchange, usual_routes};

#[tokio::test]
async fn ordinary_paths_pass() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&usual_routes(&upstream)).await;
    let user = Account::sign_up(&gateway).await;
    for path in [
        "/c",
        "/c/",
        "/c?",
        "/c/x?a=b&c=%2F..%2F&d=/../",
        "/c/%7euser/%E2%82%AC",
        "/c/a:b@c!$&'()*,=+~-_.",
        "/c/.well-known/x",
        "/c/x..y",
        "/%63/x",
    ] {
        let (status, body) = gateway.get_raw(path, &user.token).await;
        assert_eq!(status, 200, "{path}: {body}");
        assert_eq!(upstream.seen().last().unwrap().target, path);
    }
}

#[tokio::test]
async fn nothing_below_the_auth_path_reaches_an_upstream_even_with_a_token() {
    let upstream = Upstream::echo().await;
    let routes = format!(
        "{}\n[[routes]]\npath = \"/\"\nupstream = \"app\"\nauth = \"none\"\n",
        usual_routes(&upstream)
    );
    let gateway = TestGateway::start(&routes).await;
    let user = Account::sign_up(&gateway).await;
    for path in [
        "/auth",
        "/auth/",
        "/auth/nosuch",
        "/auth/login/x",
        "/%61uth/nosuch",
        "/auth/%6eosuch",
        "/auth/Ping",
    ] {
        let (status, body) = gateway.get_raw(path, &user.token).await;
        assert_eq!(status, 404, "{path}: {body}");
    }
    let (status, _) = gateway.get_raw("/auth%2fnosuch", &user.token).await;
    assert_eq!(status, 400);
    assert!(upstream.seen().is_empty(), "{:?}", upstream.seen());
    // Beside it, not below it.
    let (status, _) = gateway.get_raw("/authx", &user.token).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn a_prefix_is_taken_off_by_whole_segments() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&usual_routes(&upstream)).await;
    let user = Account::sign_up(&gateway).await;
    for (sent, forwarded) in [
        ("/api/orders?x=1", "/orders?x=1"),
        ("/api/", "/"),
        ("/api", "/"),
        ("/api?x=1", "/?x=1"),
        ("/%61pi/orders", "/orders"),
        ("/api/%61pi", "/%61pi"),
    ] {
        let (status, body) = gateway.get_raw(sent, &user.token).await;
        assert_eq!(status, 200, "{sent}: {body}");
        assert_eq!(upstream.seen().last().unwrap().target, forwarded, "{sent}");
    }
    let before = upstream.seen().len();
    for refused in [
        "/api//evil.example",
        "/api/../admin",
        "/api../admin",
        "/apix",
        "/api;/x",
        "/api/%2fevil.example",
    ] {
        let (status, body) = gateway.get_raw(refused, &user.token).await;
        assert!([400, 404].contains(&status), "{refused}: {status} {body}");
    }
    assert_eq!(upstream.seen().len(), before);
}

#[tokio::test]
async fn methods_and_hosts_are_never_more_permissive_in_another_spelling() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&format!(
        r#"
        [upstreams.app]
        servers = ["{}"]
        [[routes]]
        path = "/"
        upstream = "app"
        auth = "none"
        [[routes]]
        host = "api.example.com"
        path = "/"
        upstream = "app"
        [[routes]]
        host = "*.example.com"
        path = "/"
        upstream = "app"
        roles = ["staff"]
        [[routes]]
        path = "/things"
        methods = ["GET"]
        upstream = "app"
        auth = "none"
        [[routes]]
        path = "/things"
        methods = ["POST", "DELETE"]
        upstream = "app"
        "#,
        upstream.url()
    ))
    .await;
    let status = async |method: &str, target: &str, host: &str| {
        let request =
            format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        let mut conversation = Conversation::open(gateway.address).await;
        conversation.send(&request).await;
        let answer = if method == "HEAD" {
            conversation.answer_to_head().await
        } else {
            conversation.answer().await
        };
        answer.status
    };
    assert_eq!(status("GET", "/", "other.example").await, 200);
    for host in [
        "api.example.com",
        "API.Example.COM",
        "api.example.com.",
        "api.example.com:80",
        "api.example.com.:8080",
        "staff.example.com",
        "a.b.EXAMPLE.com.",
    ] {
        assert_eq!(status("GET", "/", host).await, 401, "{host}");
    }
    for host in [
        "api.example.com..",
        "api.example.com,x",
        "x@api.example.com",
        "api.example.com/",
        "api example",
        "",
    ] {
        let got = status("GET", "/", host).await;
        assert_eq!(got, 400, "{host:?}");
    }
    assert_eq!(status("GET", "/things", "x.test").await, 200);
    assert_eq!(status("HEAD", "/things", "x.test").await, 200);
    assert_eq!(status("POST", "/things", "x.test").await, 401);
    let before = upstream.seen().len();
    for method in ["get", "Get", "post", "delete", "PATCH", "PUT", "GETX"] {
        let got = status(method, "/things", "x.test").await;
        assert!([400, 401, 405, 501].contains(&got), "{method}: {got}");
    }
    assert_eq!(
        upstream.seen().len(),
        before,
        "an unlisted method does not fall through to `/`"
    );

    let refused = exchange(
        gateway.address,
        "PUT /things HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    )
    .await;
    assert_eq!(refused.answers[0].problem(), "method_not_allowed");
    let mut allowed: Vec<&str> = refused.answers[0]
        .header("allow")
        .unwrap()
        .split(',')
        .map(str::trim)
        .collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["DELETE", "GET", "HEAD", "POST"]);
}

#[tokio::test]
async fn connect_and_trace_are_refused_and_echo_nothing() {
    let upstream = Upstream::echo().await;
    let routes = format!(
        "{}\n[[routes]]\npath = \"/\"\nupstream = \"app\"\nauth = \"none\"\n",
        usual_routes(&upstream)
    );
    let gateway = TestGateway::start(&routes).await;
    for (request, expected) in [
        (
            "CONNECT elsewhere.example:443 HTTP/1.1\r\nHost: elsewhere.example:443\r\n",
            &[400, 405][..],
        ),
        ("CONNECT /public HTTP/1.1\r\nHost: HOST\r\n", &[400, 405]),
        ("TRACE /public HTTP/1.1\r\nHost: HOST\r\nX-Marker: echoed\r\n", &[405]),
        (
            "TRACE /auth/ping HTTP/1.1\r\nHost: HOST\r\nX-Marker: echoed\r\n",
            &[405],
        ),
        ("PRI * HTTP/1.1\r\nHost: HOST\r\n", &[400, 404, 405]),
        ("OPTIONS * HTTP/1.1\r\nHost: HOST\r\n", &[400, 404, 405]),
    ] {
        let request = gateway.fill(&format!("{request}Connection: close\r\n\r\n"), "");
        let ended = exchange(gateway.address, &request).await;
        assert!(
            ended.statuses().iter().all(|status| expected.contains(status)),
            "{request}: {ended:?}"
        );
        assert_eq!(ended.statuses().len(), 1, "{request}: {ended:?}");
        assert!(!format!("{ended:?}").contains("echoed"), "{request}");
    }
    assert!(upstream.seen().is_empty(), "{:?}", upstream.seen());
}
