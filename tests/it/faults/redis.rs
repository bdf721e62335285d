//! A Redis that is down, stands still, is slow, full or may not write: for the revocations and for the limits. What it may have
//! lost, and what several gateways make of that, is in `redis`; limits without one are in `limits`.

use std::time::Duration;

use doorward::time::monotonic;
use serde_json::Value;

use super::Client;
use crate::support::process::Process;
use crate::support::redis::Redis;
use crate::support::wire::Wire;
use crate::support::{Account, DEADLINE, TestGateway, Upstream, eventually, usual_routes, when};

fn url(wire: &Wire) -> String {
    format!("redis://{}", wire.address)
}

/// A gateway whose revocations are in Redis, with somebody who has logged out and somebody who is about to.
struct Scene {
    cause: &'static str,
    process: Process,
    client: Client,
    gone: Account,
    leaving: Account,
    _upstream: Upstream,
}

impl Scene {
    async fn on(cause: &'static str, redis: &str) -> Self {
        let upstream = Upstream::echo().await;
        let toml = format!(
            "{}\n[revocation]\nurl = \"{redis}\"\npoll_interval = \"100ms\"\nmax_staleness = \"3s\"\n",
            usual_routes(&upstream)
        );
        let process = Process::serve(&toml).await;
        let client = Client::at(&process);
        let gone = Account::sign_up_at(&client.http, &client.base).await;
        let leaving = Account::sign_up_at(&client.http, &client.base).await;
        assert_eq!(client.log_out(&gone.token).await, 204);
        Self {
            cause,
            process,
            client,
            gone,
            leaving,
            _upstream: upstream,
        }
    }

    async fn while_it_lasts(&self) {
        let (client, token) = (&self.client, &self.leaving.token);
        let since = monotonic();
        let (status, body) = client.post("/auth/logout", Some(token), &Value::Null).await;
        assert_eq!(status, 503, "{body}");
        eprintln!(
            "a Redis that is {}: a logout is refused after {:?}",
            self.cause,
            since.elapsed()
        );
        eventually(DEADLINE, "readiness says no, and why", || async {
            let report = self.process.ready().await;
            when(report["ready"] == false && report["reasons"].to_string().contains("Redis"))
        })
        .await;
        let (status, body) = client.get_whole("/c/x", token).await;
        assert_eq!((status, body["code"].as_str()), (503, Some("revocations_unavailable")));
        assert_eq!(client.get("/c/x", &self.gone.token).await, 401);
        assert_eq!(client.get("/public/x", "").await, 200);
        assert_eq!(
            client.log_in(&self.leaving).await.0,
            200,
            "a login needs the database alone"
        );
        eventually(DEADLINE, "the log says it", || async {
            let log = self.process.log();
            let tells = |what: &str| {
                log.lines()
                    .any(|line| line.contains(what) && line.contains("Redis can't be used"))
            };
            when(tells("revocations can't be read") && tells("the store is not available"))
        })
        .await;
    }

    async fn once_it_is_over(&self) {
        let (client, since) = (&self.client, monotonic());
        eventually(DEADLINE, "all is well again", || async {
            when(self.process.ready().await["ready"] == true)
        })
        .await;
        eprintln!(
            "a Redis that was {}: all is well again after {:?}",
            self.cause,
            since.elapsed()
        );
        // Redis may have heard of the logout, and then it has happened to the token, though not to the session.
        let status = client.get("/c/x", &self.leaving.token).await;
        assert!(matches!(status, 200 | 401), "{status}");
        let (status, tokens) = client.log_in(&self.leaving).await;
        assert_eq!(status, 200, "{tokens}");
        let fresh = Account::from_tokens(&tokens);
        assert_eq!(client.get("/c/x", &fresh.token).await, 200);
        assert_eq!(client.log_out(&fresh.token).await, 204);
        for account in [&fresh, &self.gone] {
            assert_eq!(client.get("/c/x", &account.token).await, 401);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_killed_is_missed_until_it_is_back_and_all_have_written_back_what_they_know() {
    let mut redis = Redis::start_with(&["--save", "", "--appendonly", "yes", "--appendfsync", "always"]).await;
    let scene = Scene::on("killed", &redis.url()).await;
    redis.kill();
    scene.while_it_lasts().await;
    redis.start_again().await;
    scene.once_it_is_over().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_stands_still_is_missed_until_it_goes_on() {
    let redis = Redis::start_settled().await;
    let scene = Scene::on("frozen", &redis.url()).await;
    redis.freeze();
    scene.while_it_lasts().await;
    redis.thaw();
    scene.once_it_is_over().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_behind_a_slow_network_promises_nothing_and_holds_nobody_up() {
    let redis = Redis::start_settled().await;
    let wire = Wire::to(redis.port).await;
    let scene = Scene::on("slow", &url(&wire)).await;
    wire.delay(Duration::from_secs(3));
    scene.while_it_lasts().await;
    wire.delay(Duration::ZERO);
    scene.once_it_is_over().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_has_become_a_replica_promises_nothing_until_it_is_none_any_more() {
    let redis = Redis::start_settled().await;
    let scene = Scene::on("a replica", &redis.url()).await;
    // Its primary can't be reached: it keeps what it has.
    let _: String = redis.run("REPLICAOF 127.0.0.1 1").await;
    scene.while_it_lasts().await;
    let _: String = redis.run("REPLICAOF NO ONE").await;
    scene.once_it_is_over().await;
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
