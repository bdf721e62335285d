//! Clients that ask all the time, while something changes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::Conversation;

/// Clients that ask again and again: some on one connection, some on a new one each time, some with a body in two halves.
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    clients: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    /// Clients of a gateway that closes no connection by itself without a word.
    pub(super) fn on(address: SocketAddr) -> Self {
        Self::new(address, false)
    }

    /// Clients of a gateway that drains with nobody in its place, which closes connections on which nothing is under way after
    /// a second: a client that asks at that moment on such a connection asks again on another one, where the request may
    /// be repeated (RFC 9112, section 9.3.1).
    pub(super) fn on_one_that_drains(address: SocketAddr) -> Self {
        Self::new(address, true)
    }

    fn new(address: SocketAddr, drains: bool) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let client = |number: usize| {
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            tokio::spawn(async move {
                let has_body = number >= 4;
                let closes = number.is_multiple_of(2) || (drains && has_body);
                let mut conversation = Conversation::open(address).await;
                let mut is_fresh = true;
                while !stop.load(Ordering::Relaxed) {
                    ask(&mut conversation, has_body).await;
                    let ended = !conversation.read_some().await && conversation.pending().is_empty();
                    if !(ended && drains && !is_fresh) {
                        let answer = conversation.answer().await;
                        assert_eq!(answer.status, 200);
                        answered.fetch_add(1, Ordering::Relaxed);
                        is_fresh = false;
                        if !closes && answer.header("connection") != Some("close") {
                            continue;
                        }
                    }
                    conversation = Conversation::open(address).await;
                    is_fresh = true;
                }
            })
        };
        Self {
            clients: (0..8).map(client).collect(),
            stop,
            answered,
        }
    }

    pub(super) fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }

    /// Ends it; panics if a client was not served.
    pub(super) async fn end(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.await.expect("every request was answered with 200");
        }
        self.answered.load(Ordering::Relaxed)
    }
}

async fn ask(conversation: &mut Conversation, has_body: bool) {
    if has_body {
        conversation
            .send("POST /public/x HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345")
            .await;
        tokio::time::sleep(Duration::from_millis(3)).await;
        conversation.send("67890").await;
    } else {
        conversation.send("GET /public/x HTTP/1.1\r\nHost: x\r\n\r\n").await;
    }
}
