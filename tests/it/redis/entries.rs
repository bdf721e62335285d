//! What one revocation is in Redis.

use std::time::Duration;

use doorward::id::{KeyDigest, SessionId, TokenId};
use doorward::store::{Revocation, Revoked, Store};
use doorward::time::{Clock, Timestamp};

use super::{answer, gateway, has_keys, keys, refused};
use crate::support::redis::Redis;
use crate::support::{Account, DEADLINE, TestGateway, Upstream, eventually, when};

const MINUTE: Duration = Duration::from_mins(1);

async fn block(store: &Store, target: Revoked, expires_at: Timestamp) {
    let revocation = Revocation { target, expires_at };
    store.block(&[revocation], Clock::system().now()).await.unwrap();
}

/// A store whose revocations are in this Redis, and the gateway that it belongs to.
async fn store(upstream: &Upstream, redis: &Redis) -> (TestGateway, Store) {
    let gateway = gateway(upstream, redis).await;
    let store = gateway.store().await;
    (gateway, store)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_forgets_a_revocation_by_itself_a_minute_after_its_expiry() {
    let (upstream, redis) = (Upstream::echo().await, Redis::start_settled().await);
    let (_gateway, store) = store(&upstream, &redis).await;
    let now = Clock::system().now();
    block(&store, Revoked::Token(TokenId::generate(now)), now + 5 * MINUTE).await;
    let [key] = keys(&redis).await.try_into().expect("one revocation");
    let left: i64 = redis.run(&format!("PTTL {key}")).await;
    assert!(left > 5 * 60_000 && left <= 6 * 60_000, "{left} ms");

    let expired = now - MINUTE + Duration::from_millis(300);
    block(&store, Revoked::Token(TokenId::generate(now)), expired).await;
    has_keys("only what is needed stays", &redis, 1).await;
    assert_eq!(keys(&redis).await, [key]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_later_never_weakens_what_is_there() {
    let (upstream, redis) = (Upstream::echo().await, Redis::start_settled().await);
    let (_gateway, store) = store(&upstream, &redis).await;
    let now = Clock::system().now();
    let id = SessionId::generate(now);
    let written = async |up_to: u32, minutes: u32| {
        block(&store, Revoked::Session { id, up_to }, now + minutes * MINUTE).await;
        let [key] = keys(&redis).await.try_into().expect("one revocation");
        let value: String = redis.run(&format!("GET {key}")).await;
        let left: i64 = redis.run(&format!("PTTL {key}")).await;
        let told: u64 = redis.run("XLEN {doorward}:stream").await;
        (value, left, told)
    };
    let value = |up_to: u32, minutes: u32| format!("{up_to} {}", (now + minutes * MINUTE).unix_ms());
    let (first, _, told) = written(3, 10).await;
    assert_eq!(first, value(3, 10));
    assert_eq!(written(2, 9).await.0, value(3, 10));
    assert_eq!(written(2, 9).await.2, told, "nothing new is not told again");
    assert_eq!(written(u32::MAX, 9).await.0, value(u32::MAX, 10));
    let (longer, left, _) = written(1, 20).await;
    assert_eq!(longer, value(u32::MAX, 20));
    assert!(left > 20 * 60_000, "{left} ms");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_signing_key_refuses_its_tokens_everywhere() {
    use base64::Engine;
    let (upstream, redis) = (Upstream::echo().await, Redis::start_settled().await);
    let (gateway, store) = store(&upstream, &redis).await;
    let replica = gateway.replica().await;
    let account = Account::sign_up(&gateway).await;
    let head = account.token.split('.').next().unwrap();
    let head = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(head).unwrap();
    let head: serde_json::Value = serde_json::from_slice(&head).unwrap();
    let kid: doorward::id::KeyId = head["kid"].as_str().unwrap().parse().unwrap();
    let now = Clock::system().now();
    let other = Revoked::Key(KeyDigest::from_bytes([7; 16]));
    block(&store, other, now + 20 * MINUTE).await;
    assert_eq!(answer(&replica, &account).await.0, 200);
    block(&store, Revoked::Key(kid.digest()), now + 20 * MINUTE).await;
    refused("where it was signed", &gateway, &account).await;
    refused("elsewhere", &replica, &account).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_at_once_are_written_and_read_at_the_next_start() {
    let (upstream, redis) = (Upstream::echo().await, Redis::start_settled().await);
    let (gateway, store) = store(&upstream, &redis).await;
    let now = Clock::system().now();
    let many: Vec<Revocation> = (0..12_345)
        .map(|_| Revocation {
            target: Revoked::Token(TokenId::generate(now)),
            expires_at: now + 20 * MINUTE,
        })
        .collect();
    store.block(&many, now).await.unwrap();
    let replica = gateway.replica().await;
    eventually(DEADLINE, "all of them are known", || async {
        let metrics = replica.http.get(replica.admin_url("/metrics")).send().await.unwrap();
        when(metrics.text().await.unwrap().contains("doorward_revocations 12345\n"))
    })
    .await;
}
