//! How long connections and answers may last.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::route_to;
use crate::support::process::Process;
use crate::support::upstream::each;
use crate::support::{DEADLINE, Reply, TestGateway, Upstream, eventually, exchange, when};

#[tokio::test]
async fn an_answer_of_http_1_that_stalls_is_broken_off_and_the_log_says_so() {
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf";
    let upstream = Upstream::start(|_| Reply::Stall(half.to_vec())).await;
    let gateway = Process::serve(&route_to(&[upstream.url()], "idle_timeout = \"200ms\"")).await;
    let raw = format!("GET /up HTTP/1.1\r\nHost: {}\r\n\r\n", gateway.address);
    let ended = exchange(gateway.address, raw).await;
    assert!(ended.answers.is_empty() && ended.rest.ends_with(b"half"), "{ended:?}");
    eventually(DEADLINE, "the log line", || async {
        when(
            gateway
                .log()
                .contains("the upstream stalled within its answer: nothing for 200ms"),
        )
    })
    .await;
    eventually(DEADLINE, "its connection is closed", || async {
        when(upstream.open_connections() == 0)
    })
    .await;
}

#[tokio::test]
async fn a_connection_of_http_1_that_has_reached_its_age_is_not_used_again() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&route_to(&[upstream.url()], "pool_max_age = \"200ms\"")).await;
    eventually(DEADLINE, "a third connection", || async {
        assert_eq!(gateway.get("/up", None).await.0, 200);
        when(upstream.seen().last().is_some_and(|seen| seen.connection == 2))
    })
    .await;
    let first = upstream.seen().iter().filter(|seen| seen.connection == 0).count();
    assert!(first > 1, "until then it is");
}

#[tokio::test]
async fn a_server_of_http_2_that_answers_no_ping_is_left() {
    let (address, _task) = each(|mut stream| async move {
        // Its settings, and that it has read ours; then it only listens.
        let settings = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x04\x01\x00\x00\x00\x00";
        let _ = stream.write_all(settings).await;
        while matches!(stream.read(&mut [0; 4096]).await, Ok(n) if n > 0) {}
    })
    .await;
    let pings = "http2_ping_interval = \"100ms\"\nhttp2_ping_timeout = \"200ms\"\nresponse_timeout = \"1h\"";
    let gateway = TestGateway::start(&route_to(&[format!("h2://{address}")], pings)).await;
    let response = gateway.http.post(gateway.url("/up")).send().await.unwrap();
    assert_eq!(response.headers()["x-doorward-error"], "upstream_unreachable");
}
