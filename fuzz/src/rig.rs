//! A gateway between a client whose bytes we choose and an upstream that keeps all that it is sent.

use std::collections::VecDeque;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use doorward::config;
use doorward::id::{Role, SessionId, UserId};
use doorward::server::fuzzed::Quiet;
use doorward::time::Clock;
use doorward::token::Subject;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use crate::naive;

/// What the upstream answers to everything.
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// After so many turns in which nothing moves, the gateway waits for its client.
const QUIET_TURNS: u32 = 6;

/// How long the whole may take, in turns: far more than any input needs.
const TOO_MANY_TURNS: u32 = 1_000_000;

/// The client's address, which is nobody's that is trusted.
pub const CLIENT: [u8; 4] = [192, 0, 2, 7];

/// What becomes of the bytes of a connection.
#[derive(Debug)]
pub struct Passed {
    /// Each whole request, as its bytes came to the upstream.
    pub requests: Vec<Vec<u8>>,
    /// All that the client was sent.
    pub answers: Vec<u8>,
}

/// The gateway, its upstream, and what drives them.
pub struct Rig {
    runtime: Runtime,
    gateway: Quiet,
    world: Arc<Mutex<World>>,
    /// The token of a user, as long as the rig is there.
    pub token: String,
    pub user: String,
    pub session: String,
    _folder: tempfile::TempDir,
}

/// What all parts see.
#[derive(Default)]
struct World {
    /// What the client will have sent, in parts.
    sends: VecDeque<Vec<u8>>,
    /// Whether the client sends nothing after that.
    ended: bool,
    answers: Vec<u8>,
    /// Whom to tell when the client has something to say.
    reader: Option<Waker>,
    requests: Vec<Vec<u8>>,
    /// Changes whenever something happens.
    moves: u64,
}

fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Rig {
    /// A gateway with these routes, `[[routes]]` and what else follows them, to the upstream `app`.
    #[must_use]
    pub fn new(routes: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let folder = tempfile::tempdir().expect("a folder");
        let world = Arc::new(Mutex::new(World::default()));
        let gateway = runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let port = listener.local_addr().expect("an address").port();
            tokio::spawn(upstream(listener, Arc::clone(&world)));
            let text = format!(
                "[store]\nurl = \"sqlite://fuzz.db\"\n[log]\naccess = false\n[revocation]\non_stale = \"allow\"\n\
                 [tokens]\nalgorithm = \"HS256\"\nsecret = \"a secret of 32 bytes or more, to fuzz\"\naccess_ttl = \"24h\"\n\
                 [auth]\nsignup = \"closed\"\n\
                 [upstreams.app]\nservers = [\"http://127.0.0.1:{port}\"]\n{routes}"
            );
            let config = config::parse(&text, folder.path()).unwrap_or_else(|errors| panic!("{errors}"));
            Quiet::new(&config, Clock::system()).await.expect("a gateway")
        });
        let now = Clock::system().now();
        let (user, session) = (UserId::generate(now), SessionId::generate(now));
        let subject = Subject {
            user,
            email: &"ann@example.com".parse().expect("an address"),
            name: &"Ann".parse().expect("a name"),
            roles: &["admin", "user"].map(|role| role.parse::<Role>().expect("a role")),
            session,
            generation: 1,
            session_expires_at: now + std::time::Duration::from_secs(48 * 3600),
        };
        let token = gateway
            .tokens()
            .issue(&subject, now)
            .expect("a token")
            .text
            .expose()
            .clone();
        Self {
            runtime,
            gateway,
            world,
            token,
            user: user.to_string(),
            session: session.to_string(),
            _folder: folder,
        }
    }

    /// Has a client send these parts on one connection, and wait for what comes before it closes its side.
    pub fn pass(&self, parts: impl Iterator<Item = Vec<u8>>) -> Passed {
        *lock(&self.world) = World {
            sends: parts.collect(),
            ..World::default()
        };
        self.runtime.block_on(async {
            let mut serving = pin!(self.gateway.serve(Client(Arc::clone(&self.world)), CLIENT.into()));
            let (mut moves, mut quiet, mut served) = (0, 0, false);
            for _ in 0..TOO_MANY_TURNS {
                if !served {
                    tokio::select! {
                        biased;
                        () = &mut serving => served = true,
                        () = tokio::task::yield_now() => {}
                    }
                } else {
                    tokio::task::yield_now().await;
                }
                let mut world = lock(&self.world);
                quiet = if world.moves == moves { quiet + 1 } else { 0 };
                moves = world.moves;
                if quiet < QUIET_TURNS {
                    continue;
                }
                if served {
                    return;
                }
                if !world.ended {
                    world.ended = true;
                    world.moves += 1;
                    world.reader.take().map(Waker::wake);
                }
            }
            panic!("the connection does not end");
        });
        let world = std::mem::take(&mut *lock(&self.world));
        Passed {
            requests: world.requests,
            answers: world.answers,
        }
    }
}

/// Takes connections for as long as there is a runtime.
async fn upstream(listener: TcpListener, world: Arc<Mutex<World>>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(keep(stream, Arc::clone(&world)));
    }
}

/// Keeps the requests of one connection, and answers each.
async fn keep(mut stream: TcpStream, world: Arc<Mutex<World>>) {
    let mut input = Vec::new();
    loop {
        let mut space = [0; 16 * 1024];
        let read = stream.read(&mut space).await.unwrap_or(0);
        lock(&world).moves += 1;
        if read == 0 {
            // What has come of a request, if anything, was none: its end is missing.
            return;
        }
        input.extend_from_slice(&space[..read]);
        if is_whole(&input) {
            lock(&world).requests.push(std::mem::take(&mut input));
            if stream.write_all(ANSWER).await.is_err() {
                return;
            }
        }
    }
}

/// Whether a request has come to its end, as a program of another make reads it. What it can't read has ended too, so that it
/// is looked at.
fn is_whole(input: &[u8]) -> bool {
    let mut headers = [httparse::EMPTY_HEADER; 512];
    let mut head = httparse::Request::new(&mut headers);
    let length = match head.parse(input) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return false,
        Err(_) => return true,
    };
    let body = &input[length..];
    let find = |name: &str| {
        head.headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case(name))
    };
    if find("transfer-encoding").is_some() {
        return !matches!(naive::chunks(body), naive::Chunked::Open { .. });
    }
    let said = find("content-length").and_then(|header| std::str::from_utf8(header.value).ok()?.parse::<usize>().ok());
    body.len() >= said.unwrap_or(0)
}

/// The client's connection, as the gateway sees it.
struct Client(Arc<Mutex<World>>);

impl AsyncRead for Client {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut world = lock(&self.0);
        if let Some(mut part) = world.sends.pop_front() {
            let rest = part.split_off(part.len().min(buf.remaining()));
            buf.put_slice(&part);
            if !rest.is_empty() {
                world.sends.push_front(rest);
            }
            world.moves += 1;
            return Poll::Ready(Ok(()));
        }
        if world.ended {
            return Poll::Ready(Ok(()));
        }
        world.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl AsyncWrite for Client {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut world = lock(&self.0);
        world.answers.extend_from_slice(bytes);
        world.moves += 1;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
