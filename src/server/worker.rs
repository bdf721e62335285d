//! A worker: a thread with a runtime, listeners and upstream connections of its own.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::{mpsc, oneshot, watch};

use super::accept::{Accept, End};
use super::connection::Limits;
use super::proxy_protocol::Proxies;
use super::room::Room;
use super::{Door, Phase, StartError, until_stopping};
use crate::config::Config;
use crate::gateway::Gateway;
use crate::lasting::lasting;
use crate::limiter::Tally;
use crate::time;
use crate::tls::Tls;
use crate::upstream::Pools;

/// How many tasks may run before the kernel is asked for what has come meanwhile, where there are as many to run. Each
/// question is a system call, and the runtime's own choice is 61. With ten to twenty microseconds a task, this many take a few
/// milliseconds, which is the longest that what comes waits to be seen.
const EVENT_INTERVAL: u32 = 256;

/// How often idle upstream connections are looked through.
const SWEEP: Duration = Duration::from_secs(10);

/// What the workers of one gateway share. A connection keeps what was there when it was made.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) gateway: Arc<Gateway>,
    pub(super) tls: Arc<Tls>,
    pub(super) limits: Limits,
    pub(super) proxies: Arc<Proxies>,
    pub(super) room: Arc<Room>,
    /// How many connections each client has.
    pub(super) per_ip: Option<Tally>,
}

impl Shared {
    pub(super) fn new(gateway: Arc<Gateway>, tls: Arc<Tls>, config: &Config) -> Self {
        Self {
            gateway,
            tls,
            limits: Limits::new(&config.server),
            proxies: Arc::new(Proxies::new(&config.server)),
            room: Room::new(config.server.max_connections),
            per_ip: config.server.max_connections_per_ip.map(Tally::new),
        }
    }

    /// The same for connections that are made under another configuration.
    pub(super) fn renewed(&self, config: &Config) -> Self {
        self.room.resize(config.server.max_connections);
        Self {
            gateway: Arc::clone(&self.gateway),
            tls: Arc::clone(&self.tls),
            limits: Limits::new(&config.server),
            proxies: Arc::new(Proxies::new(&config.server)),
            room: Arc::clone(&self.room),
            per_ip: config.server.max_connections_per_ip.map(|most| match &self.per_ip {
                Some(tally) => tally.resized(most),
                None => Tally::new(most),
            }),
        }
    }
}

/// What a worker is told of its listeners.
#[derive(Debug)]
pub(super) enum Order {
    /// Accept on these sockets, which belong to the listener with this id.
    Open(u64, Door, Vec<TcpListener>),
    /// Serve who has connected to the listener with this id by now, and close it.
    Close(u64),
    /// Accept no more from the listener with this id: another process goes on with its sockets.
    Leave(u64),
    /// Say that you live.
    Answer(oneshot::Sender<()>),
}

/// A worker as others know it.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) thread: JoinHandle<()>,
    pub(super) orders: UnboundedSender<Order>,
    pub(super) runtime: Handle,
}

impl Worker {
    /// Starts one, and waits until it can take orders. It ends when nobody can give it any more.
    pub(super) async fn start(
        index: usize,
        shared: &Arc<ArcSwap<Shared>>,
        phase: watch::Receiver<Phase>,
    ) -> Result<Self, StartError> {
        let (orders, received) = mpsc::unbounded_channel();
        let (begun, runtime) = oneshot::channel();
        let shared = Arc::clone(shared);
        let thread = thread::Builder::new()
            .name(format!("doorward-worker-{index}"))
            .spawn(move || run(received, &shared, phase, begun))
            .map_err(StartError::Thread)?;
        let runtime = runtime.await.unwrap_or_else(|gone| Err(io::Error::other(gone)));
        Ok(Self {
            thread,
            orders,
            runtime: runtime.map_err(StartError::Thread)?,
        })
    }
}

/// Serves until told to stop; returns when all connections are closed. Hands on the runtime as soon as it is there.
fn run(
    mut orders: UnboundedReceiver<Order>,
    shared: &Arc<ArcSwap<Shared>>,
    mut phase: watch::Receiver<Phase>,
    begun: oneshot::Sender<io::Result<Handle>>,
) {
    time::keep();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .event_interval(EVENT_INTERVAL)
        .on_thread_unpark(time::refresh)
        .build();
    // Where nobody takes the answer, nobody has orders either.
    let runtime = match runtime {
        Ok(runtime) => {
            let _ = begun.send(Ok(runtime.handle().clone()));
            runtime
        }
        Err(error) => {
            let _ = begun.send(Err(error));
            return;
        }
    };
    runtime.block_on(async {
        let pools = Arc::new(Pools::new());
        // Each task holds a sender; when the last is gone, the receiver hears the end.
        let (alive, mut ended) = mpsc::channel::<Infallible>(1);
        let mut doors = Doors {
            shared: Arc::clone(shared),
            pools: Arc::clone(&pools),
            phase: phase.clone(),
            alive,
            open: HashMap::new(),
        };
        let mut stopping = phase.clone();
        let serving = async move {
            loop {
                tokio::select! {
                    biased;
                    order = orders.recv() => match order {
                        Some(order) => doors.obey(order),
                        None => break,
                    },
                    _ = until_stopping(&mut stopping) => break,
                }
            }
            // An order that came with the end is for a listener to which somebody may have connected.
            while let Ok(order) = orders.try_recv() {
                doors.obey(order);
            }
            drop(doors);
            let _ = ended.recv().await;
        };
        let sweep = lasting("the sweep of idle connections", || async {
            loop {
                tokio::time::sleep(SWEEP).await;
                pools.close_expired();
            }
        });
        tokio::select! {
            () = serving => {}
            _ = phase.wait_for(|phase| *phase == Phase::Ending) => {}
            () = sweep => {}
        }
    });
    // Dropping the runtime drops what is left of the connections.
}

/// The listeners of a worker.
struct Doors {
    shared: Arc<ArcSwap<Shared>>,
    pools: Arc<Pools>,
    phase: watch::Receiver<Phase>,
    alive: mpsc::Sender<Infallible>,
    /// By the listener's id. Dropped, they close it at once.
    open: HashMap<u64, Vec<oneshot::Sender<End>>>,
}

impl Doors {
    fn obey(&mut self, order: Order) {
        match order {
            Order::Open(id, door, sockets) => {
                for socket in sockets {
                    match tokio::net::TcpListener::from_std(socket) {
                        Ok(listener) => self.accept(id, door, listener),
                        Err(error) => tracing::error!(%error, "a listener can't be used"),
                    }
                }
            }
            Order::Close(id) => self.end(id, End::Close),
            // Nobody waits for it any more where it can't be sent.
            Order::Answer(to) => drop(to.send(())),
            Order::Leave(id) => self.end(id, End::Leave),
        }
    }

    fn accept(&mut self, id: u64, door: Door, listener: tokio::net::TcpListener) {
        let (open, closed) = oneshot::channel();
        self.open.entry(id).or_default().push(open);
        let task = Accept {
            listener,
            door,
            shared: Arc::clone(&self.shared),
            pools: Arc::clone(&self.pools),
            phase: self.phase.clone(),
            alive: self.alive.clone(),
        };
        tokio::spawn(task.run(closed));
    }

    fn end(&mut self, id: u64, end: End) {
        for open in self.open.remove(&id).unwrap_or_default() {
            // A task that is gone has ended already.
            let _ = open.send(end);
        }
    }
}
