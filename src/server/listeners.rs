//! [`Listeners`]: which addresses are listened on, with a socket for each worker, and how that changes.
//!
//! New sockets are bound before old ones are closed, so that an address that stays never refuses a connection. What can't
//! be bound changes nothing.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use tokio::sync::mpsc::UnboundedSender;

use super::bind::{self, Beside};
use super::handover::Sockets;
use super::inherit::Inherited;
use super::worker::Order;
use super::{Door, StartError};
use crate::config::{Config, Server};

/// What is listened on.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    open: Vec<Listener>,
    next: u64,
}

/// One address that is listened on.
#[derive(Debug)]
struct Listener {
    id: u64,
    door: Door,
    /// As configured, perhaps with port 0.
    wanted: SocketAddr,
    address: SocketAddr,
    /// The workers' sockets once more, to be handed on. As long as one is here, it is open.
    sockets: Sockets,
    /// Whether somebody else keeps them open when this process is gone.
    kept: bool,
}

/// A change that is ready to be made: what is new is bound, and closed again when the change is dropped.
#[derive(Debug)]
pub(super) struct Change {
    /// By the order of the configuration.
    places: Vec<Place>,
    next: u64,
}

#[derive(Debug)]
enum Place {
    /// The listener with this id stays what it is.
    Stays(u64),
    /// This one is new, with sockets for each worker.
    New(Listener, Vec<Vec<TcpListener>>),
}

impl Listeners {
    /// Binds what the configuration asks for and is neither there yet nor inherited.
    pub(super) fn prepare(&self, config: &Config, inherited: &mut Inherited) -> Result<Change, StartError> {
        let mut change = Change {
            places: Vec::new(),
            next: self.next,
        };
        for (door, wanted) in wanted(config) {
            let mut open = self.open.iter();
            let stays = open.find(|open| (open.door, open.wanted) == (door, wanted) && !change.keeps(open.id));
            let place = if let Some(open) = stays {
                Place::Stays(open.id)
            } else {
                change.next += 1;
                let new = self.bind(change.next, door, wanted, &config.server, inherited);
                new.map_err(StartError::bind(wanted))?
            };
            change.places.push(place);
        }
        Ok(change)
    }

    fn bind(
        &self,
        id: u64,
        door: Door,
        wanted: SocketAddr,
        config: &Server,
        inherited: &mut Inherited,
    ) -> io::Result<Place> {
        let mut sockets = inherited.take(wanted)?;
        let kept = !sockets.is_empty() && inherited.is_kept();
        let is_ours = self.open.iter().any(|open| bind::overlap(open.address, wanted));
        if sockets.is_empty() {
            let beside = match (config.reuse_port, is_ours) {
                (true, _) => Beside::Others,
                (false, true) => Beside::Ourselves,
                (false, false) => Beside::Nobody,
            };
            sockets = bind::bind(wanted, config.workers, beside)?;
        }
        let address = sockets.first().map_or(Ok(wanted), TcpListener::local_addr)?;
        let per_worker = share(&sockets, config.workers)?;
        let listener = Listener {
            id,
            door,
            wanted,
            address,
            sockets: Arc::new(sockets),
            kept,
        };
        Ok(Place::New(listener, per_worker))
    }

    /// Makes the change: what is new is opened first, what is not wanted any more is closed then. The workers serve whoever
    /// has connected by then.
    pub(super) fn make(&mut self, change: Change, workers: &[UnboundedSender<Order>]) {
        let mut before = std::mem::take(&mut self.open);
        for place in change.places {
            match place {
                Place::Stays(id) => {
                    if let Some(at) = before.iter().position(|open| open.id == id) {
                        self.open.push(before.remove(at));
                    }
                }
                Place::New(listener, per_worker) => {
                    for (worker, sockets) in workers.iter().zip(per_worker) {
                        // A worker that is gone has said why.
                        let _ = worker.send(Order::Open(listener.id, listener.door, sockets));
                    }
                    self.open.push(listener);
                }
            }
        }
        for gone in before {
            let end = if gone.kept { Order::Leave } else { Order::Close };
            gone.end(end, workers);
        }
        self.next = change.next;
    }

    /// Leaves to others what others go on with: those who keep sockets of ours, and whoever serves these addresses. Where
    /// others listen `beside` us, whoever is connecting to us is still served. The workers close the rest when they are
    /// told to stop.
    pub(super) fn leave(self, taken: &[SocketAddr], beside: bool, workers: &[UnboundedSender<Order>]) {
        for listener in self.open {
            if listener.kept || taken.contains(&listener.address) {
                listener.end(Order::Leave, workers);
            } else if beside {
                listener.end(Order::Close, workers);
            }
        }
    }

    /// The sockets that another process may take over.
    pub(super) fn sockets(&self) -> impl Iterator<Item = Sockets> {
        self.open
            .iter()
            .filter(|open| !open.kept)
            .map(|open| Arc::clone(&open.sockets))
    }

    /// What is listened on and for what, by the order of the configuration.
    pub(super) fn doors(&self) -> impl Iterator<Item = (Door, SocketAddr)> {
        self.open.iter().map(|open| (open.door, open.address))
    }
}

impl Listener {
    fn end(self, end: fn(u64) -> Order, workers: &[UnboundedSender<Order>]) {
        // First ours, so that a worker's is the last.
        drop(self.sockets);
        for worker in workers {
            let _ = worker.send(end(self.id));
        }
    }
}

impl Change {
    /// Has those take connections that did not yet: the last of what can fail.
    pub(super) fn listen(&self) -> Result<(), StartError> {
        for place in &self.places {
            match place {
                Place::Stays(_) => {}
                Place::New(new, _) => bind::listen(&new.sockets).map_err(StartError::bind(new.address))?,
            }
        }
        Ok(())
    }

    fn keeps(&self, wanted: u64) -> bool {
        self.places.iter().any(|place| match place {
            Place::Stays(id) => *id == wanted,
            Place::New(..) => false,
        })
    }
}

/// Which doors the configuration asks for.
fn wanted(config: &Config) -> impl Iterator<Item = (Door, SocketAddr)> {
    let plain = config.server.listen.iter().map(|address| (Door::Plain, *address));
    let tls = config.tls.listen.iter().map(|address| (Door::Tls, *address));
    let redirect = config.tls.redirect_listen.iter();
    plain
        .chain(tls)
        .chain(redirect.map(|address| (Door::Redirect, *address)))
}

/// Spreads the sockets over the workers, so that each worker has one and each socket a worker.
fn share(sockets: &[TcpListener], workers: usize) -> io::Result<Vec<Vec<TcpListener>>> {
    let mut per_worker: Vec<Vec<TcpListener>> = (0..workers).map(|_| Vec::new()).collect();
    for turn in 0..workers.max(sockets.len()) {
        let socket = sockets.get(turn % sockets.len().max(1));
        if let (Some(socket), Some(worker)) = (socket, per_worker.get_mut(turn % workers.max(1))) {
            worker.push(socket.try_clone()?);
        }
    }
    Ok(per_worker)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_worker_has_a_socket_and_each_socket_a_worker() {
        for (sockets, workers, expected) in [(1, 3, vec![1, 1, 1]), (3, 3, vec![1, 1, 1]), (5, 2, vec![3, 2])] {
            let sockets = bind::bind("127.0.0.1:0".parse().unwrap(), sockets, Beside::Nobody).unwrap();
            let shared = share(&sockets, workers).unwrap();
            let counts: Vec<usize> = shared.iter().map(Vec::len).collect();
            assert_eq!(counts, expected);
        }
    }
}
