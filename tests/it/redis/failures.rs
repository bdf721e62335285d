//! A Redis that does not answer.

use super::{answer, gateway, is_refused, let_in, refused, toml};
use crate::support::redis::Redis;
use crate::support::{Account, DEADLINE, TestGateway, Upstream, eventually, when};

/// What a logout with this token is answered.
async fn log_out(gateway: &TestGateway, account: &Account) -> u16 {
    let request = gateway
        .http
        .post(gateway.url("/auth/logout"))
        .bearer_auth(&account.token);
    request.send().await.expect("an answer").status().as_u16()
}

async fn stale(gateway: &TestGateway, account: &Account) {
    eventually(DEADLINE, "what is known gets too old", || async {
        when(answer(gateway, account).await == (503, "revocations_unavailable".to_owned()))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_redis_is_frozen_nothing_hangs_and_nothing_is_promised() {
    let (upstream, redis) = (Upstream::echo().await, Redis::start_settled().await);
    let here = TestGateway::start(&toml(&upstream, &redis, "max_staleness = \"3s\"\n")).await;
    let there = here.replica().await;
    let (gone, later) = (Account::sign_up(&here).await, Account::sign_up(&here).await);
    here.log_out(&gone.token).await;

    redis.freeze();
    assert_eq!(log_out(&here, &later).await, 503, "no 204 that Redis has not taken");
    stale(&here, &later).await;
    stale(&there, &later).await;
    assert!(is_refused(&here, &gone).await, "what is known to be revoked stays so");
    assert_eq!(here.get("/public", None).await.0, 200, "a public route asks nobody");
    let ready = here.http.get(here.admin_url("/readyz")).send().await.unwrap();
    assert_eq!(ready.status(), 503);
    assert!(ready.text().await.unwrap().contains("Redis"));

    redis.thaw();
    for gateway in [&here, &there] {
        // The logout that was answered 503 has reached Redis all the same, or never does.
        eventually(DEADLINE, "a decision again", || async {
            when(matches!(answer(gateway, &later).await.0, 200 | 401))
        })
        .await;
        assert!(is_refused(gateway, &gone).await);
    }
    let fresh = Account::sign_up(&here).await;
    assert_eq!(log_out(&here, &fresh).await, 204);
    refused("pushed again", &there, &fresh).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_redis_is_down_logouts_fail_and_are_undone_and_it_recovers_by_itself() {
    let upstream = Upstream::echo().await;
    let mut redis = Redis::start_with(&["--save", "", "--appendonly", "yes", "--appendfsync", "always"]).await;
    let here = gateway(&upstream, &redis).await;
    let there = here.replica().await;
    let account = Account::sign_up(&here).await;
    redis.kill();
    assert_eq!(log_out(&here, &account).await, 503);
    assert_eq!(answer(&here, &account).await.0, 200, "known for max_staleness");
    let body = serde_json::json!({"refresh_token": account.refresh_token});
    let (status, refreshed) = here.post("/auth/refresh", &body).await;
    assert_eq!(status, 200, "the session did not end: {refreshed}");
    let account = Account::from_tokens(&refreshed);
    redis.start_again().await;
    let_in("once Redis is back", &here, &account).await;
    eventually(DEADLINE, "a logout is taken again", || async {
        when(log_out(&here, &account).await == 204)
    })
    .await;
    refused("there too", &there, &account).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_revoked_while_a_gateway_was_cut_off_is_replayed() {
    let (upstream, redis) = (Upstream::echo().await, Redis::start_settled().await);
    let here = gateway(&upstream, &redis).await;
    let there = here.replica().await;
    let mut gone = Vec::new();
    for _ in 0..20 {
        let account = Account::sign_up(&here).await;
        let _: u32 = redis.run("CLIENT KILL TYPE normal SKIPME yes").await;
        assert_eq!(log_out(&here, &account).await, 204, "over a new connection");
        gone.push(account);
    }
    for account in &gone {
        refused("replayed", &there, account).await;
    }
}
