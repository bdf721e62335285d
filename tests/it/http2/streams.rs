//! What happens to a stream: bodies, trailers and limits, and its end when one side stops.

use std::time::Duration;

use serde_json::json;

use super::clients::h2c;
use super::play::{Play, code, get, play, stream};
use crate::support::upstream::each;
use crate::support::{DEADLINE, Reply, TestGateway, Upstream, eventually, when};

/// A POST to an open route whose body is still to come.
fn post(host: &str) -> Vec<(&str, &str)> {
    let mut fields = get(host, "/public/x", "none");
    fields[0].1 = "POST";
    fields
}

#[tokio::test]
async fn bodies_and_trailers_pass_both_ways() {
    let upstream = Upstream::start(|seen| {
        let body = seen.body.len();
        let head = "HTTP/1.1 200 OK\r\nTrailer: x-sum\r\nTransfer-Encoding: chunked\r\n\r\n";
        let data = "z".repeat(100_000);
        Reply::raw(&format!(
            "{head}186a0\r\n{data}\r\n0\r\nx-sum: {body}\r\nx-auth-user-id: 9\r\n\r\n"
        ))
    })
    .await;
    let gateway = TestGateway::start(&h2c(&upstream)).await;
    let host = gateway.address.to_string();
    let mut fields = post(&host);
    fields.extend([("te", "trailers"), ("trailer", "x-checksum")]);
    let both = Play::default()
        .step(json!(["headers", 1, fields, false]))
        .step(json!(["zeros", 1, 3_000_000, false]))
        .step(json!(["headers", 1, [["x-checksum", "5"]], true]))
        .step(json!(["end", 1]));
    let told = &play(gateway.address, vec![both]).await[0]["streams"]["1"];
    assert_eq!(
        (&told["status"], &told["size"], &told["ended"]),
        (&json!(200), &json!(100_000), &json!(true))
    );
    assert_eq!(told["trailers"], json!([["x-sum", "3000000"]]));
    let seen = upstream.only();
    assert_eq!(seen.trailers, [("x-checksum".to_owned(), "5".to_owned())]);
    assert_eq!(seen.header("transfer-encoding"), Some("chunked"));
    assert!(seen.body.iter().all(|byte| *byte == 0) && seen.body.len() == 3_000_000);
}

#[tokio::test]
async fn heads_beyond_the_limits_are_refused_and_the_connection_goes_on() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&h2c(&upstream)).await;
    let host = gateway.address.to_string();
    let (path, value, huge) = (
        format!("/public/{}", "p".repeat(9000)),
        "v".repeat(14_000),
        "v".repeat(16_000),
    );
    let long = get(&host, &path, "none");
    let many: Vec<(&str, &str)> = get(&host, "/public/x", "none")
        .into_iter()
        .chain([("x", "1"); 101])
        .collect();
    let good = get(&host, "/public/x", "none");
    let play_one = Play::default()
        .step(json!(["headers", 1, long, true]))
        .step(json!(["headers", 3, many, true]))
        .step(json!(["headers", 5, good, true]))
        .step(json!(["end", 1]))
        .step(json!(["end", 3]))
        .step(json!(["end", 5]));
    let told = &play(gateway.address, vec![play_one]).await[0];
    assert_eq!(
        (stream(told, 1).status, code(told, 1).as_str()),
        (Some(414), "target_too_long")
    );
    assert_eq!(
        (stream(told, 3).status, code(told, 3).as_str()),
        (Some(431), "headers_too_large")
    );
    assert_eq!(stream(told, 5).status, Some(200));

    let small = h2c(&upstream).replace("h2c = true", "h2c = true\nmax_header_bytes = \"8KiB\"");
    let gateway = TestGateway::start(&small).await;
    let host = gateway.address.to_string();
    let large = [get(&host, "/public/x", "none"), vec![("x", value.as_str())]].concat();
    let larger = [get(&host, "/public/x", "none"), vec![("x", huge.as_str())]].concat();
    let told = play(gateway.address, vec![Play::request(&large), Play::request(&larger)]).await;
    assert_eq!(code(&told[0], 1), "headers_too_large");
    assert_eq!(stream(&told[1], 1).status, Some(431), "{}", told[1]);
    assert_eq!(upstream.seen().len(), 1);
}

#[tokio::test]
async fn an_early_answer_ends_the_upload_and_not_the_connection() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&h2c(&upstream)).await;
    let host = gateway.address.to_string();
    let mut refused = post(&host);
    refused[3].1 = "/c/x";
    refused.pop();
    let early = Play::default()
        .step(json!(["headers", 1, refused, false]))
        .step(json!(["data", 1, "some of it", false]))
        .step(json!(["status", 1]))
        .step(json!(["headers", 3, get(&host, "/public/x", "none"), true]))
        .step(json!(["end", 3]))
        .step(json!(["end", 1]))
        .step(json!(["settle"]));
    let told = &play(gateway.address, vec![early]).await[0];
    assert_eq!(
        (stream(told, 1).status, code(told, 1).as_str()),
        (Some(401), "token_missing")
    );
    assert_eq!(
        stream(told, 1).reset,
        Some(0),
        "the rest is not wanted, and nothing went wrong: {told}"
    );
    assert_eq!(stream(told, 3).status, Some(200));
    let fields = told["streams"]["1"]["headers"].to_string();
    assert!(!fields.contains("connection"), "{fields}");
}

#[tokio::test]
async fn an_upstream_that_takes_nothing_stops_the_client() {
    let (address, _server) = each(|stream| async move {
        // Held open, and not read.
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let upstream = format!("[upstreams.app]\nservers = [\"http://{address}\"]\n");
    let gateway = TestGateway::start(&format!(
        "[server]\nh2c = true\n{upstream}[[routes]]\npath = \"/public\"\nupstream = \"app\"\nauth = \"none\"\n"
    ))
    .await;
    let host = gateway.address.to_string();
    let filled = Play::default()
        .step(json!(["headers", 1, post(&host), false]))
        .step(json!(["fill", 1, 64 << 20]));
    let told = &play(gateway.address, vec![filled]).await[0];
    // What the kernel keeps for both sockets, and the window.
    let sent = told["sent"].as_u64().unwrap();
    assert!((100_000..32 << 20).contains(&sent), "{sent}");
}

#[tokio::test]
async fn a_reset_cancels_the_request_to_the_upstream() {
    let upstream =
        Upstream::start(|_| Reply::Stall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome".to_vec())).await;
    let gateway = TestGateway::start(&h2c(&upstream)).await;
    let host = gateway.address.to_string();
    let cancelled = Play::default()
        .step(json!(["headers", 1, get(&host, "/public/x", "none"), true]))
        .step(json!(["status", 1]))
        .step(json!(["reset", 1, 8]))
        .step(json!(["settle"]));
    let told = &play(gateway.address, vec![cancelled]).await[0];
    assert_eq!(stream(told, 1).status, Some(200));
    eventually(DEADLINE, "the upstream is left alone", || async {
        when(upstream.open_connections() == 0)
    })
    .await;
}

#[tokio::test]
async fn an_upload_that_is_reset_never_looks_whole() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&h2c(&upstream)).await;
    let host = gateway.address.to_string();
    // NO_ERROR is the one that hyper takes for an end.
    let plays = [0, 8].map(|code| {
        Play::default()
            .step(json!(["headers", 1, post(&host), false]))
            .step(json!(["data", 1, "half", false]))
            .step(json!(["settle"]))
            .step(json!(["settle"]))
            .step(json!(["reset", 1, code]))
            .step(json!(["settle"]))
    });
    play(gateway.address, plays.into()).await;
    eventually(DEADLINE, "the upstream is left alone", || async {
        when(upstream.open_connections() == 0)
    })
    .await;
    assert!(upstream.seen().is_empty(), "{:?}", upstream.seen());
}

#[tokio::test]
async fn a_stream_whose_client_stops_is_given_up_alone() {
    let upstream = Upstream::echo().await;
    let toml = h2c(&upstream).replace("h2c = true", "h2c = true\nbody_idle_timeout = \"300ms\"");
    let gateway = TestGateway::start(&toml).await;
    let host = gateway.address.to_string();
    let sending = Play::default()
        .step(json!(["headers", 1, post(&host), false]))
        .step(json!(["data", 1, "half", false]))
        .step(json!(["end", 1]))
        .step(json!(["headers", 3, get(&host, "/public/x", "none"), true]))
        .step(json!(["end", 3]));
    // No window is ever opened for the answer.
    let taking = Play::default()
        .step(json!(["settings", [[4, 0]]]))
        .step(json!(["headers", 1, get(&host, "/public/x", "none"), true]))
        .step(json!(["end", 1]))
        .step(json!(["settle"]));
    let told = play(gateway.address, vec![sending, taking]).await;
    assert_eq!(
        (stream(&told[0], 1).status, code(&told[0], 1).as_str()),
        (Some(408), "request_timeout")
    );
    assert_eq!(stream(&told[0], 3).status, Some(200));
    assert_eq!(
        (stream(&told[1], 1).status, stream(&told[1], 1).reset),
        (Some(200), Some(8)),
        "{}",
        told[1]
    );
}

#[tokio::test]
async fn an_idle_connection_is_told_of_its_end() {
    let upstream = Upstream::echo().await;
    let toml = h2c(&upstream).replace("h2c = true", "h2c = true\nkeep_alive = \"200ms\"");
    let gateway = TestGateway::start(&toml).await;
    let host = gateway.address.to_string();
    let idle = Play::request(&get(&host, "/public/x", "none")).step(json!(["over"]));
    let told = &play(gateway.address, vec![idle]).await[0];
    assert_eq!(stream(told, 1).status, Some(200));
    assert_eq!((&told["goaway"], &told["closed"]), (&json!(0), &json!(true)));
}

#[tokio::test]
async fn a_drain_tells_of_the_end_and_lets_streams_finish() {
    let late = Duration::from_secs(1);
    let upstream =
        Upstream::start(move |_| Reply::Late(late, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone".to_vec())).await;
    let mut gateway = TestGateway::start(&h2c(&upstream)).await;
    let (address, host) = (gateway.address, gateway.address.to_string());
    let in_flight = Play::request(&get(&host, "/public/x", "none")).step(json!(["over"]));
    let playing = tokio::spawn(play(address, vec![in_flight]));
    eventually(DEADLINE, "the request is upstream", || async {
        when(upstream.seen().len() == 1)
    })
    .await;
    gateway.stop().await;
    let told = &playing.await.unwrap()[0];
    assert_eq!(
        (stream(told, 1).status, stream(told, 1).body.as_str()),
        (Some(200), "done")
    );
    assert_eq!((&told["goaway"], &told["closed"]), (&json!(0), &json!(true)));
}
