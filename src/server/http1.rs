//! HTTP/1 on a client's connection (RFC 9112), in our own words: one reading of each head, which decides what is refused and
//! what is handled; one task, in which the request is handled as well; and no buffer for a connection that idles.
//!
//! [`line::Line`] is the connection, [`exchange::Exchange`] a request and its answer on it, [`upload::Upload`] the body of the
//! one and [`answer::Answer`] the other. A request that is refused is answered in its turn, after those before it, whatever
//! was pipelined.

mod answer;
mod ending;
mod exchange;
mod framing;
mod interims;
mod line;
mod status;
mod upload;

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::{Method, Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use super::head::{Framing, Head, Refusal, Wishes};
use super::worker::Shared;
use super::{Phase, until_stopping};
use crate::gateway::{Body, Hold};
use crate::proxy::{Peer, Switch};
use crate::token::Watched;
use crate::upstream::{Interim, InterimClient, Pools};
#[cfg(fuzzing)]
pub(super) use framing::fuzzed;

use ending::Ending;
use exchange::{After, Exchange};
use interims::Interims;
use line::{Line, Next};
use status::Asked;
use upload::Upload;

/// Serves HTTP/1 on a connection to its end.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    peer: Arc<Peer>,
    shared: Shared,
    pools: Arc<Pools>,
    mut phase: watch::Receiver<Phase>,
) {
    let mut stopping = pin!(until_stopping(&mut phase));
    let line = Line::new(stream, shared.limits.head, shared.limits.timeouts);
    let client = Client {
        peer: &peer,
        shared: &shared,
        pools: &pools,
        interims: Arc::default(),
    };
    if let Err(error) = client.run(line, Ending::new(stopping.as_mut())).await {
        tracing::debug!(peer = %peer.address, %error, "a connection broke");
    }
}

/// What an answer of HTTP/1 holds beside: nothing. Its connection sees by itself when it has to end.
#[derive(Debug)]
struct Alone;

impl Hold for Alone {
    fn tie(&self, _: Watched) {}
}

/// Whose connection it is, and what answers there.
struct Client<'a> {
    peer: &'a Arc<Peer>,
    shared: &'a Shared,
    pools: &'a Arc<Pools>,
    interims: Arc<Interims>,
}

impl Client<'_> {
    async fn run<S, F>(&self, mut line: Line<S>, mut ending: Ending<'_, F>) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        F: Future<Output = Duration>,
    {
        self.interims
            .written_by(poll_fn(|cx| Poll::Ready(cx.waker().clone())).await);
        let mut number = 0;
        loop {
            number += 1;
            let (head, refused) = match poll_fn(|cx| line.poll_next(&mut ending, cx)).await? {
                Next::Request(head) => (head, None),
                Next::Refused(why) => (Box::new(stand_in(line.asks_head)), Some(why)),
                Next::End => return Ok(()),
            };
            let is_refused = refused.is_some();
            let switch = head.upgrade.then(Switch::default);
            let mut exchange = self.exchange(*head, refused, switch.as_ref(), number);
            let after = poll_fn(|cx| exchange.poll(&mut line, &self.interims, &mut ending, cx)).await?;
            drop(exchange);
            match after {
                After::Next => line.idle(),
                After::Close { is_unread } => {
                    return poll_fn(|cx| line.poll_close(is_unread || is_refused, cx)).await;
                }
                After::Tunnel(tunnel) => {
                    if let Some(switch) = switch {
                        switch.put(Box::new(line.into_bytes()));
                    }
                    // Here, so that it counts as a connection, and is waited for when the gateway stops.
                    tunnel.await;
                    return Ok(());
                }
            }
        }
    }

    /// Begins with the request of this number.
    fn exchange(
        &self,
        head: Head,
        refused: Option<Refusal>,
        switch: Option<&Switch>,
        number: u64,
    ) -> Exchange<impl Future<Output = Response<Body<Alone>>>> {
        let mut parts = head.parts;
        if let Some(switch) = switch {
            parts.extensions.insert(switch.clone());
        }
        let asked = Asked::new(&parts.method, parts.version, head.wishes);
        // HTTP/1.0 knows of no interim answers (RFC 9110, section 15.2).
        let interim = asked.is_http11.then(|| {
            self.interims.ask(number);
            Interim::new(Arc::clone(&self.interims) as Arc<dyn InterimClient>, number)
        });
        let (upload, body) = Upload::new(head.framing, head.expects);
        let request = Request::from_parts(parts, body);
        let refused = refused.map(Refusal::problem);
        let gateway = &self.shared.gateway;
        let handling = gateway.handle(request, self.peer, refused, self.pools, interim, Alone);
        Exchange::new(Box::pin(handling), upload, asked)
    }
}

/// What is handled in place of a request whose head was refused.
fn stand_in(is_head: bool) -> Head {
    let (mut parts, ()) = Request::new(()).into_parts();
    if is_head {
        parts.method = Method::HEAD;
    }
    Head {
        parts,
        framing: Framing::None,
        upgrade: false,
        expects: false,
        wishes: Wishes {
            keep_alive: false,
            trailers: false,
        },
    }
}
