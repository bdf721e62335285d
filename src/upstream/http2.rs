//! [`Http2`]: a connection that carries many exchanges at once.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;

use super::RequestBody;
use super::connection::{MAX_HEAD, NoConnection, broken, young_until};
use super::slots::{Line, Slot};
use crate::config;
use crate::time::recent;

/// A connection that carries many exchanges at once. When the last handle goes, it closes once its exchanges have ended.
pub(super) struct Http2 {
    sender: SendRequest<RequestBody>,
    /// How many exchanges the server takes at once, as it says now.
    limit: Box<dyn Fn() -> usize + Send + Sync>,
    streams: AtomicUsize,
    /// How often something has come.
    reads: Arc<AtomicUsize>,
    /// Whether it takes no new exchanges.
    retired: AtomicBool,
    idle_since: Mutex<Instant>,
    /// Until when it takes new exchanges.
    young_until: Instant,
    /// `http` or `https`: what requests on it say.
    pub(super) scheme: &'static str,
    /// Who is told when it carries an exchange less.
    line: Option<Line>,
}

impl std::fmt::Debug for Http2 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http2")
            .field("streams", &self.streams)
            .field("scheme", &self.scheme)
            .finish_non_exhaustive()
    }
}

/// One exchange on a connection.
#[derive(Debug)]
pub(super) struct Stream {
    connection: Arc<Http2>,
    /// How often something had come when it began.
    reads: usize,
}

/// The driver's side of a connection, with which the connection goes: where its driver panics as well, so that nobody is given
/// one that nobody drives.
struct Driven<C>(Arc<Mutex<Option<C>>>);

impl<C> Drop for Driven<C> {
    fn drop(&mut self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Http2 {
    /// Begins to speak HTTP/2 and waits until the server does, so that its limits are known before the first request.
    pub(super) async fn open<S>(
        stream: S,
        scheme: &'static str,
        settings: &config::Upstream,
        slot: Option<Slot>,
    ) -> Result<Arc<Self>, NoConnection>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let line = slot.as_ref().map(Slot::line);
        let (stream, heard, reads) = Heard::new(stream, slot);
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX))
            .keep_alive_interval(settings.http2_ping_interval)
            .keep_alive_timeout(settings.http2_ping_timeout);
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(broken)?;
        // Polled by its task, looked at by the pool: both on this worker. It goes as soon as it has ended, and with it the
        // requests that were given to it too late.
        let connection = Arc::new(Mutex::new(Some(connection)));
        let driven = Driven(Arc::clone(&connection));
        tokio::spawn(async move {
            let ended = std::future::poll_fn(|cx| {
                let mut slot = driven.0.lock().unwrap_or_else(PoisonError::into_inner);
                let Some(connection) = slot.as_mut() else {
                    return Poll::Ready(Ok(()));
                };
                let ended = Pin::new(connection).poll(cx);
                if ended.is_ready() {
                    *slot = None;
                }
                ended
            });
            // Whoever waits for an answer on it learns of the error through the answer.
            if let Err(error) = ended.await {
                tracing::debug!(%error, "upstream connection ended");
            }
        });
        if heard.await.is_err() || sender.is_closed() {
            return Err(broken(io::Error::from(io::ErrorKind::UnexpectedEof)));
        }
        // What was heard is read by another task.
        tokio::task::yield_now().await;
        Ok(Arc::new(Self {
            sender,
            limit: Box::new(move || {
                let connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
                connection
                    .as_ref()
                    .map_or(0, http2::Connection::current_max_send_streams)
            }),
            streams: AtomicUsize::new(0),
            reads,
            retired: AtomicBool::new(false),
            idle_since: Mutex::new(recent()),
            young_until: young_until(settings.pool_max_age),
            scheme,
            line,
        }))
    }

    /// Whether it takes no more exchanges, for good.
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed() || self.retired.load(Ordering::Relaxed) || self.young_until <= recent()
    }

    /// How many exchanges the server takes at once.
    pub(super) fn limit(&self) -> usize {
        (self.limit)()
    }

    /// Whether it carries nothing.
    pub(super) fn is_idle(&self) -> bool {
        self.streams.load(Ordering::Relaxed) == 0
    }

    /// Whether it takes no more exchanges, or has carried nothing for this long.
    pub(super) fn is_over(&self, idle_timeout: Duration) -> bool {
        let since = || *self.idle_since.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_closed() || (self.is_idle() && recent().saturating_duration_since(since()) > idle_timeout)
    }

    /// Room for one more exchange, if the server has it.
    pub(super) fn stream(self: &Arc<Self>) -> Option<Stream> {
        if self.is_closed() || self.streams.load(Ordering::Relaxed) >= self.limit() {
            return None;
        }
        self.streams.fetch_add(1, Ordering::Relaxed);
        Some(Stream {
            connection: Arc::clone(self),
            reads: self.reads.load(Ordering::Relaxed),
        })
    }
}

impl Stream {
    pub(super) fn sender(&self) -> SendRequest<RequestBody> {
        self.connection.sender.clone()
    }

    pub(super) fn scheme(&self) -> &'static str {
        self.connection.scheme
    }

    /// Lets the connection take no new exchanges.
    pub(super) fn retire(&self) {
        self.connection.retired.store(true, Ordering::Relaxed);
    }

    /// Ends an exchange that has no answer. Where nothing at all has come since it began, the server is likely gone.
    pub(super) fn timed_out(self) {
        if self.reads == self.connection.reads.load(Ordering::Relaxed) {
            self.retire();
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.connection.streams.fetch_sub(1, Ordering::Relaxed) == 1 {
            *self
                .connection
                .idle_since
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = recent();
        }
        if let Some(line) = &self.connection.line {
            if line.is_others() {
                self.retire();
                line.forget_closed();
            }
            line.move_on();
        }
    }
}

/// A byte stream that tells when the first bytes have come: a server of HTTP/2 begins with its limits.
struct Heard<S> {
    stream: S,
    tell: Option<oneshot::Sender<()>>,
    reads: Arc<AtomicUsize>,
    /// Dropped last, when the socket is closed.
    _slot: Option<Slot>,
}

impl<S> Heard<S> {
    fn new(stream: S, slot: Option<Slot>) -> (Self, oneshot::Receiver<()>, Arc<AtomicUsize>) {
        let (tell, told) = oneshot::channel();
        let (tell, reads) = (Some(tell), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&reads);
        let heard = Self {
            stream,
            tell,
            reads,
            _slot: slot,
        };
        (heard, told, counted)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Heard<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if read.is_ready() {
            let _ = this.reads.fetch_add(1, Ordering::Relaxed);
            // Dropped unused, it tells of the end. Nobody waits any more when the time for it is over.
            if let Some(tell) = this.tell.take()
                && buffer.filled().len() > before
            {
                let _ = tell.send(());
            }
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Heard<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
