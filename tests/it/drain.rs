//! The end of the process: SIGTERM lets requests finish, a second one does not.

use std::time::Duration;

use crate::support::process::Process;
use crate::support::{Conversation, DEADLINE, Reply, Upstream, eventually, usual_routes, when};

/// An upstream that takes this long.
async fn slow(after: Duration) -> Upstream {
    Upstream::start(move |_| Reply::Late(after, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone".to_vec())).await
}

/// A request in flight: it has arrived upstream, and nothing has come back.
async fn in_flight(process: &Process, upstream: &Upstream) -> Conversation {
    let mut conversation = Conversation::open(process.address).await;
    conversation.send("GET /public/x HTTP/1.1\r\nHost: x\r\n\r\n").await;
    eventually(DEADLINE, "the request is upstream", || async {
        when(upstream.seen().len() == 1)
    })
    .await;
    conversation
}

#[tokio::test]
async fn sigterm_lets_requests_in_flight_finish_and_exits_with_0() {
    let upstream = slow(Duration::from_secs(2)).await;
    let mut process = Process::serve(&usual_routes(&upstream)).await;
    let mut idle = Conversation::open(process.address).await;
    idle.send("GET /auth/ping HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(idle.answer().await.status, 200);
    let mut busy = in_flight(&process, &upstream).await;

    process.signal("TERM").await;
    let probe = reqwest::Client::builder().no_proxy().build().unwrap();
    let ready = format!("http://{}/readyz", process.admin);
    eventually(DEADLINE, "readiness says no", || async {
        let answer = probe.get(&ready).send().await.ok()?;
        let draining = answer.status() == 503;
        when(draining && answer.text().await.ok()?.contains("shutting down"))
    })
    .await;
    eventually(DEADLINE, "the listener is closed", || async {
        when(tokio::net::TcpStream::connect(process.address).await.is_err())
    })
    .await;

    let answer = busy.answer().await;
    assert_eq!((answer.status, &answer.body[..]), (200, &b"done"[..]));
    assert!(process.ended().await.success(), "{}", process.log());
    assert!(idle.until_end().await.answers.is_empty());
}

#[tokio::test]
async fn a_connection_that_idles_may_bring_one_more_request_and_is_told_so() {
    let upstream = Upstream::echo().await;
    let mut process = Process::serve(&usual_routes(&upstream)).await;
    let post = "POST /public/x HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi";
    let mut idle = Vec::new();
    for _ in 0..10 {
        let mut conversation = Conversation::open(process.address).await;
        conversation.send(post).await;
        let answer = conversation.answer().await;
        assert_eq!((answer.status, answer.header("connection")), (200, None));
        idle.push(conversation);
    }
    process.signal("TERM").await;
    eventually(DEADLINE, "the listener is closed", || async {
        when(tokio::net::TcpStream::connect(process.address).await.is_err())
    })
    .await;
    for conversation in &mut idle {
        conversation.send(post).await;
    }
    for mut conversation in idle {
        let answer = conversation.answer().await;
        assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
        assert!(conversation.until_end().await.answers.is_empty());
    }
    assert!(process.ended().await.success(), "{}", process.log());
}

#[tokio::test]
async fn a_request_in_flight_when_the_end_is_announced_is_told_that_it_is_the_last() {
    let upstream = slow(Duration::from_secs(1)).await;
    let mut process = Process::serve(&usual_routes(&upstream)).await;
    let mut busy = in_flight(&process, &upstream).await;
    process.signal("TERM").await;
    let answer = busy.answer().await;
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    assert!(process.ended().await.success(), "{}", process.log());
}

#[tokio::test]
async fn connections_that_bring_nothing_more_are_not_requests_that_took_too_long() {
    let upstream = Upstream::echo().await;
    for drain in ["0s", "300ms", "30s"] {
        let routes = format!("[server]\ndrain = \"{drain}\"\n{}", usual_routes(&upstream));
        let mut process = Process::serve(&routes).await;
        let mut idle = Conversation::open(process.address).await;
        idle.send("GET /auth/ping HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert_eq!(idle.answer().await.status, 200);
        process.signal("TERM").await;
        assert!(process.ended().await.success(), "{}", process.log());
        let log = process.log();
        assert!(drain == "0s" || !log.contains("were cut off"), "{drain}: {log}");
        assert!(idle.until_end().await.answers.is_empty());
    }
}

#[tokio::test]
async fn what_does_not_finish_in_time_is_cut_and_the_exit_code_is_still_0() {
    let upstream = slow(Duration::from_secs(600)).await;
    let routes = format!("[server]\ndrain = \"500ms\"\n{}", usual_routes(&upstream));
    let mut process = Process::serve(&routes).await;
    let busy = in_flight(&process, &upstream).await;
    process.signal("TERM").await;
    assert!(process.ended().await.success(), "{}", process.log());
    assert_ne!(busy.until_end().await.statuses(), [200]);
}

#[tokio::test]
async fn a_second_signal_ends_the_process_at_once() {
    let upstream = slow(Duration::from_secs(600)).await;
    let mut process = Process::serve(&usual_routes(&upstream)).await;
    let busy = in_flight(&process, &upstream).await;
    process.signal("TERM").await;
    eventually(DEADLINE, "the listener is closed", || async {
        when(tokio::net::TcpStream::connect(process.address).await.is_err())
    })
    .await;
    process.signal("TERM").await;
    process.ended().await;
    assert_ne!(busy.until_end().await.statuses(), [200]);
}

#[tokio::test]
async fn sigint_drains_as_sigterm_does() {
    let upstream = slow(Duration::from_millis(300)).await;
    let mut process = Process::serve(&usual_routes(&upstream)).await;
    let mut busy = in_flight(&process, &upstream).await;
    process.signal("INT").await;
    assert_eq!(busy.answer().await.status, 200);
    assert!(process.ended().await.success(), "{}", process.log());
}

#[tokio::test]
async fn a_request_line_is_logged_without_query_token_or_address() {
    let upstream = Upstream::echo().await;
    let mut process = Process::serve(&usual_routes(&upstream)).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = |path: &str| format!("http://{}{path}", process.address);
    let body = serde_json::json!({"email": "zelda-marker@example.com", "password": "wistful-otter-marker-47", "name": "Zelda"});
    let signed_up: serde_json::Value = http
        .post(url("/auth/signup"))
        .json(&body)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let token = signed_up["access_token"].as_str().unwrap();
    let answer = http
        .get(url("/c/logged?secret=querymarker"))
        .bearer_auth(token)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    http.get(url("/c/refused"))
        .bearer_auth("nonsense-marker")
        .send()
        .await
        .unwrap();
    process.signal("TERM").await;
    assert!(process.ended().await.success());

    let log = process.log();
    let signature = token.rsplit('.').next().unwrap();
    for secret in [
        "zelda-marker",
        "otter-marker",
        "querymarker",
        "nonsense-marker",
        signature,
    ] {
        assert!(!log.contains(secret), "{secret} in the log:\n{log}");
    }
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let about = |path: &str| lines.iter().filter(|line| line.to_string().contains(path)).count();
    assert_eq!(about("/c/logged"), 1, "{log}");
    assert_eq!(about("/c/refused"), 1, "{log}");
    let sign_up = lines.iter().find(|line| line["path"] == "/auth/signup").unwrap();
    assert_eq!(sign_up["bytes_in"], body.to_string().len(), "{sign_up}");
    assert_eq!(
        (&sign_up["status"], &sign_up["complete"]),
        (&201.into(), &true.into()),
        "{sign_up}"
    );
}

#[tokio::test]
async fn a_connection_made_just_before_the_end_still_gets_its_answer() {
    let upstream = Upstream::echo().await;
    let mut process = Process::serve(&usual_routes(&upstream)).await;
    let mut waiting = Vec::new();
    for _ in 0..20 {
        waiting.push(Conversation::open(process.address).await);
    }
    process.signal("TERM").await;
    for conversation in &mut waiting {
        conversation.send("GET /auth/ping HTTP/1.1\r\nHost: x\r\n\r\n").await;
    }
    for mut conversation in waiting {
        assert_eq!(conversation.answer().await.status, 200);
    }
    assert!(process.ended().await.success(), "{}", process.log());
}
