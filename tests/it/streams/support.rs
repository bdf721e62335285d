//! An upstream of server-sent events that are sent when the test says so, and a client that sees each as it comes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::broadcast;

use crate::support::upstream::{Aborting, each};
use crate::support::{Conversation, DEADLINE, TestGateway, eventually, when};

/// An upstream whose answers to `…/events` never end, and which takes forever to answer `…/poll`.
pub(super) struct Events {
    pub(super) url: String,
    sender: broadcast::Sender<String>,
    open: Arc<AtomicUsize>,
    _server: Aborting,
}

impl Events {
    pub(super) async fn start() -> Self {
        let sender = broadcast::Sender::new(64);
        let open = Arc::new(AtomicUsize::new(0));
        let (events, count) = (sender.clone(), Arc::clone(&open));
        let (address, server) = each(move |stream| {
            let (receiver, count) = (events.subscribe(), Arc::clone(&count));
            async move {
                count.fetch_add(1, Ordering::SeqCst);
                serve(stream, receiver).await;
                count.fetch_sub(1, Ordering::SeqCst);
            }
        })
        .await;
        Self {
            url: format!("http://{address}"),
            sender,
            open,
            _server: server,
        }
    }

    /// Sends an event on every stream.
    pub(super) fn send(&self, event: &str) {
        self.sender.send(event.to_owned()).expect("a stream is open");
    }

    /// Waits until so many connections are open.
    pub(super) async fn until_open(&self, wanted: usize) {
        eventually(DEADLINE, &format!("{wanted} connections to the upstream"), || async {
            when(self.open.load(Ordering::SeqCst) == wanted)
        })
        .await;
    }

    /// The usual routes: `/e` is guarded, `/finish` lets what is under way finish.
    pub(super) fn routes(&self) -> String {
        format!(
            "[upstreams.app]\nservers = [\"{}\"]\n\
             [[routes]]\npath = \"/e\"\nupstream = \"app\"\n\
             [[routes]]\npath = \"/finish\"\nupstream = \"app\"\non_token_end = \"finish\"\n",
            self.url
        )
    }
}

async fn serve(mut stream: TcpStream, mut events: broadcast::Receiver<String>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    if !head.starts_with(b"GET") || contains(&head, b"/poll") {
        // Takes whatever comes, and says nothing.
        while matches!(stream.read(&mut [0; 4096]).await, Ok(n) if n > 0) {}
        return;
    }
    let begin = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    if stream.write_all(begin.as_bytes()).await.is_err() {
        return;
    }
    let (mut reader, mut writer) = stream.split();
    let mut byte = [0];
    loop {
        tokio::select! {
            // The gateway hangs up.
            _ = reader.read(&mut byte) => return,
            event = events.recv() => {
                let Ok(event) = event else { return };
                let event = format!("data: {event}\n\n");
                let chunk = format!("{:x}\r\n{event}\r\n", event.len());
                if writer.write_all(chunk.as_bytes()).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// A client of such a stream.
pub(super) struct Listener(Conversation);

impl Listener {
    /// Opens a stream; its head has come when this returns.
    pub(super) async fn open(gateway: &TestGateway, path: &str, token: &str) -> Self {
        let mut conversation = Conversation::open(gateway.address).await;
        let raw = format!("GET {path} HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer TOKEN\r\n\r\n");
        conversation.send(gateway.fill(&raw, token)).await;
        let mut listener = Self(conversation);
        listener.sees("\r\n\r\n").await;
        assert!(listener.0.pending().starts_with(b"HTTP/1.1 200"), "{listener:?}");
        listener
    }

    /// Waits for this text.
    pub(super) async fn sees(&mut self, text: &str) {
        while !contains(self.0.pending(), text.as_bytes()) {
            assert!(self.0.read_some().await, "the stream ended before {text:?}: {self:?}");
        }
    }

    /// Waits for the end, which must not look like a whole answer.
    pub(super) async fn breaks_off(mut self) {
        while self.0.read_some().await {}
        assert!(!self.0.pending().ends_with(b"0\r\n\r\n"), "it looks whole: {self:?}");
    }
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.0.pending()))
    }
}

/// Whether the text is somewhere in the bytes.
pub(super) fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}
