//! A worker: a thread with a runtime, listeners and upstream connections of its own.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};

use super::connection::{self, Limits};
use super::proxy_protocol::Proxies;
use super::room::{Room, Seat};
use super::{Phase, until_stopping};
use crate::config::Config;
use crate::gateway::Gateway;
use crate::upstream::Pools;

/// How often idle upstream connections are looked through.
const SWEEP: Duration = Duration::from_secs(10);
/// How long to wait when no connection can be accepted (file descriptors are used up, for example).
const PAUSE: Duration = Duration::from_millis(50);

/// What the workers of one gateway share. A connection keeps what was there when it was made.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) gateway: Arc<Gateway>,
    pub(super) limits: Limits,
    pub(super) proxies: Arc<Proxies>,
    room: Arc<Room>,
}

impl Shared {
    pub(super) fn new(gateway: Arc<Gateway>, config: &Config) -> Self {
        Self {
            gateway,
            limits: Limits::new(&config.server),
            proxies: Arc::new(Proxies::new(&config.server)),
            room: Room::new(config.server.max_connections),
        }
    }

    /// The same for connections that are made under another configuration.
    pub(super) fn renewed(&self, config: &Config) -> Self {
        self.room.resize(config.server.max_connections);
        Self {
            gateway: Arc::clone(&self.gateway),
            limits: Limits::new(&config.server),
            proxies: Arc::new(Proxies::new(&config.server)),
            room: Arc::clone(&self.room),
        }
    }
}

/// Serves until told to stop; returns when all connections are closed.
pub(super) fn run(listeners: Vec<TcpListener>, shared: &Arc<ArcSwap<Shared>>, mut phase: watch::Receiver<Phase>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "a worker has no runtime");
            return;
        }
    };
    runtime.block_on(async {
        let pools = Arc::new(Pools::new());
        // Each task holds a sender; when the last is gone, the receiver hears the end.
        let (alive, mut ended) = mpsc::channel::<Infallible>(1);
        for listener in listeners {
            match tokio::net::TcpListener::from_std(listener) {
                Ok(listener) => {
                    let task = Accept {
                        listener,
                        shared: Arc::clone(shared),
                        pools: Arc::clone(&pools),
                        phase: phase.clone(),
                        alive: alive.clone(),
                    };
                    tokio::spawn(task.run());
                }
                Err(error) => tracing::error!(%error, "a listener can't be used"),
            }
        }
        drop(alive);
        let sweep = async {
            loop {
                tokio::time::sleep(SWEEP).await;
                pools.close_expired();
            }
        };
        tokio::select! {
            _ = ended.recv() => {}
            _ = phase.wait_for(|phase| *phase == Phase::Ending) => {}
            () = sweep => {}
        }
    });
    // Dropping the runtime drops what is left of the connections.
}

/// The loop of one listener.
struct Accept {
    listener: tokio::net::TcpListener,
    shared: Arc<ArcSwap<Shared>>,
    pools: Arc<Pools>,
    phase: watch::Receiver<Phase>,
    alive: mpsc::Sender<Infallible>,
}

impl Accept {
    async fn run(self) {
        let mut phase = self.phase.clone();
        loop {
            let accepted = tokio::select! {
                biased;
                () = until_stopping(&mut phase) => break,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    // At the limit nothing more is accepted: clients wait here, and in the kernel's queue, instead of
                    // being turned away. On the way down there is always room for those who are here.
                    let room = Arc::clone(&self.shared.load().room);
                    let seat = tokio::select! {
                        biased;
                        seat = room.seat() => seat,
                        () = until_stopping(&mut phase) => None,
                    };
                    self.serve(stream, peer, seat);
                }
                Err(error) => {
                    tracing::warn!(%error, "no connection can be accepted");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        // Clients whose handshake the kernel has finished already would be reset if the listener just closed. The kernel is
        // asked itself: the runtime would not try before it has heard of them.
        let listener = SockRef::from(&self.listener);
        while let Ok((socket, peer)) = listener.accept() {
            let stream = socket
                .set_nonblocking(true)
                .and_then(|()| TcpStream::from_std(socket.into()));
            if let (Ok(stream), Some(peer)) = (stream, peer.as_socket()) {
                self.serve(stream, peer, None);
            }
        }
    }

    fn serve(&self, stream: TcpStream, peer: SocketAddr, seat: Option<Seat>) {
        let served = connection::serve(
            stream,
            peer,
            self.shared.load().as_ref().clone(),
            Arc::clone(&self.pools),
            self.phase.clone(),
        );
        let alive = self.alive.clone();
        tokio::spawn(async move {
            served.await;
            drop((seat, alive));
        });
    }
}
