//! The private listener: health, readiness with reasons, metrics without anything that a client chose.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::support::mariadb::{Database, Server};
use crate::support::process::Process;
use crate::support::{Account, DEADLINE, TestGateway, Upstream, eventually, metric, usual_routes, when};

async fn admin(gateway: &TestGateway, path: &str) -> (u16, String) {
    let response = gateway.http.get(gateway.admin_url(path)).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test]
async fn a_healthy_gateway_says_so() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&usual_routes(&upstream)).await;
    let (status, body) = admin(&gateway, "/healthz").await;
    assert_eq!((status, body.as_str()), (200, "{\"status\":\"ok\"}"));
    let (status, body) = admin(&gateway, "/readyz").await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["ready"]), (200, &Value::Bool(true)), "{body}");
    assert_eq!(admin(&gateway, "/nosuch").await.0, 404);
    let post = gateway.http.post(gateway.admin_url("/healthz")).send().await.unwrap();
    assert_eq!(post.status(), 405);
    assert_eq!(post.headers()["allow"], "GET, HEAD");
}

#[tokio::test]
async fn the_private_paths_are_not_on_the_public_listener() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&usual_routes(&upstream)).await;
    for path in ["/metrics", "/healthz", "/readyz"] {
        assert_eq!(gateway.get(path, None).await.0, 404, "{path}");
    }
    assert_eq!(admin(&gateway, "/auth/ping").await.0, 404);
    assert_eq!(admin(&gateway, "/c/x").await.0, 404);
}

#[tokio::test]
async fn metrics_count_by_route_template_and_hold_nothing_that_a_client_chose() {
    let upstream = Upstream::echo().await;
    let routes = format!(
        "{}\n[[routes]]\npath = \"/things/{{id}}/parts\"\nupstream = \"app\"\n",
        usual_routes(&upstream)
    );
    let gateway = TestGateway::start(&routes).await;
    let user = Account::sign_up(&gateway).await;
    for i in 0..3 {
        let path = format!("/things/marker{i}/parts/marker?q=marker");
        assert_eq!(gateway.get(&path, Some(&user.token)).await.0, 200);
    }
    gateway.get("/c/x", None).await;
    gateway.get("/nosuch-marker", None).await;
    let odd = gateway
        .http
        .request("MARKER".parse().unwrap(), gateway.url("/c/x"))
        .send()
        .await
        .unwrap();
    assert_eq!(odd.status(), 401);
    let login = serde_json::json!({"email": user.email, "password": "marker-of-another"});
    assert_eq!(gateway.post("/auth/login", &login).await.0, 401);

    let line = eventually(DEADLINE, "the requests are counted", || async {
        let (status, text) = admin(&gateway, "/metrics").await;
        assert_eq!(status, 200);
        assert!(!text.to_lowercase().contains("marker"), "{text}");
        assert!(text.trim_end().ends_with("# EOF"), "{text}");
        let line = text.lines().find(|line| {
            line.starts_with("doorward_requests_total{") && line.contains("/things/{id}/parts") && line.contains("200")
        })?;
        when(line.ends_with(" 3")).map(|()| text.clone())
    })
    .await;
    for expected in [
        "token_missing",
        "not_found",
        "doorward_problems_total{code=\"invalid_credentials\"} 1",
        "doorward_request_duration_seconds_bucket",
        "doorward_connections",
    ] {
        assert!(line.contains(expected), "{expected} in {line}");
    }
    assert!(line.contains("method=\"other\""), "{line}");
    let response = gateway.http.get(gateway.admin_url("/metrics")).send().await.unwrap();
    assert!(
        response.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("application/openmetrics-text")
    );
}

#[tokio::test]
async fn tasks_are_counted_over_all_workers_and_gone_with_their_connections() {
    let upstream = Upstream::echo().await;
    let gateway = Process::serve(&format!("[server]\nworkers = 2\n{}", usual_routes(&upstream))).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let count = async |name: &str| metric(&http, gateway.admin, name).await.unwrap();
    let mut open = Vec::new();
    for _ in 0..20 {
        open.push(tokio::net::TcpStream::connect(gateway.address).await.unwrap());
    }
    eventually(DEADLINE, "all have been let in", || async {
        when(count("doorward_connections").await >= 20.0)
    })
    .await;
    let with_all = count("doorward_tasks").await;
    assert!(with_all > 20.0, "{with_all}");
    drop(open);
    eventually(DEADLINE, "their tasks have ended", || async {
        when(count("doorward_tasks").await <= with_all - 20.0)
    })
    .await;
}

#[tokio::test]
async fn without_an_admin_address_there_is_no_private_listener() {
    let dir = tempfile::tempdir().unwrap();
    let toml = crate::support::gateway::complete(
        "[admin]\nlisten = \"\"\n[upstreams.me]\nservers = [\"builtin:whoami\"]\n\
         [[routes]]\npath = \"/\"\nupstream = \"me\"\n",
        None,
    );
    let config = doorward::config::parse(&toml, dir.path()).unwrap();
    let running = doorward::server::start(config, doorward::time::Clock::system())
        .await
        .unwrap();
    assert_eq!(running.admin_address(), None);
    running.drain().await;
}

#[tokio::test]
async fn when_the_database_is_frozen_guarded_routes_close_open_ones_stay_and_readiness_says_why() {
    let server = Arc::new(Server::start().await);
    let upstream = Upstream::echo().await;
    let database = Database::create_in(&server).await;
    let routes = format!(
        "[store]\nconnect_timeout = \"500ms\"\nquery_timeout = \"500ms\"\n\
         [revocation]\npoll_interval = \"100ms\"\nmax_staleness = \"1s\"\n{}",
        usual_routes(&upstream)
    );
    let gateway = TestGateway::start_with(&routes, Some(database)).await;
    let user = Account::sign_up(&gateway).await;
    assert_eq!(gateway.get("/c/x", Some(&user.token)).await.0, 200);

    server.freeze();
    let reason = eventually(DEADLINE, "readiness says no", || async {
        let (status, body) = admin(&gateway, "/readyz").await;
        when(status == 503).map(|()| body)
    })
    .await;
    assert!(reason.contains("revocations"), "{reason}");
    assert_eq!(
        admin(&gateway, "/healthz").await.0,
        200,
        "the process is well: a restart would not help"
    );
    let (status, body) = gateway.get("/c/x", Some(&user.token)).await;
    assert_eq!(status, 503, "{body}");
    assert!(body.contains("revocations_unavailable"), "{body}");
    assert_eq!(gateway.get("/public/x", None).await.0, 200);
    let login = serde_json::json!({"email": user.email, "password": crate::support::account::PASSWORD});
    let (status, body) = gateway.post("/auth/login", &login).await;
    assert_eq!(
        (status, &body["code"]),
        (503, &Value::from("store_unavailable")),
        "{body}"
    );

    server.thaw();
    eventually(DEADLINE + Duration::from_secs(10), "all is well again", || async {
        when(admin(&gateway, "/readyz").await.0 == 200)
    })
    .await;
    assert_eq!(gateway.get("/c/x", Some(&user.token)).await.0, 200);
    assert_eq!(gateway.post("/auth/login", &login).await.0, 200);
}

#[tokio::test]
async fn an_operator_who_prefers_it_lets_tokens_pass_by_what_was_known_last() {
    let server = Arc::new(Server::start().await);
    let upstream = Upstream::echo().await;
    let database = Database::create_in(&server).await;
    let routes = format!(
        "[store]\nconnect_timeout = \"500ms\"\nquery_timeout = \"500ms\"\n\
         [revocation]\npoll_interval = \"100ms\"\nmax_staleness = \"1s\"\non_stale = \"allow\"\n{}",
        usual_routes(&upstream)
    );
    let gateway = TestGateway::start_with(&routes, Some(database)).await;
    let (user, gone) = (Account::sign_up(&gateway).await, Account::sign_up(&gateway).await);
    gateway.log_out(&gone.token).await;
    let age = async || {
        let (_, text) = admin(&gateway, "/metrics").await;
        let line = text
            .lines()
            .find(|line| line.starts_with("doorward_revocations_age_seconds "));
        let age = line.and_then(|line| line.split(' ').nth(1)?.parse::<f64>().ok());
        age.unwrap_or_else(|| panic!("no age in {text}"))
    };
    assert!(age().await < 1.0);

    server.freeze();
    eventually(DEADLINE, "what is known is too old", || async {
        when(age().await > 1.5)
    })
    .await;
    assert_eq!(gateway.get("/c/x", Some(&user.token)).await.0, 200);
    let (status, body) = gateway.get("/c/x", Some(&gone.token)).await;
    assert_eq!(status, 401, "{body}");
    assert_eq!(admin(&gateway, "/readyz").await.0, 200);

    server.thaw();
    eventually(DEADLINE, "it is known again", || async { when(age().await < 1.0) }).await;
    gateway.log_out(&user.token).await;
    assert_eq!(gateway.get("/c/x", Some(&user.token)).await.0, 401);
}
