//! Listeners and connections: bind, accept, serve, drain.
//!
//! [`start`] brings a gateway up and returns once it serves; [`Running::reload`] changes its configuration,
//! [`Running::drain`] takes it down. Proxied requests are handled
//! by worker threads, each with a runtime, listeners and upstream connections of its own, so that nothing is handed from
//! core to core. The database, the endpoints that we own and all background work live on the runtime that calls [`start`].

mod accept;
mod alarm;
mod background;
mod bind;
mod clean;
mod connection;
#[cfg(fuzzing)]
pub mod fuzzed;
mod handover;
mod head;
mod http1;
mod http2;
mod inherit;
mod listeners;
mod pace;
mod patient;
mod prepare;
mod private;
mod proxy_protocol;
mod pulse;
mod replace;
mod room;
mod sniff;
mod timeouts;
mod worker;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;

use crate::admin::Readiness;
use crate::config::Config;
use crate::gateway::Gateway;
use crate::issuer::Fetching;
use crate::proxy::InvalidProxy;
use crate::reload::Reloads;
use crate::store::StoreError;
use crate::store::audit::{Actor, Detail, Event, EventKind};
use crate::time::Clock;

pub use replace::ReloadError;

use handover::Offer;
pub use inherit::Inherited;
use listeners::Listeners;
use prepare::Rooms;
use private::Private;
pub use pulse::Pulse;
use worker::{Order, Shared, Worker};

/// Why a gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listener could not be bound.
    #[error("{address} can't be listened on")]
    Bind {
        /// The address that was asked for.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The store can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keys can't be used.
    #[error(transparent)]
    Keys(#[from] crate::token::KeyError),
    /// The master key can't be used.
    #[error(transparent)]
    MasterKey(#[from] crate::token::SealError),
    /// There is no signing key, and none may be made on start.
    #[error("there is no signing key in the store: run `doorward keys create`")]
    NoKey,
    /// Upstreams are to get assertions, and no key has a public half that they could verify with.
    #[error(
        "routes with `assertion` need a signing key with a public half, and none signs yet: `doorward keys rotate` makes one"
    )]
    NoPublishedKey,
    /// Another issuer can't be used.
    #[error(transparent)]
    Issuer(#[from] crate::issuer::InvalidIssuer),
    /// Password hashing could not be set up.
    #[error("password hashing can't be set up")]
    Hasher(#[from] crate::password::HashError),
    /// Certificates can't be used.
    #[error(transparent)]
    Tls(#[from] crate::tls::TlsError),
    /// The configuration can't be proxied.
    #[error(transparent)]
    Proxy(#[from] InvalidProxy),
    /// The service manager passed a socket that is for nothing.
    #[error("a socket was passed for {0}, which neither server.listen nor admin.listen names")]
    Unexpected(SocketAddr),
    /// The sockets can't be taken over, or offered to the next process.
    #[error("server.handover: {path} can't be used")]
    Handover {
        /// Where.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A worker thread could not be started.
    #[error("a worker thread can't be started")]
    Thread(#[source] io::Error),
}

impl StartError {
    /// That this address could not be bound.
    fn bind(address: SocketAddr) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Bind { address, source }
    }
}

/// What a listener is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// HTTP without TLS.
    Plain,
    /// HTTPS.
    Tls,
    /// HTTP without TLS that sends everybody to HTTPS.
    Redirect,
}

impl Door {
    /// How the URLs of what is served there begin.
    #[must_use]
    pub const fn scheme(self) -> &'static str {
        match self {
            Self::Plain | Self::Redirect => "http",
            Self::Tls => "https",
        }
    }
}

/// What all parts are told: go on, or finish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Serving,
    /// Take no new connection, finish the requests in flight. Connections on which nothing is under way may stay this long:
    /// their clients have been told of no end, and a request may be on its way.
    Draining(Duration),
    /// The time to finish is over.
    Ending,
}

/// How long connections on which nothing is under way may stay when the gateway stops.
const LAST_REQUEST: Duration = Duration::from_secs(1);
/// The same where another process serves already, or may, so that nobody waits for the end of this one.
const LAST_REQUEST_TAKEN_OVER: Duration = Duration::from_secs(5);

/// Waits until the gateway does more or other than serve. Gives how long connections on which nothing is under way may stay.
async fn until_stopping(phase: &mut watch::Receiver<Phase>) -> Duration {
    match phase.wait_for(|phase| *phase != Phase::Serving).await.as_deref() {
        Ok(Phase::Draining(idle)) => *idle,
        // An error means that the gateway is gone, which ends the wait as well.
        Ok(Phase::Serving | Phase::Ending) | Err(_) => Duration::ZERO,
    }
}

/// A gateway that serves.
#[derive(Debug)]
pub struct Running {
    listeners: Listeners,
    private: Option<Private>,
    offer: Option<Offer>,
    phase: watch::Sender<Phase>,
    stop: watch::Sender<bool>,
    readiness: Arc<Readiness>,
    workers: Vec<JoinHandle<()>>,
    /// To each worker.
    orders: Vec<UnboundedSender<Order>>,
    background: Vec<tokio::task::JoinHandle<()>>,
    fetching: Fetching,
    config: Config,
    clock: Clock,
    rooms: Rooms,
    gateway: Arc<Gateway>,
    shared: Arc<ArcSwap<Shared>>,
    reloads: Arc<Reloads>,
}

/// Brings a gateway up: opens the store, loads (or, where the configuration lets it, makes) the keys, loads the revocations,
/// binds, and serves. Nothing is served before all of it has succeeded.
pub async fn start(config: Config, clock: Clock) -> Result<Running, StartError> {
    start_with(config, clock, Inherited::default()).await
}

/// The same with sockets that were bound before, and with those of the gateway that offers its own at `server.handover`,
/// which is relieved once this one serves.
pub async fn start_with(config: Config, clock: Clock, mut inherited: Inherited) -> Result<Running, StartError> {
    let mut predecessor = None;
    if inherited.is_empty()
        && let Some((relieved, sockets)) = handover::find(config.server.handover.clone()).await?
    {
        (predecessor, inherited) = (Some(relieved), sockets);
    }
    let listeners = Listeners::default();
    let doors = listeners.prepare(&config, &mut inherited)?;
    let private = config.admin.listen;
    let private = private
        .map(|wanted| private::Bound::new(wanted, &config.server, &mut inherited))
        .transpose()?;
    if let Some(address) = inherited.rest().filter(|_| inherited.is_kept()) {
        return Err(StartError::Unexpected(address));
    }
    let rooms = prepare::prepare(&config, &clock).await?;
    let snapshot = rooms.snapshot(&config, &clock, None)?;
    let (stop, stopped) = watch::channel(false);
    let background = rooms.spawn_background(&config, &clock, &stopped);
    let mut fetching = Fetching::new(clock.clone());
    fetching.follow(&rooms.issuers);
    let reloads = Arc::new(Reloads::new(clock.now()));
    let gateway = Arc::new(Gateway::new(
        snapshot,
        Arc::new(crate::metrics::Metrics::new()),
        clock.clone(),
    ));
    rooms.throttle.count_in(gateway.metrics().throttled.clone());
    let shared = Shared::new(Arc::clone(&gateway), Arc::clone(&rooms.tls), &config);
    let shared = Arc::new(ArcSwap::from_pointee(shared));
    let phase = watch::channel(Phase::Serving).0;
    let (mut workers, mut orders, mut runtimes) = (Vec::new(), Vec::new(), vec![Handle::current()]);
    for index in 0..config.server.workers {
        let worker = Worker::start(index, &shared, phase.subscribe()).await?;
        workers.push(worker.thread);
        orders.push(worker.orders);
        runtimes.push(worker.runtime);
    }
    let readiness = Readiness::new(
        (rooms.store.clone(), Arc::clone(&rooms.blocklist)),
        rooms.keyring.clone(),
        (Arc::clone(&rooms.tokens), Arc::clone(&rooms.issuers)),
        Arc::clone(&reloads),
        Arc::clone(&rooms.tls),
        clock.clone(),
        Arc::clone(&gateway),
    );
    let readiness = Arc::new(readiness.with_runtimes(runtimes));

    let mut running = Running {
        listeners,
        private: None,
        offer: None,
        phase,
        stop,
        readiness: Arc::clone(&readiness),
        workers,
        orders,
        background,
        fetching,
        config,
        clock,
        rooms,
        gateway,
        shared,
        reloads,
    };
    let private = private.map(private::Bound::listen).transpose()?;
    doors.listen()?;
    running.private = private.map(|open| open.serve(&readiness, running.gateway.metrics()));
    running.listeners.make(doors, &running.orders);
    running.offer_for_takeover()?;
    let started = Event::new(EventKind::Started, Actor::System, running.clock.now());
    let version = Detail::Version(env!("CARGO_PKG_VERSION"));
    running.rooms.store.note(started.with(version));
    if let Some(predecessor) = predecessor {
        running.relieve(predecessor).await;
    }
    Ok(running)
}

impl Running {
    /// Where the public listeners are bound: those of `server.listen`, of `tls.listen`, and of `tls.redirect_listen`.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.doors().map(|(_, address)| address).collect()
    }

    /// What each of them is for.
    #[must_use]
    pub fn doors(&self) -> Vec<(Door, SocketAddr)> {
        self.listeners.doors().collect()
    }

    /// Where the private listener is bound, if there is one.
    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.private.as_ref().map(Private::address)
    }

    /// Stops: readiness says so at once, listeners close, requests in flight have `server.drain` to finish, the rest is cut
    /// off. With `server.reuse_port` another gateway may listen beside this one: the private listener goes with the others,
    /// and each closes when everybody who is connecting has been let in. Connections on which nothing is under way may bring one more request for a moment (half of `server.drain`, and at
    /// most 1 s, or 5 s where another process serves or may serve); its answer, as all from now on, tells the client that it is the
    /// last. Returns whether all requests finished.
    pub async fn drain(self) -> bool {
        let taken = self.offer.as_ref().map(Offer::taken).unwrap_or_default();
        drop(self.offer);
        let mut private = self.private;
        if let Some(private) = private.take_if(|private| taken.contains(&private.address())) {
            private.stop().await;
        }
        let beside = self.config.server.reuse_port;
        // Asked at the address that both have, this one would speak for the other, which is ready.
        let leaving = private.take_if(|private| beside && !private.is_kept());
        let leaving = leaving.map(|private| tokio::spawn(private.close()));
        if leaving.is_none() {
            self.readiness.drain();
        }
        self.listeners.leave(&taken, beside, &self.orders);
        let idle = if taken.is_empty() && !beside {
            LAST_REQUEST
        } else {
            LAST_REQUEST_TAKEN_OVER
        };
        // Connections that idle are gone before those in use are cut off.
        let idle = idle.min(self.config.server.drain / 2);
        self.phase.send_replace(Phase::Draining(idle));
        let phase = self.phase.clone();
        let workers = self.workers;
        let mut joined = tokio::task::spawn_blocking(move || {
            for worker in workers {
                // A worker that panicked has nothing left to finish.
                let _ = worker.join();
            }
        });
        let finished = tokio::time::timeout(self.config.server.drain, &mut joined)
            .await
            .is_ok();
        if !finished {
            phase.send_replace(Phase::Ending);
            let _ = joined.await;
        }
        self.stop.send_replace(true);
        drop(self.fetching);
        if let Some(private) = private {
            private.stop().await;
        }
        if let Some(leaving) = leaving {
            let _ = leaving.await;
        }
        for task in self.background {
            let _ = task.await;
        }
        self.rooms.store.close().await;
        finished
    }
}
