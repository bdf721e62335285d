//! How slow a client can be with HTTP/1.1.

use std::net::SocketAddr;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::http2::{self, Windows};
use crate::support::answer::{Parsed, parse};
use crate::tls::Authority;

/// How long a client pauses between the little things that it does.
const PAUSE: Duration = Duration::from_millis(500);

/// How slow a client is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Slow {
    /// It says nothing.
    Idle,
    /// Its head never ends.
    Head,
    /// Its body comes byte by byte.
    Body,
    /// It asks for a big answer and does not read it, or takes a byte of it now and then.
    Reader { sips: bool },
}

impl Slow {
    /// Whether a client can tell that it was cut: who does not read what was sent before can't.
    pub(super) const fn sees_its_end(self) -> bool {
        match self {
            Self::Idle | Self::Head | Self::Body => true,
            Self::Reader { .. } => false,
        }
    }

    const fn says(self) -> (&'static [u8], &'static [u8]) {
        match self {
            Self::Idle => (b"", b""),
            Self::Head => (b"GET / HTTP/1.1\r\nHost: a\r\n", b"X-A: b\r\n"),
            Self::Body => (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n", b"a"),
            Self::Reader { .. } => (b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n", b""),
        }
    }
}

/// Where a client comes in.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    Plain(SocketAddr),
    Tls(SocketAddr),
}

/// What a client saw of its end.
#[derive(Clone, Debug)]
pub(super) enum Cut {
    Silently,
    /// By an answer with this status.
    Refused(u16),
    /// So many streams of HTTP/2 were reset before.
    Streams(u32),
}

/// What all slow clients know.
pub(super) struct Visit {
    plain: TlsConnector,
    http2: TlsConnector,
    /// For how long those who can't see that they were cut stay before they come again, while not all have come.
    stay: Duration,
    /// The kernel has room for only so many who are about to connect.
    entrance: Semaphore,
    all_came: watch::Receiver<bool>,
    all_over: watch::Receiver<bool>,
}

impl Visit {
    pub(super) fn new(
        authority: &Authority,
        stay: Duration,
        all_came: watch::Receiver<bool>,
        all_over: watch::Receiver<bool>,
    ) -> Self {
        Self {
            plain: authority.connector(b"http/1.1"),
            http2: authority.connector(b"h2"),
            stay,
            entrance: Semaphore::new(64),
            all_came,
            all_over,
        }
    }

    /// Is slow until the gateway has enough of it, and again until all have come.
    pub(super) async fn be_slow(&self, way: Way, how: Slow) -> Cut {
        loop {
            let cut = match way {
                Way::Plain(address) => match how {
                    Slow::Reader { sips } => {
                        let mut stream = self.connect(address).await;
                        stream.write_all(how.says().0).await.unwrap();
                        self.hold(stream, sips).await
                    }
                    Slow::Idle | Slow::Head | Slow::Body => dawdle(self.connect(address).await, how).await,
                },
                Way::Tls(address) => {
                    let mut stream = self.shake_hands(address, &self.plain).await;
                    match how {
                        Slow::Reader { sips } => {
                            stream.write_all(how.says().0).await.unwrap();
                            stream.flush().await.unwrap();
                            // What it takes is what comes below TLS.
                            self.hold(stream.into_inner().0, sips).await
                        }
                        Slow::Idle | Slow::Head | Slow::Body => dawdle(stream, how).await,
                    }
                }
            };
            if *self.all_came.borrow() {
                return cut;
            }
        }
    }

    /// Asks for big answers on streams that can't carry them, in the same manner.
    pub(super) async fn close_windows(&self, way: Way, windows: Windows, streams: u32) -> Cut {
        loop {
            let reset = match (way, windows) {
                (Way::Plain(address), Windows::Open) => {
                    let mut stream = self.connect(address).await;
                    http2::ask(&mut stream, "http", windows, streams).await;
                    self.hold(stream, false).await;
                    0
                }
                (Way::Tls(address), Windows::Open) => {
                    let mut stream = self.shake_hands(address, &self.http2).await;
                    http2::ask(&mut stream, "https", windows, streams).await;
                    self.hold(stream.into_inner().0, false).await;
                    0
                }
                (Way::Plain(address), Windows::Streams | Windows::Connection) => {
                    let mut stream = self.connect(address).await;
                    http2::ask(&mut stream, "http", windows, streams).await;
                    http2::resets(stream).await
                }
                (Way::Tls(address), Windows::Streams | Windows::Connection) => {
                    let mut stream = self.shake_hands(address, &self.http2).await;
                    http2::ask(&mut stream, "https", windows, streams).await;
                    http2::resets(stream).await
                }
            };
            if *self.all_came.borrow() {
                return Cut::Streams(reset);
            }
        }
    }

    async fn connect(&self, address: SocketAddr) -> TcpStream {
        let _turn = self.entrance.acquire().await.unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.connect(address).await.unwrap()
    }

    async fn shake_hands(&self, address: SocketAddr, connector: &TlsConnector) -> TlsStream<TcpStream> {
        let _turn = self.entrance.acquire().await.unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        connector.connect(name, stream).await.unwrap()
    }

    /// Keeps the connection, and reads nothing or a byte now and then, until all is over.
    async fn hold(&self, stream: TcpStream, sips: bool) -> Cut {
        let mut over = self.all_over.clone();
        let until = async {
            tokio::time::sleep(self.stay).await;
            if *self.all_came.borrow() {
                let _ = over.wait_for(|over| *over).await;
            }
        };
        let mut until = std::pin::pin!(until);
        loop {
            tokio::select! {
                () = &mut until => return Cut::Silently,
                () = tokio::time::sleep(PAUSE), if sips => {
                    let _ = stream.try_read(&mut [0]);
                }
            }
        }
    }
}

/// Is slow to say what it wants, and reads what it is told.
async fn dawdle<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, how: Slow) -> Cut {
    let (first, more) = how.says();
    let mut answer = Vec::new();
    let _ = stream.write_all(first).await;
    let _ = stream.flush().await;
    loop {
        tokio::select! {
            read = stream.read_buf(&mut answer) => match read {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            },
            () = tokio::time::sleep(PAUSE), if answer.is_empty() && !more.is_empty() => {
                let _ = stream.write_all(more).await;
                let _ = stream.flush().await;
            }
        }
    }
    match parse(&answer, false, true) {
        Parsed::Whole(answer, _) => Cut::Refused(answer.status),
        _ if answer.is_empty() => Cut::Silently,
        _ => panic!("{:?}", String::from_utf8_lossy(&answer)),
    }
}
