//! Caps on what is under way at once: what is beyond is turned away at once, and what must go on goes on.

use std::time::Duration;

use futures_util::future::join_all;

use crate::support::{Account, Answer, Conversation, DEADLINE, Reply, TestGateway, Upstream, eventually, when};

/// A gateway before an upstream that answers `/slow` only after the test is over.
async fn gateway(server: &str, route: &str) -> (Upstream, TestGateway) {
    let upstream = Upstream::start(|seen| match seen.target.as_str() {
        target if target.ends_with("/slow") => Reply::Late(Duration::from_secs(600), Vec::new()),
        _ => Reply::ok("own"),
    })
    .await;
    let toml = format!(
        "{server}\n[upstreams.app]\nservers = [\"{}\"]\n\
         [[routes]]\npath = \"/a\"\nupstream = \"app\"\nauth = \"optional\"\n{route}\n\
         [[routes]]\npath = \"/b\"\nupstream = \"app\"\nauth = \"none\"\n",
        upstream.url()
    );
    (upstream, TestGateway::start(&toml).await)
}

/// Begins so many requests that will not be answered, and waits until they are all with the upstream.
async fn occupy(
    gateway: &TestGateway,
    upstream: &Upstream,
    path: &str,
    user: Option<&Account>,
    count: usize,
) -> Vec<Conversation> {
    let before = upstream.seen().len();
    let mut held = Vec::new();
    for _ in 0..count {
        let mut conversation = Conversation::open(gateway.address).await;
        conversation.send(request(path, user)).await;
        held.push(conversation);
    }
    eventually(DEADLINE, "the upstream is busy", || async {
        when(upstream.seen().len() == before + count)
    })
    .await;
    held
}

fn request(path: &str, user: Option<&Account>) -> String {
    let bearer = user.map_or(String::new(), |user| format!("Authorization: {}\r\n", user.bearer()));
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n{bearer}\r\n")
}

async fn ask(gateway: &TestGateway, path: &str, user: Option<&Account>) -> Answer {
    let mut conversation = Conversation::open(gateway.address).await;
    conversation.send(request(path, user)).await;
    conversation.answer().await
}

#[tokio::test]
async fn while_the_proxy_is_full_logins_logouts_and_health_go_on() {
    let (upstream, gateway) = gateway("[server]\nmax_requests = 3", "").await;
    let user = Account::sign_up(&gateway).await;
    let held = occupy(&gateway, &upstream, "/b/slow", None, 3).await;
    for path in ["/a", "/b"] {
        let refused = ask(&gateway, path, None).await;
        assert_eq!(refused.problem(), "overloaded");
        assert_eq!(refused.header("retry-after"), Some("1"));
    }
    let again = user.log_in(&gateway).await;
    gateway.log_out(&again.token).await;
    let ready = gateway.http.get(gateway.admin_url("/readyz")).send().await.unwrap();
    assert_eq!(ready.status(), 200);
    let metrics = gateway.http.get(gateway.admin_url("/metrics")).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    assert!(
        metrics.contains("doorward_problems_total{code=\"overloaded\"} 2"),
        "{metrics}"
    );

    drop(held);
    eventually(DEADLINE, "there is room again", || async {
        when(ask(&gateway, "/b", None).await.status == 200)
    })
    .await;
}

#[tokio::test]
async fn a_route_that_is_full_leaves_the_others_alone() {
    let (upstream, gateway) = gateway("", "max_requests = 2").await;
    let held = occupy(&gateway, &upstream, "/a/slow", None, 2).await;
    assert_eq!(ask(&gateway, "/a", None).await.problem(), "overloaded");
    assert_eq!(ask(&gateway, "/b", None).await.status, 200);
    drop(held);
    eventually(DEADLINE, "there is room again", || async {
        when(ask(&gateway, "/a", None).await.status == 200)
    })
    .await;
}

#[tokio::test]
async fn one_user_can_not_take_all_of_a_route() {
    let (upstream, gateway) = gateway("", "max_requests_per_user = 2").await;
    let (ann, bob) = (Account::sign_up(&gateway).await, Account::sign_up(&gateway).await);
    let held = occupy(&gateway, &upstream, "/a/slow", Some(&ann), 2).await;
    let refused = ask(&gateway, "/a", Some(&ann)).await;
    assert_eq!((refused.status, refused.problem()), (429, "rate_limited".to_owned()));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(ask(&gateway, "/a", Some(&bob)).await.status, 200);
    assert_eq!(ask(&gateway, "/a", None).await.status, 200, "an address is not a user");
    drop(held);
    eventually(DEADLINE, "there is room again", || async {
        when(ask(&gateway, "/a", Some(&ann)).await.status == 200)
    })
    .await;
}

#[tokio::test]
async fn our_own_endpoints_have_a_cap_of_their_own() {
    let (_upstream, gateway) = gateway(
        "[auth]\nmax_requests = 1\n[server]\nmax_requests = 1\n[passwords]\nbcrypt_cost = 10",
        "",
    )
    .await;
    let login = serde_json::json!({"email": "nobody@example.com", "password": "x"});
    // Each takes as long as a hash.
    let attempts = (0..10).map(|_| gateway.http.post(gateway.url("/auth/login")).json(&login).send());
    let statuses: Vec<u16> = join_all(attempts)
        .await
        .into_iter()
        .map(|answer| answer.unwrap().status().as_u16())
        .collect();
    assert!(statuses.contains(&401) && statuses.contains(&503), "{statuses:?}");
    assert_eq!(ask(&gateway, "/b", None).await.status, 200);
    assert_eq!(gateway.post("/auth/login", &login).await.0, 401, "there is room again");
}

#[tokio::test]
async fn one_address_can_not_take_all_connections() {
    let (_upstream, gateway) = gateway("[server]\nmax_connections_per_ip = 2", "").await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut conversation = Conversation::open(gateway.address).await;
        conversation.send(request("/b", None)).await;
        assert_eq!(conversation.answer().await.status, 200);
        held.push(conversation);
    }
    let ended = Conversation::open(gateway.address).await.until_end().await;
    assert!(ended.answers.is_empty() && ended.rest.is_empty(), "{ended:?}");
    let mut other = crate::support::tools::program("curl");
    other
        .args(["-sS", "--fail", "--interface", "127.0.0.9"])
        .arg(gateway.url("/b"));
    crate::support::tools::stdout_of(other).await;
    drop(held);
    eventually(DEADLINE, "there is room again", || async {
        let answer = gateway.http.get(gateway.url("/b")).send().await;
        when(answer.is_ok_and(|answer| answer.status() == 200))
    })
    .await;
}

#[tokio::test]
async fn a_trusted_proxy_has_as_many_connections_as_it_needs() {
    let server = "[server]\nmax_connections_per_ip = 1\ntrusted_proxies = \"127.0.0.1\"\nproxy_protocol = \"optional\"";
    let (_upstream, gateway) = gateway(server, "").await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut conversation = Conversation::open(gateway.address).await;
        conversation.send(request("/b", None)).await;
        assert_eq!(conversation.answer().await.status, 200);
        held.push(conversation);
    }
    // But the client that it names is counted.
    let named = format!("PROXY TCP4 192.0.2.7 127.0.0.1 1 2\r\n{}", request("/b", None));
    let mut first = Conversation::open(gateway.address).await;
    first.send(&named).await;
    assert_eq!(first.answer().await.status, 200);
    let mut second = Conversation::open(gateway.address).await;
    second.send(&named).await;
    assert!(second.until_end().await.answers.is_empty());
}
