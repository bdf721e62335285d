//! An upstream that speaks `WebSocket` and a client, both of which show every byte.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::support::contains;
use crate::support::upstream::{Aborting, each};
use crate::support::{Conversation, TestGateway, within};

/// A key, which is any 16 bytes.
pub(crate) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// An upstream that answers each head as it is told and then sends back what it gets.
pub(crate) struct Echo {
    pub(crate) address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    _server: Aborting,
}

impl Echo {
    /// One that grants each upgrade and says `hello` in the same breath.
    pub(crate) async fn start() -> Self {
        Self::answering(|head| format!("{}hello", granted(head))).await
    }

    /// One that answers a head with this.
    pub(crate) async fn answering(answer: impl Fn(&str) -> String + Clone + Send + Sync + 'static) -> Self {
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&heads);
        let (address, server) = each(move |mut stream| {
            let (seen, answer) = (Arc::clone(&seen), answer.clone());
            async move {
                let mut bytes = Vec::new();
                // Whatever is answered, the next may be a head again.
                loop {
                    let end = loop {
                        if let Some(at) = bytes.windows(4).position(|end| end == b"\r\n\r\n") {
                            break at + 4;
                        }
                        if !matches!(stream.read_buf(&mut bytes).await, Ok(n) if n > 0) {
                            return;
                        }
                    };
                    let rest = bytes.split_off(end);
                    let head = String::from_utf8(bytes).expect("a head is text");
                    let answer = answer(&head);
                    seen.lock().unwrap().push(head);
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                    if answer.starts_with("HTTP/1.1 101") {
                        if stream.write_all(&rest).await.is_err() {
                            return;
                        }
                        let (mut reader, mut writer) = stream.split();
                        let _ = tokio::io::copy(&mut reader, &mut writer).await;
                        return;
                    }
                    bytes = rest;
                }
            }
        })
        .await;
        Self {
            address,
            heads,
            _server: server,
        }
    }

    /// The heads that came.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    /// `/ws` relays a `WebSocket`, `/finish` lets them finish, `/plain` relays none; `more` is said of each.
    pub(crate) fn routes(&self, more: &str) -> String {
        let ws = format!("upstream = \"app\"\nupgrades = [\"websocket\"]\n{more}\n");
        format!(
            "[upstreams.app]\nservers = [\"http://{}\"]\n\
             [[routes]]\npath = \"/ws\"\n{ws}\
             [[routes]]\npath = \"/finish\"\non_token_end = \"finish\"\n{ws}\
             [[routes]]\npath = \"/plain\"\nupstream = \"app\"\n",
            self.address
        )
    }
}

/// The answer that grants the upgrade that a head asks for.
pub(crate) fn granted(head: &str) -> String {
    let key = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("sec-websocket-key").then_some(value)
    });
    let text = format!("{}258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key.unwrap_or_default());
    let accept = STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()));
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
}

/// A handshake for this path. `more` are header lines.
pub(crate) fn handshake(gateway: &TestGateway, path: &str, token: &str, more: &str) -> String {
    let raw = format!(
        "GET {path} HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer TOKEN\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{more}\r\n"
    );
    gateway.fill(&raw, token)
}

/// A client's end of a tunnel.
pub(crate) struct Socket {
    stream: TcpStream,
    seen: Vec<u8>,
}

impl Socket {
    /// Opens a tunnel to an [`Echo`].
    pub(crate) async fn open(gateway: &TestGateway, path: &str, token: &str) -> Self {
        Self::send_first(gateway, &handshake(gateway, path, token, "")).await
    }

    /// The same, with these bytes.
    pub(crate) async fn send_first(gateway: &TestGateway, bytes: &str) -> Self {
        let stream = TcpStream::connect(gateway.address).await.expect("the gateway listens");
        let mut socket = Self {
            stream,
            seen: Vec::new(),
        };
        socket.send(bytes.as_bytes()).await;
        socket.sees("hello").await;
        assert!(socket.text().starts_with("HTTP/1.1 101"), "{}", socket.text());
        socket
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        within("send", self.stream.write_all(bytes)).await.expect("it is open");
    }

    /// Sends something and waits for it to come back.
    pub(crate) async fn echoes(&mut self, text: &str) {
        self.send(text.as_bytes()).await;
        self.sees(text).await;
    }

    pub(crate) async fn sees(&mut self, text: &str) {
        while !contains(&self.seen, text.as_bytes()) {
            let read = within("more bytes", self.stream.read_buf(&mut self.seen)).await;
            assert!(matches!(read, Ok(n) if n > 0), "no {text:?}: {}", self.text());
        }
    }

    /// Ends our direction alone.
    pub(crate) async fn end(&mut self) {
        self.stream.shutdown().await.expect("it is open");
    }

    /// All that came after `hello`, once nothing more comes.
    pub(crate) async fn until_end(mut self) -> Vec<u8> {
        while matches!(within("an end", self.stream.read_buf(&mut self.seen)).await, Ok(n) if n > 0) {}
        let at = self.seen.windows(5).position(|window| window == b"hello");
        self.seen.split_off(at.expect("it was opened") + 5)
    }

    /// All that came, the head included.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.seen).into_owned()
    }
}

/// Sends a handshake as it is and gives the status and code of the answer, which is no upgrade.
pub(crate) async fn refusal(gateway: &TestGateway, bytes: &str) -> (u16, String) {
    let mut conversation = Conversation::open(gateway.address).await;
    conversation.send(bytes).await;
    let answer = conversation.answer().await;
    (answer.status, answer.problem())
}
