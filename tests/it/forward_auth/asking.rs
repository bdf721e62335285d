//! What the answer is, and whom it is given to.

use serde_json::Value;

use crate::support::tools::{program, stdout_of};
use crate::support::{Account, Answer, TestGateway, exchange};

fn config(trusted: &str) -> String {
    format!(
        "[server]\ntrusted_proxies = [\"{trusted}\"]\n[auth]\nverify = true\n\
         [[routes]]\npath = \"/c\"\nverify_only = true\n\
         [[routes]]\npath = \"/c\"\nverify_only = true\nmethods = [\"DELETE\"]\nroles = [\"admin\"]\n\
         [[routes]]\npath = \"/open\"\nhost = \"public.example\"\nverify_only = true\nauth = \"none\"\n\
         [[routes]]\npath = \"/get\"\nmethods = [\"GET\"]\nverify_only = true\nauth = \"none\"\n\
         [[routes]]\npath = \"/\"\nverify_only = true\nauth = \"optional\"\n"
    )
}

async fn start() -> TestGateway {
    TestGateway::start(&config("127.0.0.1")).await
}

/// Asks with these header lines.
async fn ask(gateway: &TestGateway, lines: &str) -> Answer {
    let raw = format!("GET /auth/verify HTTP/1.1\r\nHost: doorward\r\nConnection: close\r\n{lines}\r\n");
    exchange(gateway.address, raw).await.answers.remove(0)
}

fn original(method: &str, host: &str, uri: &str) -> String {
    format!("X-Forwarded-Method: {method}\r\nX-Forwarded-Host: {host}\r\nX-Forwarded-Uri: {uri}\r\n")
}

#[tokio::test]
async fn the_answer_names_the_user_as_an_upstream_would_be_told() {
    let gateway = start().await;
    let user = Account::sign_up(&gateway).await;
    let question = format!("{}Authorization: {}\r\n", original("GET", "x", "/c/7?q"), user.bearer());
    let answer = ask(&gateway, &question).await;
    assert_eq!((answer.status, answer.body.len()), (200, 0), "{answer:?}");
    assert_eq!(answer.header("x-auth-user-id"), Some(&*user.id));
    assert_eq!(answer.header("x-auth-email"), Some(&*user.email));
    assert_eq!(answer.header("x-auth-name"), Some(&*user.name));
    assert_eq!(answer.header("x-auth-issuer"), Some("self"));
    for empty in [
        "roles",
        "client-cert-subject",
        "client-cert-san",
        "client-cert-fingerprint",
    ] {
        let name = format!("x-auth-{empty}");
        assert_eq!(answer.header(&name), Some(""), "{name} is there, and empty");
    }
    assert_eq!(answer.header("cache-control"), Some("no-store"));

    gateway.log_out(&user.token).await;
    let answer = ask(&gateway, &question).await;
    assert_eq!((answer.status, answer.problem().as_str()), (401, "token_revoked"));
    assert!(answer.header("www-authenticate").is_some() && answer.header("x-auth-user-id").is_none());
}

#[tokio::test]
async fn the_decision_is_that_of_the_original_method_host_and_path() {
    let gateway = start().await;
    let user = Account::sign_up(&gateway).await;
    let bearer = format!("Authorization: {}\r\n", user.bearer());
    for (question, token, code) in [
        (original("GET", "x", "/c"), "", "token_missing"),
        (original("GET", "x", "/%63/x"), "", "token_missing"),
        (original("DELETE", "x", "/c/7"), bearer.as_str(), "forbidden"),
        (original("POST", "x", "/get"), "", "method_not_allowed"),
        (original("get", "x", "/get"), "", "method_not_allowed"),
        (original("GET", "x", "/open/../c"), "", "ambiguous_path"),
        (original("GET", "x", "/open/%2e%2e/c"), "", "ambiguous_path"),
        (original("GET", "x", "/open//c"), "", "ambiguous_path"),
        (original("GET", "x", "/open;/c"), "", "ambiguous_path"),
        (original("GET", "x", "/auth/user"), "", "not_found"),
        (original("GET", "x", "/Auth/login"), "", "not_found"),
        (original("GET", "x", "/auth/verify"), "", "not_found"),
    ] {
        let answer = ask(&gateway, &format!("{question}{token}")).await;
        assert_eq!(answer.problem(), code, "{question}");
    }
    for (question, token) in [
        (original("GET", "public.example", "/open/x"), ""),
        (
            original("GET", "Public.example:8443", "/open/x"),
            "Authorization: Bearer nonsense\r\n",
        ),
        (original("HEAD", "x", "/get"), ""),
        (original("GET", "x", "/elsewhere"), ""),
        (original("DELETE", "x", "/elsewhere"), bearer.as_str()),
    ] {
        let answer = ask(&gateway, &format!("{question}{token}")).await;
        assert_eq!(answer.status, 200, "{question} {answer:?}");
        let named = answer.header("x-auth-user-id") == Some(&*user.id);
        if !question.contains("ublic.example") {
            assert_eq!(named, !token.is_empty(), "{question}");
        }
    }
}

#[tokio::test]
async fn what_is_not_said_or_said_twice_is_not_decided() {
    let gateway = start().await;
    let good = original("GET", "x", "/open");
    let lines: Vec<&str> = good.split_inclusive("\r\n").collect();
    let mut questions = vec![String::new()];
    questions.extend((0..3).map(|left_out| {
        let kept = lines.iter().enumerate().filter(|(index, _)| *index != left_out);
        kept.map(|(_, line)| *line).collect()
    }));
    // What a client adds, and its proxy does not replace.
    for added in [
        "X-Original-Method: DELETE",
        "X-Original-URI: /c",
        "X-Original-URL: http://x/c",
        "X-Original-Host: public.example",
        "X-Forwarded-Uri: /open",
    ] {
        questions.push(format!("{good}{added}\r\n"));
    }
    questions.push(good.replace("/open", "http://x/open"));
    questions.push(good.replace("/open", "/open#/../c"));
    questions.push(good.replace("Host: x", "Host: a, b"));
    for question in questions {
        let answer = ask(&gateway, &question).await;
        assert_eq!(
            (answer.status, answer.problem().as_str()),
            (400, "bad_request"),
            "{question}"
        );
    }
    let same = format!("{good}X-Original-URI: /open\r\nX-Original-Method: GET\r\nX-Original-URL: https://x/open\r\n");
    assert_eq!(ask(&gateway, &same).await.status, 200);
}

#[tokio::test]
async fn nobody_but_a_trusted_proxy_is_told_anything() {
    let gateway = TestGateway::start(&config("192.0.2.1")).await;
    let user = Account::sign_up(&gateway).await;
    for question in [
        original("GET", "x", "/elsewhere"),
        format!("{}Authorization: {}\r\n", original("GET", "x", "/c"), user.bearer()),
        format!("{}X-Forwarded-For: 192.0.2.1\r\n", original("GET", "x", "/c")),
        String::new(),
    ] {
        assert_eq!(ask(&gateway, &question).await.problem(), "not_found", "{question}");
    }
    let off = TestGateway::start(
        "[server]\ntrusted_proxies = [\"127.0.0.1\"]\n[[routes]]\npath = \"/\"\nredirect.to = \"/x\"\n",
    )
    .await;
    assert_eq!(ask(&off, &original("GET", "x", "/c")).await.problem(), "not_found");
}

#[tokio::test]
async fn a_call_of_grpc_is_refused_by_the_status_that_proxies_look_at() {
    let config = config("127.0.0.1").replace("[server]", "[server]\nh2c = true");
    let gateway = TestGateway::start(&config).await;
    for (path, method, lines, status) in [
        ("/auth/verify", "GET", original("POST", "x", "/c"), "401"),
        ("/auth/verify", "GET", original("POST", "x", "/auth/user"), "404"),
        ("/auth/verify", "GET", original("POST", "x", "/open/../c"), "400"),
        ("/auth/verify", "GET", String::new(), "400"),
        ("/auth/verify", "POST", original("POST", "x", "/c"), "405"),
        ("/auth/verify/a;b", "POST", original("POST", "x", "/c"), "400"),
    ] {
        let mut curl = program("curl");
        curl.args([
            "--silent",
            "--max-time",
            "20",
            "--http2-prior-knowledge",
            "--output",
            "/dev/null",
        ]);
        curl.args(["--write-out", "%{http_version} %{http_code}", "--request", method]);
        curl.args(["--header", "Content-Type: application/grpc", "--header", "TE: trailers"]);
        for line in lines.lines() {
            curl.args(["--header", line]);
        }
        curl.arg(gateway.url(path));
        let answer = stdout_of(curl).await;
        assert_eq!(answer, format!("2 {status}"), "{method} {path} {lines}");
    }
}

#[tokio::test]
async fn a_route_for_questions_alone_forwards_nothing_and_other_methods_ask_nothing() {
    let gateway = start().await;
    let raw = "GET /elsewhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert_eq!(exchange(gateway.address, raw).await.answers[0].problem(), "not_found");
    let raw = format!(
        "POST /auth/verify HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{}\r\n",
        original("GET", "x", "/open")
    );
    let answer = exchange(gateway.address, raw).await.answers.remove(0);
    assert_eq!(
        (answer.problem().as_str(), answer.header("allow")),
        ("method_not_allowed", Some("GET, HEAD"))
    );
    let (_, said, _) = gateway.command("explain GET http://x/c").await;
    assert!(said.contains("/auth/verify alone"), "{said}");
}

#[tokio::test]
async fn an_assertion_is_given_where_the_route_has_an_upstream_to_make_it_for() {
    let gateway = TestGateway::start(
        "[server]\ntrusted_proxies = [\"127.0.0.1\"]\n[auth]\nverify = true\n[upstreams.app]\nservers = [\"builtin:whoami\"]\n\
         [[routes]]\npath = \"/c\"\nupstream = \"app\"\nassertion = true\n",
    )
    .await;
    let user = Account::sign_up(&gateway).await;
    let question = format!("{}Authorization: {}\r\n", original("GET", "x", "/c"), user.bearer());
    let answer = ask(&gateway, &question).await;
    let assertion = answer.header("x-auth-assertion").unwrap();
    assert_eq!(assertion.split('.').count(), 3, "{assertion}");
    let (_, body) = gateway.get("/c", Some(&user.token)).await;
    let seen: Value = serde_json::from_str(&body).unwrap();
    assert!(
        seen["headers"]
            .as_array()
            .unwrap()
            .iter()
            .any(|line| line[0] == "x-auth-assertion")
    );
}
