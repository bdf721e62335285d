//! [`Lease`]: a connection for one exchange.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;

use super::connection::Http1;
use super::http2::Stream;
use super::pool::Pool;
use super::{RequestBody, Server, UpstreamError, framing};

/// A connection for one exchange, or a share in one. [`Lease::give_back`] lets the next exchange have it; dropping it ends
/// the exchange: a connection of HTTP/1 closes, one of HTTP/2 goes on without the stream.
#[derive(Debug)]
pub struct Lease {
    connection: Held,
    reused: bool,
    server: Arc<Server>,
    pool: Arc<Pool>,
}

#[derive(Debug)]
pub(super) enum Held {
    Http1(Http1),
    Http2(Stream),
}

/// Why a request that was given to a connection has no answer.
#[derive(Debug)]
pub enum SendFailure {
    /// Nothing of it was sent; here it is again.
    Unsent(Box<Request<RequestBody>>, hyper::Error),
    /// The server says that it did nothing about it (RFC 9113, section 8.7), so that it may be sent again, whatever it asks.
    Unprocessed(hyper::Error),
    /// What came is not HTTP.
    NotHttp(hyper::Error),
    /// The connection or the stream broke.
    Broken(hyper::Error),
}

impl Lease {
    pub(super) fn new(connection: Held, reused: bool, server: &Arc<Server>, pool: Arc<Pool>) -> Self {
        Self {
            connection,
            reused,
            server: Arc::clone(server),
            pool,
        }
    }

    /// Whether the connection has carried an exchange before, so that the server may just have closed it.
    #[must_use]
    pub const fn is_reused(&self) -> bool {
        self.reused
    }

    /// How long an answer on it may bring nothing.
    #[must_use]
    pub fn idle_timeout(&self) -> Option<Duration> {
        self.server.settings().idle_timeout
    }

    /// Whether other exchanges may use the connection at the same time (HTTP/2).
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        match self.connection {
            Held::Http1(_) => false,
            Held::Http2(_) => true,
        }
    }

    /// Sends the request, which is one of HTTP/1.1, in the way of the connection.
    pub async fn send(&mut self, mut request: Request<RequestBody>) -> Result<Response<Incoming>, SendFailure> {
        let shared = self.is_shared();
        let sent = match &mut self.connection {
            Held::Http1(connection) => connection.sender.try_send_request(request).await,
            Held::Http2(stream) => {
                framing::to_http2(&mut request, stream.scheme());
                stream.sender().try_send_request(request).await
            }
        };
        let failure = match sent {
            Ok(response) => return Ok(response),
            Err(error) => failure(error, shared),
        };
        if let Held::Http2(stream) = &self.connection
            && failure.ends_connection()
        {
            stream.retire();
        }
        Err(failure)
    }

    /// Says that no answer came in time: a connection on which nothing at all comes any more is used for nothing else.
    pub fn timed_out(self) {
        match self.connection {
            Held::Http1(_) => {}
            Held::Http2(stream) => stream.timed_out(),
        }
    }

    /// Keeps the connection for the next exchange, unless it is closed or enough are idle.
    pub fn give_back(self) {
        match self.connection {
            Held::Http1(connection) => self.pool.keep(connection, self.server.settings().pool_max_idle),
            // The pool has the connection, and this ends the share in it.
            Held::Http2(_) => {}
        }
    }
}

impl SendFailure {
    /// Whether a connection of HTTP/2 on which this happened can't be used again, though it may not know yet.
    fn ends_connection(&self) -> bool {
        match self {
            Self::Unsent(..) => true,
            Self::Unprocessed(error) | Self::NotHttp(error) | Self::Broken(error) => {
                // What the client's body did is of its own stream.
                !error.is_user() && cause(error).is_some_and(|cause| !cause.is_reset())
            }
        }
    }
}

/// What HTTP/2 has to say of it.
fn cause(error: &hyper::Error) -> Option<&h2::Error> {
    error.source()?.downcast_ref()
}

fn failure(mut error: TrySendError<Request<RequestBody>>, shared: bool) -> SendFailure {
    let back = error.take_message();
    let error = error.into_error();
    if let Some(mut back) = back {
        if shared {
            framing::to_http1(&mut back);
        }
        return SendFailure::Unsent(Box::new(back), error);
    }
    if error.is_parse() {
        return SendFailure::NotHttp(error);
    }
    match cause(&error) {
        // A GOAWAY is told to the streams alone that it says nothing was done about.
        Some(cause)
            if cause.is_remote() && (cause.is_go_away() || cause.reason() == Some(h2::Reason::REFUSED_STREAM)) =>
        {
            SendFailure::Unprocessed(error)
        }
        Some(cause) if cause.is_library() => SendFailure::NotHttp(error),
        Some(_) | None => SendFailure::Broken(error),
    }
}

impl From<SendFailure> for UpstreamError {
    fn from(failure: SendFailure) -> Self {
        match failure {
            SendFailure::Unsent(_, error) | SendFailure::Broken(error) => Self::Broken(error),
            SendFailure::Unprocessed(error) => Self::Unprocessed(error),
            SendFailure::NotHttp(error) => Self::NotHttp(error),
        }
    }
}
