//! HTTPS listeners come, go, and move to another process.

use std::net::SocketAddr;

use super::{Authority, curl, https};
use crate::support::process::{Process, free_address};
use crate::support::tools::{output, stdout_of};
use crate::support::{TestGateway, Upstream, usual_routes};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn https_is_served_by_one_process_after_another_without_a_failure() {
    let authority = Authority::new("takeover");
    let upstream = Upstream::echo().await;
    let (address, redirect) = (free_address(), free_address());
    let toml = secure(&authority, &upstream, "handover = 'handover.sock'", address, redirect);
    let mut process = Process::serve(&toml).await;
    ask(&authority, address, redirect).await;
    for round in 1..=2 {
        let next = process.beside(&format!("log{round}"));
        while !next.log().contains("took over from another process") {
            ask(&authority, address, redirect).await;
        }
        assert!(process.ended().await.success(), "{}", process.log());
        process = next;
        ask(&authority, address, redirect).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn https_is_served_without_a_failure_while_one_process_is_started_beside_another() {
    let authority = Authority::new("beside");
    let upstream = Upstream::echo().await;
    let (address, redirect) = (free_address(), free_address());
    let toml = secure(&authority, &upstream, "reuse_port = true", address, redirect);
    let mut process = Process::serve(&toml).await;
    ask(&authority, address, redirect).await;
    for round in 1..=2 {
        let next = process.beside(&format!("log{round}"));
        while next.ready().await["process"] != next.id() {
            ask(&authority, address, redirect).await;
        }
        process.signal("TERM").await;
        let gone = tokio::spawn(async move { assert!(process.ended().await.success(), "{}", process.log()) });
        while !gone.is_finished() {
            ask(&authority, address, redirect).await;
        }
        gone.await.unwrap();
        process = next;
        ask(&authority, address, redirect).await;
    }
}

fn secure(
    authority: &Authority,
    upstream: &Upstream,
    setting: &str,
    address: SocketAddr,
    redirect: SocketAddr,
) -> String {
    format!(
        "[server]\n{setting}\n[tls]\nlisten = '{address}'\nredirect_listen = '{redirect}'\n{}\n{}",
        authority.certificate("server", &["site.example"]),
        usual_routes(upstream)
    )
}

/// Both are served.
async fn ask(authority: &Authority, address: SocketAddr, redirect: SocketAddr) {
    let said = stdout_of(curl(authority, "site.example", address, "/public/x")).await;
    assert!(said.contains(r#""x-forwarded-proto":"https""#), "{said}");
    let answer = crate::support::exchange(
        redirect,
        "GET / HTTP/1.1\r\nHost: site.example\r\nConnection: close\r\n\r\n",
    );
    assert_eq!(answer.await.statuses(), [308]);
}

#[tokio::test]
async fn a_reload_opens_and_closes_https_and_leaves_the_rest_alone() {
    let authority = Authority::new("opened");
    let upstream = Upstream::echo().await;
    let plain = usual_routes(&upstream);
    let secure = format!(
        "[tls]\nlisten = '127.0.0.1:0'\n{}\n{plain}",
        authority.certificate("server", &["site.example"])
    );
    let mut gateway = TestGateway::start(&plain).await;
    for _ in 0..3 {
        gateway.reload(&secure).await.unwrap();
        let address = https(&gateway);
        stdout_of(curl(&authority, "site.example", address, "/public/x")).await;
        gateway.reload(&plain).await.unwrap();
        assert_eq!(gateway.get("/public/x", None).await.0, 200);
        let mut closed = curl(&authority, "site.example", address, "/public/x");
        closed.args(["--max-time", "5"]);
        assert!(!output(closed).await.status.success());
    }
}
