//! The PROXY protocol: who may say where a connection comes from, and what follows from it.

use std::fmt::Write;
use std::net::SocketAddr;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::Child;

use crate::support::process::free_address;
use crate::support::raw::Ended;
use crate::support::tools::{program, stdout_of};
use crate::support::{Conversation, DEADLINE, TestGateway, Upstream, eventually, exchange, when};

/// A gateway with an open route, and an upstream that tells what it saw.
async fn gateway(server: &str) -> (Upstream, TestGateway) {
    let upstream = Upstream::echo().await;
    let toml = format!(
        "[server]\nheader_timeout = \"400ms\"\n{server}\n[upstreams.app]\nservers = [\"{}\"]\n\
         [[routes]]\npath = \"/\"\nupstream = \"app\"\nauth = \"none\"\n",
        upstream.url()
    );
    (upstream, TestGateway::start(&toml).await)
}

const OPTIONAL: &str = "trusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]\nproxy_protocol = \"optional\"";
const REQUIRED: &str = "trusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]\nproxy_protocol = \"required\"";

/// A header of version 2 for TCP over IPv4.
fn version_2(source: [u8; 4]) -> Vec<u8> {
    let head = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c";
    [&head[..], &source, &[127, 0, 0, 1], &[0x12, 0x34, 0, 80]].concat()
}

async fn get(gateway: &TestGateway, header: &[u8], lines: &str) -> Ended {
    let request = format!("GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{lines}\r\n");
    exchange(gateway.address, [header, request.as_bytes()].concat()).await
}

/// The addresses that the upstream was told of last.
fn told(upstream: &Upstream) -> String {
    let seen = upstream.seen().pop().expect("a request came through");
    seen.all("x-forwarded-for").join(", ")
}

#[tokio::test]
async fn the_client_that_a_trusted_proxy_names_is_the_client() {
    for mode in [OPTIONAL, REQUIRED] {
        let (upstream, gateway) = gateway(mode).await;
        let lines = [
            (b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 80\r\n".to_vec(), "192.0.2.7"),
            (b"PROXY TCP6 2001:db8::7 ::1 4711 80\r\n".to_vec(), "2001:db8::7"),
            (b"PROXY TCP6 ::ffff:192.0.2.9 ::1 4711 80\r\n".to_vec(), "192.0.2.9"),
            (version_2([192, 0, 2, 8]), "192.0.2.8"),
            // The proxy asks for itself, or does not know.
            (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1"),
            (b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00".to_vec(), "127.0.0.1"),
        ];
        for (header, client) in lines {
            let ended = get(&gateway, &header, "").await;
            assert_eq!(ended.statuses(), [200], "{ended:?}");
            assert_eq!(told(&upstream), client);
        }
    }
}

#[tokio::test]
async fn what_the_named_client_says_of_earlier_hops_is_judged_by_its_own_address() {
    let (upstream, gateway) = gateway(REQUIRED).await;
    let lie = "X-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\n";
    assert_eq!(get(&gateway, &version_2([192, 0, 2, 8]), lie).await.statuses(), [200]);
    assert_eq!(told(&upstream), "192.0.2.8", "the proxy is trusted, its client is not");
    assert_eq!(get(&gateway, &version_2([10, 0, 0, 5]), lie).await.statuses(), [200]);
    assert_eq!(
        told(&upstream),
        "6.6.6.6, 10.0.0.5",
        "another proxy behind the first one"
    );
}

#[tokio::test]
async fn a_client_that_the_proxy_can_t_name_is_not_believed_as_the_proxy_is() {
    let lie = "X-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nX-Forwarded-Host: b\r\n";
    for mode in [OPTIONAL, REQUIRED] {
        let (upstream, gateway) = gateway(mode).await;
        for header in [&b"PROXY UNKNOWN\r\n"[..], b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00"] {
            assert_eq!(get(&gateway, header, lie).await.statuses(), [200]);
            assert_eq!(told(&upstream), "127.0.0.1");
            let seen = upstream.seen().pop().expect("a request came through");
            assert_eq!(seen.all("x-forwarded-host"), ["a"]);
        }
    }
    let (upstream, gateway) = gateway(OPTIONAL).await;
    assert_eq!(get(&gateway, b"", lie).await.statuses(), [200]);
    assert_eq!(
        told(&upstream),
        "6.6.6.6, 127.0.0.1",
        "a proxy that speaks HTTP says no PROXY header"
    );
}

#[tokio::test]
async fn nobody_else_names_a_client() {
    let (upstream, strict) = gateway("trusted_proxies = \"10.0.0.0/8\"\nproxy_protocol = \"required\"").await;
    for header in [&version_2([192, 0, 2, 8])[..], b""] {
        let ended = get(&strict, header, "").await;
        assert!(ended.answers.is_empty() && ended.rest.is_empty(), "{ended:?}");
    }
    let (_lenient_app, lenient) = gateway("trusted_proxies = \"10.0.0.0/8\"\nproxy_protocol = \"optional\"").await;
    let line = b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 80\r\n";
    assert_eq!(
        get(&lenient, line, "").await.statuses(),
        [400],
        "read as HTTP, which it is not"
    );
    assert_eq!(get(&lenient, b"", "").await.statuses(), [200]);
    let (_off_app, off) = gateway("trusted_proxies = \"127.0.0.1\"").await;
    assert_eq!(get(&off, line, "").await.statuses(), [400]);
    assert!(upstream.seen().is_empty());
    let metrics = strict.http.get(strict.admin_url("/metrics")).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    assert!(
        metrics.contains("doorward_connections_refused_total{reason=\"proxy_protocol\"} 2"),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_trusted_proxy_that_sends_none_is_turned_away_only_where_one_is_required() {
    let (_app, optional) = gateway(OPTIONAL).await;
    assert_eq!(get(&optional, b"", "").await.statuses(), [200]);
    let (upstream, required) = gateway(REQUIRED).await;
    for header in [
        &b""[..],
        b"PROXY TCP4 192.0.2.7 127.0.0.1 4711\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x31\x11\x00\x00",
    ] {
        let ended = get(&required, header, "").await;
        assert!(ended.answers.is_empty() && ended.rest.is_empty(), "{ended:?}");
    }
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn a_header_may_come_in_pieces_but_not_slower_than_a_head() {
    let (upstream, gateway) = gateway(REQUIRED).await;
    let mut conversation = Conversation::open(gateway.address).await;
    for byte in version_2([192, 0, 2, 8]) {
        conversation.send([byte]).await;
        tokio::task::yield_now().await;
    }
    conversation.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(conversation.answer().await.status, 200);
    assert_eq!(told(&upstream), "192.0.2.8");

    for beginning in [&b""[..], b"PROXY TCP4 192", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x0f\x00"] {
        let mut conversation = Conversation::open(gateway.address).await;
        conversation.send(beginning).await;
        let ended = conversation.until_end().await;
        assert!(ended.answers.is_empty() && ended.rest.is_empty(), "{ended:?}");
    }
}

/// A HAProxy that hands connections on to the gateway, each of its listeners in its own way.
struct HaProxy {
    listeners: Vec<SocketAddr>,
    _dir: TempDir,
    _process: Child,
}

impl HaProxy {
    async fn start(gateway: SocketAddr, ways: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut text =
            String::from("defaults\n mode tcp\n timeout connect 5s\n timeout client 20s\n timeout server 20s\n");
        let mut listeners = Vec::new();
        for (index, way) in ways.iter().enumerate() {
            let address = free_address();
            writeln!(text, "listen l{index}\n bind {address}\n server s {gateway} {way}").unwrap();
            listeners.push(address);
        }
        let file = dir.path().join("haproxy.cfg");
        std::fs::write(&file, text).unwrap();
        let mut command = program("haproxy");
        command.arg("-db").arg("-f").arg(&file);
        let process = command.spawn().unwrap();
        let last = *listeners.last().unwrap();
        eventually(DEADLINE, "HAProxy listens", || async {
            when(TcpStream::connect(last).await.is_ok())
        })
        .await;
        Self {
            listeners,
            _dir: dir,
            _process: process,
        }
    }
}

#[tokio::test]
async fn haproxy_and_curl_tell_who_their_clients_are() {
    let (upstream, gateway) = gateway(REQUIRED).await;
    let haproxy = HaProxy::start(
        gateway.address,
        &[
            "send-proxy",
            "send-proxy-v2",
            "send-proxy-v2 proxy-v2-options crc32c,unique-id",
            "send-proxy-v2 check inter 50ms",
        ],
    )
    .await;
    for listener in &haproxy.listeners {
        // From an address of its own: the proxy's would show in its place.
        let mut curl = program("curl");
        curl.args(["-sS", "--fail", "--interface", "127.0.0.9"]);
        curl.arg(format!("http://{listener}/x"));
        stdout_of(curl).await;
        assert_eq!(told(&upstream), "127.0.0.9");
    }
    let mut curl = program("curl");
    curl.args(["-sS", "--fail", "--haproxy-protocol"])
        .arg(gateway.url("/x"));
    stdout_of(curl).await;
    assert_eq!(told(&upstream), "127.0.0.1");
}
