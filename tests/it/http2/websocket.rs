//! `WebSocket` over HTTP/2: extended CONNECT (RFC 8441), to an upstream that knows of HTTP/1.1 alone.

use serde_json::json;

use super::play::{Play, play, stream};
use crate::streams::sockets::{Echo, granted};
use crate::support::{Account, TestGateway};

/// The fields of a handshake.
fn handshake<'a>(authority: &'a str, path: &'a str, authorization: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "http"),
        (":authority", authority),
        (":path", path),
        ("sec-websocket-version", "13"),
        ("authorization", authorization),
    ]
}

#[tokio::test]
async fn an_extended_connect_becomes_an_upgrade() {
    let echo = Echo::start().await;
    let gateway = TestGateway::start(&format!("[server]\nh2c = true\n{}", echo.routes(""))).await;
    let user = Account::sign_up(&gateway).await;
    let (authority, bearer) = (gateway.address.to_string(), user.bearer());
    let tunnel = |path, authorization| {
        Play::default()
            .step(json!(["headers", 1, handshake(&authority, path, authorization), false]))
            .step(json!(["status", 1]))
            .step(json!(["data", 1, " and back", true]))
            .step(json!(["end", 1]))
    };
    let plain = vec![(":method", "CONNECT"), (":authority", authority.as_str())];
    let plays = vec![
        tunnel("/ws", &bearer),
        tunnel("/ws", "Bearer x.y.z"),
        tunnel("/plain", &bearer),
        Play::request(&plain),
    ];
    let told = play(gateway.address, plays).await;
    let first = stream(&told[0], 1);
    assert_eq!((first.status, first.body.as_str()), (Some(200), "hello and back"));
    assert_eq!(stream(&told[1], 1).status, Some(401));
    assert_eq!(stream(&told[2], 1).status, Some(400));
    assert!(
        stream(&told[3], 1).status.is_none_or(|status| status == 405),
        "{:?}",
        told[3]
    );

    let head = echo.heads().remove(0).to_ascii_lowercase();
    assert!(head.starts_with("get /ws http/1.1\r\n"), "{head}");
    for line in ["upgrade: websocket", "connection: upgrade", "sec-websocket-version: 13"] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{line} in {head}");
    }
    assert!(
        head.contains("\r\nsec-websocket-key: ") && head.contains(&user.id),
        "{head}"
    );
    assert_eq!(echo.heads().len(), 1);
}

#[tokio::test]
async fn only_a_switch_of_the_upstream_s_grants_a_tunnel() {
    // To a CONNECT, any success is a yes (RFC 9110, section 9.3.6).
    for (said, status) in [
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            502,
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 502),
        ("HTTP/1.1 204 No Content\r\n\r\n", 502),
        ("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", 403),
    ] {
        let echo = Echo::answering(move |_| said.to_owned()).await;
        let gateway = TestGateway::start(&format!("[server]\nh2c = true\n{}", echo.routes(""))).await;
        let user = Account::sign_up(&gateway).await;
        let (authority, bearer) = (gateway.address.to_string(), user.bearer());
        let open = Play::default()
            .step(json!(["headers", 1, handshake(&authority, "/ws", &bearer), false]))
            .step(json!(["end", 1]));
        let told = play(gateway.address, vec![open]).await;
        assert_eq!(stream(&told[0], 1).status, Some(status), "{said}: {told:?}");
    }
}

#[tokio::test]
async fn an_answer_to_another_key_than_ours_or_to_none_is_502() {
    let wrong: [fn(&str) -> String; 2] = [
        |_| granted("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
        |head| granted(head).replace("Sec-WebSocket-Accept", "X"),
    ];
    for answer in wrong {
        answered_to_a_key_of_ours_is_502(answer).await;
    }
}

async fn answered_to_a_key_of_ours_is_502(answer: fn(&str) -> String) {
    let echo = Echo::answering(answer).await;
    let gateway = TestGateway::start(&format!("[server]\nh2c = true\n{}", echo.routes(""))).await;
    let user = Account::sign_up(&gateway).await;
    let (authority, bearer) = (gateway.address.to_string(), user.bearer());
    let open = Play::default()
        .step(json!(["headers", 1, handshake(&authority, "/ws", &bearer), false]))
        .step(json!(["status", 1]));
    let told = play(gateway.address, vec![open]).await;
    assert_eq!(stream(&told[0], 1).status, Some(502));
}
