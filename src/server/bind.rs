//! Binding listeners: one socket per worker and address, among which the kernel spreads connections (`SO_REUSEPORT`).

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

/// How many connections may wait to be accepted, per socket; the kernel caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// Who may listen on an address already that is to be bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beside {
    /// Nobody: it is refused then.
    Nobody,
    /// This process, which will do so twice for a while.
    Ourselves,
    /// Another gateway of the same user (`server.reuse_port`). What is bound beside it gets no connection before it is
    /// [told to listen](listen): those that came earlier would be lost if the start failed.
    Others,
}

/// Binds a public address once for each of so many workers.
pub(super) fn bind(wanted: SocketAddr, workers: usize, beside: Beside) -> io::Result<Vec<TcpListener>> {
    // `[::]` beside `0.0.0.0` must not collide.
    sockets(wanted, workers, beside, wanted.is_ipv6())
}

/// Binds the private address, of which `[::]` takes in IPv4 where the system has it so.
pub(super) fn bind_private(wanted: SocketAddr, beside: Beside) -> io::Result<Vec<TcpListener>> {
    sockets(wanted, 1, beside, false)
}

fn sockets(wanted: SocketAddr, number: usize, beside: Beside, only_v6: bool) -> io::Result<Vec<TcpListener>> {
    if beside == Beside::Nobody {
        // With SO_REUSEPORT a second gateway of the same user would take half of the connections of the first without an
        // error on either side, so first make sure that nobody is there.
        let alone = socket(wanted, false, only_v6).and_then(|socket| socket.listen(BACKLOG));
        alone.map_err(explained(beside))?;
    }
    let mut address = wanted;
    let mut sockets = Vec::new();
    for _ in 0..number {
        let socket = socket(address, true, only_v6).map_err(explained(beside))?;
        if beside != Beside::Others {
            socket.listen(BACKLOG)?;
        }
        let socket = TcpListener::from(socket);
        // Port 0: the first socket is given a port, the others share it.
        address = socket.local_addr()?;
        sockets.push(socket);
    }
    Ok(sockets)
}

/// Has them take connections that were bound and not told so yet; does nothing to others.
pub(super) fn listen(sockets: &[TcpListener]) -> io::Result<()> {
    for socket in sockets {
        let socket = SockRef::from(socket);
        if !socket.is_listener()? {
            socket.listen(BACKLOG).map_err(explained(Beside::Others))?;
        }
    }
    Ok(())
}

/// Whether the system would refuse to bind the second after the first, or would spread connections over both.
pub(super) fn overlap(first: SocketAddr, second: SocketAddr) -> bool {
    let same_address = first.ip() == second.ip() || first.ip().is_unspecified() || second.ip().is_unspecified();
    first.port() == second.port() && first.is_ipv4() == second.is_ipv4() && same_address
}

/// Bound, and not yet listening.
fn socket(address: SocketAddr, shared: bool, only_v6: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A port whose last connections have just closed can be bound again at once.
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    if only_v6 {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Says what an address in use means.
fn explained(beside: Beside) -> impl Fn(io::Error) -> io::Error {
    move |error| {
        if error.kind() != io::ErrorKind::AddrInUse {
            return error;
        }
        let why = match beside {
            Beside::Nobody | Beside::Ourselves => {
                "something listens there already; gateways of one user share an address with server.reuse_port, \
                 and hand it over with server.handover"
            }
            Beside::Others => {
                "something listens there already that is no gateway of the same user, which alone can share it"
            }
        };
        io::Error::new(error.kind(), why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_in_use_is_an_error_even_though_workers_share_one() {
        let taken = bind("127.0.0.1:0".parse().unwrap(), 2, Beside::Nobody).unwrap();
        let address = taken[0].local_addr().unwrap();
        let refused = bind(address, 2, Beside::Nobody).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
        assert!(refused.to_string().contains("server.reuse_port"), "{refused}");
        assert_eq!(
            bind(address, 1, Beside::Ourselves).unwrap()[0].local_addr().unwrap(),
            address
        );
    }

    #[test]
    fn what_is_bound_beside_others_gets_no_connection_before_it_listens() {
        let first = bind("127.0.0.1:0".parse().unwrap(), 1, Beside::Others).unwrap();
        listen(&first).unwrap();
        let address = first[0].local_addr().unwrap();
        let second = bind(address, 1, Beside::Others).unwrap();
        let clients: Vec<_> = (0..50)
            .map(|_| std::net::TcpStream::connect(address).unwrap())
            .collect();
        let came = std::iter::from_fn(|| first[0].accept().ok()).count();
        assert_eq!(came, clients.len());
        listen(&second).unwrap();
        let clients: Vec<_> = (0..50)
            .map(|_| std::net::TcpStream::connect(address).unwrap())
            .collect();
        let came = std::iter::from_fn(|| second[0].accept().ok()).count();
        assert!(came > 0 && came < clients.len(), "{came}");
    }

    #[test]
    fn what_does_not_share_is_an_error_also_for_those_who_would() {
        let alone = TcpListener::bind("127.0.0.1:0").unwrap();
        let refused = bind(alone.local_addr().unwrap(), 1, Beside::Others).unwrap_err();
        assert!(refused.to_string().contains("no gateway of the same user"), "{refused}");
    }
}
