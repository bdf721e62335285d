//! A client of HTTP/1.1 that sends several requests at once on one connection, of several users, and reads their answers in
//! turn.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval};

use super::ask::{Asked, Route};
use super::site::Site;
use crate::support::answer::{Answer, Parsed, parse};
use crate::support::random::Random;
use crate::support::within;

/// How it is counted.
const HOW: &str = "request, HTTP/1.1";
/// After how many batches a connection is given up for a new one.
const BATCHES: usize = 200;

/// One connection.
pub(super) struct Pipe {
    stream: TcpStream,
    pending: Vec<u8>,
}

impl Pipe {
    pub(super) async fn open(site: &Site) -> Self {
        let stream = within("connect", TcpStream::connect(site.address)).await;
        let stream = stream.expect("the gateway listens");
        stream.set_nodelay(true).expect("a fresh socket takes options");
        Self {
            stream,
            pending: Vec::with_capacity(16 * 1024),
        }
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        let sent = within("the gateway reads", self.stream.write_all(bytes)).await;
        sent.map_err(|error| format!("send: {error}"))
    }

    /// Reads what is there, but no more than that. False: nothing will come any more.
    pub(super) async fn read(&mut self, most: u64) -> bool {
        let read = (&mut self.stream).take(most);
        let mut read = std::pin::pin!(read);
        let read = within("an answer, or the end", read.read_buf(&mut self.pending)).await;
        matches!(read, Ok(1..))
    }

    pub(super) async fn answer(&mut self) -> Result<Answer, String> {
        loop {
            match parse(&self.pending, false, false) {
                Parsed::Whole(answer, taken) => {
                    self.pending.drain(..taken);
                    return Ok(answer);
                }
                Parsed::Broken(why) => return Err(why),
                Parsed::Incomplete => {}
            }
            if !self.read(64 * 1024).await {
                return Err(format!("the connection ended after {} bytes", self.pending.len()));
            }
        }
    }
}

/// Enters an answer.
pub(super) fn judge(site: &Site, how: &'static str, asked: &Asked, answer: &Answer) {
    let code = answer.header("x-doorward-error");
    asked.judge(site, how, answer.status, code, &answer.body);
}

/// Sends a batch of so many at each interval until the run is over.
pub(super) async fn load(site: &Site, mut random: Random, route: Route, batch: usize, every: Duration) {
    let mut pace = interval(every);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !site.is_over() {
        let mut pipe = Pipe::open(site).await;
        // Half of them leave as they came, the others say so.
        let says_so = random.below(2) == 0;
        for left in (0..BATCHES).rev() {
            pace.tick().await;
            let last = left == 0 || site.is_over();
            if !one_batch(site, &mut pipe, &mut random, route, batch, last && says_so).await || last {
                break;
            }
        }
    }
}

/// Sends one batch and judges its answers. False: the connection is of no use any more.
async fn one_batch(site: &Site, pipe: &mut Pipe, random: &mut Random, route: Route, batch: usize, close: bool) -> bool {
    let asked: Vec<Asked> = (0..batch).map(|_| Asked::any(site, route, random)).collect();
    let mut bytes = Vec::new();
    for (at, one) in asked.iter().enumerate() {
        bytes.extend_from_slice(one.head().as_bytes());
        if close && at + 1 == batch {
            bytes.extend_from_slice(b"Connection: close\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.resize(bytes.len() + one.body, b'b');
    }
    let sent = pipe.send(&bytes).await;
    for (at, one) in asked.iter().enumerate() {
        let answer = match &sent {
            Ok(()) => pipe.answer().await,
            Err(why) => Err(why.clone()),
        };
        match answer {
            Ok(answer) => {
                judge(site, HOW, one, &answer);
                // A refusal may leave the body of its request unread, and says so; what came after that is to be sent again.
                if answer.header("connection") == Some("close") && !(close && at + 1 == batch) {
                    if answer.status == 200 {
                        site.tally
                            .wrong(format!("{HOW}: the connection closes after {answer:?}"));
                    }
                    site.tally.seen("connection, HTTP/1.1", "closed after a refusal");
                    return false;
                }
            }
            Err(why) => {
                // What comes after it on this connection is not answered either.
                one.broken(site, HOW, &format!("{why}, at {at} of {batch}"));
                return false;
            }
        }
    }
    if close && pipe.read(1).await {
        site.tally.wrong(format!("{HOW}: something after the last answer"));
    }
    !close
}
