//! [`Pools`]: the connections of one worker that another exchange may use.

use std::collections::{HashMap, VecDeque};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use http_body_util::Either;
use tokio::sync::watch;

use super::connection::{Connection, NoConnection, broken, connect, connect_http1, may_be_http2};
use super::http1::Http1;
use super::http2::{Http2, Stream};
use super::lease::{Held, Lease};
use super::slots::{Slots, Turn};
use super::{Server, ServerId, UpstreamError};
use crate::config::ServerAddress;
use crate::lasting::caught;
use crate::time::{monotonic, recent};

/// How many exchanges a connection of HTTP/2 is thought to take until one has said it: no server should take fewer
/// (RFC 9113, section 6.5.2).
const USUAL_STREAMS: usize = 100;

/// The connections of one worker, by server.
#[derive(Debug, Default)]
pub struct Pools {
    // Hardly ever contended, since the pools belong to one thread; the lock is what makes them `Sync` without unsafe code.
    pools: Mutex<HashMap<ServerId, Arc<Pool>>>,
    /// Whether their connections count for no limit.
    uncounted: bool,
}

/// The connections of one worker to one server.
#[derive(Debug)]
pub(super) struct Pool {
    /// The pool goes when the server has gone.
    server: Weak<Server>,
    state: Mutex<State>,
    /// The connections of all workers, where they are counted, and the most that there may be.
    limit: Option<(Arc<Slots>, usize)>,
}

#[derive(Debug)]
struct State {
    /// Those of HTTP/1 that carry nothing, the last used at the back.
    idle: VecDeque<Idle>,
    /// Those of HTTP/2.
    shared: Vec<Arc<Http2>>,
    /// Connections that are being made and may turn out to speak HTTP/2.
    opening: Vec<Opening>,
    /// What the last connection spoke.
    speaks_http1: bool,
    /// How many exchanges the last connection of HTTP/2 took at once.
    usual_streams: usize,
}

#[derive(Debug)]
struct Idle {
    connection: Http1,
    since: Instant,
}

impl Idle {
    /// Whether it can't be used any more.
    fn is_over(&mut self, now: Instant, idle_timeout: Duration) -> bool {
        self.connection.young_until() <= now
            || now.saturating_duration_since(self.since) > idle_timeout
            || !self.connection.is_ready()
    }
}

/// A connection that is being made for all who wait for it.
#[derive(Debug)]
struct Opening {
    id: u64,
    outcome: watch::Receiver<Option<Result<(), NoConnection>>>,
    waiting: usize,
}

/// Where an exchange gets its connection from.
enum Source {
    Here(Held),
    Opening(watch::Receiver<Option<Result<(), NoConnection>>>),
    /// It makes one for itself.
    Own,
}

impl Pools {
    /// Empty pools for a worker.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Empty pools whose connections count for no limit.
    pub(super) fn uncounted() -> Self {
        Self {
            uncounted: true,
            ..Self::default()
        }
    }

    /// A connection to this server that can take a request now, or a new one.
    pub async fn lease(&self, server: &Arc<Server>) -> Result<Lease, UpstreamError> {
        self.get(server, true).await
    }

    /// A connection to this server that has not been idle: a new one, or a share in one of HTTP/2.
    pub async fn fresh(&self, server: &Arc<Server>) -> Result<Lease, UpstreamError> {
        self.get(server, false).await
    }

    /// A connection to this server that speaks HTTP/1.1, which alone can be upgraded; one that has been idle, if `idle`.
    pub async fn upgradable(&self, server: &Arc<Server>, idle: bool) -> Result<Lease, UpstreamError> {
        if *server.address() == ServerAddress::Whoami {
            return Err(UpstreamError::Invalid("it is answered in the process"));
        }
        let pool = self.pool(server);
        let take = || pool.state().take_ready(server.settings().pool_idle_timeout);
        if let Some(connection) = idle.then(take).flatten() {
            return Ok(Lease::new(Held::Http1(connection), true, server, pool));
        }
        // Boxed, as below.
        let made = Box::pin(async {
            match pool.turn(server).await? {
                Turn::New(slot) => Ok((connect_http1(server, slot).await?, false)),
                Turn::Idle(connection) => Ok((connection, true)),
            }
        });
        let (connection, reused) = made.await.map_err(|why: NoConnection| UpstreamError::from(why))?;
        Ok(Lease::new(Held::Http1(connection), reused, server, pool))
    }

    async fn get(&self, server: &Arc<Server>, mut idle: bool) -> Result<Lease, UpstreamError> {
        if *server.address() == ServerAddress::Whoami {
            return Err(UpstreamError::Invalid("it is answered in the process"));
        }
        let pool = self.pool(server);
        loop {
            match pool.source(server, idle) {
                Source::Here(held) => return Ok(Lease::new(held, true, server, pool)),
                Source::Opening(mut outcome) => {
                    // Its own error: whoever made the connection was stopped with its runtime.
                    let opened = async { outcome.wait_for(Option::is_some).await.map(|outcome| outcome.clone()) };
                    let outcome = match pool.or_freed(opened, server).await {
                        Either::Left(outcome) => outcome,
                        Either::Right(stream) => return Ok(Lease::new(Held::Http2(stream), true, server, pool)),
                    };
                    match outcome {
                        Ok(Some(Err(why))) => return Err(why.into()),
                        // One of HTTP/1 that has just been made is idle, and one who waited may have it.
                        Ok(Some(Ok(())) | None) => idle = true,
                        Err(_) => return Err(broken("its opening was stopped").into()),
                    }
                }
                // Boxed: a handshake is large, and each request that needs none would carry the room for it.
                Source::Own => match Box::pin(pool.connect(server)).await? {
                    (Connection::Http1(connection), reused) => {
                        return Ok(Lease::new(Held::Http1(connection), reused, server, pool));
                    }
                    // The server has changed its mind since the last connection.
                    (Connection::Http2(connection), _) => {
                        let stream = connection.stream();
                        pool.share(connection);
                        if let Some(stream) = stream {
                            return Ok(Lease::new(Held::Http2(stream), false, server, pool));
                        }
                    }
                },
            }
        }
    }

    fn pool(&self, server: &Arc<Server>) -> Arc<Pool> {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let pool = pools.entry(server.id()).or_insert_with(|| {
            let max = server.settings().resilience.caps.max_connections;
            let pool = Arc::new(Pool {
                server: Arc::downgrade(server),
                limit: max
                    .filter(|_| !self.uncounted)
                    .map(|max| (Arc::clone(&server.slots), max)),
                state: Mutex::new(State {
                    idle: VecDeque::new(),
                    shared: Vec::new(),
                    opening: Vec::new(),
                    speaks_http1: !may_be_http2(server),
                    usual_streams: USUAL_STREAMS,
                }),
            });
            if let Some((slots, _)) = &pool.limit {
                slots.register(&pool);
            }
            pool
        });
        Arc::clone(pool)
    }

    /// Closes the connections that have been idle for too long, and those to servers that no configuration has any more.
    pub fn close_expired(&self) {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
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
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn source(self: &Arc<Self>, server: &Arc<Server>, idle: bool) -> Source {
        let mut state = self.state();
        if idle && let Some(connection) = state.take_ready(server.settings().pool_idle_timeout) {
            return Source::Here(Held::Http1(connection));
        }
        if let Some(stream) = state.stream(server.settings().pool_idle_timeout) {
            return Source::Here(Held::Http2(stream));
        }
        if state.speaks_http1 {
            return Source::Own;
        }
        let room = state.usual_streams;
        if let Some(opening) = state.opening.iter_mut().find(|opening| opening.waiting < room) {
            opening.waiting += 1;
            return Source::Opening(opening.outcome.clone());
        }
        Source::Opening(self.open(&mut state, server))
    }

    /// Makes a connection for all who wait for it. It is nobody's own, so that none who gives up takes it from the others.
    fn open(
        self: &Arc<Self>,
        state: &mut State,
        server: &Arc<Server>,
    ) -> watch::Receiver<Option<Result<(), NoConnection>>> {
        let (tell, outcome) = watch::channel(None);
        let id = state.opening.last().map_or(0, |last| last.id + 1);
        state.opening.push(Opening {
            id,
            outcome: outcome.clone(),
            waiting: 1,
        });
        let (pool, server) = (Arc::clone(self), Arc::clone(server));
        tokio::spawn(async move {
            // Whoever waits for it is told, whatever becomes of it.
            let connection = caught(pool.connect(&server)).await;
            let connection = connection.unwrap_or_else(|_| Err(broken("the opening of a connection panicked")));
            pool.state().opening.retain(|opening| opening.id != id);
            let outcome = connection.map(|(connection, _)| match connection {
                Connection::Http1(connection) => {
                    pool.state().speaks_http1 = true;
                    pool.keep(connection, usize::MAX);
                }
                Connection::Http2(connection) => pool.share(connection),
            });
            tell.send_replace(Some(outcome));
            let unused = |slots: &Arc<Slots>| tell.is_closed() && slots.is_wanted_by_others(&Arc::downgrade(&pool));
            if pool.limit.as_ref().is_some_and(|(slots, _)| unused(slots)) {
                pool.give_up(false);
            }
        });
        outcome
    }

    fn share(&self, connection: Arc<Http2>) {
        let mut state = self.state();
        state.speaks_http1 = false;
        state.usual_streams = connection.limit().max(1);
        state.shared.push(connection);
    }

    /// Keeps a connection for the next exchange, unless no other can follow on it or enough are idle.
    pub(super) fn keep(self: &Arc<Self>, mut connection: Http1, max_idle: usize) {
        if !connection.is_ready() {
            return;
        }
        self.push(connection, max_idle);
        // Looked at afterwards: whoever joins the line meanwhile finds the connection here.
        let Some((slots, _)) = self.limit.as_ref().filter(|(slots, _)| slots.is_wanted()) else {
            return;
        };
        let last = self.state().idle.pop_back();
        if let Some(last) = last.and_then(|idle| slots.pass_on(self, idle.connection)) {
            self.push(last, max_idle);
        }
    }

    fn push(&self, connection: Http1, max_idle: usize) {
        let mut state = self.state();
        if state.idle.len() < max_idle {
            state.idle.push_back(Idle {
                connection,
                since: recent(),
            });
        }
    }

    /// Leave to make a connection, or one that has just been given back, when there is one.
    async fn turn(self: &Arc<Self>, server: &Server) -> Result<Turn, NoConnection> {
        let Some((slots, max)) = &self.limit else {
            return Ok(Turn::New(None));
        };
        let caps = &server.settings().resilience.caps;
        match slots.turn(self, *max, caps).await {
            Some(turn) => Ok(turn),
            None => Err(NoConnection::Full),
        }
    }

    /// A new connection, or one that has just been given back, and whether it is one.
    async fn connect(self: &Arc<Self>, server: &Server) -> Result<(Connection, bool), NoConnection> {
        match self.turn(server).await? {
            Turn::New(slot) => Ok((connect(server, slot).await?, false)),
            Turn::Idle(connection) => Ok((Connection::Http1(connection), true)),
        }
    }

    /// Waits for this, or for room on a connection that there is.
    async fn or_freed<F: Future>(&self, opened: F, server: &Server) -> Either<F::Output, Stream> {
        let Some((slots, _)) = &self.limit else {
            return Either::Left(opened.await);
        };
        let mut opened = pin!(opened);
        loop {
            let mut freed = pin!(slots.freed.notified());
            freed.as_mut().enable();
            if let Some(stream) = self.state().stream(server.settings().pool_idle_timeout) {
                return Either::Right(stream);
            }
            tokio::select! {
                biased;
                output = &mut opened => return Either::Left(output),
                () = freed => {}
            }
        }
    }

    /// Lets go of the connections of HTTP/2 that take no more exchanges.
    pub(super) fn forget_closed(&self) {
        self.state().shared.retain(|connection| !connection.is_closed());
    }

    /// Whether there are connections of HTTP/2.
    pub(super) fn shares(&self) -> bool {
        !self.state().shared.is_empty()
    }

    /// Closes a connection that carries nothing, or one of HTTP/2 when what it carries has ended, if `busy`.
    pub(super) fn give_up(&self, busy: bool) -> bool {
        let (idle, shared) = {
            let mut state = self.state();
            let idle = state.idle.pop_front();
            let which = |connection: &Arc<Http2>| busy || connection.is_idle();
            let at = state.shared.iter().position(which).filter(|_| idle.is_none());
            (idle, at.map(|at| state.shared.remove(at)))
        };
        idle.is_some() || shared.is_some()
    }

    fn close_expired(&self, idle_timeout: Duration) {
        let mut state = self.state();
        let now = monotonic();
        state.idle.retain_mut(|idle| !idle.is_over(now, idle_timeout));
        state.shared.retain(|connection| !connection.is_over(idle_timeout));
    }
}

impl State {
    /// The connection used last that is ready.
    fn take_ready(&mut self, idle_timeout: Duration) -> Option<Http1> {
        if self.idle.is_empty() {
            return None;
        }
        let now = recent();
        while let Some(mut idle) = self.idle.pop_back() {
            if !idle.is_over(now, idle_timeout) {
                return Some(idle.connection);
            }
        }
        None
    }

    /// Room on a connection of HTTP/2. The first that has some, so that those which are not needed fall idle and close.
    fn stream(&mut self, idle_timeout: Duration) -> Option<Stream> {
        self.shared.retain(|connection| !connection.is_over(idle_timeout));
        self.shared.iter().find_map(Http2::stream)
    }
}
