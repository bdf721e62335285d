//! [`Private`]: the private listener, which may move or be turned off while the gateway runs.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::StartError;
use super::handover::Sockets;
use super::inherit::Inherited;
use crate::admin::{self, Readiness};
use crate::metrics::Metrics;

/// The private listener and the task that serves it. Dropping it stops it.
#[derive(Debug)]
pub(super) struct Private {
    address: SocketAddr,
    /// The socket once more, to be handed on.
    socket: Sockets,
    kept: bool,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Bound, and not yet served.
#[derive(Debug)]
pub(super) struct Bound {
    address: SocketAddr,
    socket: Sockets,
    kept: bool,
    listener: tokio::net::TcpListener,
}

impl Bound {
    pub(super) fn new(wanted: SocketAddr, inherited: &mut Inherited) -> Result<Self, StartError> {
        let bound = inherited.take(wanted).and_then(|mut sockets| match sockets.pop() {
            Some(socket) => Self::of(socket, inherited.is_kept()),
            None => TcpListener::bind(wanted).and_then(|socket| Self::of(socket, false)),
        });
        bound.map_err(|source| StartError::Bind {
            address: wanted,
            source,
        })
    }

    fn of(socket: TcpListener, kept: bool) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self {
            address: socket.local_addr()?,
            listener: tokio::net::TcpListener::from_std(socket.try_clone()?)?,
            socket: Arc::new(vec![socket]),
            kept,
        })
    }

    /// Serves from now on.
    pub(super) fn serve(self, readiness: &Arc<Readiness>, metrics: &Arc<Metrics>) -> Private {
        let (stop, stopped) = watch::channel(false);
        let (readiness, metrics) = (Arc::clone(readiness), Arc::clone(metrics));
        Private {
            address: self.address,
            socket: self.socket,
            kept: self.kept,
            stop,
            task: tokio::spawn(admin::serve(self.listener, readiness, metrics, stopped)),
        }
    }
}

impl Private {
    /// Where it is.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The socket, for a process that takes over.
    pub(super) fn sockets(&self) -> Option<Sockets> {
        (!self.kept).then(|| Arc::clone(&self.socket))
    }

    /// Stops, and waits for the end.
    pub(super) async fn stop(self) {
        let Self { socket, stop, task, .. } = self;
        drop(socket);
        stop.send_replace(true);
        // A task that panicked has nothing left to stop.
        let _ = task.await;
    }
}
