//! A stretch of network between a gateway and a server that it needs, which the test can slow down, cut, and lead elsewhere.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinHandle};

/// The wire. It is gone when dropped, with all connections over it.
pub(crate) struct Wire {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

struct State {
    to: SocketAddr,
    delay: Duration,
    open: Vec<AbortHandle>,
}

impl Wire {
    /// One that leads to this port of the loopback, and delays nothing.
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let state = Arc::new(Mutex::new(State {
            to: SocketAddr::from(([127, 0, 0, 1], port)),
            delay: Duration::ZERO,
            open: Vec::new(),
        }));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let carried = tokio::spawn(carry(near, Arc::clone(&shared)));
                let mut state = shared.lock().unwrap();
                state.open.retain(|open| !open.is_finished());
                state.open.push(carried.abort_handle());
            }
        });
        Self { address, state, task }
    }

    /// From now on whatever passes, in either direction, is delayed by this.
    pub(crate) fn delay(&self, delay: Duration) {
        self.state.lock().unwrap().delay = delay;
    }

    /// Cuts all connections, and leads new ones to this port.
    pub(crate) fn lead_to(&self, port: u16) {
        let mut state = self.state.lock().unwrap();
        state.to.set_port(port);
        state.open.drain(..).for_each(|open| open.abort());
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
        self.state.lock().unwrap().open.drain(..).for_each(|open| open.abort());
    }
}

async fn carry(near: TcpStream, state: Arc<Mutex<State>>) {
    let to = state.lock().unwrap().to;
    // Where nobody listens, the connection breaks as well.
    let Ok(far) = TcpStream::connect(to).await else { return };
    let ((near_reads, near_writes), (far_reads, far_writes)) = (near.into_split(), far.into_split());
    tokio::select! {
        () = pass(near_reads, far_writes, &state) => {}
        () = pass(far_reads, near_writes, &state) => {}
    }
}

async fn pass(mut from: impl AsyncRead + Unpin, mut into: impl AsyncWrite + Unpin, state: &Mutex<State>) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let delay = state.lock().unwrap().delay;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if into.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
