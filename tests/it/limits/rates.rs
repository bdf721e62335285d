//! Rate limits: who counts as one client, what a refusal says, and that everybody else is served.

use crate::support::{Account, Answer, Conversation, TestGateway, Upstream};

/// Slow enough that no test lives to see one more request pass.
const LIMITS: &str = r#"
    [server]
    trusted_proxies = ["127.0.0.1"]
    [[limits]]
    name = "per-ip"
    rate = "10/h"
    burst = 3
    [[limits]]
    name = "per-user"
    rate = "10/h"
    burst = 2
    by = "user"
    [[limits]]
    name = "together"
    rate = "1/d"
    by = "all"
"#;

/// A route for each way to count, and one that counts nothing.
async fn gateway(more: &str) -> (Upstream, TestGateway) {
    let upstream = Upstream::echo().await;
    let mut toml = format!(
        "{more}\n{LIMITS}\n[upstreams.app]\nservers = [\"{}\"]\n",
        upstream.url()
    );
    for (path, rest) in [
        ("/ip", "auth = \"none\"\nlimits = \"per-ip\""),
        ("/user", "limits = \"per-user\""),
        ("/maybe", "auth = \"optional\"\nlimits = [\"per-user\"]"),
        ("/both", "limits = [\"per-user\", \"per-ip\"]"),
        ("/once", "auth = \"none\"\nlimits = [\"together\"]"),
        ("/free", "auth = \"none\""),
    ] {
        toml += &["[[routes]]\npath = \"", path, "\"\nupstream = \"app\"\n", rest, "\n"].concat();
    }
    (upstream, TestGateway::start(&toml).await)
}

/// Asks from this address, with a token or without.
async fn ask(gateway: &TestGateway, path: &str, from: &str, user: Option<&Account>) -> Answer {
    let bearer = user.map_or(String::new(), |user| format!("Authorization: {}\r\n", user.bearer()));
    let mut conversation = Conversation::open(gateway.address).await;
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {from}\r\n{bearer}\r\n");
    conversation.send(request).await;
    conversation.answer().await
}

async fn statuses(gateway: &TestGateway, path: &str, from: &str, user: Option<&Account>, times: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..times {
        statuses.push(ask(gateway, path, from, user).await.status);
    }
    statuses
}

#[tokio::test]
async fn a_client_that_has_used_up_a_limit_is_told_when_to_come_back() {
    let (upstream, gateway) = gateway("").await;
    let first = ask(&gateway, "/ip", "192.0.2.1", None).await;
    assert_eq!(first.status, 200);
    assert_eq!(first.header("ratelimit-policy"), Some("\"per-ip\";q=3;w=1080"));
    assert_eq!(first.header("ratelimit"), Some("\"per-ip\";r=2;t=360"));
    assert_eq!(statuses(&gateway, "/ip", "192.0.2.1", None, 3).await, [200, 200, 429]);
    let seen = upstream.seen().len();

    let refused = ask(&gateway, "/ip", "192.0.2.1", None).await;
    assert_eq!(refused.problem(), "rate_limited");
    let wait: u32 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((300..=360).contains(&wait), "{wait}");
    assert_eq!(refused.header("ratelimit-policy"), Some("\"per-ip\";q=3;w=1080"));
    let standing = refused.header("ratelimit").unwrap();
    assert!(standing.starts_with("\"per-ip\";r=0;t="), "{standing}");
    assert_eq!(upstream.seen().len(), seen, "nothing goes on");

    assert_eq!(
        ask(&gateway, "/ip", "192.0.2.2", None).await.status,
        200,
        "another client"
    );
    assert_eq!(
        ask(&gateway, "/free", "192.0.2.1", None).await.status,
        200,
        "another route"
    );
    assert_eq!(
        ask(&gateway, "/free", "192.0.2.1", None).await.header("ratelimit"),
        None
    );
}

#[tokio::test]
async fn a_user_is_counted_wherever_they_come_from_and_a_network_of_ipv6_as_one() {
    let (_upstream, gateway) = gateway("").await;
    let (ann, bob) = (Account::sign_up(&gateway).await, Account::sign_up(&gateway).await);
    assert_eq!(
        statuses(&gateway, "/user", "192.0.2.1", Some(&ann), 2).await,
        [200, 200]
    );
    assert_eq!(ask(&gateway, "/user", "192.0.2.9", Some(&ann)).await.status, 429);
    assert_eq!(ask(&gateway, "/user", "192.0.2.9", Some(&bob)).await.status, 200);
    assert_eq!(
        ask(&gateway, "/user", "192.0.2.9", None).await.status,
        401,
        "who is nobody uses nothing up"
    );
    // Who does not say who they are is counted by the address.
    assert_eq!(ask(&gateway, "/maybe", "2001:db8::1", None).await.status, 200);
    assert_eq!(ask(&gateway, "/maybe", "2001:db8::2", None).await.status, 200);
    assert_eq!(ask(&gateway, "/maybe", "2001:db8:0:0:1::3", None).await.status, 429);
    assert_eq!(ask(&gateway, "/maybe", "2001:db8:0:1::3", None).await.status, 200);
}

#[tokio::test]
async fn what_is_counted_by_address_is_counted_before_the_token_is_looked_at() {
    let (_upstream, gateway) = gateway("").await;
    let user = Account::sign_up(&gateway).await;
    let answers = statuses(&gateway, "/both", "192.0.2.1", None, 4).await;
    assert_eq!(answers, [401, 401, 401, 429], "guesses count");
    let other = ask(&gateway, "/both", "192.0.2.2", Some(&user)).await;
    assert_eq!(
        other.header("ratelimit"),
        Some("\"per-ip\";r=2;t=360, \"per-user\";r=1;t=360")
    );
}

#[tokio::test]
async fn a_limit_for_all_together_is_one() {
    let (_upstream, gateway) = gateway("[limiter]\nheaders = false").await;
    let first = ask(&gateway, "/once", "192.0.2.1", None).await;
    assert_eq!(
        (first.status, first.header("ratelimit")),
        (200, None),
        "told only when refused"
    );
    let second = ask(&gateway, "/once", "192.0.2.2", None).await;
    assert_eq!(second.status, 429);
    assert_eq!(second.header("ratelimit-policy"), Some("\"together\";q=1;w=86400"));
}

#[tokio::test]
async fn our_own_endpoints_can_have_limits_too() {
    let (_upstream, gateway) = gateway("[auth]\nlimits = [\"per-ip\"]").await;
    let answers = statuses(&gateway, "/auth/ping", "192.0.2.1", None, 3).await;
    assert_eq!(answers, [200, 200, 200]);
    let refused = ask(&gateway, "/auth/nothing/here", "192.0.2.1", None).await;
    assert_eq!(refused.problem(), "rate_limited");
    assert!(refused.header("retry-after").is_some());
    assert_eq!(
        ask(&gateway, "/ip", "192.0.2.1", None).await.status,
        429,
        "the same limit, wherever it is named"
    );
    assert_eq!(ask(&gateway, "/auth/ping", "192.0.2.2", None).await.status, 200);
    let told = ask(&gateway, "/auth/ping", "192.0.2.2", None).await;
    assert!(
        told.header("ratelimit").unwrap().starts_with("\"per-ip\";r=1;t="),
        "{told:?}"
    );
}
