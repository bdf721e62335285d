//! HTTP/1 on a client's connection, behind the guard.

use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};

use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, Version};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::{oneshot, watch};

use super::guard::{Guard, PARK_AFTER, Shared as GuardShared};
use super::worker::Shared;
use super::{Phase, head, until_stopping};
use crate::gateway::{Body, Gateway, Hold};
use crate::proxy::Peer;
use crate::token::Watched;
use crate::upstream::{Interim, InterimClient, Pools};

/// Serves HTTP/1 on a connection to its end.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    mut stream: S,
    peer: Arc<Peer>,
    shared: Shared,
    pools: Arc<Pools>,
    mut phase: watch::Receiver<Phase>,
) {
    let keep_alive = shared.limits.timeouts.keep_alive();
    let mut first = None;
    loop {
        let (to, parked) = oneshot::channel();
        let session = Session {
            peer: &peer,
            shared: &shared,
            pools: &pools,
        };
        let state = Arc::new(GuardShared::new());
        let guard = Guard::new(stream, shared.limits.head, shared.limits.timeouts, Arc::clone(&state));
        // Boxed, so that it goes when the connection is parked.
        let serving = Box::pin(session.serve(guard.parking(to, first), &state, &mut phase));
        tokio::select! {
            biased;
            () = serving => return,
            Ok(back) = parked => stream = back,
        }
        first = tokio::select! {
            biased;
            read = stream.read_u8() => match read {
                Ok(first) => Some(first),
                Err(_) => return,
            },
            // What there is to do when the gateway stops is done where connections are served.
            _ = until_stopping(&mut phase) => None,
            () = tokio::time::sleep(keep_alive.saturating_sub(PARK_AFTER)) => return,
        };
    }
}

/// A connection from one time that it was parked to the next.
struct Session<'a> {
    peer: &'a Arc<Peer>,
    shared: &'a Shared,
    pools: &'a Arc<Pools>,
}

impl Session<'_> {
    async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        self,
        guard: Guard<S>,
        state: &Arc<GuardShared>,
        phase: &mut watch::Receiver<Phase>,
    ) {
        let tunnel = Arc::new(Slot::default());
        let service = Client {
            tunnel: Arc::clone(&tunnel),
            gateway: Arc::clone(&self.shared.gateway),
            pools: Arc::clone(self.pools),
            peer: Arc::clone(self.peer),
            state: Arc::clone(state),
        };
        // No `pipeline_flush`: with it, hyper buffers an answer without bounds when the client reads slower than the upstream
        // writes.
        let connection = http1::Builder::new()
            // The guard holds the limits; hyper's are only above them.
            .max_headers(self.shared.limits.head.lines + 1)
            .max_buf_size(self.shared.limits.head.bytes.max(32 * 1024) * 2)
            .header_read_timeout(None)
            .serve_connection(TokioIo::new(guard), service)
            .with_upgrades();
        let mut connection = pin!(connection);
        let result = tokio::select! {
            // A request that is there by the end of the time for it is read first.
            biased;
            result = connection.as_mut() => result,
            () = stop(phase, state) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = result {
            tracing::debug!(peer = %self.peer.address, %error, "a connection broke");
        } else if let Some(tunnel) = tunnel.take() {
            // Here, so that it counts as a connection, and is waited for when the gateway stops.
            tunnel.await;
        }
    }
}

/// Waits until the gateway stops, and then for the end of a connection whose client has been told of none: the answers from
/// then on tell it, and hyper closes after them. One that brings no request is closed after a moment; late is as good as
/// never.
async fn stop(phase: &mut watch::Receiver<Phase>, state: &GuardShared) {
    let idle = until_stopping(phase).await;
    state.end();
    state.unused_for(idle).await;
}

/// Where the service leaves the tunnel that the connection becomes.
#[derive(Default)]
struct Slot(Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>);

impl Slot {
    fn put(&self, tunnel: impl Future<Output = ()> + Send + 'static) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::pin(tunnel));
    }

    fn take(&self) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Answers the requests of one connection.
struct Client {
    tunnel: Arc<Slot>,
    gateway: Arc<Gateway>,
    pools: Arc<Pools>,
    peer: Arc<Peer>,
    state: Arc<GuardShared>,
}

/// Held by an answer until its last byte is out.
#[derive(Debug)]
pub(super) struct Busy(Arc<GuardShared>);

impl Hold for Busy {
    fn tie(&self, watched: Watched) {
        self.0.tie(watched);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.finish();
    }
}

impl Service<Request<Incoming>> for Client {
    type Response = Response<Body<Busy>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let refused = self.state.begin().map(head::Refusal::problem);
        // HTTP/1.0 knows of no interim answers (RFC 9110, section 15.2).
        let interim = (request.version() == Version::HTTP_11)
            .then(|| Interim::new(Arc::clone(&self.state) as Arc<dyn InterimClient>, self.state.current()));
        let busy = Busy(Arc::clone(&self.state));
        let (gateway, pools, peer) = (
            Arc::clone(&self.gateway),
            Arc::clone(&self.pools),
            Arc::clone(&self.peer),
        );
        let (state, slot) = (Arc::clone(&self.state), Arc::clone(&self.tunnel));
        Box::pin(async move {
            let mut response = gateway.handle(request, &peer, refused, &pools, interim, busy).await;
            let tunnel = response.body_mut().tunnel();
            state.settle(tunnel.is_some());
            if let Some(tunnel) = tunnel {
                slot.put(tunnel);
            } else if state.is_ending() {
                response
                    .headers_mut()
                    .insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(response)
        })
    }
}
