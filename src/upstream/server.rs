//! [`Server`]: one server of an upstream, shared by all workers.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::balance::digest;
use super::ledger::Ledger;
use super::shared::Shared;
use super::slots::Slots;
use super::standing::{Breaker, Health};
use super::tls::Tls;
use crate::config;
use crate::config::ServerAddress;

/// Tells servers apart for as long as the process lives; none is used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ServerId(u64);

/// One server of one upstream: one address of it, where its name has several. It lives for as long as a configuration has it
/// with the same connections, or a request is on its way to it; what is known of it may outlive it.
#[derive(Debug)]
pub struct Server {
    id: ServerId,
    address: ServerAddress,
    upstream: Arc<config::Upstream>,
    tls: Option<Tls>,
    /// Which of the addresses of the name it is, once the name is resolved.
    resolved: Option<IpAddr>,
    /// What consistent hashing knows it by: the same in every process.
    pub(super) digest: u64,
    /// What is known of it.
    pub(super) ledger: Arc<Ledger>,
    /// The connections to it, where they are counted: those of its ledger.
    pub(super) slots: Arc<Slots>,
}

impl Server {
    pub(super) fn new(
        address: &ServerAddress,
        resolved: Option<IpAddr>,
        upstream: &Arc<config::Upstream>,
        shared: &Arc<Shared>,
    ) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let ledger = shared.ledger(address, resolved);
        let name = resolved.map(|ip| ip.to_string()).unwrap_or_default();
        Arc::new(Self {
            id: ServerId(NEXT.fetch_add(1, Ordering::Relaxed)),
            address: address.clone(),
            upstream: Arc::clone(upstream),
            tls: Tls::of(address, upstream),
            resolved,
            digest: digest(format!("{address:?} {name}").as_bytes()),
            slots: Arc::clone(&ledger.slots),
            ledger,
        })
    }

    /// The address to connect to, where its name has been resolved; else the name is all there is.
    #[must_use]
    pub const fn resolved(&self) -> Option<IpAddr> {
        self.resolved
    }

    /// Requests on their way to it or being answered by it. Not counted where the upstream has one server and no limit.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.ledger.in_flight.load(Ordering::Relaxed)
    }

    /// What checks and requests have shown of it.
    #[must_use]
    pub fn condition(&self) -> (Health, Breaker) {
        self.ledger.standing.look()
    }

    /// Its identity within the process.
    #[must_use]
    pub const fn id(&self) -> ServerId {
        self.id
    }

    /// Where it is.
    #[must_use]
    pub const fn address(&self) -> &ServerAddress {
        &self.address
    }

    /// Its host and port as written.
    #[must_use]
    pub fn authority(&self) -> String {
        match &self.address {
            ServerAddress::Remote { host, port, .. } => format!("{host}:{port}"),
            ServerAddress::Whoami => String::new(),
        }
    }

    /// The settings of the upstream that it was made for. What its connections do not depend on may have changed since: see
    /// [`config::Upstream::same_connections`].
    #[must_use]
    pub fn settings(&self) -> &config::Upstream {
        &self.upstream
    }

    /// How to speak TLS with it, where it does.
    pub(super) const fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// Whether it is the server at this address, and nothing that its connections depend on is different.
    pub(super) fn is(&self, address: &ServerAddress, resolved: Option<IpAddr>, upstream: &config::Upstream) -> bool {
        self.address == *address && self.resolved == resolved && self.upstream.same_connections(upstream)
    }
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.resolved {
            Some(ip) => write!(f, "{} ({ip})", self.address),
            None => self.address.fmt(f),
        }
    }
}
