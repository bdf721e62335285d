//! nginx, and SIGSTOP: its sockets stay open, and nothing comes.

use std::path::Path;

use tokio::process::{Child, Command};

use super::route_to;
use crate::support::nginx::Nginx;
use crate::support::tools::program;
use crate::support::{DEADLINE, TestGateway, eventually, when, within};

/// An answer of many pieces with 50 ms between them.
const SLOWLY: &str = "location = /slow { limit_rate 80k; sendfile on; sendfile_max_chunk 4k; }\n\
                      location / { return 200 \"quick\"; }";
const WHOLE: usize = 400_000;

/// curl, writing to a file what it gets.
fn curl(version: &str, url: String, file: &Path) -> Child {
    let mut curl: Command = program("curl");
    curl.args(["-s", "-w", "%{http_code}", version, "-o"])
        .arg(file)
        .arg(url);
    curl.spawn().unwrap()
}

#[tokio::test]
async fn an_answer_that_nginx_does_not_finish_is_broken_off_and_is_not_whole() {
    let mut nginx = Nginx::start(SLOWLY).await;
    let gateway = broken_off(&mut nginx, async |nginx| nginx.stop().await).await;
    nginx.go_on().await;
    assert_eq!(gateway.get("/", None).await, (200, "quick".to_owned()));
}

#[tokio::test]
async fn an_answer_within_which_nginx_is_killed_is_broken_off_and_is_not_whole() {
    let mut nginx = Nginx::start(SLOWLY).await;
    let gateway = broken_off(&mut nginx, async |nginx| nginx.kill().await).await;
    nginx.start_again().await;
    assert_eq!(gateway.get("/", None).await, (200, "quick".to_owned()));
}

/// Does this to an nginx in the middle of its answers to two clients, which must see that they are not whole.
async fn broken_off(nginx: &mut Nginx, fault: impl AsyncFnOnce(&mut Nginx)) -> TestGateway {
    std::fs::write(nginx.file("slow"), "x".repeat(WHOLE)).unwrap();
    let gateway = TestGateway::start(&route_to(&[nginx.address], "idle_timeout = \"600ms\"")).await;
    let dir = tempfile::tempdir().unwrap();
    let clients = ["--http1.1", "--http2-prior-knowledge"].map(|version| {
        let file = dir.path().join(version);
        (curl(version, gateway.url("/slow"), &file), file)
    });
    let size = |file: &Path| std::fs::metadata(file).map_or(0, |file| file.len());
    // That takes longer than `idle_timeout`: the pauses alone break nothing off.
    eventually(DEADLINE, "both have got a part", || async {
        when(clients.iter().all(|(_, file)| size(file) > 100_000))
    })
    .await;
    fault(nginx).await;
    for (client, file) in clients {
        let output = within("the end of it", client.wait_with_output()).await.unwrap();
        assert_eq!(output.stdout, b"200", "the head was passed on");
        // A partial file, a stream that was reset, a connection that was.
        assert!([18, 92, 56].contains(&output.status.code().unwrap()), "{output:?}");
        assert!(size(&file) < WHOLE as u64);
    }
    gateway
}

#[tokio::test]
async fn an_nginx_that_takes_requests_and_says_nothing_is_504_and_left_out_until_it_goes_on() {
    let servers = [Nginx::start(SLOWLY).await, Nginx::start(SLOWLY).await];
    let settings = "response_timeout = \"300ms\"\nbalance = \"round-robin\"\neject.after = 2\neject.time = \"200ms\"";
    let gateway = TestGateway::start(&route_to(&[servers[0].address, servers[1].address], settings)).await;
    servers[0].stop().await;
    let mut late = 0;
    for _ in 0..4 {
        let answer = gateway.http.get(gateway.url("/")).send().await.unwrap();
        match answer.status().as_u16() {
            200 => {}
            504 => {
                assert_eq!(answer.headers()["x-doorward-error"], "upstream_timeout");
                late += 1;
            }
            status => panic!("{status}"),
        }
    }
    assert_eq!(late, 2, "each second one, until it is left out");
    let before = servers[0].served();
    servers[0].go_on().await;
    eventually(DEADLINE, "it is used again", || async {
        let status = gateway.get("/", None).await.0;
        assert!([200, 504].contains(&status), "{status}");
        when(servers[0].served() > before + 4)
    })
    .await;
}
