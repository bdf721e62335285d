//! A Redis that is slow, full or may not write: for the revocations and for the limits. One that is down or stands still is in
//! `redis` and `limits`, and so is what it may have lost.

use std::time::Duration;

use doorward::time::monotonic;
use serde_json::Value;

use super::Client;
use crate::support::redis::Redis;
use crate::support::wire::Wire;
use crate::support::{Account, DEADLINE, TestGateway, Upstream, eventually, usual_routes, when};

fn url(wire: &Wire) -> String {
    format!("redis://{}", wire.address)
}

async fn readiness(gateway: &TestGateway) -> (u16, String) {
    let answer = gateway.http.get(gateway.admin_url("/readyz")).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_behind_a_slow_network_promises_nothing_and_holds_nobody_up() {
    let (upstream, redis) = (Upstream::echo().await, Redis::start_settled().await);
    let wire = Wire::to(redis.port).await;
    let toml = format!(
        "{}\n[revocation]\nurl = \"{}\"\npoll_interval = \"100ms\"\nmax_staleness = \"3s\"\n",
        usual_routes(&upstream),
        url(&wire)
    );
    let gateway = TestGateway::start(&toml).await;
    let client = Client::of(&gateway);
    let (gone, leaving) = (Account::sign_up(&gateway).await, Account::sign_up(&gateway).await);
    gateway.log_out(&gone.token).await;

    wire.delay(Duration::from_secs(3));
    let since = monotonic();
    let (status, body) = client.post("/auth/logout", Some(&leaving.token), &Value::Null).await;
    assert_eq!(status, 503, "{body}");
    eprintln!("a slow Redis: a logout is refused after {:?}", since.elapsed());
    let why = eventually(DEADLINE, "readiness says no", || async {
        let (status, why) = readiness(&gateway).await;
        when(status == 503).map(|()| why)
    })
    .await;
    assert!(why.contains("Redis"), "{why}");
    let (status, body) = client.get_whole("/c/x", &leaving.token).await;
    assert_eq!((status, body["code"].as_str()), (503, Some("revocations_unavailable")));
    assert_eq!(client.get("/c/x", &gone.token).await, 401);
    assert_eq!(client.get("/public/x", "").await, 200);
    assert_eq!(client.log_in(&leaving).await.0, 200, "a login needs the database alone");

    wire.delay(Duration::ZERO);
    let since = monotonic();
    eventually(DEADLINE, "all is well again", || async {
        when(readiness(&gateway).await.0 == 200)
    })
    .await;
    eprintln!("a slow Redis: all is well again after {:?}", since.elapsed());
    // Redis may have heard of the logout, and then it has happened to the token, though not to the session.
    let status = client.get("/c/x", &leaving.token).await;
    assert!(matches!(status, 200 | 401), "{status}");
    let fresh = leaving.log_in(&gateway).await;
    assert_eq!(client.get("/c/x", &fresh.token).await, 200);
    gateway.log_out(&fresh.token).await;
    for account in [&fresh, &gone] {
        assert_eq!(client.get("/c/x", &account.token).await, 401);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_are_counted_alone_while_redis_is_slow_full_or_may_not_write() {
    let (upstream, redis) = (Upstream::echo().await, Redis::start().await);
    let wire = Wire::to(redis.port).await;
    let toml = format!(
        "[limiter]\nurl = \"{}\"\ntimeout = \"200ms\"\n[[limits]]\nname = \"many\"\nrate = \"1000/s\"\n\
         [upstreams.app]\nservers = [\"{}\"]\n[[routes]]\npath = \"/\"\nupstream = \"app\"\nauth = \"none\"\nlimits = \"many\"\n",
        url(&wire),
        upstream.url()
    );
    let gateway = TestGateway::start(&toml).await;
    let alone = async || gateway.metric("doorward_limits_alone_total").await.expect("the metric");
    let counts_in_redis = async |cause: &str| {
        let since = monotonic();
        eventually(DEADLINE, "it counts in Redis", || async {
            let before = alone().await;
            let status = gateway.get("/x", None).await.0;
            when(status == 200 && alone().await <= before)
        })
        .await;
        eprintln!("limits, {cause}: counted in Redis again after {:?}", since.elapsed());
    };
    counts_in_redis("at the start").await;
    for cause in ["slow", "full", "may not write"] {
        let before = alone().await;
        match cause {
            "slow" => wire.delay(Duration::from_secs(2)),
            "full" => drop(redis.run::<String>("CONFIG SET maxmemory 1").await),
            _ => drop(redis.run::<String>("REPLICAOF 127.0.0.1 1").await),
        }
        for _ in 0..10 {
            let (status, body) = gateway.get("/x", None).await;
            assert_eq!(status, 200, "{cause}: {body}");
        }
        assert!(alone().await >= before + 10.0, "{cause}");
        match cause {
            "slow" => wire.delay(Duration::ZERO),
            "full" => drop(redis.run::<String>("CONFIG SET maxmemory 0").await),
            _ => drop(redis.run::<String>("REPLICAOF NO ONE").await),
        }
        counts_in_redis(cause).await;
    }
}
