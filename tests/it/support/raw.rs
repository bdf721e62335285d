//! A client that sends exactly the bytes that it is told, and remembers exactly those that come back.

use std::fmt;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::answer::{Answer, Parsed, parse};
use super::{DEADLINE, within};

/// One connection to a gateway.
pub(crate) struct Conversation {
    stream: TcpStream,
    /// What came and was not yet taken as an answer.
    pending: Vec<u8>,
    /// Whether the other side has ended the connection.
    ended: bool,
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
        let stream = within("connect", TcpStream::connect(address))
            .await
            .expect("the gateway listens");
        stream.set_nodelay(true).expect("a fresh socket takes options");
        Self {
            stream,
            pending: Vec::new(),
            ended: false,
        }
    }

    /// Sends the bytes. A peer that has hung up already is no error: what it answered is still there to read.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let sent = tokio::time::timeout(DEADLINE, self.stream.write_all(bytes.as_ref())).await;
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
        loop {
            match parse(&self.pending, to_head, self.ended) {
                Parsed::Whole(answer, taken) => {
                    self.pending.drain(..taken);
                    return answer;
                }
                Parsed::Broken(why) => panic!("{why} in {:?}", String::from_utf8_lossy(&self.pending)),
                Parsed::Incomplete => assert!(
                    !self.ended,
                    "the connection ended after {:?}",
                    String::from_utf8_lossy(&self.pending)
                ),
            }
            self.read_some().await;
        }
    }

    /// Waits for more bytes, without taking any as an answer. False: there will be none.
    pub(crate) async fn read_some(&mut self) -> bool {
        self.pending.reserve(64 * 1024);
        let read = tokio::time::timeout(DEADLINE, self.stream.read_buf(&mut self.pending)).await;
        let Ok(read) = read else {
            panic!(
                "neither an end nor more bytes within {DEADLINE:?} after {:?}",
                String::from_utf8_lossy(&self.pending[..self.pending.len().min(2000)])
            )
        };
        self.ended = matches!(read, Ok(0) | Err(_));
        !self.ended
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

/// Sends `request` on a connection of its own and reads until the gateway ends it. A request that should be answered
/// says `Connection: close`; one that should be refused is closed by the gateway anyway.
pub(crate) async fn exchange(address: SocketAddr, request: impl AsRef<[u8]>) -> Ended {
    let mut conversation = Conversation::open(address).await;
    conversation.send(request).await;
    conversation.until_end().await
}
