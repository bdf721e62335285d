//! Independent clients: curl, nghttp and h2load speak HTTP/2 with prior knowledge.

use crate::support::tools::{program, stdout_of};
use crate::support::{Account, Conversation, Reply, TestGateway, Upstream, usual_routes};

/// The usual routes on a listener that takes HTTP/2 without TLS.
pub(super) fn h2c(upstream: &Upstream) -> String {
    format!("[server]\nh2c = true\n{}", usual_routes(upstream))
}

/// Runs curl with prior knowledge of HTTP/2.
async fn curl(gateway: &TestGateway, path: &str, arguments: &[&str]) -> String {
    let mut curl = program("curl");
    curl.args([
        "--silent",
        "--show-error",
        "--max-time",
        "20",
        "--http2-prior-knowledge",
        "--include",
    ])
    .args(arguments)
    .arg(gateway.url(path));
    stdout_of(curl).await
}

#[tokio::test]
async fn curl_gets_posts_and_is_told_apart_from_nobody() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&h2c(&upstream)).await;
    let user = Account::sign_up(&gateway).await;
    let bearer = format!("Authorization: Bearer {}", user.token);

    let answer = curl(&gateway, "/c/x?y=%2F", &["-H", &bearer, "-H", "Cookie: a=1; b=2"]).await;
    assert!(answer.starts_with("HTTP/2 200"), "{answer}");
    let seen = upstream.seen().remove(0);
    assert_eq!(seen.target, "/c/x?y=%2F");
    assert_eq!(seen.header("host"), Some(gateway.address.to_string().as_str()));
    assert_eq!(seen.header("x-auth-user-id"), Some(user.id.as_str()));
    assert_eq!(seen.header("via"), Some("2 doorward"));
    assert_eq!(seen.header("x-forwarded-proto"), Some("http"));
    assert_eq!(seen.header("cookie"), Some("a=1; b=2"));
    assert_eq!(seen.all("transfer-encoding"), [""; 0]);

    let answer = curl(&gateway, "/c/x", &["-H", &bearer, "--data-binary", "hello"]).await;
    assert!(answer.starts_with("HTTP/2 200"), "{answer}");
    assert_eq!(upstream.seen()[1].body, b"hello");

    let answer = curl(&gateway, "/c/x", &[]).await;
    assert!(answer.starts_with("HTTP/2 401"), "{answer}");
    assert!(
        answer.contains("token_missing") && !answer.contains("connection:"),
        "{answer}"
    );
    let answer = curl(&gateway, "/auth/user", &["-H", &bearer]).await;
    assert!(
        answer.starts_with("HTTP/2 200") && answer.contains(&user.id),
        "{answer}"
    );
    assert_eq!(upstream.seen().len(), 2);
}

#[tokio::test]
async fn answers_without_a_body_have_none() {
    let upstream = Upstream::start(|seen| match seen.target.as_str() {
        "/public/204" => Reply::raw("HTTP/1.1 204 No Content\r\nX-Kept: 1\r\n\r\n"),
        "/public/304" => Reply::raw("HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n"),
        _ => Reply::raw(
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: x-private\r\nX-Private: 1\r\nKeep-Alive: 5\r\n\r\n",
        ),
    })
    .await;
    let gateway = TestGateway::start(&h2c(&upstream)).await;
    let head = curl(&gateway, "/public/x", &["--head"]).await;
    assert!(
        head.starts_with("HTTP/2 200") && head.contains("content-length: 5"),
        "{head}"
    );
    for hop in ["connection", "x-private", "keep-alive"] {
        assert!(!head.contains(hop), "{head}");
    }
    let none = curl(&gateway, "/public/204", &[]).await;
    assert!(none.starts_with("HTTP/2 204") && none.contains("x-kept: 1"), "{none}");
    let same = curl(&gateway, "/public/304", &[]).await;
    assert!(same.starts_with("HTTP/2 304") && same.contains("etag: \"x\""), "{same}");
}

#[tokio::test]
async fn nghttp_and_h2load_use_many_streams_of_one_connection() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&h2c(&upstream)).await;
    let mut nghttp = program("nghttp");
    nghttp
        .args(["--null-out", "--stat", "-m", "30"])
        .arg(gateway.url("/public/x"));
    let stat = stdout_of(nghttp).await;
    assert_eq!(stat.matches(" 200 ").count(), 30, "{stat}");

    let mut h2load = program("h2load");
    h2load
        .args(["-n", "500", "-c", "2", "-m", "50"])
        .arg(gateway.url("/public/x"));
    let told = stdout_of(h2load).await;
    assert!(told.contains("status codes: 500 2xx, 0 3xx, 0 4xx, 0 5xx"), "{told}");
    assert_eq!(upstream.seen().len(), 530);
}

#[tokio::test]
async fn a_listener_that_takes_http_2_still_takes_http_1() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&h2c(&upstream)).await;
    let (status, _) = gateway.get("/public/x", None).await;
    assert_eq!(status, 200);
    // A request line that begins like the preface, in pieces.
    let mut conversation = Conversation::open(gateway.address).await;
    for piece in ["P", "RI * HTTP", "/1.1\r\nHost: x\r\n\r\n"] {
        conversation.send(piece).await;
    }
    assert_eq!(conversation.answer().await.status, 400);
}

#[tokio::test]
async fn without_h2c_the_preface_is_refused_as_http_1() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&usual_routes(&upstream)).await;
    let mut conversation = Conversation::open(gateway.address).await;
    conversation.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    let ended = conversation.until_end().await;
    assert_eq!(ended.statuses(), [400], "{ended:?}");
}
