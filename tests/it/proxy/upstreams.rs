//! Upstreams that are down, slow or several, and connections that are used again.

use std::time::Duration;

use serde_json::Value;

use crate::support::process::free_address;
use crate::support::{Account, Conversation, Reply, TestGateway, Upstream, usual_routes};

fn route_to(servers: &[String], more: &str) -> String {
    format!(
        "[upstreams.app]\nservers = {servers:?}\n{more}\n[[routes]]\npath = \"/up\"\nupstream = \"app\"\nauth = \"none\"\n"
    )
}

async fn problem_of(gateway: &TestGateway, path: &str) -> String {
    let response = gateway.http.get(gateway.url(path)).send().await.unwrap();
    let status = response.status().as_u16();
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let header = response.headers()["x-doorward-error"].to_str().unwrap().to_owned();
    let body: Value = response.json().await.unwrap();
    assert_eq!(
        (&body["code"], &body["status"]),
        (&Value::from(header.clone()), &Value::from(status))
    );
    format!("{status} {header}")
}

#[tokio::test]
async fn an_upstream_that_is_down_is_502() {
    let gateway = TestGateway::start(&route_to(&[format!("http://{}", free_address())], "")).await;
    assert_eq!(problem_of(&gateway, "/up").await, "502 upstream_unreachable");
}

#[tokio::test]
async fn an_upstream_whose_name_is_unknown_is_502() {
    let gateway = TestGateway::start(&route_to(&["http://no-such-host.invalid:80".to_owned()], "")).await;
    assert_eq!(problem_of(&gateway, "/up").await, "502 upstream_unreachable");
}

#[tokio::test]
async fn an_upstream_that_does_not_answer_in_time_is_504() {
    let upstream = Upstream::start(|_| Reply::Stall(Vec::new())).await;
    let gateway = TestGateway::start(&route_to(&[upstream.url()], "response_timeout = \"300ms\"")).await;
    assert_eq!(problem_of(&gateway, "/up").await, "504 upstream_timeout");
}

#[tokio::test]
async fn a_request_without_a_route_is_404() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&route_to(&[upstream.url()], "")).await;
    assert_eq!(problem_of(&gateway, "/elsewhere").await, "404 not_found");
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn several_servers_take_turns() {
    let servers = [Upstream::echo().await, Upstream::echo().await, Upstream::echo().await];
    let urls: Vec<String> = servers.iter().map(Upstream::url).collect();
    let gateway = TestGateway::start(&route_to(&urls, "balance = \"round-robin\"")).await;
    for _ in 0..9 {
        assert_eq!(gateway.get("/up", None).await.0, 200);
    }
    for server in &servers {
        assert_eq!(server.seen().len(), 3);
    }
}

#[tokio::test]
async fn connections_are_used_again_on_both_sides() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&usual_routes(&upstream)).await;
    let user = Account::sign_up(&gateway).await;
    let mut conversation = Conversation::open(gateway.address).await;
    for i in 0..20 {
        let raw =
            format!("POST /c/{i} HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer TOKEN\r\nContent-Length: 2\r\n\r\nhi");
        conversation.send(gateway.fill(&raw, &user.token)).await;
        assert_eq!(conversation.answer().await.status, 200);
    }
    let connections: Vec<usize> = upstream.seen().iter().map(|seen| seen.connection).collect();
    assert_eq!(connections, [0; 20], "one connection served them all");
}

#[tokio::test]
async fn a_connection_that_the_upstream_closed_while_idle_is_not_an_error() {
    // Answers once per connection and closes it without saying so.
    let upstream = Upstream::start(|_| Reply::Last(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec())).await;
    let gateway = TestGateway::start(&route_to(&[upstream.url()], "")).await;
    for method in ["GET", "POST"] {
        for i in 0..20 {
            let request = gateway.http.request(method.parse().unwrap(), gateway.url("/up"));
            let answer = request
                .body(if method == "POST" { "x" } else { "" })
                .send()
                .await
                .unwrap();
            assert_eq!(answer.status(), 200, "{method} {i}");
            // Long enough for the close to arrive; without it the race is the client's as well as ours.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    assert_eq!(upstream.seen().len(), 40, "each request arrived once");
}

#[tokio::test]
async fn an_answer_that_ends_with_its_connection_is_passed_on_whole() {
    let upstream =
        Upstream::start(|_| Reply::Last(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end".to_vec()))
            .await;
    let gateway = TestGateway::start(&route_to(&[upstream.url()], "")).await;
    for _ in 0..3 {
        assert_eq!(gateway.get("/up", None).await, (200, "until the end".to_owned()));
    }
}

#[tokio::test]
async fn whoami_answers_with_the_request_as_an_upstream_would_see_it() {
    let gateway = TestGateway::start(
        "[upstreams.me]\nservers = [\"builtin:whoami\"]\n[[routes]]\npath = \"/whoami\"\nupstream = \"me\"\n",
    )
    .await;
    assert_eq!(problem_of(&gateway, "/whoami").await, "401 token_missing");
    let user = Account::sign_up(&gateway).await;
    let request = gateway.http.post(gateway.url("/whoami/x?y=z")).bearer_auth(&user.token);
    let response = request
        .header("X-Auth-Roles", "admin")
        .body("hello")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.headers().get("x-doorward-error").is_none());
    let text = response.text().await.unwrap();
    assert!(text.contains(&user.id) && text.contains("/whoami/x?y=z"), "{text}");
    assert!(!text.contains(&user.token) && !text.contains("admin"), "{text}");
}
