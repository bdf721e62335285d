//! [`Private`]: the private listener, which may move or be turned off while the gateway runs.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use socket2::SockRef;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::StartError;
use super::accept::{GRACE, begin_no_handshake};
use super::background::until_told;
use super::bind::{self, Beside};
use super::handover::Sockets;
use super::inherit::Inherited;
use crate::admin::{self, Readiness};
use crate::config::Server;
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

/// Bound, and not yet listening where others may listen beside it.
#[derive(Debug)]
pub(super) struct Bound {
    address: SocketAddr,
    socket: TcpListener,
    kept: bool,
}

/// Listening, and not yet served.
#[derive(Debug)]
pub(super) struct Open {
    bound: Bound,
    listener: tokio::net::TcpListener,
}

impl Bound {
    pub(super) fn new(wanted: SocketAddr, config: &Server, inherited: &mut Inherited) -> Result<Self, StartError> {
        let beside = if config.reuse_port {
            Beside::Others
        } else {
            Beside::Nobody
        };
        let of = |socket: TcpListener, kept| {
            Ok(Self {
                address: socket.local_addr()?,
                socket,
                kept,
            })
        };
        let bound = inherited.take(wanted).and_then(|mut sockets| match sockets.pop() {
            Some(socket) => of(socket, inherited.is_kept()),
            None => bind::bind_private(wanted, beside).and_then(|mut sockets| match sockets.pop() {
                Some(socket) => of(socket, false),
                None => Err(io::ErrorKind::AddrNotAvailable.into()),
            }),
        });
        bound.map_err(StartError::bind(wanted))
    }

    /// Has it take connections: the last of what can fail.
    pub(super) fn listen(self) -> Result<Open, StartError> {
        let listener = bind::listen(std::slice::from_ref(&self.socket))
            .and_then(|()| self.socket.try_clone())
            .and_then(tokio::net::TcpListener::from_std);
        let listener = listener.map_err(StartError::bind(self.address))?;
        Ok(Open { bound: self, listener })
    }
}

impl Open {
    /// Serves from now on.
    pub(super) fn serve(self, readiness: &Arc<Readiness>, metrics: &Arc<Metrics>) -> Private {
        let (stop, stopped) = watch::channel(false);
        let (readiness, metrics) = (Arc::clone(readiness), Arc::clone(metrics));
        let (listener, mut told) = (self.listener, stopped.clone());
        let serving = async move {
            // An error means that nobody holds the listener any more.
            let told = async move { drop(told.wait_for(|stop| *stop).await) };
            let serve = |_| admin::serve(&listener, &readiness, &metrics, stopped.clone());
            until_told("the private listener", told, serve).await;
        };
        Private {
            address: self.bound.address,
            socket: Arc::new(vec![self.bound.socket]),
            kept: self.bound.kept,
            stop,
            task: tokio::spawn(serving),
        }
    }
}

impl Private {
    /// Where it is.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether somebody else keeps it open when this process is gone.
    pub(super) const fn is_kept(&self) -> bool {
        self.kept
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

    /// The same where others listen beside it: whoever is connecting is still served.
    pub(super) async fn close(self) {
        for socket in self.socket.iter() {
            begin_no_handshake(&SockRef::from(socket));
        }
        tokio::time::sleep(GRACE).await;
        self.stop().await;
    }
}
