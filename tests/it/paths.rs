//! What was matched is what is forwarded: paths, targets and hosts that two programs could read differently never open
//! a route that they should not.

use crate::support::{Account, Conversation, TestGateway, Upstream, exchange, usual_routes};

/// Each could be read as an open path by one program and as a guarded one by another.
pub(crate) const WITHOUT_A_TOKEN: &[&str] = &[
    "/auth/../c/x",
    "/auth/%2e%2e/c/x",
    "/auth/.%2e/c/x",
    "/auth/%2E./c/x",
    "/auth/..%2fc/x",
    "/auth/..%2Fc/x",
    "/auth/..;/c/x",
    "/auth/..;a=b/c/x",
    "/auth/..%5cc/x",
    "/auth/..\\c\\x",
    "/auth/%252e%252e/c/x",
    "/auth/%c0%ae%c0%ae/c/x",
    "/auth/%e0%80%ae%e0%80%ae/c/x",
    "/auth/./../c/x",
    "/auth/login/../../c/x",
    "/auth/login%2f..%2f..%2fc/x",
    "/auth/login%00/../../c/x",
    "/auth/login;/../../c/x",
    "/auth/login#/../../c/x",
    "//auth/login/../../c/x",
    "/auth//../c/x",
    "/%61uth/../c/x",
    "/%2fauth/../c/x",
    "/auth;x/../c/x",
    "/auth/..%00/c/x",
    "/auth/..%0d%0a/c/x",
    "/auth/..%ef%bc%8fc/x",
    "/c/x/../../auth/login",
    "/c/x;/auth/login",
    "/c/x?/auth/login",
    "/c/x%23/auth/login",
    "/public/../admin/x",
    "/public/../c/x",
    "/public/%2e%2e/c/x",
    "/public/..;/c/x",
    "/public%2F..%2Fadmin",
    "/public%2f..%2fc",
    "/public/x/..",
    "/public/..",
    "/public/.",
    "/public/\u{2025}/c",
    "/publicX",
    "/PUBLIC/x",
    "/admin#/public",
    "/admin;/public",
    "/%63/x",
    "/c%2fx",
    "/c;x",
    "/c;/x",
    "//c/x",
    "///c",
    "/api../admin",
    "/api/..admin",
    "/api//admin",
    "/api",
    "/auth",
    "/authx",
    "/auth-c/x",
    "/auth.c/x",
    "/auth%00/x",
    "/auth%2flogin",
    "/auth/nosuch",
    "/auth/login/",
    "/auth/LOGIN",
    "/AUTH/login",
    "/auth/ping/../../c",
    "/metrics",
    "/healthz",
    "/metrics/../c/x",
    "http://HOST/auth/../c/x",
    "http://HOST\\auth/c/x",
    "http://HOST/c/x",
    "http://elsewhere.example/public/x",
    "HTTP://HOST/c/x",
    "https://HOST@elsewhere.example/public/x",
    "*",
    "c/x",
    "?/c/x",
    "",
];

#[tokio::test]
async fn no_spelling_of_a_path_gets_past_the_guard() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&usual_routes(&upstream)).await;
    let mut wrong = Vec::new();
    for target in WITHOUT_A_TOKEN {
        let request = gateway.fill(
            &format!("GET {target} HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n"),
            "",
        );
        let ended = exchange(gateway.address, request).await;
        let statuses = ended.statuses();
        if statuses.len() != 1 || ![400, 401, 404, 405].contains(&statuses[0]) || !ended.rest.is_empty() {
            wrong.push(format!("{target}: {statuses:?}"));
        }
        for answer in ended.answers {
            answer.problem();
        }
        for seen in upstream.seen() {
            wrong.push(format!("{target}: the upstream saw {} {}", seen.method, seen.target));
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}

/// With a token of a user without roles. What passes must arrive byte for byte.
const WITH_A_TOKEN: &[&str] = &[
    "/c/a%2fb",
    "/c/a%2Fb%5Cc",
    "/c//x",
    "/c//",
    "/c/;p",
    "/c/x;y=z",
    "/c/.",
    "/c/..",
    "/c/%2e",
    "/c/x/../y",
    "/c/%7euser",
    "/c/%E2%82%AC",
    "/c/%e2%82%ac",
    "/c/%C3%28",
    "/c/%zz",
    "/c/%",
    "/c/%4",
    "/c/%00",
    "/c/%0a",
    "/c/%20",
    "/c/%25",
    "/c/%252f",
    "/c/%3f",
    "/c/%23",
    "/c/a+b",
    "/c/a:b@c!$&'()*,=",
    "/c/\u{e9}",
    "/c/[x]",
    "/c/{x}",
    "/c/x|y",
    "/c/x^y",
    "/c/x`y",
    "/c/\"x\"",
    "/c/<x>",
    "/c/",
    "/c",
    "/c?",
    "/c?a=b&c=%zz",
    "/c?a=/../..",
    "/c?a=b?c",
    "/c?%00",
    "/c?a=\u{e9}",
    "/c?a=\"<>\"",
    "/c/x#y",
    "/c/...",
    "/c/.hidden",
    "/c/x..y",
    "/%63/x",
    "/%63",
];

#[tokio::test]
async fn what_passes_arrives_byte_for_byte() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&usual_routes(&upstream)).await;
    let user = Account::sign_up(&gateway).await;
    let mut passed = 0;
    for target in WITH_A_TOKEN {
        let before = upstream.seen().len();
        let raw =
            format!("GET {target} HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer TOKEN\r\nConnection: close\r\n\r\n");
        let ended = exchange(gateway.address, gateway.fill(&raw, &user.token)).await;
        let seen = upstream.seen().split_off(before);
        match ended.statuses()[..] {
            [200] => {
                assert_eq!(seen.len(), 1, "{target}");
                let sent: String = target.bytes().map(char::from).collect();
                assert_eq!(seen[0].target, sent);
                passed += 1;
            }
            [400] => {
                assert!(seen.is_empty(), "{target}: {seen:?}");
                assert_eq!(
                    ended.answers[0].header("content-type"),
                    Some("application/problem+json"),
                    "{target}"
                );
                let code = ended.answers[0].problem();
                assert!(
                    ["ambiguous_path", "bad_request"].contains(&code.as_str()),
                    "{target}: {code}"
                );
            }
            _ => panic!("{target}: {ended:?}"),
        }
    }
    assert!(passed >= 12, "ordinary paths pass: {passed}");
    assert!(upstream.faults().is_empty(), "{:?}", upstream.faults());
}

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
async fn an_absolute_target_means_its_own_host() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&usual_routes(&upstream)).await;
    let user = Account::sign_up(&gateway).await;
    for (target, host, expected) in [
        ("http://HOST/c/x", "HOST", 200),
        ("http://elsewhere.example/c/x", "HOST", 400),
        ("http://HOST/c/x", "elsewhere.example", 400),
        ("http://u:p@HOST/c/x", "HOST", 400),
        ("ftp://HOST/c/x", "HOST", 400),
        ("http:///c/x", "HOST", 400),
        ("http://HOST", "HOST", 404),
    ] {
        let before = upstream.seen().len();
        let raw = format!(
            "GET {target} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer TOKEN\r\nConnection: close\r\n\r\n"
        );
        let ended = exchange(gateway.address, gateway.fill(&raw, &user.token)).await;
        assert_eq!(ended.statuses(), [expected], "{target} with Host {host}");
        let seen = upstream.seen().split_off(before);
        if expected == 200 {
            assert_eq!(seen[0].target, "/c/x", "origin form goes on");
            assert_eq!(seen[0].all("host").len(), 1);
        } else {
            assert!(seen.is_empty(), "{target}: {seen:?}");
        }
    }
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
