//! Making one connection to one server.

use std::time::Duration;

use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::{RequestBody, UpstreamError};

/// The most header lines an upstream's answer may have.
const MAX_HEADERS: usize = 128;
/// The largest head of an upstream's answer, in bytes.
const MAX_HEAD: usize = 128 * 1024;

/// A connection to a server. Dropping it closes it, whatever it is doing: a server that has answered but does not take the
/// rest of the request would otherwise hold it, and the client's connection behind it, for as long as it likes.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) sender: SendRequest<RequestBody>,
    task: AbortHandle,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Connects within `limit` (name resolution and all addresses of the name included) and leaves the connection running on
/// the worker that calls.
pub(super) async fn connect(host: &str, port: u16, limit: Duration) -> Result<Connection, UpstreamError> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let stream = match timeout(limit, TcpStream::connect((host, port))).await {
        Err(_) => return Err(UpstreamError::ConnectTimeout(limit)),
        Ok(Err(error)) => return Err(UpstreamError::Connect(error)),
        Ok(Ok(stream)) => stream,
    };
    // Requests are written whole: waiting for more to send with them only adds delay.
    stream.set_nodelay(true).map_err(UpstreamError::Connect)?;
    let (sender, connection) = http1::Builder::new()
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(UpstreamError::Broken)?;
    let task = tokio::spawn(async move {
        // Whoever waits for an answer on it learns of the error through the answer.
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "upstream connection ended");
        }
    });
    Ok(Connection {
        sender,
        task: task.abort_handle(),
    })
}
