//! The client's side of an upgrade: the bytes of its connection, once HTTP is over on it, or a stream of HTTP/2.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use http::Extensions;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

/// What is left of a connection when HTTP is over.
pub trait ClientBytes: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> ClientBytes for T {}

/// Where a connection of HTTP/1 leaves its bytes when it is switched to another protocol. Part of each request that asks for
/// that.
#[derive(Clone, Default)]
pub struct Switch(Arc<Mutex<Option<Box<dyn ClientBytes>>>>);

impl Switch {
    /// Leaves the bytes of the connection, all that was written before being out.
    pub fn put(&self, bytes: Box<dyn ClientBytes>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(bytes);
    }

    fn take(&self) -> Option<Box<dyn ClientBytes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl fmt::Debug for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Switch").finish_non_exhaustive()
    }
}

/// The client's side, once it has been told.
#[derive(Clone, Debug)]
pub(in crate::proxy) enum ClientSide {
    Http1(Switch),
    Http2(OnUpgrade),
}

impl ClientSide {
    /// Takes it out of what came with the request, if it is there.
    pub(super) fn take(from: &mut Extensions) -> Option<Self> {
        let switch = from.remove().map(Self::Http1);
        switch.or_else(|| from.remove().map(Self::Http2))
    }

    /// The bytes, once the head of the answer is out.
    pub(in crate::proxy) async fn bytes(self) -> io::Result<Box<dyn ClientBytes>> {
        match self {
            Self::Http1(switch) => switch.take().ok_or_else(|| io::ErrorKind::NotConnected.into()),
            Self::Http2(stream) => match stream.await {
                Ok(stream) => Ok(Box::new(TokioIo::new(stream))),
                Err(error) => Err(io::Error::other(error)),
            },
        }
    }
}
