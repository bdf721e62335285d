//! Certificates that change while they are used.

use super::{Authority, gateway, https, s_client, text};
use crate::support::tools::{installed, output};
use crate::support::{DEADLINE, TestGateway, Upstream, eventually, when};

/// Serves HTTPS with certificates that are looked at every 100 ms.
async fn watched(authority: &Authority) -> (Upstream, TestGateway) {
    let upstream = Upstream::echo().await;
    let certificates = authority.certificate("server", &["localhost", "one.example"]);
    let toml = format!("[tls]\nlisten = '127.0.0.1:0'\nreload_every = '100ms'\n{certificates}");
    let gateway = gateway(&upstream, &toml).await;
    (upstream, gateway)
}

/// Whether a client that wants this name gets a certificate for it.
async fn is_for(gateway: &TestGateway, authority: &Authority, name: &str) -> bool {
    let ca = authority.ca_file();
    let args = ["-CAfile", text(&ca), "-verify_return_error"];
    let args = [&args[..], &["-servername", name, "-verify_hostname", name]].concat();
    s_client(https(gateway), &args).await.0
}

async fn readiness(gateway: &TestGateway) -> (u16, String) {
    let answer = gateway.http.get(gateway.admin_url("/readyz")).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_and_a_bad_one_is_not() {
    let authority = Authority::new("changes");
    let (_upstream, gateway) = watched(&authority).await;
    assert!(!is_for(&gateway, &authority, "two.example").await);
    authority.write("server", &authority.issue(&["two.example"]));
    eventually(DEADLINE, "the new certificate is shown", || async {
        when(is_for(&gateway, &authority, "two.example").await)
    })
    .await;

    std::fs::write(authority.path("server.pem"), "no certificate").unwrap();
    let said = eventually(DEADLINE, "the trouble is told", || async {
        let (status, text) = readiness(&gateway).await;
        assert_eq!(status, 200, "{text}");
        text.contains("certificates[0].cert_file").then_some(text)
    })
    .await;
    assert!(
        said.contains("no certificate in PEM") && said.contains("those before are shown"),
        "{said}"
    );
    assert!(is_for(&gateway, &authority, "two.example").await);
    let metrics = gateway
        .http
        .get(gateway.admin_url("/metrics"))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(
        !metrics.contains("doorward_certificate_reload_failures_total 0\n"),
        "{metrics}"
    );

    authority.write("server", &authority.issue(&["three.example"]));
    eventually(DEADLINE, "the good one is shown", || async {
        when(is_for(&gateway, &authority, "three.example").await)
    })
    .await;
    let (_, said) = readiness(&gateway).await;
    assert!(said.contains(r#""reasons":[]"#), "{said}");
}

#[tokio::test]
async fn a_reload_brings_certificates_that_can_be_used_or_none_at_all() {
    let authority = Authority::new("reloaded");
    let (_upstream, mut gateway) = watched(&authority).await;
    let before = gateway.toml.clone();
    authority.certificate("other", &["other.example"]);
    let other = |file: &str| before.replace("server.", &format!("{file}."));
    let error = gateway.reload(&other("absent")).await.unwrap_err();
    assert!(
        error.contains("certificates[0].cert_file") && error.contains("absent.pem"),
        "{error}"
    );
    assert!(is_for(&gateway, &authority, "one.example").await);
    gateway.reload(&other("other")).await.unwrap();
    assert!(is_for(&gateway, &authority, "other.example").await);
    assert!(!is_for(&gateway, &authority, "one.example").await);
}

/// Asks until the file is there, in threads: one half on a connection of its own each time, the other on one that it keeps.
const CLIENTS: &str = r"
import os, requests, sys, threading
url, ca, stop = sys.argv[1:]
counts = [0] * 4
def ask(number):
    with requests.Session() as session:
        session.trust_env = False
        session.verify = ca
        if number % 2:
            session.headers['Connection'] = 'close'
        while not os.path.exists(stop):
            answer = session.get(url, timeout=20)
            assert answer.status_code == 200, answer.text
            counts[number] += 1
threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(sum(counts), min(counts))
";

#[tokio::test]
async fn no_request_fails_while_certificates_change() {
    let authority = Authority::new("load");
    let (upstream, gateway) = watched(&authority).await;
    let url = format!("https://localhost:{}/public/x", https(&gateway).port());
    let stop = authority.path("stop");
    let mut python = installed("python/bin/python");
    python.args(["-c", CLIENTS, &url, text(&authority.ca_file()), text(&stop)]);
    let clients = tokio::spawn(output(python));
    for change in 0..15 {
        let name = format!("change-{change}.example");
        authority.write("server", &authority.issue(&["localhost", &name]));
        eventually(DEADLINE, "the change is shown", || async {
            when(is_for(&gateway, &authority, &name).await)
        })
        .await;
    }
    std::fs::write(&stop, "").unwrap();
    let done = clients.await.unwrap();
    assert!(done.status.success() && done.stderr.is_empty(), "{done:?}");
    let counts = String::from_utf8(done.stdout).unwrap();
    let counts: Vec<usize> = counts.split_whitespace().map(|count| count.parse().unwrap()).collect();
    assert!(counts[1] > 0 && counts[0] == upstream.seen().len(), "{counts:?}");
}
