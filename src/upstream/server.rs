//! [`Server`]: one server of an upstream, shared by all workers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::tls::Tls;
use crate::config;
use crate::config::ServerAddress;

/// Tells servers apart for as long as the process lives; none is used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ServerId(u64);

/// One server of one upstream. It lives for as long as a configuration has it or a request is on its way to it.
#[derive(Debug)]
pub struct Server {
    id: ServerId,
    address: ServerAddress,
    upstream: Arc<config::Upstream>,
    tls: Option<Tls>,
}

impl Server {
    pub(super) fn new(address: &ServerAddress, upstream: &Arc<config::Upstream>) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Arc::new(Self {
            id: ServerId(NEXT.fetch_add(1, Ordering::Relaxed)),
            address: address.clone(),
            upstream: Arc::clone(upstream),
            tls: Tls::of(address, upstream),
        })
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

    /// The settings of the upstream that it was made for; its list of servers may have changed since.
    #[must_use]
    pub fn settings(&self) -> &config::Upstream {
        &self.upstream
    }

    /// How to speak TLS with it, where it does.
    pub(super) const fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// Whether it is the server at this address, and nothing that its connections depend on is different.
    pub(super) fn is(&self, address: &ServerAddress, upstream: &config::Upstream) -> bool {
        self.address == *address && self.upstream.same_connections(upstream)
    }
}
