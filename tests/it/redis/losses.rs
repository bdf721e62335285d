//! A Redis that loses what it was told.

use std::time::Duration;

use super::{answer, gateway, has_keys, is_refused, keys, let_in, refused, toml};
use crate::support::process::Process;
use crate::support::redis::Redis;
use crate::support::{Account, DEADLINE, TestGateway, Upstream, eventually, when};

/// The value of a counter of this gateway.
async fn metric(gateway: &TestGateway, name: &str) -> u64 {
    let text = gateway.http.get(gateway.admin_url("/metrics")).send().await.unwrap();
    let text = text.text().await.unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
    line.unwrap_or_else(|| panic!("{name} in {text}")).parse().unwrap()
}

/// Waits until the gateway knows so many revocations.
async fn knows(http: &reqwest::Client, gateway: &Process, count: u64) {
    let metrics = format!("http://{}/metrics", gateway.admin);
    let line = format!("doorward_revocations {count}\n");
    eventually(DEADLINE, &line, || async {
        let answer = http.get(&metrics).send().await.unwrap();
        when(answer.text().await.unwrap().contains(&line))
    })
    .await;
}

async fn is_ready(gateway: &TestGateway) -> (bool, String) {
    let answer = gateway.http.get(gateway.admin_url("/readyz")).send().await.unwrap();
    (answer.status() == 200, answer.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_flushed_redis_forgot_is_written_back_and_a_gateway_that_starts_then_refuses_it() {
    let (upstream, redis) = (Upstream::echo().await, Redis::start_settled().await);
    let here = gateway(&upstream, &redis).await;
    let there = here.replica().await;
    let (gone, stays) = (Account::sign_up(&here).await, Account::sign_up(&here).await);
    here.log_out(&gone.token).await;
    refused("there soon", &there, &gone).await;

    let _: String = redis.run("FLUSHALL").await;
    let third = here.replica().await;
    assert!(
        is_refused(&third, &gone).await,
        "by a gateway that started after the loss"
    );
    assert_eq!(answer(&third, &stays).await.0, 200);
    assert_eq!(keys(&redis).await.len(), 1);
    for gateway in [&here, &there] {
        assert!(is_refused(gateway, &gone).await, "what was known stays refused");
        let_in("revocations are known again", gateway, &stays).await;
    }
    let restored = async || {
        metric(&here, "doorward_revocations_restored_total").await
            + metric(&there, "doorward_revocations_restored_total").await
    };
    assert_eq!(restored().await, 1, "said by the one that was first");

    let also = Account::sign_up(&here).await;
    third.log_out(&also.token).await;
    for gateway in [&here, &there] {
        refused("the new stream is followed", gateway, &also).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_starts_after_a_loss_waits_for_what_one_that_was_paused_knows() {
    let (upstream, redis) = (Upstream::echo().await, Redis::start_settled().await);
    let toml = toml(&upstream, &redis, "");
    let knows = Process::serve(&toml).await;
    let mut starts = TestGateway::start(&toml).await;
    let gone = Account::sign_up(&starts).await;
    starts.log_out(&gone.token).await;
    self::knows(&starts.http, &knows, 1).await;

    starts.stop().await;
    knows.signal("STOP").await;
    let _: String = redis.run("FLUSHALL").await;
    let pause = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        knows.signal("CONT").await;
    };
    let start = async {
        starts.restart().await;
        assert!(
            is_refused(&starts, &gone).await,
            "served before the other could say what it knows"
        );
    };
    tokio::join!(pause, start);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_comes_back_without_its_data_is_told_again_before_anybody_relies_on_it() {
    let upstream = Upstream::echo().await;
    let mut redis = Redis::start_settled().await;
    let here = gateway(&upstream, &redis).await;
    let gone: Vec<Account> = [Account::sign_up(&here).await, Account::sign_up(&here).await].into();
    for account in &gone {
        here.log_out(&account.token).await;
    }
    redis.kill();
    eventually(DEADLINE, "the loss of Redis is said", || async {
        when(is_ready(&here).await.1.contains("Redis"))
    })
    .await;
    redis.start_again().await;
    let late = here.replica().await;
    for account in &gone {
        assert!(is_refused(&late, account).await && is_refused(&here, account).await);
    }
    has_keys("written back", &redis, 2).await;
    eventually(DEADLINE, "all is well", || async { when(is_ready(&here).await.0) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_comes_back_with_an_older_copy_is_told_what_is_missing() {
    let upstream = Upstream::echo().await;
    let mut redis = Redis::start_with(&["--save", "", "--appendonly", "no", "--dbfilename", "dump.rdb"]).await;
    let here = gateway(&upstream, &redis).await;
    let (early, late) = (Account::sign_up(&here).await, Account::sign_up(&here).await);
    here.log_out(&early.token).await;
    let _: String = redis.run("SAVE").await;
    here.log_out(&late.token).await;
    redis.kill();
    redis.start_again().await;
    let third = here.replica().await;
    assert!(is_refused(&third, &early).await && is_refused(&third, &late).await);
    assert_eq!(keys(&redis).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_comes_back_with_a_weaker_revocation_is_told_the_stronger_one() {
    let upstream = Upstream::echo().await;
    let mut redis = Redis::start_with(&["--save", "", "--appendonly", "no", "--dbfilename", "dump.rdb"]).await;
    let here = gateway(&upstream, &redis).await;
    let account = Account::sign_up(&here).await;
    let now = doorward::time::Clock::system().now();
    let change = doorward::store::RolesChange {
        add: vec!["admin".parse().unwrap()],
        ..Default::default()
    };
    // The same time as a logout's, so that nothing but the generation is weaker.
    let (id, until) = (account.id.parse().unwrap(), now + Duration::from_hours(36));
    here.store().await.change_roles(id, &change, until, now).await.unwrap();
    let body = serde_json::json!({"refresh_token": account.refresh_token});
    let (status, fresh) = here.post("/auth/refresh", &body).await;
    assert_eq!(status, 200, "the session lives: {fresh}");
    let fresh = Account::from_tokens(&fresh);
    let _: String = redis.run("SAVE").await;
    here.log_out(&fresh.token).await;
    let [key] = keys(&redis).await.try_into().expect("one revocation of one session");

    redis.kill();
    redis.start_again().await;
    let third = here.replica().await;
    assert!(
        is_refused(&third, &fresh).await,
        "the copy refuses the session's first token, not its last"
    );
    let value: String = redis.run(&format!("GET {key}")).await;
    assert!(value.starts_with(&format!("{} ", u32::MAX)), "{value}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_revocation_that_redis_dropped_is_written_back_by_the_next_full_reading() {
    let (upstream, redis) = (Upstream::echo().await, Redis::start_settled().await);
    let toml = toml(&upstream, &redis, "full_reread = \"1s\"\n");
    let here = TestGateway::start(&toml).await;
    let (gone, also) = (Account::sign_up(&here).await, Account::sign_up(&here).await);
    here.log_out(&gone.token).await;
    here.log_out(&also.token).await;
    let dropped = keys(&redis).await.remove(0);
    let _: u32 = redis.run(&format!("DEL {dropped}")).await;
    has_keys("written back", &redis, 2).await;
    assert!(keys(&redis).await.contains(&dropped));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_was_paused_until_the_stream_was_cut_off_reads_everything_again() {
    let (upstream, redis) = (Upstream::echo().await, Redis::start_settled().await);
    let toml = toml(&upstream, &redis, "");
    let (paused, here) = (Process::serve(&toml).await, TestGateway::start(&toml).await);
    paused.signal("STOP").await;
    // The first comes with what Redis has sent by then. The second is not in the stream any more.
    for _ in 0..2 {
        let account = Account::sign_up(&here).await;
        here.log_out(&account.token).await;
    }
    let _: u32 = redis.run("XTRIM {doorward}:stream MAXLEN 0").await;
    paused.signal("CONT").await;
    knows(&here.http, &paused, 2).await;

    let account = Account::sign_up(&here).await;
    here.log_out(&account.token).await;
    knows(&here.http, &paused, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_database_still_has_from_before_redis_is_taken_over() {
    let (upstream, redis) = (Upstream::echo().await, Redis::start().await);
    let mut here = TestGateway::start(&crate::support::usual_routes(&upstream)).await;
    let gone = Account::sign_up(&here).await;
    here.log_out(&gone.token).await;
    let table = format!("[revocation]\nurl = \"{}\"\n", redis.url());
    here.toml.push_str(&table);
    here.restart().await;
    assert!(is_refused(&here, &gone).await);
    assert_eq!(keys(&redis).await.len(), 1);
}
