//! Clients that ask all the time, while something changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::{Answer, Conversation};

/// Clients that ask again and again: some on one connection, some on a new one each time, some with a body in two halves.
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    clients: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    pub(super) fn on(address: std::net::SocketAddr) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let client = |number: usize| {
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            tokio::spawn(async move {
                let mut conversation = Conversation::open(address).await;
                while !stop.load(Ordering::Relaxed) {
                    let answer = ask(&mut conversation, number).await;
                    assert_eq!(answer.status, 200);
                    answered.fetch_add(1, Ordering::Relaxed);
                    if number.is_multiple_of(2) {
                        conversation = Conversation::open(address).await;
                    }
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

async fn ask(conversation: &mut Conversation, number: usize) -> Answer {
    if number < 4 {
        conversation.send("GET /public/x HTTP/1.1\r\nHost: x\r\n\r\n").await;
    } else {
        conversation
            .send("POST /public/x HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345")
            .await;
        tokio::time::sleep(Duration::from_millis(3)).await;
        conversation.send("67890").await;
    }
    conversation.answer().await
}
