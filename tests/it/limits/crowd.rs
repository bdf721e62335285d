//! Slow clients by the thousand, of all kinds at once: each is cut in its time, everybody else is served meanwhile, and what
//! they cost is bounded and comes back.

mod http2;
mod kinds;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::support::process::{Process, free_address};
use crate::support::upstream::each;
use crate::support::{Conversation, DEADLINE, eventually, metric, when, within};
use crate::tls::Authority;
use http2::Windows;
use kinds::{Cut, Slow, Way};

/// So many of them are there at one moment, at the least.
const AT_ONCE: u64 = 2000;

/// How many there are of each kind, without TLS and with it.
const CROWD: [(Slow, usize, usize); 5] = [
    (Slow::Idle, 800, 60),
    (Slow::Head, 500, 60),
    (Slow::Body, 400, 60),
    (Slow::Reader { sips: false }, 300, 60),
    (Slow::Reader { sips: true }, 200, 40),
];

/// Connections of HTTP/2, and the streams on each: their windows stay closed, or what comes is not read.
const HTTP2: usize = 20;
const STREAMS: u32 = 10;

/// The most that a connection may cost beside its answer: its task, hyper's buffers on both sides, and TLS.
const MOST_EACH: u64 = 64 << 10;
/// The most that may wait of a big answer. hyper keeps up to 128 KiB for the client (twice `max_header_bytes`) and one piece
/// more; another waits and one is read. A piece is what was read of the upstream at once: 128 KiB at the most.
const MOST_OF_ANSWER: u64 = 4 * (128 << 10);

/// How long the ones who look and who behave pause.
const PAUSE: Duration = Duration::from_millis(25);

/// The most open files of one process here: each client, and for most of them a connection to the upstream.
const FILES: u64 = 8192;

/// What an answer has that is too much for the buffers of the kernel.
const BIG: usize = 4 << 20;
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// An upstream whose answers are big where they are asked to be, and that closes after each.
async fn answer(mut stream: TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_buf(&mut head).await {
            Ok(1..) => {}
            Ok(0) | Err(_) => return,
        }
        if head.starts_with(b"POST") {
            // Until the gateway gives it up.
            head.clear();
            head.extend_from_slice(b"POST");
        }
    }
    let length = if head.starts_with(b"GET /big ") { BIG } else { 0 };
    let answer = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
    let mut sent = stream.write_all(answer.as_bytes()).await;
    for _ in 0..length / ZEROS.len() {
        if sent.is_err() {
            return;
        }
        sent = stream.write_all(&ZEROS).await;
    }
}

/// Raises how many files this process may open as far as it may.
fn open_many_files() {
    let limits = getrlimit(Resource::Nofile);
    assert!(
        limits.maximum.is_none_or(|most| most >= FILES),
        "this test needs {FILES} open files, and the hard limit (`ulimit -Hn`) is {:?}",
        limits.maximum
    );
    let all = Rlimit {
        current: limits.maximum,
        maximum: limits.maximum,
    };
    setrlimit(Resource::Nofile, all).unwrap();
}

/// What is looked at of the gateway while it is under attack.
struct Watched {
    process: Process,
    http: reqwest::Client,
    connections: AtomicU64,
    most_connections: AtomicU64,
    most_memory: AtomicU64,
    enough: AtomicBool,
}

impl Watched {
    /// A gateway that gives each so many seconds, and where nobody is yet.
    async fn start(seconds: u64, upstream: SocketAddr, authority: &Authority, secure: SocketAddr) -> Arc<Self> {
        let process = Process::serve(&format!(
            "[server]\nh2c = true\nheader_timeout = \"{seconds}s\"\nkeep_alive = \"{}s\"\nbody_idle_timeout = \"{seconds}s\"\n\
             min_body_rate = \"1KiB\"\n[tls]\nlisten = \"{secure}\"\n{}\
             [upstreams.app]\nservers = [\"http://{upstream}\"]\n\
             [[routes]]\npath = \"/\"\nupstream = \"app\"\nauth = \"none\"\n",
            seconds - 1,
            authority.certificate("server", &["localhost"])
        ))
        .await;
        assert!(victim(process.address).await);
        let gateway = Arc::new(Self {
            process,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            connections: AtomicU64::new(0),
            most_connections: AtomicU64::new(0),
            most_memory: AtomicU64::new(0),
            enough: AtomicBool::new(false),
        });
        eventually(DEADLINE, "nobody is there", || async {
            when(gateway.connections().await == 0)
        })
        .await;
        gateway
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it counts")]
    async fn connections(&self) -> u64 {
        let count = metric(&self.http, self.process.admin, "doorward_connections").await;
        count.expect("the gauge is there") as u64
    }

    async fn look(&self) {
        let count = self.connections().await;
        self.connections.store(count, Ordering::Relaxed);
        self.most_connections.fetch_max(count, Ordering::Relaxed);
        self.most_memory
            .fetch_max(self.process.resident_bytes(), Ordering::Relaxed);
    }

    /// Of its open files those that clients and upstreams have to do with: how many the database has is another matter.
    fn open_sockets(&self) -> usize {
        let files = std::fs::read_dir(format!("/proc/{}/fd", self.process.id()));
        let files = files.expect("Linux says what a process has open");
        let link = |file: std::io::Result<std::fs::DirEntry>| std::fs::read_link(file.ok()?.path()).ok();
        let is_socket = |link: &std::path::PathBuf| link.to_string_lossy().starts_with("socket:");
        files.filter_map(link).filter(is_socket).count()
    }
}

/// A client that behaves. Whether it was served.
async fn victim(gateway: SocketAddr) -> bool {
    let mut conversation = Conversation::open(gateway).await;
    conversation
        .send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await;
    conversation.answer().await.status == 200
}

/// Whoever looks at the gateway and says when all have come, and whoever behaves: how often that was served.
fn company(gateway: &Arc<Watched>, all_came: watch::Sender<bool>) -> JoinSet<u32> {
    let mut others = JoinSet::new();
    let watched = Arc::clone(gateway);
    others.spawn(async move {
        while !watched.enough.load(Ordering::Relaxed) {
            watched.look().await;
            if watched.connections.load(Ordering::Relaxed) >= AT_ONCE {
                let _ = all_came.send(true);
            }
            tokio::time::sleep(PAUSE).await;
        }
        0
    });
    let attacked = Arc::clone(gateway);
    others.spawn(async move {
        let mut served = 0;
        while !attacked.enough.load(Ordering::Relaxed) {
            assert!(victim(attacked.process.address).await, "a good request is not served");
            served += 1;
            tokio::time::sleep(PAUSE).await;
        }
        served
    });
    others
}

/// What became of a crowd.
struct Outcome {
    gateway: Arc<Watched>,
    /// What those who could see their end saw.
    cuts: Vec<Cut>,
    /// How many there were who did not read, with HTTP/1.1.
    readers: usize,
    served: u32,
    grown: u64,
}

/// Sends a crowd to a gateway that gives each so many seconds, and waits until all are cut. `None`: this machine is too slow
/// for all of them to come in that time.
async fn send_crowd(seconds: u64) -> Option<Outcome> {
    let (upstream, _upstream) = each(answer).await;
    let authority = Authority::new("crowd");
    let secure = free_address();
    let gateway = Watched::start(seconds, upstream, &authority, secure).await;
    let plain = gateway.process.address;
    let (memory, sockets) = (gateway.process.resident_bytes(), gateway.open_sockets());

    // Until all have come, whoever is cut comes again.
    let (all_came, came) = watch::channel(false);
    let (all_over, over) = watch::channel(false);
    let mut arrived = came.clone();
    let stay = Duration::from_secs(seconds + 1);
    let visit = Arc::new(kinds::Visit::new(&authority, stay, came, over));
    let mut visible = JoinSet::new();
    let mut unseen = JoinSet::new();
    let mut readers = 0;
    for (how, without, with) in CROWD {
        if !how.sees_its_end() {
            readers += without + with;
        }
        let ways = [(Way::Plain(plain), without), (Way::Tls(secure), with)];
        for way in ways.iter().flat_map(|(way, count)| std::iter::repeat_n(*way, *count)) {
            let visit = Arc::clone(&visit);
            let set = if how.sees_its_end() { &mut visible } else { &mut unseen };
            set.spawn(async move { visit.be_slow(way, how).await });
        }
    }
    for number in 0..HTTP2 {
        let windows = [Windows::Streams, Windows::Connection][number % 2];
        let way = [Way::Plain(plain), Way::Tls(secure)][number / 2 % 2];
        let told = Arc::clone(&visit);
        visible.spawn(async move { told.close_windows(way, windows, STREAMS).await });
        let told = Arc::clone(&visit);
        unseen.spawn(async move { told.close_windows(way, Windows::Open, STREAMS).await });
    }
    let mut others = company(&gateway, all_came);
    let came = tokio::time::timeout(stay, arrived.wait_for(|came| *came)).await;
    if !came.is_ok_and(|came| came.is_ok()) {
        return None;
    }

    let mut cuts = Vec::new();
    let crowd = async {
        while let Some(cut) = visible.join_next().await {
            cuts.push(cut.unwrap());
        }
    };
    tokio::time::timeout(4 * stay + DEADLINE, crowd)
        .await
        .expect("those who can see it are cut");
    // Who does not read does not see it, and is still there: at most the one who behaves has a connection now.
    eventually(stay + DEADLINE, "those who do not read are cut", || async {
        when(gateway.connections.load(Ordering::Relaxed) <= 1)
    })
    .await;
    gateway.enough.store(true, Ordering::Relaxed);
    let mut served = 0;
    while let Some(count) = within("whoever looks or behaves ends", others.join_next()).await {
        served += count.unwrap();
    }
    eventually(DEADLINE, "every connection is closed, and every socket", || async {
        when(gateway.connections().await == 0 && gateway.open_sockets() <= sockets)
    })
    .await;
    let _ = all_over.send(true);
    while let Some(ended) = unseen.join_next().await {
        ended.unwrap();
    }
    let grown = gateway.most_memory.load(Ordering::Relaxed).saturating_sub(memory);
    Some(Outcome {
        gateway,
        cuts,
        readers,
        served,
        grown,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_slow_clients_are_cut_and_nobody_else_notices() {
    open_many_files();
    let mut outcome = None;
    for seconds in [4, 12, 36] {
        outcome = send_crowd(seconds).await;
        if outcome.is_some() {
            break;
        }
    }
    let Outcome {
        gateway,
        cuts,
        readers,
        served,
        grown,
    } = outcome.expect("all have come at one moment");
    assert!(served > 20, "{served} requests were answered meanwhile");
    assert!(gateway.most_connections.load(Ordering::Relaxed) >= AT_ONCE);
    let answers = readers + 2 * HTTP2 * STREAMS as usize;
    let most = MOST_EACH * (cuts.len() + readers + HTTP2) as u64 + MOST_OF_ANSWER * answers as u64;
    assert!(grown < most, "{grown} bytes more, of {most}");
    for cut in &cuts {
        match cut {
            Cut::Silently | Cut::Refused(408) => {}
            Cut::Streams(reset) => assert_eq!(*reset, STREAMS, "every stream is reset"),
            Cut::Refused(_) => panic!("{cut:?}"),
        }
    }
}
