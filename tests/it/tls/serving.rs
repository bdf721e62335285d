//! A request over TLS is a request like any other, and says so to the upstream.

use doorward::server::Door;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Authority, curl, https, s_client, secured, text};
use crate::support::tools::{installed, stdout_of};
use crate::support::{Account, DEADLINE, TestGateway, Upstream, eventually, exchange, usual_routes, when, within};

#[tokio::test]
async fn an_upstream_is_told_that_the_client_came_by_https() {
    let authority = Authority::new("serving");
    let (_upstream, gateway) = secured(&authority, &["site.example"]).await;
    let address = https(&gateway);
    let seen: Value =
        serde_json::from_str(&stdout_of(curl(&authority, "site.example", address, "/public/x")).await).unwrap();
    assert_eq!(seen["headers"]["x-forwarded-proto"], "https");
    let forwarded = seen["headers"]["forwarded"].as_str().unwrap();
    assert!(forwarded.contains("proto=https"), "{forwarded}");
    // The listener beside it is what it was.
    let (status, plain) = gateway.get("/public/x", None).await;
    assert_eq!(status, 200);
    let plain: Value = serde_json::from_str(&plain).unwrap();
    assert_eq!(plain["headers"]["x-forwarded-proto"], "http");
}

#[tokio::test]
async fn a_client_that_can_speaks_http_2() {
    let authority = Authority::new("second");
    let (_upstream, gateway) = secured(&authority, &["site.example"]).await;
    for (option, version) in [("--http2", "2"), ("--http1.1", "1.1")] {
        let mut curl = curl(&authority, "site.example", https(&gateway), "/public/x");
        curl.args([option, "--write-out", " %{http_version}"]);
        let said = stdout_of(curl).await;
        assert!(said.ends_with(&format!(" {version}")), "{said}");
        assert!(said.contains(r#""x-forwarded-proto":"https""#), "{said}");
    }
}

#[tokio::test]
async fn python_logs_in_and_calls_a_guarded_route_on_one_connection() {
    let authority = Authority::new("python");
    let (upstream, gateway) = secured(&authority, &["localhost"]).await;
    let account = Account::sign_up(&gateway).await;
    let script = r"
import requests, sys
base, ca, token = sys.argv[1:]
with requests.Session() as session:
    session.trust_env = False
    session.verify = ca
    assert session.get(base + '/c/x').status_code == 401
    for n in range(20):
        answer = session.post(base + f'/c/{n}', data='x' * 100000, headers={'Authorization': 'Bearer ' + token})
        assert answer.status_code == 200, answer.text
        assert len(answer.json()['body']) == 100000
print('done')
";
    let mut python = installed("python/bin/python");
    let base = format!("https://localhost:{}", https(&gateway).port());
    python.args(["-c", script, &base, text(&authority.ca_file()), &account.token]);
    assert_eq!(stdout_of(python).await.trim(), "done");
    assert_eq!(upstream.seen().len(), 20);
    assert!(upstream.faults().is_empty(), "{:?}", upstream.faults());
}

#[tokio::test]
async fn a_client_that_does_not_know_the_authority_hangs_up() {
    let (authority, other) = (Authority::new("known"), Authority::new("other"));
    let (_upstream, gateway) = secured(&authority, &["site.example"]).await;
    let output = crate::support::tools::output(curl(&other, "site.example", https(&gateway), "/public")).await;
    // 60: the peer's certificate can't be verified.
    assert_eq!(output.status.code(), Some(60), "{output:?}");
    let output = crate::support::tools::output(curl(&authority, "wrong.example", https(&gateway), "/public")).await;
    assert_eq!(output.status.code(), Some(60), "{output:?}");
}

#[tokio::test]
async fn what_is_no_tls_gets_no_answer_and_others_are_served() {
    let authority = Authority::new("garbage");
    let (_upstream, gateway) = secured(&authority, &["site.example"]).await;
    let address = https(&gateway);
    for garbage in [
        &b"GET / HTTP/1.1\r\nHost: site.example\r\n\r\n"[..],
        &[0; 1000],
        &[0xff; 1000],
        &[22, 3, 1, 255, 255, 1, 0, 0, 0, 0],
        b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1\r\n",
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(garbage).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        // A reset is as good as an end.
        let _ = within("the end of the connection", stream.read_to_end(&mut answer)).await;
        assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    }
    // Each is counted when its connection has ended, which its client may see first.
    eventually(DEADLINE, "six failures", async || {
        let metrics = gateway.http.get(gateway.admin_url("/metrics")).send().await.unwrap();
        let metrics = metrics.text().await.unwrap();
        metrics
            .contains("doorward_tls_handshake_failures_total 6\n")
            .then_some(())
    })
    .await;
    stdout_of(curl(&authority, "site.example", address, "/public")).await;
}

#[tokio::test]
async fn a_slow_handshake_is_given_up_and_makes_room() {
    let authority = Authority::new("slow");
    let upstream = Upstream::echo().await;
    let certificates = authority.certificate("server", &["site.example"]);
    let toml = format!(
        "[server]\nlisten = []\nheader_timeout = '300ms'\nmax_connections = 2\n[tls]\nlisten = '127.0.0.1:0'\n\
         {certificates}{}",
        usual_routes(&upstream)
    );
    let gateway = TestGateway::start(&toml).await;
    let address = https(&gateway);
    // As many as there may be, each of which has begun: they count.
    let mut slow = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
        slow.push(stream);
    }
    stdout_of(curl(&authority, "site.example", address, "/public")).await;
    for mut stream in slow {
        let mut rest = Vec::new();
        let _ = within("the gateway hangs up", stream.read_to_end(&mut rest)).await;
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_given_up_below_tls_as_well() {
    let authority = Authority::new("unread");
    let upstream = Upstream::start(|_| {
        let body = "x".repeat(32 << 20);
        crate::support::Reply::ok(&body)
    })
    .await;
    let certificates = authority.certificate("server", &["localhost"]);
    let toml = format!(
        "[server]\nbody_idle_timeout = '300ms'\n[tls]\nlisten = '127.0.0.1:0'\n{certificates}{}",
        usual_routes(&upstream)
    );
    let gateway = TestGateway::start(&toml).await;
    // It shakes hands, asks, and reads nothing more.
    let script = "
import socket, ssl, sys, time
context = ssl.create_default_context(cafile=sys.argv[2])
raw = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
tls = context.wrap_socket(raw, server_hostname='localhost')
tls.sendall(b'GET /public HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n')
print(tls.recv(8).decode(), flush=True)
sys.stdin.read()
";
    let mut python = installed("python/bin/python");
    python.args([
        "-c",
        script,
        &https(&gateway).port().to_string(),
        text(&authority.ca_file()),
    ]);
    let mut child = python.stdin(std::process::Stdio::piped()).spawn().unwrap();
    let metric = |text: &str| text.contains("doorward_connections 0\n");
    let asked = || async { (upstream.seen().len() == 1).then_some(()) };
    eventually(DEADLINE, "the request arrives", asked).await;
    eventually(DEADLINE, "the connection is closed", || {
        let request = gateway.http.get(gateway.admin_url("/metrics")).send();
        async move { when(metric(&request.await.unwrap().text().await.unwrap())) }
    })
    .await;
    child.kill().await.unwrap();
}

#[tokio::test]
async fn a_session_is_taken_up_again_and_no_early_data_is() {
    let authority = Authority::new("sessions");
    let (_upstream, gateway) = secured(&authority, &["site.example"]).await;
    let (session, ca) = (authority.path("session"), authority.ca_file());
    for version in ["-tls1_3", "-tls1_2"] {
        let common = [version, "-servername", "site.example", "-CAfile", text(&ca), "-ign_eof"];
        let ask = "GET /public HTTP/1.1\r\nHost: site.example\r\nConnection: close\r\n\r\n";
        for (option, expected) in [("-sess_out", "New, TLS"), ("-sess_in", "Reused, TLS")] {
            let mut openssl = crate::support::tools::program("sh");
            let script = format!(
                "printf '%s' \"$ASK\" | openssl s_client -connect {} {} {option} {}",
                https(&gateway),
                common.join(" "),
                session.display()
            );
            openssl.env("ASK", ask).args(["-c", &script]);
            let said = stdout_of(openssl).await;
            assert!(
                said.contains(expected) && said.contains("200 OK"),
                "{version} {option}: {said}"
            );
            assert!(!said.contains("Max Early Data: 1"), "{said}");
        }
    }
}

#[tokio::test]
async fn without_plain_listeners_there_is_none() {
    let authority = Authority::new("alone");
    let upstream = Upstream::echo().await;
    let certificates = authority.certificate("server", &["site.example"]);
    let toml = format!(
        "[server]\nlisten = []\n[tls]\nlisten = ['127.0.0.1:0', '127.0.0.1:0']\n{certificates}{}",
        usual_routes(&upstream)
    );
    let gateway = TestGateway::start(&toml).await;
    let config = gateway.config();
    assert!(config.server.listen.is_empty() && config.tokens.issuer.starts_with("https://"));
    for address in [https(&gateway), gateway.address] {
        assert_eq!(gateway.door(Door::Tls), gateway.address);
        stdout_of(curl(&authority, "site.example", address, "/public")).await;
        let plain = exchange(address, "GET /public HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(plain.answers.is_empty(), "{plain:?}");
    }
    let (good, said) = s_client(gateway.address, &["-alpn", "http/1.1"]).await;
    assert!(good && said.contains("New, TLSv1.3"), "{said}");
}
