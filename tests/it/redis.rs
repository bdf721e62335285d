//! Revocations in a real Redis: what the gateway promises with the database, it promises with Redis, and says where Redis
//! promises less.

mod entries;
mod failures;
mod losses;
mod refusals;

use std::time::Duration;

use serde_json::Value;

use crate::support::redis::Redis;
use crate::support::{Account, DEADLINE, TestGateway, Upstream, eventually, usual_routes, when};

/// The usual routes, revocations in this Redis, and `more` in their section.
fn toml(upstream: &Upstream, redis: &Redis, more: &str) -> String {
    format!(
        "{}\n[revocation]\nurl = \"{}\"\npoll_interval = \"100ms\"\n{more}",
        usual_routes(upstream),
        redis.url()
    )
}

/// A gateway whose revocations are in this Redis.
async fn gateway(upstream: &Upstream, redis: &Redis) -> TestGateway {
    TestGateway::start(&toml(upstream, redis, "")).await
}

/// Status and code of what the gateway answers to this token on a guarded route.
async fn answer(gateway: &TestGateway, account: &Account) -> (u16, String) {
    let (status, body) = gateway.get("/c", Some(&account.token)).await;
    let code = serde_json::from_str::<Value>(&body).unwrap_or_default()["code"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    (status, code)
}

async fn is_refused(gateway: &TestGateway, account: &Account) -> bool {
    answer(gateway, account).await == (401, "token_revoked".to_owned())
}

/// Waits until the token is refused as one that was revoked.
async fn refused(what: &str, gateway: &TestGateway, account: &Account) {
    eventually(DEADLINE, what, || async { when(is_refused(gateway, account).await) }).await;
}

/// Waits until a guarded route lets the token pass.
async fn let_in(what: &str, gateway: &TestGateway, account: &Account) {
    eventually(DEADLINE, what, || async {
        when(answer(gateway, account).await.0 == 200)
    })
    .await;
}

/// The keys of revocations that Redis has.
async fn keys(redis: &Redis) -> Vec<String> {
    redis.run("KEYS {doorward}:?:*").await
}

/// Waits until Redis has so many revocations.
async fn has_keys(what: &str, redis: &Redis, count: usize) {
    eventually(DEADLINE, what, || async { when(keys(redis).await.len() == count) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_on_one_gateway_refuses_on_all_and_after_a_restart() {
    let (upstream, redis) = (Upstream::echo().await, Redis::start_settled().await);
    let mut here = gateway(&upstream, &redis).await;
    let mut there = here.replica().await;
    let (gone, stays) = (Account::sign_up(&here).await, Account::sign_up(&here).await);
    assert_eq!(answer(&there, &gone).await.0, 200);

    here.log_out(&gone.token).await;
    assert!(is_refused(&here, &gone).await, "here at once");
    refused("there soon", &there, &gone).await;
    assert_eq!(answer(&there, &stays).await.0, 200);

    here.stop().await;
    there.restart().await;
    assert!(
        is_refused(&there, &gone).await,
        "also when nobody remembers it but Redis"
    );
    assert_eq!(answer(&there, &stays).await.0, 200);

    let [key] = keys(&redis).await.try_into().expect("one revocation");
    let left: i64 = redis.run(&format!("PTTL {key}")).await;
    let most = Duration::from_hours(25);
    assert!(left > 0 && left < i64::try_from(most.as_millis()).unwrap(), "{left} ms");
    assert_eq!(there.rows("blocked_tokens").await, 0, "Redis alone keeps them");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_roles_make_older_tokens_refresh_everywhere() {
    let (upstream, redis) = (Upstream::echo().await, Redis::start_settled().await);
    let here = gateway(&upstream, &redis).await;
    let there = here.replica().await;
    let account = Account::sign_up(&here).await;
    let store = here.store().await;
    let id = account.id.parse().unwrap();
    let now = doorward::time::Clock::system().now();
    let change = doorward::store::RolesChange {
        add: vec!["admin".parse().unwrap()],
        ..Default::default()
    };
    store
        .change_roles(id, &change, now + Duration::from_mins(15), now)
        .await
        .unwrap();
    for gateway in [&here, &there] {
        refused("a token that does not say the new role", gateway, &account).await;
    }
    let body = serde_json::json!({"refresh_token": account.refresh_token});
    let (status, answer) = here.post("/auth/refresh", &body).await;
    assert_eq!(status, 200, "the session lives: {answer}");
    let fresh = Account::from_tokens(&answer);
    let (status, _) = there.get("/admin", Some(&fresh.token)).await;
    assert_eq!(status, 200);
}
