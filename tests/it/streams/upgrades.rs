//! Upgrades: which are relayed, how, and what follows one that is not.

use super::clients::Talker;
use super::sockets::{Echo, KEY, Socket, granted, handshake, refusal};
use super::support::contains;
use crate::support::{Account, Conversation, TestGateway, exchange};

#[tokio::test]
async fn a_handshake_is_authenticated_and_rewritten_like_any_request() {
    let echo = Echo::start().await;
    let gateway = TestGateway::start(&echo.routes("")).await;
    let user = Account::sign_up(&gateway).await;
    let without = handshake(&gateway, "/ws", "x.y.z", "");
    assert_eq!(refusal(&gateway, &without).await, (401, "token_invalid".to_owned()));
    assert!(echo.heads().is_empty());

    let more = "X-Auth-User-Id: root\r\nX-Forwarded-For: 6.6.6.6\r\nSec-WebSocket-Protocol: chat\r\nTE: trailers\r\n";
    let mut socket = Socket::send_first(&gateway, &handshake(&gateway, "/ws/a?b", &user.token, more)).await;
    socket.echoes("one").await;
    let head = echo.heads().remove(0).to_ascii_lowercase();
    assert!(head.starts_with("get /ws/a?b http/1.1\r\n"), "{head}");
    let key = KEY.to_ascii_lowercase();
    for line in [
        "upgrade: websocket",
        "connection: upgrade",
        "sec-websocket-version: 13",
        "sec-websocket-protocol: chat",
        &format!("sec-websocket-key: {key}"),
        &format!("x-auth-user-id: {}", user.id),
        "x-forwarded-for: 127.0.0.1",
    ] {
        assert_eq!(head.matches(&format!("\r\n{line}\r\n")).count(), 1, "{line} in {head}");
    }
    for gone in ["authorization", "root", "6.6.6.6", "\r\nte:"] {
        assert!(!head.contains(gone), "{gone} in {head}");
    }
}

#[tokio::test]
async fn bytes_that_come_with_either_head_are_not_lost() {
    let echo = Echo::start().await;
    let gateway = TestGateway::start(&echo.routes("")).await;
    let user = Account::sign_up(&gateway).await;
    // No request, and not to be read as one: these are bytes of the other protocol.
    let more = "GET /plain HTTP/1.1\r\nHost: x\r\n\r\n".repeat(10);
    let bytes = format!("{}{more}", handshake(&gateway, "/ws", &user.token, ""));
    let mut socket = Socket::send_first(&gateway, &bytes).await;
    socket.sees(&more).await;
    socket.echoes("and on").await;
    assert_eq!(echo.heads().len(), 1);
}

#[tokio::test]
async fn a_direction_ends_alone() {
    let echo = Echo::start().await;
    let gateway = TestGateway::start(&echo.routes("")).await;
    let user = Account::sign_up(&gateway).await;
    let mut socket = Socket::open(&gateway, "/ws", &user.token).await;
    socket.send(&vec![7; 300_000]).await;
    socket.end().await;
    assert_eq!(socket.until_end().await, vec![7; 300_000]);
}

#[tokio::test]
async fn what_follows_an_upgrade_that_was_not_granted_is_http_and_authenticated() {
    for status in ["200 OK", "400 Bad Request", "426 Upgrade Required"] {
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nno");
        let echo = Echo::answering(move |_| answer.clone()).await;
        let gateway = TestGateway::start(&echo.routes("")).await;
        let user = Account::sign_up(&gateway).await;
        let smuggled = "GET /plain/smuggled HTTP/1.1\r\nHost: x\r\n\r\n\
             GET /plain/bad HTTP/1.1\r\nHost : x\r\n\r\nGET /plain HTTP/1.1\r\nHost: x\r\n\r\n";
        let bytes = format!("{}{smuggled}", handshake(&gateway, "/ws", &user.token, ""));
        let ended = exchange(gateway.address, bytes).await;
        let first: u16 = status[..3].parse().unwrap();
        assert_eq!(ended.statuses(), [first, 401, 400], "{ended:?}");
        assert_eq!(ended.answers[0].body, b"no");
        assert_eq!(echo.heads().len(), 1, "{:?}", echo.heads());
    }
}

#[tokio::test]
async fn a_connection_goes_on_after_an_upgrade_that_was_not_granted() {
    let echo = Echo::answering(|_| "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno".to_owned()).await;
    let gateway = TestGateway::start(&echo.routes("")).await;
    let user = Account::sign_up(&gateway).await;
    let mut conversation = Conversation::open(gateway.address).await;
    for _ in 0..3 {
        conversation.send(handshake(&gateway, "/ws", &user.token, "")).await;
        assert_eq!(conversation.answer().await.status, 200);
        let post = "POST /plain HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer TOKEN\r\nContent-Length: 0\r\n\r\n";
        conversation.send(gateway.fill(post, &user.token)).await;
        assert_eq!(conversation.answer().await.status, 200);
    }
    assert_eq!(echo.heads().len(), 6);
}

#[tokio::test]
async fn a_101_that_is_no_answer_to_the_handshake_is_502() {
    let wrong: [fn(&str) -> String; 6] = [
        |head| granted(head).replace("Accept: ", "Accept: x"),
        |head| granted(head).replace("Accept: ", "Accept: \r\nX: "),
        |head| granted(head).replace("\r\n\r\n", "\r\nSec-WebSocket-Accept: x\r\n\r\n"),
        |head| granted(head).replace("Upgrade: websocket", "Upgrade: h2c"),
        |head| granted(head).replace("Upgrade: websocket\r\n", ""),
        |head| granted(head).replace("Connection: Upgrade\r\n", ""),
    ];
    for answer in wrong {
        let echo = Echo::answering(answer).await;
        let gateway = TestGateway::start(&echo.routes("")).await;
        let user = Account::sign_up(&gateway).await;
        let bytes = handshake(&gateway, "/ws", &user.token, "");
        assert_eq!(refusal(&gateway, &bytes).await, (502, "upstream_invalid".to_owned()));
        // Nobody asked here.
        let plain = "GET /plain HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer TOKEN\r\n\r\n";
        let plain = gateway.fill(plain, &user.token);
        assert_eq!(refusal(&gateway, &plain).await, (502, "upstream_invalid".to_owned()));
    }
}

#[tokio::test]
async fn a_switch_without_an_answer_to_the_key_is_the_client_s_to_judge() {
    let echo = Echo::answering(|head| {
        let kept = granted(head);
        let lines = kept.split_inclusive("\r\n");
        lines.filter(|line| !line.contains("Accept")).collect::<String>() + "hello"
    })
    .await;
    let gateway = TestGateway::start(&echo.routes("")).await;
    let user = Account::sign_up(&gateway).await;
    let mut socket = Socket::open(&gateway, "/ws", &user.token).await;
    assert!(
        !socket.text().to_ascii_lowercase().contains("accept"),
        "none is made up"
    );
    socket.echoes("there and back").await;
    let head = echo.heads().remove(0).to_ascii_lowercase();
    assert!(head.contains(&format!("\r\nx-auth-user-id: {}\r\n", user.id)), "{head}");
    // An independent client does judge.
    let mut python = Talker::python(&["unanswered", &gateway.address.port().to_string(), &user.token]);
    assert_eq!(python.line().await, "not taken");
}

#[tokio::test]
async fn what_is_no_proper_handshake_is_refused() {
    let echo = Echo::start().await;
    let gateway = TestGateway::start(&echo.routes("")).await;
    let user = Account::sign_up(&gateway).await;
    let good = handshake(&gateway, "/ws", &user.token, "");
    let key = format!("Sec-WebSocket-Key: {KEY}\r\n");
    let (refused, bad) = ("upgrade_refused", "bad_request");
    for (bytes, code) in [
        (good.replace("/ws", "/plain"), refused),
        (good.replace("Upgrade: websocket", "Upgrade: websocket, h2c"), refused),
        (
            good.replace("Upgrade: websocket", "Upgrade: h2c\r\nUpgrade: websocket"),
            refused,
        ),
        (good.replace("Connection: Upgrade\r\n", ""), refused),
        (good.replace("HTTP/1.1", "HTTP/1.0"), refused),
        (good.replace("GET", "POST"), bad),
        (good.replace(&key, ""), bad),
        (good.replace(&key, &format!("{key}{key}")), bad),
        (good.replace(KEY, "c2hvcnQ="), bad),
        (good.replace(&key, &format!("{key}Content-Length: 3\r\n")) + "abc", bad),
        (
            good.replace(&key, &format!("{key}Transfer-Encoding: chunked\r\n")) + "0\r\n\r\n",
            bad,
        ),
    ] {
        assert_eq!(refusal(&gateway, &bytes).await, (400, code.to_owned()), "{bytes}");
    }
    // What is merely offered is left out.
    let offer = good
        .replace("Upgrade: websocket", "Upgrade: h2c")
        .replace("/ws", "/plain");
    let mut conversation = Conversation::open(gateway.address).await;
    conversation.send(offer).await;
    // It grants what nobody asked for.
    assert_eq!(conversation.answer().await.status, 502);
    assert!(
        !echo.heads()[0].to_ascii_lowercase().contains("upgrade:"),
        "{:?}",
        echo.heads()
    );
    assert_eq!(echo.heads().len(), 1);
}

#[tokio::test]
async fn another_protocol_is_relayed_where_it_is_named() {
    let echo = Echo::answering(|_| {
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x-line/2\r\nConnection: upgrade\r\n\r\nhello".to_owned()
    })
    .await;
    let gateway = TestGateway::start(&echo.routes("").replace("\"websocket\"", "\"x-line/2\"")).await;
    let user = Account::sign_up(&gateway).await;
    let bytes = handshake(&gateway, "/ws", &user.token, "").replace("Upgrade: websocket", "Upgrade: X-Line/2");
    let mut socket = Socket::send_first(&gateway, &bytes).await;
    socket.echoes("any bytes").await;
    gateway.log_out(&user.token).await;
    assert_eq!(
        socket.until_end().await,
        b"any bytes",
        "nothing of ours is put among them"
    );
}

#[tokio::test]
async fn a_token_may_be_a_subprotocol_where_the_route_says_so() {
    let echo = Echo::start().await;
    let gateway = TestGateway::start(&echo.routes("websocket_token = \"protocol\"")).await;
    let user = Account::sign_up(&gateway).await;
    let bearer = gateway.fill("Authorization: Bearer TOKEN\r\n", &user.token);
    let protocol = gateway.fill("Sec-WebSocket-Protocol: chat, bearer.TOKEN\r\n", &user.token);
    let both = handshake(&gateway, "/ws", &user.token, &protocol);
    assert_eq!(refusal(&gateway, &both).await, (401, "token_invalid".to_owned()));
    let mut socket = Socket::send_first(&gateway, &both.replace(&bearer, "")).await;
    socket.echoes("in").await;
    let head = echo.heads().remove(0).to_ascii_lowercase();
    assert!(head.contains("\r\nsec-websocket-protocol: chat\r\n"), "{head}");
    assert!(!contains(head.as_bytes(), b"bearer"), "{head}");
    gateway.log_out(&user.token).await;
    assert_eq!(refusal(&gateway, &both.replace(&bearer, "")).await.1, "token_revoked");

    let other = TestGateway::start(&echo.routes("")).await;
    let user = Account::sign_up(&other).await;
    let protocol = other.fill("Sec-WebSocket-Protocol: bearer.TOKEN\r\n", &user.token);
    let bearer = other.fill("Authorization: Bearer TOKEN\r\n", &user.token);
    let bytes = handshake(&other, "/ws", &user.token, &protocol).replace(&bearer, "");
    assert_eq!(refusal(&other, &bytes).await, (401, "token_missing".to_owned()));
}
