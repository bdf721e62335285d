//! Connections to a server are bounded, over all workers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use tokio::net::TcpStream;

use super::{reasons, route_to};
use crate::streams::sockets::{Echo, Socket, granted};
use crate::support::upstream::{Aborting, each};
use crate::support::{Account, DEADLINE, Reply, TestGateway, Upstream, eventually, when};
use crate::upstream_protocols::python::Script;

/// Relays connections to a server, and counts how many there are.
struct Relay {
    address: SocketAddr,
    most: Arc<AtomicUsize>,
    total: Arc<AtomicUsize>,
    _task: Aborting,
}

impl Relay {
    async fn to(server: SocketAddr) -> Self {
        let (most, total) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (peak, count) = (Arc::clone(&most), Arc::clone(&total));
        let (address, relay) = each(move |mut stream| {
            count.fetch_add(1, Ordering::SeqCst);
            // What one thread has closed may reach the system's table after what another has opened since, and the table is not
            // read at one moment: one too many counts once it is there for longer than that.
            let address = stream.local_addr().unwrap();
            let open = (0..5).map(|_| open_at(address)).min().unwrap_or_default();
            peak.fetch_max(open, Ordering::SeqCst);
            async move {
                if let Ok(mut server) = TcpStream::connect(server).await {
                    let _ = tokio::io::copy_bidirectional(&mut stream, &mut server).await;
                }
            }
        })
        .await;
        Self {
            address,
            most,
            total,
            _task: relay,
        }
    }

    fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

/// How many connections to this address there are that the client has not closed, as the system knows.
fn open_at(address: SocketAddr) -> usize {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let port = format!(":{:04X}", address.port());
    let is_open = |line: &&str| {
        let mut fields = line.split_whitespace().skip(1);
        fields.next().is_some_and(|local| local.ends_with(&port)) && fields.nth(1) == Some("01")
    };
    table.lines().filter(is_open).count()
}

/// Two workers: the bound is one for all.
async fn two_workers(servers: &[String], settings: &str) -> TestGateway {
    let config = format!("[server]\nworkers = 2\n{}", route_to(servers, settings));
    TestGateway::start(&config).await
}

/// Asks so many times at once, each on a connection of its own, so that every worker is asked.
async fn ask(gateway: &TestGateway, path: &str, count: usize) -> Vec<u16> {
    let one = |_| async {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = client.get(gateway.url(path)).send().await.unwrap();
        answer.status().as_u16()
    };
    join_all((0..count).map(one)).await
}

#[tokio::test]
async fn no_server_has_more_connections_than_it_may_and_nobody_who_waits_is_forgotten() {
    let server = Upstream::start(|_| {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec();
        Reply::Late(std::time::Duration::from_millis(5), answer)
    })
    .await;
    for max in [1, 3] {
        let relay = Relay::to(server.address).await;
        let settings = format!("max_connections = {max}\nqueue_timeout = \"20s\"\n");
        let gateway = two_workers(&[format!("http://{}", relay.address)], &settings).await;
        assert_eq!(ask(&gateway, "/up", 60).await, [200; 60]);
        assert!((1..=max).contains(&relay.most()), "{}", relay.most());
        // What one worker keeps idle is no reason for another to wait.
        for _ in 0..16 {
            assert_eq!(ask(&gateway, "/up", 1).await, [200]);
        }
        assert!((1..=max).contains(&relay.most()), "{}", relay.most());
    }
    let relay = Relay::to(server.address).await;
    let gateway = two_workers(&[format!("http://{}", relay.address)], "").await;
    assert_eq!(ask(&gateway, "/up", 60).await, [200; 60]);
    assert!(relay.most() > 3, "it takes a limit");
}

#[tokio::test]
async fn connections_of_http_2_are_bounded_too() {
    let server = Script::h2().await;
    let relay = Relay::to(SocketAddr::from(([127, 0, 0, 1], server.port))).await;
    let settings = "max_connections = 1\nqueue_timeout = \"20s\"\n";
    let gateway = two_workers(&[format!("h2://{}", relay.address)], settings).await;
    assert_eq!(ask(&gateway, "/up/late?s=0.05", 40).await, [200; 40]);
    for _ in 0..16 {
        assert_eq!(ask(&gateway, "/up/x", 1).await, [200]);
    }
    assert_eq!(relay.most(), 1);
    assert!(relay.total.load(Ordering::SeqCst) > 1, "both workers had one");
}

#[tokio::test]
async fn whoever_finds_the_line_full_or_waits_for_too_long_gets_503() {
    let server = Upstream::start(|seen| match seen.target.as_str() {
        "/up/stall" => Reply::Stall(Vec::new()),
        _ => Reply::ok("ok"),
    })
    .await;
    let relay = Relay::to(server.address).await;
    let settings = "max_connections = 1\nqueue = 2\nqueue_timeout = \"400ms\"\n";
    let gateway = two_workers(&[format!("http://{}", relay.address)], settings).await;
    let stalled = tokio::spawn(gateway.http.get(gateway.url("/up/stall")).send());
    eventually(DEADLINE, "it is there", || async { when(server.seen().len() == 1) }).await;
    assert_eq!(ask(&gateway, "/up", 6).await, [503; 6]);
    assert_eq!((server.seen().len(), relay.most()), (1, 1), "none of them came through");
    assert_eq!(reasons(&gateway).await, "[]", "it is no failure of the server");
    // Whoever goes while waiting leaves the line.
    let gone = join_all((0..2).map(|_| {
        let asked = gateway.http.get(gateway.url("/up")).send();
        tokio::time::timeout(std::time::Duration::from_millis(50), asked)
    }));
    assert!(gone.await.iter().all(Result::is_err));
    stalled.abort();
    eventually(DEADLINE, "requests pass again", || async {
        when(gateway.get("/up", None).await.0 == 200)
    })
    .await;
    assert_eq!(ask(&gateway, "/up", 2).await, [200; 2]);
    assert_eq!(relay.most(), 1);
}

#[tokio::test]
async fn a_tunnel_takes_a_connection_until_it_ends_and_a_check_takes_none() {
    let echo = Echo::answering(|head| {
        if head.starts_with("GET /ws") {
            format!("{}hello", granted(head))
        } else {
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned()
        }
    })
    .await;
    let settings = "max_connections = 1\nqueue = 0\nhealth.path = \"/check\"\nhealth.interval = \"50ms\"\nservers =";
    let gateway = TestGateway::start(&echo.routes("").replacen("servers =", settings, 1)).await;
    let user = Account::sign_up(&gateway).await;
    let ask = async || gateway.get("/plain", Some(&user.token)).await.0;
    let mut socket = Socket::open(&gateway, "/ws", &user.token).await;
    let checks = || {
        echo.heads()
            .iter()
            .filter(|head| head.starts_with("GET /check"))
            .count()
    };
    let before = checks();
    eventually(DEADLINE, "checks pass meanwhile", || async {
        when(checks() > before + 4)
    })
    .await;
    assert_eq!(ask().await, 503, "the connection is taken");
    socket.echoes("still here").await;
    assert_eq!(reasons(&gateway).await, "[]");
    socket.end().await;
    socket.until_end().await;
    eventually(DEADLINE, "there is room", || async { when(ask().await == 200) }).await;
}
