//! Answers that their clients do not take: they end with their token as well, though nobody asks for more of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::ended::ended;
use crate::http2::play::{Play, get, play, stream};
use crate::support::upstream::{Aborting, each};
use crate::support::{Account, Conversation, DEADLINE, TestGateway, eventually, when};

/// An upstream whose answer never ends.
struct Flood {
    routes: String,
    sent: Arc<AtomicU64>,
    open: Arc<AtomicUsize>,
    _server: Aborting,
}

impl Flood {
    async fn start() -> Self {
        let (sent, open) = (Arc::<AtomicU64>::default(), Arc::<AtomicUsize>::default());
        let (count, connections) = (Arc::clone(&sent), Arc::clone(&open));
        let (address, server) = each(move |stream| {
            let (count, connections) = (Arc::clone(&count), Arc::clone(&connections));
            async move {
                connections.fetch_add(1, Ordering::SeqCst);
                pour(stream, &count).await;
                connections.fetch_sub(1, Ordering::SeqCst);
            }
        })
        .await;
        Self {
            // What a client that takes nothing is given up for otherwise is far away.
            routes: format!(
                "[server]\nh2c = true\nbody_idle_timeout = \"1h\"\n[upstreams.app]\nservers = [\"http://{address}\"]\n\
                 [[routes]]\npath = \"/flood\"\nupstream = \"app\"\n"
            ),
            sent,
            open,
            _server: server,
        }
    }

    /// Waits until nothing goes on any more, as the client takes nothing.
    async fn until_stuck(&self) {
        let last = AtomicU64::new(0);
        eventually(DEADLINE, "the upstream is stuck", || async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let sent = self.sent.load(Ordering::SeqCst);
            when(sent > 0 && last.swap(sent, Ordering::SeqCst) == sent)
        })
        .await;
    }

    async fn until_let_go(&self) {
        eventually(DEADLINE, "the upstream is let go", || async {
            when(self.open.load(Ordering::SeqCst) == 0)
        })
        .await;
    }
}

async fn pour(mut stream: TcpStream, sent: &AtomicU64) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let begin = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = format!("4000\r\n{}\r\n", "x".repeat(0x4000));
    let mut next = stream.write_all(begin).await;
    while next.is_ok() {
        sent.fetch_add(1, Ordering::SeqCst);
        next = stream.write_all(chunk.as_bytes()).await;
    }
}

#[tokio::test]
async fn a_client_of_http_1_that_takes_nothing_does_not_keep_its_answer() {
    let flood = Flood::start().await;
    let gateway = TestGateway::start(&flood.routes).await;
    let user = Account::sign_up(&gateway).await;
    let mut client = Conversation::open(gateway.address).await;
    let raw = "GET /flood HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer TOKEN\r\n\r\n";
    client.send(gateway.fill(raw, &user.token)).await;
    flood.until_stuck().await;
    gateway.log_out(&user.token).await;
    flood.until_let_go().await;
    while client.read_some().await {}
    assert!(!client.pending().ends_with(b"0\r\n\r\n"), "it looks whole");
    eventually(DEADLINE, "the end is counted", || async {
        when(ended(&gateway, "token_revoked").await == 1)
    })
    .await;
}

#[tokio::test]
async fn a_client_of_http_2_that_opens_no_window_does_not_keep_its_answer() {
    let flood = Flood::start().await;
    let gateway = TestGateway::start(&flood.routes).await;
    let user = Account::sign_up(&gateway).await;
    let (address, host, bearer) = (gateway.address, gateway.address.to_string(), user.bearer());
    let taking = Play::default()
        .step(json!(["settings", [[4, 0]]]))
        .step(json!(["headers", 1, get(&host, "/flood", &bearer), true]))
        .step(json!(["end", 1]))
        .step(json!(["settle"]));
    let playing = tokio::spawn(play(address, vec![taking]));
    flood.until_stuck().await;
    gateway.log_out(&user.token).await;
    flood.until_let_go().await;
    let told = &playing.await.unwrap()[0];
    assert_eq!(
        (stream(told, 1).status, stream(told, 1).reset),
        (Some(200), Some(8)),
        "{told}"
    );
    assert_eq!(ended(&gateway, "token_revoked").await, 1);
}
