//! Clients that are slow on purpose: they are given up, and everybody else is served meanwhile.

use std::net::SocketAddr;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::task::JoinSet;

use crate::support::process::Process;
use crate::support::{Conversation, DEADLINE, Reply, TestGateway, Upstream, eventually, when};

/// As many clients of each kind.
const EACH: usize = 300;

/// How slow a client is.
#[derive(Clone, Copy)]
enum Slow {
    /// It says nothing.
    Idle,
    /// Its head never ends.
    Head,
    /// Its body comes byte by byte.
    Body,
    /// It does not read its answer.
    Read,
}

/// Comes from an address of its own kind, and is slow until the gateway has enough of it.
async fn be_slow(gateway: SocketAddr, how: Slow) {
    let socket = TcpSocket::new_v4().unwrap();
    if let Slow::Read = how {
        socket.set_recv_buffer_size(4096).unwrap();
    }
    let mut stream = socket.connect(gateway).await.unwrap();
    let (first, more): (&[u8], &[u8]) = match how {
        Slow::Idle => (b"", b""),
        Slow::Head => (b"GET /c HTTP/1.1\r\nHost: a\r\n", b"X-A: b\r\n"),
        Slow::Body => (b"POST /c HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n", b"a"),
        Slow::Read => (b"GET /c/big HTTP/1.1\r\nHost: a\r\n\r\n", b""),
    };
    stream.write_all(first).await.unwrap();
    if let Slow::Read = how {
        // What the gateway had sent by then comes even after it has given up: that is not waited for.
        let mut byte = [0];
        while matches!(stream.read(&mut byte).await, Ok(1)) {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        return;
    }
    let mut answer = Vec::new();
    loop {
        tokio::select! {
            read = stream.read_buf(&mut answer) => match read {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            },
            () = tokio::time::sleep(Duration::from_millis(200)) => {
                let _ = stream.write_all(more).await;
            }
        }
    }
}

/// How many connections the gateway has.
async fn connections(admin: SocketAddr) -> usize {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.get(format!("http://{admin}/metrics")).send().await.unwrap();
    let text = answer.text().await.unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("doorward_connections "));
    line.unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundreds_of_slow_clients_are_cut_and_nobody_else_notices() {
    let limits = getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: limits.maximum,
        maximum: limits.maximum,
    };
    setrlimit(Resource::Nofile, all).unwrap();
    let big = "x".repeat(8 * 1024 * 1024);
    let upstream = Upstream::start(move |seen| match seen.target.as_str() {
        "/c/big" => Reply::ok(&big),
        _ => Reply::ok("own"),
    })
    .await;
    let gateway = Process::serve(&format!(
        "[server]\nheader_timeout = \"4s\"\nkeep_alive = \"4s\"\nbody_idle_timeout = \"4s\"\nmin_body_rate = \"1KiB\"\n\
         [upstreams.app]\nservers = [\"{}\"]\n[[routes]]\npath = \"/\"\nupstream = \"app\"\nauth = \"none\"\n",
        upstream.url()
    ))
    .await;
    let before = gateway.resident_bytes();
    let mut slow = JoinSet::new();
    for how in [Slow::Idle, Slow::Head, Slow::Body] {
        for _ in 0..EACH {
            slow.spawn(be_slow(gateway.address, how));
        }
    }
    let mut readers = JoinSet::new();
    for _ in 0..EACH / 10 {
        readers.spawn(be_slow(gateway.address, Slow::Read));
    }
    let mut served = 0;
    let everybody_is_cut = async { while slow.join_next().await.is_some() {} };
    let mut everybody_is_cut = std::pin::pin!(everybody_is_cut);
    let mut most = before;
    let deadline = tokio::time::Instant::now() + 3 * DEADLINE;
    loop {
        tokio::select! {
            () = &mut everybody_is_cut => break,
            answer = victim(gateway.address) => {
                assert_eq!(answer, 200);
                served += 1;
                most = most.max(gateway.resident_bytes());
                assert!(tokio::time::Instant::now() < deadline, "slow clients are still there");
            }
        }
    }
    eventually(DEADLINE, "those who do not read are cut", || async {
        when(connections(gateway.admin).await == 0)
    })
    .await;
    assert!(served > 20, "{served} requests were answered meanwhile");
    let each = most.saturating_sub(before) / (3 * EACH as u64);
    assert!(each < 128 * 1024, "{each} bytes for each slow client");
}

async fn victim(gateway: SocketAddr) -> u16 {
    let mut conversation = Conversation::open(gateway).await;
    conversation
        .send("GET /c HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await;
    conversation.answer().await.status
}

#[tokio::test]
async fn a_body_that_only_trickles_is_given_up() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&format!(
        "[server]\nbody_idle_timeout = \"1s\"\nmin_body_rate = \"1KiB\"\n\
         [upstreams.app]\nservers = [\"{}\"]\n[[routes]]\npath = \"/\"\nupstream = \"app\"\nauth = \"none\"\n",
        upstream.url()
    ))
    .await;
    let mut conversation = Conversation::open(gateway.address).await;
    conversation
        .send("POST /c HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
        .await;
    // Never still for a second, and always far too slow.
    let trickle = async {
        let (mut conversation, mut sent) = (conversation, 0);
        loop {
            conversation.send("x").await;
            sent += 1;
            tokio::select! {
                more = conversation.read_some() => if !more || !conversation.pending().is_empty() { break },
                () = tokio::time::sleep(Duration::from_millis(50)) => {}
            }
        }
        (conversation, sent)
    };
    let (conversation, sent) = tokio::time::timeout(DEADLINE, trickle).await.expect("it is cut");
    assert!(sent > 5, "{sent}");
    for answer in conversation.until_end().await.answers {
        assert_eq!(answer.problem(), "request_timeout");
    }
    eventually(DEADLINE, "the upstream is let go", || async {
        when(upstream.open_connections() == 0)
    })
    .await;
    assert!(upstream.seen().is_empty());
}
