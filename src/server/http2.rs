//! HTTP/2 on a client's connection (RFC 9113).
//!
//! hyper speaks the protocol, within bounds that are set here, behind a [`guard::Guard`] that ends a connection whose client
//! floods or stalls; [`head::admit`] makes a request what the rest of the gateway knows, or says why not;
//! [`streams::Streams`] knows whether the connection is in use, so that an idle one ends; [`pace::Pace`] gives up a stream
//! whose client does not take its answer, which flow control hides from the guard.

mod budget;
mod frames;
mod guard;
mod head;
mod inbound;
mod interims;
mod pace;
mod streams;

use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use super::worker::Shared;
use super::{Phase, head as http1_head, until_stopping};
use crate::gateway::{Body, Gateway, Hold};
use crate::proxy::Peer;
use crate::token::Watched;
use crate::upstream::{self, Interim, InterimClient, Pools};
#[cfg(fuzzing)]
pub(super) use head::admit;

use guard::Guard;
use interims::Interims;
use pace::{Attendants, Pace, Paced};
use streams::{Stream, Streams};

/// How many requests that were reset before they were looked at may wait (CVE-2023-44487): then the connection ends.
const MAX_PENDING_RESETS: usize = 20;
/// How many streams of a connection may be reset for what the client did wrong (CVE-2025-8671): then the connection ends.
const MAX_ERROR_RESETS: usize = 256;
/// How long a client may take to acknowledge a ping.
const PONG_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a connection that was told to end may stay with no stream in use and nothing to write: a client acknowledges that
/// it knows of the end.
const FAREWELL: Duration = Duration::from_secs(5);

/// Serves HTTP/2 on a connection to its end.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    peer: Arc<Peer>,
    shared: Shared,
    pools: Arc<Pools>,
    mut phase: watch::Receiver<Phase>,
) {
    let limits = shared.limits;
    let address = peer.address;
    let streams = Arc::new(Streams::new());
    let attendants = Attendants::new(limits.timeouts.body());
    let interims = Arc::new(Interims::default());
    let service = Client {
        attendants: attendants.clone(),
        gateway: shared.gateway,
        pools,
        peer,
        streams: Arc::clone(&streams),
        interims: Arc::clone(&interims),
        limits: limits.head,
    };
    let mut builder = http2::Builder::new(attendants);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.http2.max_concurrent_streams)
        .initial_stream_window_size(limits.http2.stream_window)
        .initial_connection_window_size(limits.http2.connection_window)
        .max_send_buf_size(limits.http2.max_send_buffer)
        // What is a little too large is refused by us, with a problem; what is far too large, by hyper.
        .max_header_list_size(u32::try_from(limits.head.bytes.saturating_mul(2)).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(MAX_ERROR_RESETS)
        .keep_alive_interval(limits.http2.ping_interval)
        .keep_alive_timeout(PONG_TIMEOUT)
        // What it carries is for the proxy to say (RFC 8441).
        .enable_connect_protocol();
    let guard = Guard::new(stream, limits.timeouts, Arc::clone(&streams), interims);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(guard), service));
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = end(&mut phase, &streams, limits.timeouts.keep_alive()) => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                result = connection => result,
                () = streams.silent_for(FAREWELL) => Ok(()),
            }
        }
    };
    if let Err(error) = result {
        tracing::debug!(peer = %address, %error, "an HTTP/2 connection broke");
    }
}

/// Waits until the connection has idled for too long or the gateway stops; then, on a connection that has brought no request
/// yet, a moment longer: one is likely on its way.
async fn end(phase: &mut watch::Receiver<Phase>, streams: &Streams, keep_alive: Duration) {
    tokio::select! {
        () = streams.unused_for(keep_alive) => {}
        idle = until_stopping(phase) => {
            // Late is as good as never: the connection closes then.
            let _ = tokio::time::timeout(idle, streams.first()).await;
        }
    }
}

/// Held by an answer until it is out.
#[derive(Debug)]
struct Held {
    _stream: Stream,
    pace: Arc<Pace>,
    _asking: Asking,
}

/// Says that a request has no answer yet, until it is settled or dropped.
#[derive(Debug)]
struct Asking {
    interims: Arc<Interims>,
    stream: u32,
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.interims.settle(self.stream);
    }
}

impl Hold for Held {
    fn tie(&self, watched: Watched) {
        self.pace.tie(watched);
    }
}

/// Answers the requests of one connection.
struct Client {
    gateway: Arc<Gateway>,
    pools: Arc<Pools>,
    peer: Arc<Peer>,
    streams: Arc<Streams>,
    interims: Arc<Interims>,
    limits: http1_head::Limits,
    attendants: Attendants,
}

impl Service<Request<Incoming>> for Client {
    type Response = Response<Paced<Body<Held>>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let stream = self.streams.begin();
        let (mut parts, body) = request.into_parts();
        let refused = head::admit(&mut parts, &self.limits).err();
        let request = Request::from_parts(parts, upstream::Incoming::http2(body));
        let (gateway, pools, peer) = (
            Arc::clone(&self.gateway),
            Arc::clone(&self.pools),
            Arc::clone(&self.peer),
        );
        let pace = self.attendants.next();
        let number = self.interims.begin();
        let interims = Arc::clone(&self.interims);
        let interim = Interim::new(Arc::clone(&interims) as Arc<dyn InterimClient>, u64::from(number));
        let held = Held {
            _stream: stream,
            pace: Arc::clone(&pace),
            _asking: Asking {
                interims: Arc::clone(&interims),
                stream: number,
            },
        };
        Box::pin(async move {
            let mut response = gateway
                .handle(request, &peer, refused, &pools, Some(interim), held)
                .await;
            interims.settle(number);
            if let Some(tunnel) = response.body_mut().tunnel() {
                // It begins when this answer is out, and the stream is in use until it ends.
                tokio::spawn(tunnel);
            }
            Ok(response.map(|body| Paced::new(body, pace)))
        })
    }
}
