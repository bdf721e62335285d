//! [`Inherited`]: listening sockets that another process bound.

use std::io;
use std::net::{SocketAddr, TcpListener};

use listenfd::ListenFd;

/// Listening sockets that another process bound: the service manager, or a gateway that this one takes over from. Nobody
/// is refused a connection while one process hands them to another.
#[derive(Debug, Default)]
pub struct Inherited {
    sockets: Vec<(SocketAddr, TcpListener)>,
    /// Whether whoever bound them keeps them when this process is gone.
    kept: bool,
}

impl Inherited {
    /// Sockets that the service manager passed (`LISTEN_FDS`, see `sd_listen_fds(3)`); none where it passed none. Each is for the
    /// address of the configuration that it is bound to, whatever its name. To be called once.
    pub fn from_service_manager() -> io::Result<Self> {
        let mut passed = ListenFd::from_env();
        let sockets = (0..passed.len()).filter_map(|index| passed.take_tcp_listener(index).transpose());
        let sockets: Vec<TcpListener> = sockets.collect::<io::Result<_>>()?;
        Self::new(sockets, true)
    }

    pub(super) fn new(sockets: Vec<TcpListener>, kept: bool) -> io::Result<Self> {
        let with_address = |socket: TcpListener| Ok((socket.local_addr()?, socket));
        let sockets = sockets.into_iter().map(with_address).collect::<io::Result<_>>()?;
        Ok(Self { sockets, kept })
    }

    /// Whether there is none (left).
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.sockets.is_empty()
    }

    /// Whether whoever bound them keeps them when this process is gone.
    pub(super) const fn is_kept(&self) -> bool {
        self.kept
    }

    /// The address of one that has not been taken.
    pub(super) fn rest(&self) -> Option<SocketAddr> {
        self.sockets.first().map(|(address, _)| *address)
    }

    /// Takes the sockets of this address.
    pub(super) fn take(&mut self, wanted: SocketAddr) -> io::Result<Vec<TcpListener>> {
        let (taken, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.sockets)
            .into_iter()
            .partition(|(address, _)| *address == wanted);
        self.sockets = rest;
        let ready = |(_, socket): (SocketAddr, TcpListener)| socket.set_nonblocking(true).map(|()| socket);
        taken.into_iter().map(ready).collect()
    }
}
