//! [`Pools`]: the idle connections of one worker.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;

use super::connection::{Connection, connect};
use super::{RequestBody, UpstreamError};
use crate::config;
use crate::config::ServerAddress;
use crate::time::monotonic;

/// The idle connections of one worker, by upstream and server.
#[derive(Debug)]
pub struct Pools(Vec<Vec<Arc<Pool>>>);

/// The idle connections of one worker to one server, the last used at the back.
#[derive(Debug)]
struct Pool {
    host: String,
    port: u16,
    connect_timeout: Duration,
    idle_timeout: Duration,
    max_idle: usize,
    // Never contended, since the pool belongs to one thread; the lock is what makes it `Sync` without unsafe code.
    idle: Mutex<VecDeque<Idle>>,
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    since: Instant,
}

/// A connection for one exchange. [`Lease::give_back`] returns it to its pool; dropping it closes it.
#[derive(Debug)]
pub struct Lease {
    connection: Connection,
    reused: bool,
    pool: Arc<Pool>,
}

impl Pools {
    /// Empty pools for a worker.
    #[must_use]
    pub fn new(upstreams: &[config::Upstream]) -> Self {
        let pools = |upstream: &config::Upstream| {
            upstream
                .servers
                .iter()
                .map(|server| Pool::new(upstream, server))
                .collect()
        };
        Self(upstreams.iter().map(pools).collect())
    }

    /// An idle connection to this server that is ready, or a new one.
    pub async fn lease(&self, upstream: usize, server: usize) -> Result<Lease, UpstreamError> {
        match self.0.get(upstream).and_then(|servers| servers.get(server)) {
            Some(pool) => pool.lease().await,
            None => Err(UpstreamError::Invalid("there is no such server")),
        }
    }

    /// A new connection to this server, whatever is idle.
    pub async fn fresh(&self, upstream: usize, server: usize) -> Result<Lease, UpstreamError> {
        match self.0.get(upstream).and_then(|servers| servers.get(server)) {
            Some(pool) => pool.fresh().await,
            None => Err(UpstreamError::Invalid("there is no such server")),
        }
    }

    /// Closes the connections that have been idle for too long.
    pub fn close_expired(&self) {
        for pool in self.0.iter().flatten() {
            pool.close_expired();
        }
    }
}

impl Pool {
    fn new(upstream: &config::Upstream, server: &ServerAddress) -> Arc<Self> {
        let (host, port) = match server {
            ServerAddress::Http { host, port } => (host.clone(), *port),
            // Answered in the process; nothing ever connects.
            ServerAddress::Whoami => (String::new(), 0),
        };
        Arc::new(Self {
            host,
            port,
            connect_timeout: upstream.connect_timeout,
            idle_timeout: upstream.pool_idle_timeout,
            max_idle: upstream.pool_max_idle,
            idle: Mutex::new(VecDeque::new()),
        })
    }

    async fn lease(self: &Arc<Self>) -> Result<Lease, UpstreamError> {
        match self.take_ready() {
            Some(connection) => Ok(Lease {
                connection,
                reused: true,
                pool: Arc::clone(self),
            }),
            None => self.fresh().await,
        }
    }

    async fn fresh(self: &Arc<Self>) -> Result<Lease, UpstreamError> {
        let connection = connect(&self.host, self.port, self.connect_timeout).await?;
        Ok(Lease {
            connection,
            reused: false,
            pool: Arc::clone(self),
        })
    }

    /// The connection used last that is ready. One that still sends the rest of a body whose answer came early stays.
    fn take_ready(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let mut at = idle.len();
        while at > 0 {
            at -= 1;
            let sender = &idle[at].connection.sender;
            if sender.is_closed() || idle[at].since.elapsed() > self.idle_timeout {
                idle.remove(at);
            } else if sender.is_ready() {
                return idle.remove(at).map(|idle| idle.connection);
            }
        }
        None
    }

    fn close_expired(&self) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|idle| !idle.connection.sender.is_closed() && idle.since.elapsed() <= self.idle_timeout);
    }
}

impl Lease {
    /// Whether the connection has carried an exchange before, so that the server may just have closed it.
    #[must_use]
    pub fn is_reused(&self) -> bool {
        self.reused
    }

    /// Sends the request.
    pub fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Result<Response<Incoming>, TrySendError<Request<RequestBody>>>> + use<> {
        self.connection.sender.try_send_request(request)
    }

    /// Keeps the connection for the next exchange, unless it is closed or enough are idle.
    pub fn give_back(self) {
        if self.connection.sender.is_closed() {
            return;
        }
        let mut idle = self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < self.pool.max_idle {
            idle.push_back(Idle {
                connection: self.connection,
                since: monotonic(),
            });
        }
    }
}
