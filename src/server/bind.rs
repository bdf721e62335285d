//! Binding listeners: one socket per worker and address, among which the kernel spreads connections (`SO_REUSEPORT`).

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

use super::StartError;
use crate::config;

/// How many connections may wait to be accepted, per socket; the kernel caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// Bound listeners.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) per_worker: Vec<Vec<TcpListener>>,
}

/// Binds each address once per worker.
pub(super) fn bind(config: &config::Server) -> Result<Bound, StartError> {
    let mut bound = Bound {
        addresses: Vec::new(),
        per_worker: (0..config.workers).map(|_| Vec::new()).collect(),
    };
    for &wanted in &config.listen {
        let error = |source| StartError::Bind {
            address: wanted,
            source,
        };
        // With SO_REUSEPORT a second gateway of the same user would take half of the connections of the first without an
        // error on either side, so first make sure that nobody is there.
        drop(socket(wanted, false).map_err(error)?);
        let mut address = wanted;
        for listeners in &mut bound.per_worker {
            let listener = socket(address, true).map_err(error)?;
            // Port 0: the first socket is given a port, the others share it.
            address = listener.local_addr().map_err(error)?;
            listeners.push(listener);
        }
        bound.addresses.push(address);
    }
    Ok(bound)
}

/// Binds the private listener.
pub(super) async fn bind_one(address: SocketAddr) -> Result<tokio::net::TcpListener, StartError> {
    tokio::net::TcpListener::bind(address)
        .await
        .map_err(|source| StartError::Bind { address, source })
}

fn socket(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A port whose last connections have just closed can be bound again at once.
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    if address.is_ipv6() {
        // `[::]` beside `0.0.0.0` must not collide.
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_in_use_is_an_error_even_though_workers_share_one() {
        let taken = socket("127.0.0.1:0".parse().unwrap(), true).unwrap();
        let address = taken.local_addr().unwrap();
        assert_eq!(socket(address, false).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert_eq!(socket(address, true).unwrap().local_addr().unwrap(), address);
    }
}
