//! Headers that a route changes, both ways, and security headers.

use crate::support::{Account, Answer, Reply, TestGateway, Upstream, exchange};

async fn send(gateway: &TestGateway, path: &str, lines: &str) -> Answer {
    let raw = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{lines}\r\n");
    exchange(gateway.address, raw).await.answers.remove(0)
}

#[tokio::test]
async fn a_route_changes_headers_both_ways() {
    let upstream = Upstream::start(|_| {
        Reply::raw("HTTP/1.1 200 OK\r\nServer: secret/1.0\r\nSet-Cookie: a=1\r\nCache-Control: public\r\nContent-Length: 0\r\n\r\n")
    })
    .await;
    let gateway = TestGateway::start(&format!(
        "[upstreams.app]\nservers = [\"{}\"]\n[[routes]]\npath = \"/c\"\nupstream = \"app\"\n\
         request_headers = {{ set = {{ X-Env = \"prod\" }}, add = {{ Accept-Language = \"de\" }}, remove = [\"Cookie\"] }}\n\
         response_headers.set = {{ Cache-Control = \"no-cache\" }}\nresponse_headers.add = {{ Set-Cookie = \"b=2\" }}\n\
         response_headers.remove = \"Server\"\n",
        upstream.url()
    ))
    .await;
    let user = Account::sign_up(&gateway).await;
    // A client can't undo what the route sets by calling it a matter of one connection.
    let raw = format!(
        "GET /c HTTP/1.1\r\nHost: x\r\nConnection: close, X-Env\r\nX-Env: dev\r\nCookie: s=1\r\nAccept-Language: en\r\n\
         Authorization: {}\r\n\r\n",
        user.bearer()
    );
    let answer = exchange(gateway.address, raw).await.answers.remove(0);
    let seen = upstream.only();
    assert_eq!((seen.header("x-env"), seen.header("cookie")), (Some("prod"), None));
    assert_eq!(seen.all("accept-language"), ["en", "de"]);
    assert_eq!(seen.header("x-auth-user-id"), Some(&*user.id));
    assert_eq!(
        (answer.header("server"), answer.header("cache-control")),
        (None, Some("no-cache"))
    );
    let cookies = answer.headers.iter().filter(|(name, _)| name == "set-cookie");
    assert_eq!(
        cookies.map(|(_, value)| value.as_str()).collect::<Vec<_>>(),
        ["a=1", "b=2"]
    );
    // A refusal is not made cacheable.
    let refused = send(&gateway, "/c", "").await;
    assert_eq!(
        (refused.status, refused.header("cache-control")),
        (401, Some("no-store"))
    );
    let (_, said, _) = gateway.command("explain GET /c").await;
    for line in [
        "x-env: prod",
        "answer    removes server",
        "sets cache-control: no-cache",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
}

#[tokio::test]
async fn security_headers_are_added_where_the_upstream_says_nothing() {
    let upstream =
        Upstream::start(|_| Reply::raw("HTTP/1.1 200 OK\r\nX-Frame-Options: DENY\r\nContent-Length: 0\r\n\r\n")).await;
    let gateway = TestGateway::start(&format!(
        "[server]\nsecurity_headers = true\n[upstreams.app]\nservers = [\"{}\"]\n\
         [[routes]]\npath = \"/a\"\nauth = \"none\"\nupstream = \"app\"\n\
         [[routes]]\npath = \"/off\"\nauth = \"none\"\nupstream = \"app\"\nsecurity_headers = false\n\
         [[routes]]\npath = \"/guarded\"\nupstream = \"app\"\n",
        upstream.url()
    ))
    .await;
    let answer = send(&gateway, "/a", "").await;
    assert_eq!(answer.header("x-frame-options"), Some("DENY"));
    assert_eq!(
        answer.header("referrer-policy"),
        Some("strict-origin-when-cross-origin")
    );
    for path in ["/a", "/guarded", "/auth/ping"] {
        let answer = send(&gateway, path, "").await;
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert!(answer.header("x-frame-options").is_some(), "{path}");
    }
    assert_eq!(send(&gateway, "/off", "").await.header("x-content-type-options"), None);
}
