//! Every error code, each from a request that a client can send: a code that no request reaches is not an interface.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use doorward::problem::Code;
use serde_json::{Value, json};

use crate::support::account::PASSWORD;
use crate::support::mariadb::{Database, Server};
use crate::support::process::free_address;
use crate::support::{Account, Answer, Conversation, DEADLINE, Reply, TestGateway, Upstream, eventually, usual_routes};
use crate::tls::Authority;

/// Codes with the answers that carried them.
#[derive(Default)]
struct Collected(BTreeMap<String, Answer>);

impl Collected {
    /// Sends one request on a connection of its own; the answer is a problem with this code.
    async fn expect(&mut self, gateway: &TestGateway, code: &str, request: impl AsRef<[u8]>) {
        let mut conversation = Conversation::open(gateway.address).await;
        conversation.send(request).await;
        let answer = conversation.answer().await;
        assert_eq!(answer.problem(), code, "{answer:?}");
        self.0.insert(code.to_owned(), answer);
    }

    /// Every code is there, and every answer is as problems are.
    fn check(&self) {
        for code in Code::ALL {
            match code.as_str() {
                // Above, through another client.
                "busy" => {}
                // What no request should be able to cause.
                "internal" => assert!(!self.0.contains_key("internal")),
                name => assert!(self.0.contains_key(name), "no request was answered with {name}"),
            }
        }
        for (code, answer) in &self.0 {
            let text = format!("{answer:?}");
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{text}");
            assert!(!answer.json()["title"].as_str().unwrap().is_empty(), "{text}");
            assert!(!answer.json()["detail"].as_str().unwrap().is_empty(), "{text}");
            let challenged = answer.header("www-authenticate").is_some();
            let of_token = answer.status == 401 && code.starts_with("token_") || code == "forbidden";
            let should_be = of_token || code == "invalid_client";
            assert_eq!(challenged, should_be, "{text}");
        }
    }
}

/// A request with a JSON body.
fn post(gateway: &TestGateway, path: &str, body: &Value) -> String {
    let body = body.to_string();
    let length = body.len();
    let raw = format!(
        "POST {path} HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    gateway.fill(&raw, "")
}

/// A request of another service, with these credentials (HTTP Basic, encoded) and without a token to ask about.
fn ask(gateway: &TestGateway, path: &str, credentials: &str) -> String {
    let raw = format!(
        "POST {path} HTTP/1.1\r\nHost: HOST\r\nAuthorization: Basic {credentials}\r\nContent-Length: 0\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\n"
    );
    gateway.fill(&raw, "")
}

/// `asks` and its secret.
const CLIENT: &str = "YXNrczowMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZg==";

/// Limits and a queue that are easily reached, and one upstream that is not there.
fn routes(upstream: &Upstream) -> String {
    format!(
        r#"
        [server]
        header_timeout = "300ms"
        max_body = "1KiB"
        [passwords]
        bcrypt_cost = 10
        concurrency = 1
        queue = 1
        [throttle]
        first_delay = "1m"
        [[clients]]
        id = "asks"
        secret = "0123456789abcdef0123456789abcdef"
        allow = "introspect"
        [[limits]]
        name = "never"
        rate = "1/d"
        [upstreams.app]
        servers = ["{}"]
        response_timeout = "300ms"
        [upstreams.down]
        servers = ["http://{}"]
        [upstreams.full]
        servers = ["{}"]
        max_requests = 1
        queue = 0
        [[routes]]
        path = "/full"
        upstream = "full"
        auth = "none"
        [[routes]]
        path = "/c"
        upstream = "app"
        [[routes]]
        path = "/corp"
        upstream = "app"
        issuers = ["corp"]
        [[routes]]
        path = "/open"
        upstream = "app"
        auth = "none"
        methods = ["GET", "POST"]
        [[routes]]
        path = "/admin"
        upstream = "app"
        roles = ["admin"]
        [[routes]]
        path = "/once"
        upstream = "app"
        auth = "none"
        limits = "never"
        [[routes]]
        path = "/few"
        upstream = "app"
        auth = "none"
        max_requests = 1
        [[routes]]
        path = "/down"
        upstream = "down"
        auth = "none"
        [[routes]]
        path = "/machines"
        upstream = "app"
        auth = "none"
        client_certificate = true
        [[routes]]
        path = "/closed"
        upstream = "app"
        maintenance.on = true
        [[issuers]]
        name = "corp"
        issuer = "corp"
        audiences = ["api"]
        jwks_url = "http://{}/keys"
        "#,
        upstream.url(),
        free_address(),
        upstream.url(),
        free_address(),
    )
}

/// A guarded route, with a token.
const GUARDED: &str = "GET /c HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer TOKEN\r\n\r\n";

/// Requests that need nothing but to be sent. The session of `ended` has been logged out.
fn plain_requests(gateway: &TestGateway, user: &Account, ended: &Account) -> Vec<(&'static str, String)> {
    let get = |path: &str, headers: &str| {
        let raw = format!("GET {path} HTTP/1.1\r\nHost: HOST\r\n{headers}\r\n");
        gateway.fill(&raw, &user.token)
    };
    let bearer = "Authorization: Bearer TOKEN\r\n";
    vec![
        ("bad_request", "GET /c HTTP/1.1\r\nHost : x\r\n\r\n".to_owned()),
        ("ambiguous_path", get("/open/../c", "")),
        ("token_missing", get("/c", "")),
        ("token_invalid", get("/c", "Authorization: Bearer x.y.z\r\n")),
        (
            "issuer_unavailable",
            // {"alg":"RS256"} and {"iss":"corp"}
            get(
                "/corp",
                "Authorization: Bearer eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJjb3JwIn0.AAAA\r\n",
            ),
        ),
        (
            "token_revoked",
            get("/c", &format!("Authorization: {}\r\n", ended.bearer())),
        ),
        ("forbidden", get("/admin", bearer)),
        ("client_certificate_required", get("/machines", "")),
        ("not_found", get("/nowhere", "")),
        ("maintenance", get("/closed", "")),
        ("method_not_allowed", get("/open", "").replacen("GET", "PUT", 1)),
        (
            "upgrade_refused",
            get("/open", "Connection: Upgrade\r\nUpgrade: websocket\r\n"),
        ),
        // Somebody was first.
        ("rate_limited", get("/once", "")),
        ("target_too_long", get(&format!("/open/{}", "a".repeat(9000)), "")),
        ("headers_too_large", get("/open", &"X: y\r\n".repeat(200))),
        ("request_timeout", "GET /open HTTP/1.1\r\n".to_owned()),
        ("body_too_large", post(gateway, "/open", &json!("x".repeat(2000)))),
        ("upstream_unreachable", get("/down", "")),
        ("upstream_invalid", get("/c/garbage", bearer)),
        ("upstream_timeout", get("/c/silence", bearer)),
        ("malformed", post(gateway, "/auth/login", &json!("no object"))),
        ("invalid_fields", post(gateway, "/auth/signup", &json!({"email": "x"}))),
        (
            "unsupported_media_type",
            post(gateway, "/auth/login", &json!({})).replace("application/json", "text/plain"),
        ),
        ("invalid_client", ask(gateway, "/auth/introspect", "eDp5")),
        ("invalid_request", ask(gateway, "/auth/introspect", CLIENT)),
        ("unauthorized_client", ask(gateway, "/auth/revoke", CLIENT)),
        (
            "email_taken",
            post(
                gateway,
                "/auth/signup",
                &json!({"email": user.email, "password": PASSWORD, "name": "Again"}),
            ),
        ),
        (
            "invalid_credentials",
            post(gateway, "/auth/login", &json!({"email": user.email, "password": "x"})),
        ),
        (
            "invalid_refresh_token",
            post(gateway, "/auth/refresh", &json!({"refresh_token": "x"})),
        ),
    ]
}

#[tokio::test]
async fn every_code_is_the_answer_to_some_request() {
    let upstream = Upstream::start(|seen| match seen.target.as_str() {
        "/c/garbage" => Reply::Last(b"no HTTP at all\r\n\r\n".to_vec()),
        "/c/silence" | "/full/silence" | "/few/silence" => Reply::Stall(Vec::new()),
        _ => Reply::ok("own"),
    })
    .await;
    let authority = Authority::new("problems");
    let certificates = authority.certificate("server", &["localhost"]);
    let tls = format!(
        "[tls]\nlisten = '127.0.0.1:0'\nclient_auth = 'optional'\nclient_ca_file = '{}'\n{certificates}",
        authority.ca_file().display()
    );
    let routes = format!("{}{tls}", routes(&upstream));
    let server = Arc::new(Server::start().await);
    let database = Database::create_in(&server).await;
    let impatient = "[store]\nconnect_timeout = \"500ms\"\nquery_timeout = \"500ms\"\n\
        [revocation]\npoll_interval = \"100ms\"\nmax_staleness = \"1s\"\n";
    let gateway = TestGateway::start_with(&format!("{impatient}{routes}"), Some(database)).await;
    let user = Account::sign_up(&gateway).await;
    let ended = user.log_in(&gateway).await;
    gateway.log_out(&ended.token).await;
    assert_eq!(gateway.get("/once", None).await.0, 200);
    let mut collected = Collected::default();
    let mut first = Conversation::open(gateway.address).await;
    first
        .send(gateway.fill("GET /few/silence HTTP/1.1\r\nHost: HOST\r\n\r\n", ""))
        .await;
    eventually(DEADLINE, "the upstream has it", || async {
        upstream
            .seen()
            .iter()
            .any(|seen| seen.target == "/few/silence")
            .then_some(())
    })
    .await;
    let second = gateway.fill("GET /few HTTP/1.1\r\nHost: HOST\r\n\r\n", "");
    collected.expect(&gateway, "overloaded", second).await;
    for (code, request) in plain_requests(&gateway, &user, &ended) {
        collected.expect(&gateway, code, request).await;
    }

    // The upstream has one request, and may have no more.
    let mut silent = Conversation::open(gateway.address).await;
    silent
        .send(gateway.fill("GET /full/silence HTTP/1.1\r\nHost: HOST\r\n\r\n", ""))
        .await;
    eventually(DEADLINE, "the upstream has the request", || async {
        (!upstream.seen_with("/full/silence").is_empty()).then_some(())
    })
    .await;
    let request = gateway.fill("GET /full HTTP/1.1\r\nHost: HOST\r\n\r\n", "");
    collected.expect(&gateway, "upstream_unavailable", request).await;
    drop(silent);

    // One hash runs, one waits: the others are turned away at once, and told when to come back.
    let login = json!({"email": user.email, "password": "x"});
    let attempts = (0..10).map(|_| gateway.http.post(gateway.url("/auth/login")).json(&login).send());
    let busy = futures_util::future::join_all(attempts)
        .await
        .into_iter()
        .map(|answer| answer.unwrap())
        .find(|answer| answer.status() == 503)
        .expect("ten logins at once are more than two");
    assert_eq!(busy.headers()["x-doorward-error"], "busy");
    assert!(busy.headers().contains_key("retry-after"));

    let login = json!({"email": "nobody@example.com", "password": "x"});
    for _ in 0..5 {
        assert_eq!(gateway.post("/auth/login", &login).await.0, 401);
    }
    let request = post(&gateway, "/auth/login", &login);
    collected.expect(&gateway, "too_many_attempts", request).await;

    // The database is gone: nobody logs in at once, and nobody is let in after a while.
    server.freeze();
    let request = post(&gateway, "/auth/refresh", &json!({"refresh_token": user.refresh_token}));
    collected.expect(&gateway, "store_unavailable", request).await;
    let guarded = gateway.fill(GUARDED, &user.token);
    eventually(DEADLINE, "guarded routes close", || async {
        let mut conversation = Conversation::open(gateway.address).await;
        conversation.send(&guarded).await;
        (conversation.answer().await.status == 503).then_some(())
    })
    .await;
    collected.expect(&gateway, "revocations_unavailable", &guarded).await;
    server.thaw();

    let closed = TestGateway::start(&format!("[auth]\nsignup = \"closed\"\n{routes}")).await;
    let request = post(
        &closed,
        "/auth/signup",
        &json!({"email": "a@example.com", "password": PASSWORD, "name": "A"}),
    );
    collected.expect(&closed, "signup_closed", request).await;

    let early = TestGateway::start(&routes).await;
    let user = Account::sign_up(&early).await;
    early.shift.advance(Duration::from_secs(3600));
    collected
        .expect(&early, "token_expired", early.fill(GUARDED, &user.token))
        .await;

    collected.check();
}

/// An answer to HEAD has no content, whatever it is (RFC 9110, section 9.3.2).
#[tokio::test]
async fn a_head_request_that_is_refused_gets_no_body() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&usual_routes(&upstream)).await;
    for request in [
        "HEAD /a#b HTTP/1.1\r\nHost: HOST\r\n\r\n",
        "HEAD /auth/nosuch HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n",
        "HEAD / HTTP/1.1\nHost: HOST\r\n\r\n",
    ] {
        let mut conversation = Conversation::open(gateway.address).await;
        conversation
            .send(request.replace("HOST", &gateway.address.to_string()))
            .await;
        let answer = conversation.answer_to_head().await;
        assert!(matches!(answer.status, 400 | 404), "{request:?}: {answer:?}");
        let ended = conversation.until_end().await;
        assert!(
            ended.answers.is_empty() && ended.rest.is_empty(),
            "{request:?}: {ended:?}"
        );
    }
}
