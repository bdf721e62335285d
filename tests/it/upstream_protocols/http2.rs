//! Upstreams that speak HTTP/2 without TLS, behind clients that speak HTTP/1.1.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::python::{Script, counts};
use super::route_to;
use crate::support::process::free_address;
use crate::support::tools::program;
use crate::support::{Account, Conversation, DEADLINE, TestGateway, eventually, when};

fn headers(seen: &Value, name: &str) -> Vec<String> {
    let all = seen["headers"].as_array().expect("headers");
    let same = all.iter().filter(|pair| pair[0] == name);
    same.map(|pair| pair[1].as_str().expect("text").to_owned()).collect()
}

#[tokio::test]
async fn a_request_arrives_with_an_authority_and_without_what_is_about_the_connection() {
    let server = Script::h2().await;
    let routes = route_to(&[server.h2_url()], "").replace("auth = \"none\"", "");
    let gateway = TestGateway::start(&routes).await;
    let user = Account::sign_up(&gateway).await;
    let mut conversation = Conversation::open(gateway.address).await;
    let head = "POST /up/a%20b?c=d HTTP/1.1\r\nHost: shop.example:81\r\nAuthorization: Bearer TOKEN\r\nTE: trailers, gzip\r\n\
                Connection: keep-alive, te, x-hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nX-Auth-User-Id: root\r\n\
                Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 42\r\nX-Auth-Roles: admin\r\n\r\n";
    conversation.send(gateway.fill(head, &user.token)).await;
    let answer = conversation.answer().await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let seen = answer.json();
    assert_eq!(headers(&seen, ":authority"), ["shop.example:81"]);
    assert_eq!(headers(&seen, ":scheme"), ["http"]);
    assert_eq!(headers(&seen, ":path"), ["/up/a%20b?c=d"]);
    assert_eq!(headers(&seen, "te"), ["trailers"]);
    assert_eq!(
        headers(&seen, "x-auth-user-id"),
        [user.id.as_str()],
        "ours and no other"
    );
    assert_eq!(headers(&seen, "x-forwarded-host"), ["shop.example:81"]);
    for gone in [
        "host",
        "connection",
        "keep-alive",
        "transfer-encoding",
        "x-hop",
        "authorization",
    ] {
        assert!(headers(&seen, gone).is_empty(), "{gone}: {seen}");
    }
    assert_eq!(seen["body"], "hello");
    assert_eq!(
        seen["trailers"],
        json!([["x-sum", "42"]]),
        "trailers go through, but for identities"
    );
}

#[tokio::test]
async fn lengths_and_methods_without_bodies_are_as_on_http_1() {
    let server = Script::h2().await;
    let gateway = TestGateway::start(&route_to(&[server.h2_url()], "")).await;
    let mut conversation = Conversation::open(gateway.address).await;
    conversation
        .send(gateway.fill("POST /up HTTP/1.1\r\nHost: HOST\r\nContent-Length: 2\r\n\r\nhi", ""))
        .await;
    let seen = conversation.answer().await.json();
    assert_eq!(headers(&seen, "content-length"), ["2"]);
    assert_eq!(seen["body"], "hi");
    conversation
        .send(gateway.fill("HEAD /up HTTP/1.1\r\nHost: HOST\r\n\r\n", ""))
        .await;
    assert_eq!(
        conversation.answer_to_head().await.header("content-length"),
        Some("1234")
    );
    conversation
        .send(gateway.fill("GET /up/no-content HTTP/1.1\r\nHost: HOST\r\n\r\n", ""))
        .await;
    assert_eq!(conversation.answer().await.status, 204);
    conversation
        .send("GET /up HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        .await;
    let seen = conversation.answer().await.json();
    assert_eq!(
        headers(&seen, ":authority"),
        [format!("127.0.0.1:{}", server.port)],
        "a client of HTTP/1.0 may name no host"
    );
}

#[tokio::test]
async fn trailers_of_an_answer_reach_a_client_that_takes_them() {
    let server = Script::h2().await;
    let gateway = TestGateway::start(&route_to(&[server.h2_url()], "")).await;
    let raw = "GET /up/trailers HTTP/1.1\r\nHost: HOST\r\nTE: trailers\r\nConnection: te, close\r\n\r\n";
    let ended = crate::support::exchange(gateway.address, gateway.fill(raw, "")).await;
    let [answer] = &ended.answers[..] else {
        panic!("{ended:?}")
    };
    assert_eq!(answer.body, b"body");
    assert_eq!(answer.trailers, [("x-sum".to_owned(), "42".to_owned())]);
}

#[tokio::test]
async fn requests_at_the_same_time_share_one_connection_and_each_gets_its_own_answer() {
    let server = Script::h2().await;
    let gateway = TestGateway::start(&route_to(&[server.h2_url()], "")).await;
    // None is answered before all are there.
    let one = |i: usize| {
        let gateway = &gateway;
        async move { (i, gateway.get(&format!("/up/barrier?n=80&i={i}"), None).await) }
    };
    for (i, (status, text)) in join_all((0..80).map(one)).await {
        assert_eq!((status, text), (200, format!("/up/barrier?n=80&i={i}")));
    }
    let counts = counts(&gateway).await;
    assert_eq!((&counts["connections"], &counts["said"]), (&json!(1), &json!([])));
}

#[tokio::test]
async fn no_answer_goes_to_another_when_clients_hang_up_meanwhile() {
    let server = Script::h2().await;
    let gateway = TestGateway::start(&route_to(&[server.h2_url()], "")).await;
    let one = |i: usize| {
        let gateway = &gateway;
        async move {
            let path = format!("/up/late?s=0.0{}&i={i}", i % 7);
            if i.is_multiple_of(3) {
                // Gone before the answer.
                let mut conversation = Conversation::open(gateway.address).await;
                conversation
                    .send(gateway.fill(&format!("GET {path} HTTP/1.1\r\nHost: HOST\r\n\r\n"), ""))
                    .await;
                return;
            }
            assert_eq!(gateway.get(&path, None).await, (200, path));
        }
    };
    for _ in 0..5 {
        join_all((0..60).map(one)).await;
    }
    assert_eq!(
        counts(&gateway).await["connections"],
        1,
        "a client that hangs up costs its stream alone"
    );
}

#[tokio::test]
async fn a_server_that_takes_few_requests_at_once_gets_no_more_and_none_waits_for_ever() {
    let server = Script::start("h2_server.py", &["3"]).await;
    let gateway = TestGateway::start(&route_to(&[server.h2_url()], "")).await;
    let one = |i: usize| {
        let gateway = &gateway;
        async move { (i, gateway.get(&format!("/up/late?s=0.05&i={i}"), None).await) }
    };
    for (i, answer) in join_all((0..30).map(one)).await {
        assert_eq!(answer, (200, format!("/up/late?s=0.05&i={i}")));
    }
    let counts = counts(&gateway).await;
    assert!(counts["most"].as_u64().unwrap() <= 3, "{counts}");
    assert_eq!(counts["said"], json!([]));
}

#[tokio::test]
async fn a_server_that_lowers_its_limit_is_heeded() {
    let server = Script::h2().await;
    let gateway = TestGateway::start(&route_to(&[server.h2_url()], "")).await;
    assert_eq!(gateway.get("/up/limit?n=2", None).await.0, 200);
    let one = |_| gateway.get("/up/late?s=0.05", None);
    assert!(
        join_all((0..20).map(one))
            .await
            .iter()
            .all(|(status, _)| *status == 200)
    );
    let counts = counts(&gateway).await;
    assert_eq!(counts["said"], json!([]), "the server takes more streams for a fault");
    assert!(counts["connections"].as_u64().unwrap() > 1, "{counts}");
}

#[tokio::test]
async fn a_connection_that_has_reached_its_age_takes_no_more_and_finishes_what_it_carries() {
    let server = Script::h2().await;
    let gateway = TestGateway::start(&route_to(&[server.h2_url()], "pool_max_age = \"300ms\"")).await;
    let held = tokio::spawn({
        let (http, url) = (gateway.http.clone(), gateway.url("/up/held"));
        async move { http.get(url).send().await.unwrap().text().await.unwrap() }
    });
    eventually(DEADLINE, "new requests go to another connection", || async {
        let (_, text) = gateway.get("/up/counts", None).await;
        let counts: Value = serde_json::from_str(&text).unwrap();
        when(counts["held"] == 1 && counts["connections"] == 2)
    })
    .await;
    assert_eq!(gateway.get("/up/release", None).await.0, 200);
    assert_eq!(held.await.unwrap(), "released");
}

#[tokio::test]
async fn a_connection_that_carries_nothing_closes_after_its_idle_time() {
    let server = Script::h2().await;
    let gateway = TestGateway::start(&route_to(&[server.h2_url()], "pool_idle_timeout = \"100ms\"")).await;
    assert_eq!(gateway.get("/up", None).await.0, 200);
    eventually(DEADLINE, "the first connection is closed", || async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        let counts = counts(&gateway).await;
        when(counts["closed"].as_u64().unwrap_or(0) > 0)
    })
    .await;
}

#[tokio::test]
async fn nghttpd_is_an_upstream_without_tls() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("up")).unwrap();
    std::fs::write(dir.path().join("up/file"), vec![b'x'; 300_000]).unwrap();
    let port = free_address().port();
    let mut nghttpd = program("nghttpd");
    nghttpd
        .args(["--no-tls", "--address=127.0.0.1", "-d"])
        .arg(dir.path())
        .arg(port.to_string());
    let _nghttpd = nghttpd.spawn().unwrap();
    let gateway = TestGateway::start(&route_to(&[format!("h2://127.0.0.1:{port}")], "")).await;
    eventually(DEADLINE, "nghttpd answers", || async {
        when(gateway.get("/up/file", None).await.0 == 200)
    })
    .await;
    let all = join_all((0..20).map(|_| gateway.get("/up/file", None))).await;
    assert!(all.iter().all(|(status, text)| *status == 200 && text.len() == 300_000));
    assert_eq!(gateway.get("/up/none", None).await.0, 404);
}
