//! How a tunnel ends, and what it costs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::sockets::{Echo, Socket, granted, handshake};
use crate::support::process::Process;
use crate::support::upstream::each;
use crate::support::{Account, Backend, Conversation, DEADLINE, TestGateway, eventually, when};

/// A whole frame of a server.
const FRAME: &str = "\u{0}\u{3}one";

/// The Close frame that the gateway puts after the last frame.
fn close(code: u16, reason: &str) -> Vec<u8> {
    let mut frame = vec![0x88, u8::try_from(reason.len()).unwrap() + 2];
    frame.extend(code.to_be_bytes());
    frame.extend(reason.as_bytes());
    frame
}

/// An upstream whose greeting is a frame, in ASCII: a fragment, after which others may come.
async fn framed() -> Echo {
    Echo::answering(|head| format!("{}\u{1}\u{5}hello", granted(head))).await
}

#[tokio::test]
async fn a_logout_closes_a_websocket_with_1008() {
    let echo = framed().await;
    let gateway = TestGateway::start(&echo.routes("")).await;
    let user = Account::sign_up(&gateway).await;
    let other = user.log_in(&gateway).await;
    let mut socket = Socket::open(&gateway, "/ws", &user.token).await;
    let mut others = Socket::open(&gateway, "/ws", &other.token).await;
    let mut kept = Socket::open(&gateway, "/finish", &user.token).await;
    socket.echoes(FRAME).await;
    gateway.log_out(&user.token).await;
    let expected = [FRAME.as_bytes(), &close(1008, "token_revoked")].concat();
    assert_eq!(socket.until_end().await, expected);
    others.echoes("still here").await;
    kept.echoes("to the end").await;
}

#[tokio::test]
async fn within_a_frame_nothing_is_said() {
    let echo = framed().await;
    let gateway = TestGateway::start(&echo.routes("")).await;
    let user = Account::sign_up(&gateway).await;
    let mut socket = Socket::open(&gateway, "/ws", &user.token).await;
    socket.echoes("half").await;
    gateway.log_out(&user.token).await;
    assert_eq!(socket.until_end().await, b"half");
}

#[tokio::test]
async fn a_logout_on_another_replica_and_an_expiry_end_a_tunnel() {
    let echo = framed().await;
    let gateway = TestGateway::start_on(Backend::MariaDb, &echo.routes("")).await;
    let replica = gateway.replica().await;
    let user = Account::sign_up(&gateway).await;
    let other = user.log_in(&gateway).await;
    let socket = Socket::open(&replica, "/ws", &user.token).await;
    let others = Socket::open(&replica, "/ws", &other.token).await;
    gateway.log_out(&user.token).await;
    assert!(socket.until_end().await.ends_with(&close(1008, "token_revoked")));
    gateway.shift.advance(Duration::from_secs(3600));
    assert!(others.until_end().await.ends_with(&close(1008, "token_expired")));
}

#[tokio::test]
async fn a_tunnel_ends_when_nothing_moves_and_when_it_is_old() {
    let echo = framed().await;
    let idle = TestGateway::start(&echo.routes("upgrade_idle_timeout = \"1s\"")).await;
    let user = Account::sign_up(&idle).await;
    let socket = Socket::open(&idle, "/ws", &user.token).await;
    assert_eq!(socket.until_end().await, close(1001, ""));

    let old = TestGateway::start(&echo.routes("upgrade_max_age = \"1s\"")).await;
    let user = Account::sign_up(&old).await;
    let socket = Socket::open(&old, "/ws", &user.token).await;
    assert_eq!(socket.until_end().await, close(1001, ""));
}

#[tokio::test]
async fn a_token_that_is_revoked_during_the_handshake_opens_nothing_for_long() {
    let (address, _server) = each(|mut stream| async move {
        let mut head = vec![0; 4096];
        let n = stream.read(&mut head).await.unwrap_or(0);
        tokio::time::sleep(Duration::from_millis(700)).await;
        let head = String::from_utf8_lossy(&head[..n]).into_owned();
        let _ = stream.write_all(granted(&head).as_bytes()).await;
        while matches!(stream.read(&mut [0; 1024]).await, Ok(n) if n > 0) {}
    })
    .await;
    let echo = Echo::start().await;
    let routes = echo.routes("").replace(&echo.address.to_string(), &address.to_string());
    let gateway = TestGateway::start(&routes).await;
    let user = Account::sign_up(&gateway).await;
    let mut conversation = Conversation::open(gateway.address).await;
    conversation.send(handshake(&gateway, "/ws", &user.token, "")).await;
    gateway.log_out(&user.token).await;
    let answer = conversation.answer().await;
    // Which of the two it is depends on how soon the logout was.
    assert!(answer.status == 401 || answer.status == 101, "{answer:?}");
    if answer.status == 101 {
        while conversation.read_some().await {}
    }
}

#[tokio::test]
async fn what_a_client_does_not_read_is_not_kept() {
    let written = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&written);
    let (address, _server) = each(move |mut stream| {
        let count = Arc::clone(&count);
        async move {
            let mut head = vec![0; 4096];
            let n = stream.read(&mut head).await.unwrap_or(0);
            let head = String::from_utf8_lossy(&head[..n]).into_owned();
            let _ = stream.write_all(format!("{}hello", granted(&head)).as_bytes()).await;
            while let Ok(n) = stream.write(&[0; 16 * 1024]).await {
                count.fetch_add(n as u64, Ordering::SeqCst);
            }
            count.fetch_add(1 << 40, Ordering::SeqCst);
        }
    })
    .await;
    let echo = Echo::start().await;
    let routes = echo.routes("").replace(&echo.address.to_string(), &address.to_string());
    let gateway = TestGateway::start(&format!("[server]\nbody_idle_timeout = \"1s\"\n{routes}")).await;
    let user = Account::sign_up(&gateway).await;
    let _socket = Socket::open(&gateway, "/ws", &user.token).await;
    // The client that does not read is given up, and with it the upstream's connection.
    eventually(DEADLINE, "the upstream is let go", || async {
        when(written.load(Ordering::SeqCst) >= 1 << 40)
    })
    .await;
    // What the sockets of the machine hold, on both sides; never what was written.
    assert!(written.load(Ordering::SeqCst) - (1 << 40) < 64 << 20);
}

#[tokio::test]
async fn a_thousand_idle_websockets_end_with_their_session() {
    let echo = framed().await;
    let gateway = TestGateway::start(&echo.routes("")).await;
    let user = Account::sign_up(&gateway).await;
    let sockets = (0..1000).map(|_| Socket::open(&gateway, "/ws", &user.token));
    let sockets = futures_util::future::join_all(sockets).await;
    let metrics = gateway.http.get(gateway.admin_url("/metrics")).send().await.unwrap();
    assert!(metrics.text().await.unwrap().contains("doorward_tunnels 1000"));
    gateway.log_out(&user.token).await;
    futures_util::future::join_all(sockets.into_iter().map(Socket::until_end)).await;
    eventually(DEADLINE, "no tunnel is left", || async {
        let metrics = gateway.http.get(gateway.admin_url("/metrics")).send().await.ok()?;
        when(metrics.text().await.ok()?.contains("doorward_tunnels 0"))
    })
    .await;
}

#[tokio::test]
async fn a_tunnel_is_waited_for_on_the_way_down_and_then_cut_and_logged() {
    let echo = Echo::start().await;
    let routes = echo.routes("auth = \"none\"");
    let mut process = Process::serve(&format!("[server]\ndrain = \"1s\"\n{routes}")).await;
    let mut conversation = Conversation::open(process.address).await;
    let bytes = "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    conversation.send(bytes).await;
    assert_eq!(conversation.answer().await.status, 101);
    process.signal("TERM").await;
    conversation.send("while it drains").await;
    while !conversation.pending().ends_with(b"while it drains") {
        assert!(conversation.read_some().await);
    }
    assert!(process.ended().await.success(), "{}", process.log());
    let log = process.log();
    let line = log
        .lines()
        .find(|line| line.contains("\"path\":\"/ws\""))
        .unwrap_or_else(|| panic!("{log}"));
    for part in [
        "\"status\":101",
        "\"bytes_in\":15",
        "\"bytes_out\":20",
        "\"complete\":false",
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
}
