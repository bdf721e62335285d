//! [`Fault`]: what went wrong on a connection to a server.

use std::io;

use super::BodyFailure;

/// What went wrong on a connection to a server.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// On a connection of HTTP/2.
    #[error(transparent)]
    Http2(#[from] hyper::Error),
    /// The connection broke.
    #[error("the connection broke")]
    Broken(#[from] io::Error),
    /// The server closed it in the middle of what it was saying, or before it said anything.
    #[error("the server closed the connection too early")]
    Closed,
    /// What the server says is not HTTP/1.
    #[error("{0}")]
    NotHttp(&'static str),
    /// The client's body could not be sent to its end.
    #[error(transparent)]
    Body(#[from] BodyFailure),
}
