//! An upstream that says whom it saw, that keeps nothing of it, and that can die and come back.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio::task::{JoinHandle, JoinSet};

use crate::support::{DEADLINE, eventually};

/// The header whose value comes back, by which an answer is known to be the one to its request.
pub(super) const NUMBER: &str = "x-number";
/// The header that says how long the answer is to be at least.
pub(super) const SIZE: &str = "x-size";

/// The upstream, which lives several times.
pub(super) struct Echo {
    pub(super) address: SocketAddr,
    life: Mutex<Option<JoinHandle<()>>>,
}

impl Echo {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        Self {
            address: listener.local_addr().expect("a bound socket has an address"),
            life: Mutex::new(Some(tokio::spawn(live(listener)))),
        }
    }

    /// Closes everything, answers under way among it.
    pub(super) async fn die(&self) {
        if let Some(life) = self.life.lock().await.take() {
            life.abort();
            // Until its sockets are closed.
            drop(life.await);
        }
    }

    /// Listens again where it did.
    pub(super) async fn come_back(&self) {
        let listener = eventually(DEADLINE, "the upstream's port is free again", || async {
            TcpListener::bind(self.address).await.ok()
        })
        .await;
        *self.life.lock().await = Some(tokio::spawn(live(listener)));
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.life.get_mut().iter().for_each(JoinHandle::abort);
    }
}

async fn live(listener: TcpListener) {
    // Dropped with the task: its connections end with it.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(serve(stream));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(mut stream: TcpStream) {
    drop(stream.set_nodelay(true));
    let mut pending = Vec::with_capacity(16 * 1024);
    loop {
        while let Some((answer, taken)) = answer(&pending) {
            pending.drain(..taken);
            if stream.write_all(&answer).await.is_err() {
                return;
            }
        }
        match stream.read_buf(&mut pending).await {
            Ok(1..) => {}
            Ok(0) | Err(_) => return,
        }
    }
}

/// The answer to the request at the front of some bytes, once it is whole, and how many bytes it took.
fn answer(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    let head = match request.parse(bytes) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) => return None,
        Err(error) => panic!("the gateway sent {error}: {:?}", String::from_utf8_lossy(bytes)),
    };
    // All values of the name: two identities would show.
    let value = |name: &str| {
        let named = request
            .headers
            .iter()
            .filter(|header| header.name.eq_ignore_ascii_case(name));
        let values: Vec<_> = named.map(|header| String::from_utf8_lossy(header.value)).collect();
        values.join("|")
    };
    assert_eq!(
        value("transfer-encoding"),
        "",
        "clients here say how long their bodies are"
    );
    let length: usize = value("content-length").parse().unwrap_or(0);
    if bytes.len() < head + length {
        return None;
    }
    let mut body = said(&value("x-auth-user-id"), &value(NUMBER), length);
    let size = value(SIZE).parse().unwrap_or(0).max(body.len());
    body.resize(size, b'.');
    let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n").into_bytes();
    answer.append(&mut body);
    Some((answer, head + length))
}

/// What an answer begins with.
pub(super) fn said(user: &str, number: &str, length: usize) -> Vec<u8> {
    format!("{user} {number} {length};").into_bytes()
}
