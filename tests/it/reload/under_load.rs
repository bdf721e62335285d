//! Many reloads while many clients ask.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::process::Process;
use crate::support::{Answer, Conversation, DEADLINE, Upstream, eventually, usual_routes, when};

/// Clients that ask again and again: some on one connection, some on a new one each time, some with a body in two halves.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    clients: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    fn on(address: std::net::SocketAddr) -> Self {
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

    fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }

    /// Ends it; panics if a client was not served.
    async fn end(self) -> usize {
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_across_a_hundred_reloads() {
    let (upstream, other) = (Upstream::echo().await, Upstream::echo().await);
    let process = Process::serve(&usual_routes(&upstream)).await;
    let load = Load::on(process.address);
    for reload in 0..100 {
        // The upstream of the route changes with each, and so does the list of routes.
        let upstream = if reload % 2 == 0 { &other } else { &upstream };
        let extra = format!("[[routes]]\npath = \"/extra{reload}\"\nupstream = \"app\"\n");
        process.reload(&format!("{}{extra}", usual_routes(upstream))).await;
    }
    let before = load.answered();
    eventually(DEADLINE, "the clients are still served", || async {
        when(load.answered() > before + 8)
    })
    .await;
    let answered = load.end().await;
    assert!(answered > 100, "{answered}");
    assert!(!other.seen().is_empty() && upstream.faults().is_empty() && other.faults().is_empty());
    assert_eq!(process.generation().await, 101);
}

#[tokio::test]
async fn signals_that_come_at_once_or_while_the_gateway_goes_down_do_no_harm() {
    let upstream = Upstream::start(|_| {
        let late = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone".to_vec();
        crate::support::Reply::Late(Duration::from_millis(500), late)
    })
    .await;
    let mut process = Process::serve(&usual_routes(&upstream)).await;
    process.signal("HUP").await;
    process.signal("HUP").await;
    eventually(DEADLINE, "it was reloaded", || async {
        when(process.generation().await >= 2)
    })
    .await;
    let mut busy = Conversation::open(process.address).await;
    busy.send("GET /public/x HTTP/1.1\r\nHost: x\r\n\r\n").await;
    eventually(DEADLINE, "the request is upstream", || async {
        when(upstream.seen().len() == 1)
    })
    .await;
    process.signal("HUP").await;
    process.signal("TERM").await;
    process.signal("HUP").await;
    assert_eq!(busy.answer().await.status, 200);
    assert!(process.ended().await.success(), "{}", process.log());
}
