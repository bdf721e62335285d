//! Binding listeners: one socket per worker and address, among which the kernel spreads connections (`SO_REUSEPORT`).

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// How many connections may wait to be accepted, per socket; the kernel caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// Binds an address once for each of so many workers. `is_ours`: the process listens there already, and will do so twice
/// for a while.
pub(super) fn bind(wanted: SocketAddr, workers: usize, is_ours: bool) -> io::Result<Vec<TcpListener>> {
    if !is_ours {
        // With SO_REUSEPORT a second gateway of the same user would take half of the connections of the first without an
        // error on either side, so first make sure that nobody is there.
        drop(socket(wanted, false)?);
    }
    let mut address = wanted;
    let mut sockets = Vec::new();
    for _ in 0..workers {
        let socket = socket(address, true)?;
        // Port 0: the first socket is given a port, the others share it.
        address = socket.local_addr()?;
        sockets.push(socket);
    }
    Ok(sockets)
}

/// Whether the system would refuse to bind the second after the first, or would spread connections over both.
pub(super) fn overlap(first: SocketAddr, second: SocketAddr) -> bool {
    let same_address = first.ip() == second.ip() || first.ip().is_unspecified() || second.ip().is_unspecified();
    first.port() == second.port() && first.is_ipv4() == second.is_ipv4() && same_address
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
