//! [`Lease`]: a connection for one exchange.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::request::Parts;
use http::{Request, Response};
use hyper::client::conn::TrySendError;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::http1::{Decoder, Driven, Http1};
use super::http2::Stream;
use super::pool::Pool;
use super::{AnswerBody, Fault, Hints, RequestBody, Server, UpstreamError, framing};

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
    /// Whoever reads the answer has it.
    Nothing,
}

/// Why a request that was given to a connection has no answer.
#[derive(Debug)]
pub enum SendFailure {
    /// Nothing of it was sent; here is its body again.
    Unsent(Box<RequestBody>, Fault),
    /// The server says that it did nothing about it (RFC 9113, section 8.7), so that it may be sent again, whatever it asks.
    Unprocessed(Fault),
    /// What came is not HTTP.
    NotHttp(Fault),
    /// The connection or the stream broke.
    Broken(Fault),
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
            Held::Http1(_) | Held::Nothing => false,
            Held::Http2(_) => true,
        }
    }

    /// Sends the request, which is one of HTTP/1.1, in the way of the connection. Interim answers to it go where it is said;
    /// hyper does not tell of those that come over HTTP/2.
    pub async fn send(
        &mut self,
        parts: &Parts,
        body: RequestBody,
        hints: Option<Hints<'_>>,
    ) -> Result<Response<AnswerBody>, SendFailure> {
        let failure = match &mut self.connection {
            Held::Http1(connection) => {
                if !connection.is_ready() {
                    return Err(SendFailure::Unsent(Box::new(body), Fault::Closed));
                }
                match connection.send(parts, body, hints).await {
                    Ok((head, decoder)) => {
                        let body = self.body(decoder);
                        return Ok(Response::from_parts(head, body));
                    }
                    Err(fault @ Fault::NotHttp(_)) => SendFailure::NotHttp(fault),
                    Err(fault) => SendFailure::Broken(fault),
                }
            }
            Held::Http2(stream) => {
                let mut request = Request::from_parts(parts.clone(), body);
                framing::to_http2(&mut request, stream.scheme());
                match stream.sender().try_send_request(request).await {
                    Ok(response) => return Ok(response.map(AnswerBody::http2)),
                    Err(error) => failure(error),
                }
            }
            Held::Nothing => return Err(SendFailure::Unsent(Box::new(body), Fault::Closed)),
        };
        if let Held::Http2(stream) = &self.connection
            && failure.ends_connection()
        {
            stream.retire();
        }
        Err(failure)
    }

    /// The body of an answer that has begun. Where the request has not ended, a task goes on with both, and has the connection.
    fn body(&mut self, decoder: Decoder) -> AnswerBody {
        let is_under_way = |connection: &Http1| !connection.has_sent() && !matches!(decoder, Decoder::Done);
        if !matches!(&self.connection, Held::Http1(connection) if is_under_way(connection)) {
            return AnswerBody::http1(decoder);
        }
        match std::mem::replace(&mut self.connection, Held::Nothing) {
            Held::Http1(connection) => AnswerBody::driven(Driven::new(connection, decoder)),
            Held::Http2(_) | Held::Nothing => AnswerBody::http1(Decoder::Done),
        }
    }

    /// The connection, where it carries nothing else.
    pub(super) const fn http1(&mut self) -> Option<&mut Http1> {
        match &mut self.connection {
            Held::Http1(connection) => Some(connection),
            Held::Http2(_) | Held::Nothing => None,
        }
    }

    /// Says that no answer came in time: a connection on which nothing at all comes any more is used for nothing else.
    pub fn timed_out(self) {
        match self.connection {
            Held::Http1(_) | Held::Nothing => {}
            Held::Http2(stream) => stream.timed_out(),
        }
    }

    /// Keeps the connection for the next exchange, unless it is closed or enough are idle.
    pub fn give_back(self) {
        match self.connection {
            Held::Http1(connection) => self.pool.keep(connection, self.server.settings().pool_max_idle),
            // The pool has the connection, and this ends the share in it.
            Held::Http2(_) | Held::Nothing => {}
        }
    }
}

/// What follows an upgrade, on the connection that was upgraded.
#[derive(Debug)]
pub struct Upgraded(Lease);

impl Upgraded {
    /// What follows the answer that came on it.
    #[must_use]
    pub const fn new(lease: Lease) -> Self {
        Self(lease)
    }

    fn connection(self: Pin<&mut Self>) -> io::Result<Pin<&mut Http1>> {
        let connection = self.get_mut().0.http1();
        connection
            .map(Pin::new)
            .ok_or_else(|| io::ErrorKind::Unsupported.into())
    }
}

impl AsyncRead for Upgraded {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.connection()?.poll_read(cx, buf)
    }
}

impl AsyncWrite for Upgraded {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.connection()?.poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.connection()?.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.connection()?.poll_shutdown(cx)
    }
}

impl SendFailure {
    /// Whether a connection of HTTP/2 on which this happened can't be used again, though it may not know yet.
    fn ends_connection(&self) -> bool {
        match self {
            Self::Unsent(..) => true,
            Self::Unprocessed(fault) | Self::NotHttp(fault) | Self::Broken(fault) => match fault {
                // What the client's body did is of its own stream.
                Fault::Http2(error) => !error.is_user() && cause(error).is_some_and(|cause| !cause.is_reset()),
                Fault::Broken(_) | Fault::Closed | Fault::NotHttp(_) | Fault::Body(_) => false,
            },
        }
    }
}

/// What HTTP/2 has to say of it.
fn cause(error: &hyper::Error) -> Option<&h2::Error> {
    error.source()?.downcast_ref()
}

fn failure(mut error: TrySendError<Request<RequestBody>>) -> SendFailure {
    let back = error.take_message();
    let error = error.into_error();
    if let Some(back) = back {
        return SendFailure::Unsent(Box::new(back.into_body()), error.into());
    }
    if error.is_parse() {
        return SendFailure::NotHttp(error.into());
    }
    match cause(&error) {
        // A GOAWAY is told to the streams alone that it says nothing was done about.
        Some(cause)
            if cause.is_remote() && (cause.is_go_away() || cause.reason() == Some(h2::Reason::REFUSED_STREAM)) =>
        {
            SendFailure::Unprocessed(error.into())
        }
        Some(cause) if cause.is_library() => SendFailure::NotHttp(error.into()),
        Some(_) | None => SendFailure::Broken(error.into()),
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
