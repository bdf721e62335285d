//! What the fuzz targets (`fuzz/`) drive and nothing outside of this room can reach otherwise: a gateway without listeners,
//! which serves the bytes that it is given, and the readers of bodies and of HTTP/2 heads. It is in no other build.

use std::net::IpAddr;
use std::sync::Arc;

use http::request::Parts;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use super::connection::{Speaks, established};
use super::head::Limits;
use super::prepare::{Rooms, prepare};
use super::worker::Shared;
use super::{Phase, StartError, http2};
use crate::config::Config;
use crate::gateway::Gateway;
use crate::problem::Problem;
use crate::proxy::Peer;
use crate::time::Clock;
use crate::token::Tokens;
use crate::upstream::Pools;

pub use super::http1::fuzzed::{Chunks, read_chunks};

/// A gateway that listens nowhere, and has nothing going on in the background.
#[derive(Debug)]
pub struct Quiet {
    rooms: Rooms,
    shared: Shared,
    pools: Arc<Pools>,
    phase: watch::Sender<Phase>,
}

impl Quiet {
    /// Opens the store, and builds what requests need.
    pub async fn new(config: &Config, clock: Clock) -> Result<Self, StartError> {
        let rooms = prepare(config, &clock).await?;
        let snapshot = rooms.snapshot(config, &clock, None)?;
        let gateway = Arc::new(Gateway::new(snapshot, Arc::default(), clock));
        Ok(Self {
            shared: Shared::new(gateway, Arc::clone(&rooms.tls), config),
            rooms,
            pools: Arc::new(Pools::new()),
            phase: watch::channel(Phase::Serving).0,
        })
    }

    /// What issues and judges its tokens.
    #[must_use]
    pub fn tokens(&self) -> &Tokens {
        &self.rooms.tokens
    }

    /// Serves a connection of HTTP/1 without TLS from this address, to its end.
    pub async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(&self, stream: S, from: IpAddr) {
        let peer = Peer {
            address: from,
            unnamed: false,
            scheme: "http",
            redirects: false,
            certificate: None,
        };
        let (shared, pools) = (self.shared.clone(), Arc::clone(&self.pools));
        established(
            stream,
            Speaks::Http1,
            Arc::new(peer),
            shared,
            pools,
            self.phase.subscribe(),
        )
        .await;
    }
}

/// Gives the head of a request of HTTP/2 the form that it is handled in, or refuses it.
pub fn admit(parts: &mut Parts, bytes: usize, lines: usize, target: usize) -> Result<(), Problem> {
    http2::admit(parts, &Limits { bytes, lines, target })
}
