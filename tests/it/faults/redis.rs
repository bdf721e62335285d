//! A Redis that is down, stands still, is slow, full or may not write: for the revocations and for the limits. What it may have
//! lost, and what several gateways make of that, is in `redis`; limits without one are in `limits`.

use std::time::Duration;

use tokio::process::Command;

use super::kept::{Kept, Meanwhile, Refused};
use super::told::Told;
use super::{Client, recovers};
use crate::support::lookups::{self, Lookups};
use crate::support::process::{Process, doorward_with_open_files};
use crate::support::redis::Redis;
use crate::support::wire::Wire;
use crate::support::{Account, DEADLINE, Upstream, eventually, metric, usual_routes, when};

/// What a question to Redis may take: a second for a connection, and one for an answer.
const TIMEOUTS: Duration = Duration::from_secs(1 + 1);

fn url(wire: &Wire) -> String {
    format!("redis://{}", wire.address)
}

/// A gateway whose revocations are in Redis, with users in each state that matters.
struct Scene {
    cause: &'static str,
    process: Process,
    client: Client,
    kept: Kept,
    told: Told,
    _upstream: Upstream,
}

/// What is asked of Redis is refused, and what needs the database alone goes on.
const WITHOUT_REDIS: Meanwhile = Meanwhile {
    logout: 503,
    password: 503,
    ..Meanwhile::DONE
};

impl Scene {
    async fn on(cause: &'static str, redis: &str) -> Self {
        Self::with(cause, redis, "3s").await
    }

    async fn with(cause: &'static str, redis: &str, staleness: &str) -> Self {
        Self::by(cause, redis, staleness, doorward_with_open_files(128)).await
    }

    async fn by(cause: &'static str, redis: &str, staleness: &str, command: Command) -> Self {
        let upstream = Upstream::echo().await;
        let toml = format!(
            "{}\n[revocation]\nurl = \"{redis}\"\npoll_interval = \"100ms\"\nmax_staleness = \"{staleness}\"\n",
            usual_routes(&upstream)
        );
        let process = Process::serve_by(&toml, command).await;
        let client = Client::at(&process);
        Self {
            cause,
            kept: Kept::before(&client).await,
            told: Told::by(&process).await,
            process,
            client,
            _upstream: upstream,
        }
    }

    /// While it lasts: `word` is what tells of it sooner or later.
    async fn while_it_lasts(&mut self, word: &str) {
        let (status, body) = self.kept.log_out(&self.client).await;
        assert_eq!(status, 503, "{body}");
        let meanwhile = self.kept.meanwhile(&self.client).await;
        assert_eq!(meanwhile, WITHOUT_REDIS, "{}", self.cause);
        Told::not_ready(&self.process, &[word]).await;
        let (client, kept) = (&self.client, &self.kept);
        for account in [&kept.known, &kept.fresh, &kept.leaving] {
            let (status, body) = client.get_whole("/c/x", &account.token).await;
            assert_eq!((status, body["code"].as_str()), (503, Some("revocations_unavailable")));
        }
        assert!(client.is_revoked(&kept.gone.token).await);
        assert_eq!(client.get("/public/x", "").await, 200);
        assert_eq!(
            client.log_in(&kept.leaving).await.0,
            200,
            "a login needs the database alone"
        );
        self.told
            .that_guarded_routes_are_refused(&self.process, "Redis can't be used", &["Redis can't be used"])
            .await;
    }

    async fn once_it_is_over(&mut self, refused: Refused) {
        let (client, known) = (&self.client, &self.kept.known);
        recovers(client, &format!("a Redis that was {}", self.cause), || async {
            let seen = client.get("/c/x", &known.token).await == 200;
            when(seen && self.process.ready().await["ready"] == true)
        })
        .await;
        self.kept.holds(&self.client, refused).await;
        let log = self.process.log();
        for secret in self.kept.secrets() {
            assert!(!log.contains(secret), "{secret} in {log}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_killed_is_missed_until_it_is_back_and_all_have_written_back_what_they_know() {
    let mut redis = Redis::start_with(&["--save", "", "--appendonly", "yes", "--appendfsync", "always"]).await;
    let mut scene = Scene::on("killed", &redis.url()).await;
    redis.kill();
    scene.while_it_lasts("Redis can't be used").await;
    redis.start_again().await;
    scene.once_it_is_over(Refused::Undone).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_stands_still_is_missed_until_it_goes_on() {
    let redis = Redis::start_settled().await;
    let mut scene = Scene::on("frozen", &redis.url()).await;
    scene.client.auth_waits(TIMEOUTS);
    redis.freeze();
    scene.while_it_lasts("Redis can't be used").await;
    redis.thaw();
    scene.once_it_is_over(Refused::Tokens).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_behind_a_slow_network_promises_nothing_and_holds_nobody_up() {
    let redis = Redis::start_settled().await;
    let wire = Wire::to(redis.port).await;
    let mut scene = Scene::on("slow", &url(&wire)).await;
    scene.client.auth_waits(TIMEOUTS);
    wire.delay(Duration::from_secs(3));
    scene.while_it_lasts("Redis can't be used").await;
    wire.delay(Duration::ZERO);
    scene.once_it_is_over(Refused::Tokens).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_has_become_a_replica_promises_nothing_until_it_is_none_any_more() {
    let redis = Redis::start_settled().await;
    let mut scene = Scene::on("a replica", &redis.url()).await;
    // Its primary can't be reached: it keeps what it has.
    let _: String = redis.run("REPLICAOF 127.0.0.1 1").await;
    scene.while_it_lasts("Redis can't be used").await;
    let _: String = redis.run("REPLICAOF NO ONE").await;
    scene.once_it_is_over(Refused::Undone).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_redis_takes_no_logout_and_loses_none() {
    let redis = Redis::start_settled().await;
    let mut scene = Scene::with("full", &redis.url(), "1m").await;
    let _: String = redis.run("CONFIG SET maxmemory 1").await;
    assert_eq!(scene.kept.meanwhile(&scene.client).await, WITHOUT_REDIS);
    for account in [&scene.kept.known, &scene.kept.fresh, &scene.kept.leaving] {
        assert_eq!(scene.client.get("/c/x", &account.token).await, 200);
    }
    assert!(scene.client.is_revoked(&scene.kept.gone.token).await);
    scene.told.that_requests_are_refused(&scene.process, &["OOM"]).await;
    let _: String = redis.run("CONFIG SET maxmemory 0").await;
    scene.once_it_is_over(Refused::Undone).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_has_no_connection_left_is_asked_until_it_has() {
    let redis = Redis::start_settled().await;
    let mut scene = Scene::on("full of connections", &redis.url()).await;
    // Whoever is inside stays, and nobody else comes in.
    let mut inside = redis.connection().await;
    let mut run = async |text: &str| {
        let mut words = text.split(' ');
        let mut command = ::redis::cmd(words.next().expect("a command"));
        let done = command.arg(words.collect::<Vec<_>>()).exec_async(&mut inside).await;
        done.expect("Redis does it");
    };
    run("CONFIG SET maxclients 1").await;
    run("CLIENT KILL TYPE normal SKIPME yes").await;
    scene.while_it_lasts("max number of clients").await;
    run("CONFIG SET maxclients 1000").await;
    scene.once_it_is_over(Refused::Undone).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_whose_name_nobody_resolves_is_used_over_what_is_open_and_else_missed_until_somebody_does() {
    let (lookups, redis) = (Lookups::answered().await, Redis::start_settled().await);
    let url = redis.url().replace("127.0.0.1", lookups::NAME);
    let mut scene = Scene::by("without a name server", &url, "3s", lookups.doorward()).await;
    scene.client.auth_waits(TIMEOUTS);
    lookups.fall_silent();
    let (status, tokens) = scene.client.log_in(&scene.kept.known).await;
    assert_eq!(status, 200, "{tokens}");
    let leaving = Account::from_tokens(&tokens);
    assert_eq!(scene.client.get("/c/x", &leaving.token).await, 200);
    assert_eq!(
        scene.client.log_out(&leaving.token).await,
        204,
        "open connections go on"
    );
    assert!(scene.client.is_revoked(&leaving.token).await);
    let _: i64 = redis.run("CLIENT KILL TYPE normal").await;
    scene.while_it_lasts("Redis can't be used").await;
    lookups.answer();
    scene.once_it_is_over(Refused::Undone).await;
    assert!(scene.client.is_revoked(&leaving.token).await);
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
    let process = Process::serve(&toml).await;
    let client = Client::at(&process);
    let alone = async || {
        let counted = metric(&client.http, process.admin, "doorward_limits_alone_total").await;
        counted.expect("the metric")
    };
    let told = || {
        process
            .log()
            .matches("limits are counted by this gateway alone")
            .count()
    };
    let counts_in_redis = async |cause: &str| {
        recovers(&client, &format!("limits in a Redis, {cause}"), || async {
            let before = alone().await;
            let status = client.get("/x", "").await;
            when(status == 200 && alone().await <= before)
        })
        .await;
    };
    counts_in_redis("at the start").await;
    for cause in ["slow", "full", "may not write"] {
        let (before, told_before) = (alone().await, told());
        match cause {
            "slow" => wire.delay(Duration::from_secs(2)),
            "full" => drop(redis.run::<String>("CONFIG SET maxmemory 1").await),
            _ => drop(redis.run::<String>("REPLICAOF 127.0.0.1 1").await),
        }
        for _ in 0..10 {
            let (status, body) = client.get_whole("/x", "").await;
            assert_eq!(status, 200, "{cause}: {body}");
        }
        assert!(alone().await >= before + 10.0, "{cause}");
        eventually(DEADLINE, "the log says it", || async { when(told() > told_before) }).await;
        match cause {
            "slow" => wire.delay(Duration::ZERO),
            "full" => drop(redis.run::<String>("CONFIG SET maxmemory 0").await),
            _ => drop(redis.run::<String>("REPLICAOF NO ONE").await),
        }
        counts_in_redis(cause).await;
    }
}
