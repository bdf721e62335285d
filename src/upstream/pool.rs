//! [`Pools`]: the idle connections of one worker.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;

use super::connection::{Connection, connect};
use super::{RequestBody, Server, ServerId, UpstreamError};
use crate::config::ServerAddress;
use crate::time::monotonic;

/// The idle connections of one worker, by server.
#[derive(Debug, Default)]
pub struct Pools(
    // Never contended, since the pools belong to one thread; the lock is what makes them `Sync` without unsafe code.
    Mutex<HashMap<ServerId, Arc<Pool>>>,
);

/// The idle connections of one worker to one server, the last used at the back.
#[derive(Debug)]
struct Pool {
    /// The pool goes when the server has gone.
    server: Weak<Server>,
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
    server: Arc<Server>,
    pool: Arc<Pool>,
}

impl Pools {
    /// Empty pools for a worker.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An idle connection to this server that is ready, or a new one.
    pub async fn lease(&self, server: &Arc<Server>) -> Result<Lease, UpstreamError> {
        let pool = self.pool(server);
        match pool.take_ready(server.settings().pool_idle_timeout) {
            Some(connection) => Ok(Lease {
                connection,
                reused: true,
                server: Arc::clone(server),
                pool,
            }),
            None => self.fresh(server).await,
        }
    }

    /// A new connection to this server, whatever is idle.
    pub async fn fresh(&self, server: &Arc<Server>) -> Result<Lease, UpstreamError> {
        let ServerAddress::Http { host, port } = server.address() else {
            return Err(UpstreamError::Invalid("it is answered in the process"));
        };
        Ok(Lease {
            connection: connect(host, *port, server.settings().connect_timeout).await?,
            reused: false,
            server: Arc::clone(server),
            pool: self.pool(server),
        })
    }

    fn pool(&self, server: &Arc<Server>) -> Arc<Pool> {
        let mut pools = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pool = pools.entry(server.id()).or_insert_with(|| {
            Arc::new(Pool {
                server: Arc::downgrade(server),
                idle: Mutex::new(VecDeque::new()),
            })
        });
        Arc::clone(pool)
    }

    /// Closes the connections that have been idle for too long, and those to servers that no configuration has any more.
    pub fn close_expired(&self) {
        let mut pools = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|_, pool| match pool.server.upgrade() {
            Some(server) => {
                pool.close_expired(server.settings().pool_idle_timeout);
                true
            }
            None => false,
        });
    }
}

impl Pool {
    /// The connection used last that is ready. One that still sends the rest of a body whose answer came early stays.
    fn take_ready(&self, idle_timeout: Duration) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let mut at = idle.len();
        while at > 0 {
            at -= 1;
            let sender = &idle[at].connection.sender;
            if sender.is_closed() || idle[at].since.elapsed() > idle_timeout {
                idle.remove(at);
            } else if sender.is_ready() {
                return idle.remove(at).map(|idle| idle.connection);
            }
        }
        None
    }

    fn close_expired(&self, idle_timeout: Duration) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|idle| !idle.connection.sender.is_closed() && idle.since.elapsed() <= idle_timeout);
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
        if idle.len() < self.server.settings().pool_max_idle {
            idle.push_back(Idle {
                connection: self.connection,
                since: monotonic(),
            });
        }
    }
}
