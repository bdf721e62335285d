//! [`Private`]: the private listener, which may move or be turned off while the gateway runs.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::StartError;
use crate::admin::{self, Readiness};
use crate::metrics::Metrics;

/// The private listener and the task that serves it. Dropping it stops it.
#[derive(Debug)]
pub(super) struct Private {
    address: SocketAddr,
    /// The socket once more, to be handed on.
    socket: TcpListener,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Bound, and not yet served.
#[derive(Debug)]
pub(super) struct Bound {
    address: SocketAddr,
    socket: TcpListener,
    listener: tokio::net::TcpListener,
}

impl Bound {
    pub(super) fn new(wanted: SocketAddr) -> Result<Self, StartError> {
        let bound = TcpListener::bind(wanted).and_then(Self::of);
        bound.map_err(|source| StartError::Bind {
            address: wanted,
            source,
        })
    }

    fn of(socket: TcpListener) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self {
            address: socket.local_addr()?,
            listener: tokio::net::TcpListener::from_std(socket.try_clone()?)?,
            socket,
        })
    }

    /// Serves from now on.
    pub(super) fn serve(self, readiness: &Arc<Readiness>, metrics: &Arc<Metrics>) -> Private {
        let (stop, stopped) = watch::channel(false);
        let (readiness, metrics) = (Arc::clone(readiness), Arc::clone(metrics));
        Private {
            address: self.address,
            socket: self.socket,
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

    /// Stops, and waits for the end.
    pub(super) async fn stop(self) {
        let Self { socket, stop, task, .. } = self;
        drop(socket);
        stop.send_replace(true);
        // A task that panicked has nothing left to stop.
        let _ = task.await;
    }
}
