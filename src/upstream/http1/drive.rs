//! [`Driven`]: an exchange whose answer began before the request had ended, driven by a task.
//!
//! As a rule whoever reads the answer sends the rest of the request. But a client may send all of its request before it reads, and
//! an answer that is not read is not asked for more: then nobody would send.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::{Decoder, Http1};
use crate::upstream::Fault;

/// What the task gives, part by part.
type Part = Result<Frame<Bytes>, Fault>;

/// The answer's body. Dropped, it ends the exchange, and the connection closes.
#[derive(Debug)]
pub(in crate::upstream) struct Driven {
    parts: mpsc::Receiver<Part>,
    task: AbortHandle,
    /// How many bytes are to come, where that is known.
    left: Option<u64>,
    ended: bool,
}

impl Drop for Driven {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Driven {
    /// Goes on with the exchange in a task of this worker. Its connection is not used again.
    pub(in crate::upstream) fn new(connection: Http1, body: Decoder) -> Self {
        // The part that is given, one that waits, and no more: who does not read holds the server back.
        let (give, parts) = mpsc::channel(1);
        Self {
            left: match &body {
                Decoder::Length(left) => Some(*left),
                Decoder::Done | Decoder::Chunked(_) | Decoder::Close => None,
            },
            parts,
            task: tokio::spawn(drive(connection, body, give)).abort_handle(),
            ended: false,
        }
    }

    pub(in crate::upstream) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Part>> {
        if self.is_end_stream() {
            return Poll::Ready(None);
        }
        let part = self.parts.poll_recv(cx);
        match &part {
            Poll::Ready(Some(Ok(frame))) => {
                let length = frame.data_ref().map_or(0, |data| data.len() as u64);
                self.left = self.left.map(|left| left.saturating_sub(length));
            }
            Poll::Ready(Some(Err(_)) | None) => self.ended = true,
            Poll::Pending => {}
        }
        part
    }

    pub(in crate::upstream) fn is_end_stream(&self) -> bool {
        self.ended || self.left == Some(0)
    }

    pub(in crate::upstream) fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

/// Sends what is left of the request all the while, and reads a part of the answer when there is room for it.
async fn drive(mut connection: Http1, mut body: Decoder, give: mpsc::Sender<Part>) {
    while !matches!(body, Decoder::Done) {
        let mut room = pin!(give.reserve());
        let room = poll_fn(|cx| match connection.wire.poll_send(cx) {
            Ok(()) => room.as_mut().poll(cx).map(Ok),
            Err(fault) => Poll::Ready(Err(fault)),
        });
        let room = match room.await {
            Ok(Ok(room)) => room,
            Ok(Err(_)) => return,
            Err(fault) => {
                // The server learns of it at once, whoever reads the answer when there is room.
                drop(connection);
                let _ = give.send(Err(fault)).await;
                return;
            }
        };
        let Some(part) = poll_fn(|cx| connection.poll_frame(&mut body, cx)).await else {
            return;
        };
        let broken = part.is_err();
        room.send(part);
        if broken {
            return;
        }
    }
}
