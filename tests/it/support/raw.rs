//! A client that sends exactly the bytes that it is told, and remembers exactly those that come back.

use std::fmt;
use std::net::SocketAddr;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::answer::{Answer, Parsed, parse};
use super::{DEADLINE, within};

/// TCP, or TLS on it.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// One connection to a gateway.
pub(crate) struct Conversation {
    stream: Box<dyn Stream>,
    /// What came and was not yet taken as an answer.
    pending: Vec<u8>,
    /// Whether the other side has ended the connection.
    ended: bool,
}

/// What comes next on a connection.
#[derive(Debug)]
pub(crate) enum Next {
    Answer(Answer),
    /// The end, before which this came: nothing, or an answer that breaks off.
    End(Vec<u8>),
    /// What is no answer, or none within [`DEADLINE`], and why.
    Broken(String),
}

/// All that came on a connection until its end.
pub(crate) struct Ended {
    /// The answers, 1xx included.
    pub(crate) answers: Vec<Answer>,
    /// What is no whole answer: a body cut short, say.
    pub(crate) rest: Vec<u8>,
}

/// Bytes as text, so that a failure can be read and a search in it finds what the bytes say.
impl fmt::Debug for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ended")
            .field("answers", &self.answers)
            .field("rest", &String::from_utf8_lossy(&self.rest))
            .finish()
    }
}

impl Ended {
    /// The final statuses, in order.
    pub(crate) fn statuses(&self) -> Vec<u16> {
        self.answers
            .iter()
            .map(|answer| answer.status)
            .filter(|status| *status >= 200)
            .collect()
    }
}

impl Conversation {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        Self::over(connect(address).await)
    }

    /// One over TLS, to the name `localhost`.
    pub(crate) async fn open_tls(address: SocketAddr, connector: &TlsConnector) -> Self {
        let name = ServerName::try_from("localhost").expect("it is a name");
        let stream = within("handshake", connector.connect(name, connect(address).await)).await;
        Self::over(stream.expect("TLS is spoken here"))
    }

    fn over(stream: impl Stream + 'static) -> Self {
        Self {
            stream: Box::new(stream),
            pending: Vec::new(),
            ended: false,
        }
    }

    /// Sends the bytes. A peer that has hung up already is no error: what it answered is still there to read.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let sent = async {
            self.stream.write_all(bytes.as_ref()).await?;
            self.stream.flush().await
        };
        let sent = tokio::time::timeout(DEADLINE, sent).await;
        if let Ok(Err(error)) = sent {
            use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
            assert!(matches!(error.kind(), BrokenPipe | ConnectionReset), "send: {error}");
        }
    }

    /// The next answer, 1xx included.
    pub(crate) async fn answer(&mut self) -> Answer {
        self.next(false).await
    }

    /// The next answer, to a HEAD.
    pub(crate) async fn answer_to_head(&mut self) -> Answer {
        self.next(true).await
    }

    async fn next(&mut self, to_head: bool) -> Answer {
        match self.next_or_end(to_head).await {
            Next::Answer(answer) => answer,
            Next::End(rest) => panic!("the connection ended after {:?}", String::from_utf8_lossy(&rest)),
            Next::Broken(why) => panic!("{why}"),
        }
    }

    /// The next answer, 1xx included, or the end.
    pub(crate) async fn next_or_end(&mut self, to_head: bool) -> Next {
        loop {
            match parse(&self.pending, to_head, self.ended) {
                Parsed::Whole(answer, taken) => {
                    self.pending.drain(..taken);
                    return Next::Answer(answer);
                }
                Parsed::Broken(why) => {
                    return Next::Broken(format!("{why} in {:?}", String::from_utf8_lossy(&self.pending)));
                }
                Parsed::Incomplete if self.ended => return Next::End(std::mem::take(&mut self.pending)),
                Parsed::Incomplete => {}
            }
            if let Err(why) = self.read_more().await {
                return Next::Broken(why);
            }
        }
    }

    /// Waits for more bytes, without taking any as an answer. False: there will be none.
    pub(crate) async fn read_some(&mut self) -> bool {
        self.read_more().await.unwrap_or_else(|why| panic!("{why}"))
    }

    async fn read_more(&mut self) -> Result<bool, String> {
        self.pending.reserve(64 * 1024);
        let read = tokio::time::timeout(DEADLINE, self.stream.read_buf(&mut self.pending)).await;
        let Ok(read) = read else {
            let came = String::from_utf8_lossy(&self.pending[..self.pending.len().min(2000)]);
            return Err(format!(
                "neither an end nor more bytes within {DEADLINE:?} after {came:?}"
            ));
        };
        self.ended = matches!(read, Ok(0) | Err(_));
        Ok(!self.ended)
    }

    /// What came and was not yet taken as an answer.
    pub(crate) fn pending(&self) -> &[u8] {
        &self.pending
    }

    /// Everything until the other side ends the connection, which it must.
    pub(crate) async fn until_end(mut self) -> Ended {
        while self.read_some().await {}
        let mut answers = Vec::new();
        while let Parsed::Whole(answer, taken) = parse(&self.pending, false, true) {
            self.pending.drain(..taken);
            answers.push(answer);
            if self.pending.is_empty() {
                break;
            }
        }
        Ended {
            answers,
            rest: self.pending,
        }
    }
}

async fn connect(address: SocketAddr) -> TcpStream {
    let stream = within("connect", TcpStream::connect(address)).await;
    let stream = stream.expect("the gateway listens");
    stream.set_nodelay(true).expect("a fresh socket takes options");
    stream
}

/// Sends `request` on a connection of its own and reads until the gateway ends it. A request that should be answered
/// says `Connection: close`; one that should be refused is closed by the gateway anyway.
pub(crate) async fn exchange(address: SocketAddr, request: impl AsRef<[u8]>) -> Ended {
    let mut conversation = Conversation::open(address).await;
    conversation.send(request).await;
    conversation.until_end().await
}
