//! [`Accept`]: the loop of one listening socket, from its first connection to its last.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use futures_util::future::Shared as Heard;
use socket2::{SockFilter, SockRef};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};

use super::background::until_told;
use super::room::Seat;
use super::worker::Shared;
use super::{Door, Phase, connection};
use crate::time::monotonic;
use crate::upstream::Pools;

/// How long to wait when no connection can be accepted (file descriptors are used up, for example).
const PAUSE: Duration = Duration::from_millis(50);
/// How long nothing more is told of a listener that accepts nothing, and now and then something.
const QUIET: Duration = Duration::from_secs(10);
/// How long clients that are half-way through the handshake may take to finish it when a listener closes and another may
/// take its place: a round trip, by and large.
pub(super) const GRACE: Duration = Duration::from_millis(300);

/// How a listener ends. One that is told nothing closes at once.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    /// Another listener may take its place: whoever is connecting is still served.
    Close,
    /// Another process goes on with the socket, and with whoever is waiting in it.
    Leave,
}

/// The loop of one listening socket.
pub(super) struct Accept {
    pub(super) listener: TcpListener,
    pub(super) door: Door,
    pub(super) shared: Arc<ArcSwap<Shared>>,
    pub(super) pools: Arc<Pools>,
    pub(super) phase: watch::Receiver<Phase>,
    pub(super) alive: mpsc::Sender<Infallible>,
}

impl Accept {
    /// Goes on after a panic: without it the listener would be closed on this worker for good.
    pub(super) async fn run(self, told: oneshot::Receiver<End>) {
        let end = until_told("accepting connections", told, |told| self.accept(told)).await;
        match end {
            Ok(End::Leave) => {}
            Ok(End::Close) => self.close(GRACE).await,
            Err(_) => self.close(Duration::ZERO).await,
        }
    }

    async fn accept(&self, mut told: Heard<oneshot::Receiver<End>>) {
        let mut trouble = Trouble::default();
        loop {
            let accepted = tokio::select! {
                biased;
                _ = &mut told => return,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    trouble.is_over();
                    // At the limit nothing more is accepted: clients wait here, and in the kernel's queue, instead of
                    // being turned away. When the listener ends there is always room for those who are here.
                    let room = Arc::clone(&self.shared.load().room);
                    tokio::select! {
                        biased;
                        seat = room.seat() => self.serve(stream, peer, seat),
                        _ = &mut told => return self.serve(stream, peer, None),
                    }
                }
                Err(error) => {
                    self.shared.load().gateway.metrics().accept_failures.inc();
                    trouble.is(&error);
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Clients whose handshake the kernel has finished already would be reset if the listener just closed, and so would those
    /// who are half-way through it. No new one is let begin: the kernel drops it, and the client's next try, a second
    /// later, finds whoever listens then.
    async fn close(&self, grace: Duration) {
        let listener = SockRef::from(&self.listener);
        begin_no_handshake(&listener);
        if !grace.is_zero() {
            // It never ends by itself.
            let _ = tokio::time::timeout(grace, self.accept_all()).await;
        }
        // The kernel is asked itself: the runtime would not try before it has heard of them.
        while let Ok((socket, peer)) = listener.accept() {
            let stream = socket
                .set_nonblocking(true)
                .and_then(|()| TcpStream::from_std(socket.into()));
            if let (Ok(stream), Some(peer)) = (stream, peer.as_socket()) {
                self.serve(stream, peer, None);
            }
        }
    }

    async fn accept_all(&self) -> Infallible {
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => self.serve(stream, peer, None),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    fn serve(&self, stream: TcpStream, peer: SocketAddr, seat: Option<Seat>) {
        let served = connection::serve(
            stream,
            peer,
            self.door,
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

/// What is told of a listener that accepts nothing: that it began and that it is over, and not twice in a short time, though
/// it may come and go with each connection.
#[derive(Debug, Default)]
struct Trouble {
    told: Option<Instant>,
    lasts: bool,
}

impl Trouble {
    fn is(&mut self, error: &io::Error) {
        if !self.lasts && self.told.is_none_or(|told| told.elapsed() >= QUIET) {
            tracing::warn!(%error, "no connection can be accepted");
            (self.told, self.lasts) = (Some(monotonic()), true);
        }
    }

    fn is_over(&mut self) {
        if self.lasts {
            tracing::info!("connections are accepted again");
            self.lasts = false;
        }
    }
}

/// Has the kernel drop what would begin a connection to the listener, and let those that have begun go on.
pub(super) fn begin_no_handshake(listener: &SockRef<'_>) {
    if let Err(error) = listener.attach_filter(&NO_NEW_HANDSHAKE) {
        tracing::debug!(%error, "a listener that closes can't be kept from beginning handshakes");
    }
}

/// Drops what begins a handshake (SYN without ACK) and lets all else pass, in classic BPF over the TCP header.
const NO_NEW_HANDSHAKE: [SockFilter; 5] = [
    // The byte of flags.
    SockFilter::new(0x30, 0, 0, 13),
    SockFilter::new(0x54, 0, 0, 0x12),
    SockFilter::new(0x15, 0, 1, 0x02),
    SockFilter::new(0x06, 0, 0, 0),
    SockFilter::new(0x06, 0, 0, u32::MAX),
];
