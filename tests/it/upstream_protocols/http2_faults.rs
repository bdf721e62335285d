//! Upstreams of HTTP/2 that fail: each fault with what is promised of it.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use super::python::{Script, counts};
use super::route_to;
use crate::support::upstream::each;
use crate::support::{Conversation, DEADLINE, TestGateway, eventually, exchange, when};

async fn problem(gateway: &TestGateway, path: &str) -> String {
    let response = gateway.http.get(gateway.url(path)).send().await.unwrap();
    let header = response.headers().get("x-doorward-error");
    format!(
        "{} {}",
        response.status().as_u16(),
        header.map_or("", |code| code.to_str().unwrap())
    )
}

#[tokio::test]
async fn what_a_server_did_nothing_about_is_sent_again_whatever_it_asks() {
    let server = Script::h2().await;
    let gateway = TestGateway::start(&route_to(&[server.h2_url()], "")).await;
    for what in ["refused-once", "goaway-once"] {
        let request = gateway.http.post(gateway.url(&format!("/up/{what}")));
        assert_eq!(request.send().await.unwrap().status(), 200, "{what}");
        assert_eq!(counts(&gateway).await[what], 2, "{what}");
    }
    assert_eq!(problem(&gateway, "/up/refused").await, "502 upstream_unreachable");
    assert_eq!(counts(&gateway).await["refused"], 2, "and not for ever");
}

#[tokio::test]
async fn a_server_that_says_goodbye_finishes_what_it_has_and_gets_nothing_new() {
    let server = Script::h2().await;
    let gateway = TestGateway::start(&route_to(&[server.h2_url()], "")).await;
    for i in 0..10 {
        assert_eq!(
            gateway.get("/up/goaway-after", None).await,
            (200, "whole".to_owned()),
            "{i}"
        );
        let request = gateway.http.post(gateway.url("/up/x")).body("hi");
        assert_eq!(request.send().await.unwrap().status(), 200, "{i}");
    }
    let counts = counts(&gateway).await;
    assert_eq!(
        (&counts["x"], &counts["goaway-after"], &counts["said"]),
        (&json!(10), &json!(10), &json!([]))
    );
}

#[tokio::test]
async fn a_stream_or_connection_that_breaks_before_the_answer_is_502_and_not_repeated() {
    let server = Script::h2().await;
    let gateway = TestGateway::start(&route_to(&[server.h2_url()], "")).await;
    for what in ["reset", "close", "abort"] {
        let request = gateway.http.post(gateway.url(&format!("/up/{what}")));
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()["x-doorward-error"], "upstream_unreachable", "{what}");
        assert_eq!(counts(&gateway).await[what], 1, "{what}: it may have been done");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_never_seen_as_whole() {
    let server = Script::h2().await;
    let gateway = TestGateway::start(&route_to(&[server.h2_url()], "")).await;
    for what in [
        "mid-reset",
        "mid-cancel",
        "mid-ok",
        "mid-close",
        "mid-abort",
        "goaway-mid",
        "short",
        "long",
    ] {
        for length in ["", "?length=1"] {
            let raw = format!("GET /up/{what}{length} HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n");
            let ended = exchange(gateway.address, gateway.fill(&raw, "")).await;
            match ended.answers.first() {
                Some(answer) => assert_eq!(answer.status, 502, "{what}{length}: passed as whole: {answer:?}"),
                // A head that is followed by the break at once may not get out.
                None => assert!(
                    ended.rest.is_empty() || ended.rest.starts_with(b"HTTP/1.1 200"),
                    "{what}{length}: {ended:?}"
                ),
            }
            assert!(!ended.rest.ends_with(b"0\r\n\r\n"), "{what}{length}: {ended:?}");
            assert_eq!(gateway.get("/up/after", None).await.0, 200, "{what}{length}");
        }
    }
}

#[tokio::test]
async fn a_stream_that_breaks_leaves_the_others_on_its_connection_alone() {
    let server = Script::h2().await;
    let gateway = TestGateway::start(&route_to(&[server.h2_url()], "")).await;
    let good = |i: usize| gateway.get(["/up/late?s=0.1", "/up/late?s=0.2"][i % 2], None);
    let bad = |i: usize| {
        let path = gateway.url(["/up/mid-reset", "/up/reset", "/up/short", "/up/long"][i % 4]);
        let request = gateway.http.get(path).send();
        async move {
            request
                .await
                .is_ok_and(|answer| answer.status() == 200 && answer.content_length() == Some(4))
        }
    };
    let (good, bad) = tokio::join!(join_all((0..20).map(good)), join_all((0..20).map(bad)));
    assert!(
        good.iter()
            .all(|(status, text)| *status == 200 && text.starts_with("/up/late")),
        "{good:?}"
    );
    assert!(!bad.contains(&true));
    assert_eq!(counts(&gateway).await["connections"], 1);
}

#[tokio::test]
async fn what_may_not_be_relayed_is_502() {
    let server = Script::h2().await;
    let gateway = TestGateway::start(&route_to(&[server.h2_url()], "")).await;
    for what in ["two-lengths", "not-a-length", "chunked", "upper", "garbage"] {
        assert_eq!(
            problem(&gateway, &format!("/up/{what}")).await,
            "502 upstream_invalid",
            "{what}"
        );
        assert_eq!(gateway.get("/up/after", None).await.0, 200, "{what}");
    }
    assert!(
        problem(&gateway, "/up/big-head").await.starts_with("502 "),
        "the head of an answer is bounded"
    );
}

#[tokio::test]
async fn a_server_that_stalls_within_its_answer_breaks_it_off() {
    let server = Script::h2().await;
    let gateway = TestGateway::start(&route_to(&[server.h2_url()], "idle_timeout = \"200ms\"")).await;
    let raw = gateway.fill("GET /up/stall HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n", "");
    let ended = exchange(gateway.address, raw).await;
    assert!(
        ended.answers.is_empty() && ended.rest.starts_with(b"HTTP/1.1 200"),
        "{ended:?}"
    );
    // Long, but never without a byte for long.
    assert_eq!(
        gateway.get("/up/late?s=0.4", None).await.0,
        200,
        "the time to the head is response_timeout"
    );
    eventually(DEADLINE, "the server is told", || async {
        when(counts(&gateway).await["said"] == json!(["reset CANCEL"]))
    })
    .await;
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_504_and_one_that_is_gone_is_left() {
    let server = Script::h2().await;
    let gateway = TestGateway::start(&route_to(&[server.h2_url()], "response_timeout = \"300ms\"")).await;
    assert_eq!(gateway.get("/up", None).await.0, 200);
    assert_eq!(problem(&gateway, "/up/silent").await, "504 upstream_timeout");
    assert_eq!(gateway.get("/up", None).await.0, 200);
    // Nothing came meanwhile, as from a server that is gone: nobody else is sent there.
    assert_eq!(counts(&gateway).await["connections"], 2);
    let slow = gateway.get("/up/late?s=0.25", None);
    let (timed_out, slow) = tokio::join!(problem(&gateway, "/up/silent"), slow);
    assert_eq!((timed_out.as_str(), slow.0), ("504 upstream_timeout", 200));
    assert_eq!(
        counts(&gateway).await["connections"],
        2,
        "where something comes, it stays"
    );
}

#[tokio::test]
async fn an_answer_before_the_end_of_the_request_is_passed_on_and_the_rest_is_not_sent() {
    let server = Script::h2().await;
    let gateway = TestGateway::start(&route_to(&[server.h2_url()], "")).await;
    let mut conversation = Conversation::open(gateway.address).await;
    let head = "POST /up/early HTTP/1.1\r\nHost: HOST\r\nContent-Length: 100000000\r\n\r\n";
    conversation.send(gateway.fill(head, "")).await;
    let answer = conversation.answer().await;
    assert_eq!((answer.status, &answer.body[..]), (413, &b"big"[..]));
    eventually(DEADLINE, "the server is told that no more comes", || async {
        when(counts(&gateway).await["said"] == json!(["reset CANCEL"]))
    })
    .await;
    assert_eq!(counts(&gateway).await["connections"], 1);
}

#[tokio::test]
async fn an_answer_and_a_request_flow_at_the_same_time() {
    let server = Script::h2().await;
    let gateway = TestGateway::start(&route_to(&[server.h2_url()], "")).await;
    let mut conversation = Conversation::open(gateway.address).await;
    let head = "POST /up/duplex HTTP/1.1\r\nHost: HOST\r\nContent-Length: 4\r\n\r\n";
    conversation.send(gateway.fill(head, "")).await;
    while !conversation.pending().ends_with(b"first\r\n") {
        assert!(
            conversation.read_some().await,
            "the first part comes before the request is whole"
        );
    }
    conversation.send("last").await;
    let answer = conversation.answer().await;
    assert_eq!(answer.body, b"firstlast");
}

#[tokio::test]
async fn a_server_that_speaks_http_1_on_an_h2_address_is_502() {
    let server = crate::support::Upstream::echo().await;
    let gateway = TestGateway::start(&route_to(
        &[server.url().replace("http:", "h2:")],
        "connect_timeout = \"2s\"",
    ))
    .await;
    assert!(problem(&gateway, "/up").await.starts_with("502 upstream_"));
    let (address, _task) = each(|mut stream| async move {
        use tokio::io::AsyncWriteExt as _;
        let _ = stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
            .await;
        tokio::time::sleep(Duration::from_secs(60)).await;
    })
    .await;
    let gateway = TestGateway::start(&route_to(&[format!("h2://{address}")], "")).await;
    assert!(problem(&gateway, "/up").await.starts_with("502 upstream_"));
}

#[tokio::test]
async fn a_server_that_accepts_and_says_nothing_is_left_after_connect_timeout() {
    let (address, _task) = each(|stream| async move {
        let _held = stream;
        tokio::time::sleep(Duration::from_secs(60)).await;
    })
    .await;
    let gateway = TestGateway::start(&route_to(&[format!("h2://{address}")], "connect_timeout = \"300ms\"")).await;
    let all = join_all((0..10).map(|_| problem(&gateway, "/up"))).await;
    assert!(all.iter().all(|answer| answer == "502 upstream_unreachable"), "{all:?}");
}
