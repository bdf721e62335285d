//! Limits counted in a real Redis: by all gateways together while it answers, by each alone while it does not.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::{Client, Response};

use crate::support::process::Process;
use crate::support::redis::Redis;
use crate::support::{DEADLINE, TestGateway, Upstream, eventually, metric, when};

/// A gateway, in this process or in one of its own.
trait Gateway {
    fn http(&self) -> &Client;
    fn url(&self, path: &str) -> String;
    fn admin(&self) -> SocketAddr;
}

impl Gateway for TestGateway {
    fn http(&self) -> &Client {
        &self.http
    }

    fn url(&self, path: &str) -> String {
        Self::url(self, path)
    }

    fn admin(&self) -> SocketAddr {
        self.admin
    }
}

/// One whose log can be read.
struct Apart {
    http: Client,
    process: Process,
}

impl Apart {
    /// One that counts in this Redis.
    async fn serve(toml: &str) -> Self {
        let http = Client::builder().no_proxy().timeout(DEADLINE).build().unwrap();
        let apart = Self {
            http,
            process: Process::serve(toml).await,
        };
        counts_in_redis(&apart).await;
        apart
    }

    /// How often the log says that it counts alone.
    fn told(&self) -> usize {
        let log = self.process.log();
        log.matches("limits are counted by this gateway alone").count()
    }
}

impl Gateway for Apart {
    fn http(&self) -> &Client {
        &self.http
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.process.address)
    }

    fn admin(&self) -> SocketAddr {
        self.process.admin
    }
}

/// A gateway that counts in this Redis, by [`counting`].
async fn gateway(upstream: &Upstream, redis: &Redis, more: &str, burst: u32) -> TestGateway {
    let gateway = TestGateway::start(&counting(upstream, redis, more, burst)).await;
    counts_in_redis(&gateway).await;
    gateway
}

/// `burst` requests, and then one an hour, counted in this Redis. It is waited for so long that one which is merely busy is in
/// time.
fn counting(upstream: &Upstream, redis: &Redis, more: &str, burst: u32) -> String {
    let mut toml = format!(
        "[limiter]\nurl = \"{}\"\ntimeout = \"1s\"\n{more}\n[[limits]]\nname = \"few\"\nrate = \"1/h\"\nburst = {burst}\n\
         [[limits]]\nname = \"day\"\nrate = \"50/d\"\nby = \"all\"\n[[limits]]\nname = \"many\"\nrate = \"1000/s\"\n\
         [upstreams.app]\nservers = [\"{}\"]\n",
        redis.url(),
        upstream.url()
    );
    for (path, limits) in [
        ("/", "[\"few\"]"),
        ("/both", "[\"day\", \"few\"]"),
        ("/many", "[\"many\"]"),
    ] {
        toml += &[
            "[[routes]]\nupstream = \"app\"\nauth = \"none\"\npath = \"",
            path,
            "\"\nlimits = ",
            limits,
            "\n",
        ]
        .concat();
    }
    toml
}

async fn get(gateway: &impl Gateway, path: &str) -> Response {
    gateway.http().get(gateway.url(path)).send().await.expect("an answer")
}

async fn statuses(gateway: &impl Gateway, path: &str, times: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..times {
        statuses.push(get(gateway, path).await.status().as_u16());
    }
    statuses
}

fn field<'a>(answer: &'a Response, name: &str) -> &'a str {
    answer.headers()[name].to_str().unwrap()
}

/// How many requests it counted without Redis.
async fn alone(gateway: &impl Gateway) -> f64 {
    let counted = metric(gateway.http(), gateway.admin(), "doorward_limits_alone_total").await;
    counted.expect("the metric")
}

/// Waits until a request is counted in Redis.
async fn counts_in_redis(gateway: &impl Gateway) {
    eventually(DEADLINE, "it counts in Redis", || async {
        let before = alone(gateway).await;
        let status = get(gateway, "/many").await.status();
        when(status == 200 && alone(gateway).await <= before)
    })
    .await;
}

/// How many times Redis was asked to judge.
async fn asked(redis: &Redis) -> u64 {
    let info: redis::InfoDict = redis.run("INFO commandstats").await;
    let calls: String = info.get("cmdstat_evalsha").expect("it was asked");
    let calls = calls.strip_prefix("calls=").and_then(|rest| rest.split(',').next());
    calls.unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_gateways_count_together_and_remember_across_restarts() {
    let (upstream, redis) = (Upstream::echo().await, Redis::start().await);
    let mut here = gateway(&upstream, &redis, "", 4).await;
    let there = here.replica().await;
    counts_in_redis(&there).await;
    let first = get(&here, "/x").await;
    assert_eq!(field(&first, "ratelimit-policy"), "\"few\";q=4;w=14400");
    assert_eq!(field(&first, "ratelimit"), "\"few\";r=3;t=3600");
    let second = get(&there, "/x").await;
    assert!(field(&second, "ratelimit").starts_with("\"few\";r=2;t=7"), "{second:?}");
    assert_eq!(statuses(&here, "/x", 1).await, [200]);
    assert_eq!(statuses(&there, "/x", 2).await, [200, 429]);

    let refused = get(&here, "/x").await;
    assert_eq!(refused.status(), 429);
    assert_eq!(field(&refused, "ratelimit-policy"), "\"few\";q=4;w=14400");
    assert!(
        field(&refused, "ratelimit").starts_with("\"few\";r=0;t=1"),
        "{refused:?}"
    );
    let wait: u32 = field(&refused, "retry-after").parse().unwrap();
    assert!((3400..=3600).contains(&wait), "{wait}");

    here.restart().await;
    counts_in_redis(&here).await;
    assert_eq!(statuses(&here, "/x", 1).await, [429]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_asked_once_for_a_request_and_told_of_nobody_and_nothing_for_longer_than_it_counts() {
    let (upstream, redis) = (Upstream::echo().await, Redis::start().await);
    let gateway = gateway(&upstream, &redis, "prefix = \"gate:1\"", 2).await;
    let before = asked(&redis).await;
    let answer = get(&gateway, "/both").await;
    assert_eq!(
        field(&answer, "ratelimit"),
        "\"day\";r=49;t=1728, \"few\";r=1;t=3600",
        "both"
    );
    assert_eq!(asked(&redis).await, before + 1);

    for (limit, seconds) in [("day", 1728), ("few", 3600)] {
        let keys: Vec<String> = redis.run(&format!("KEYS {{gate:1}}:limit:{limit}:*")).await;
        let [key] = keys.as_slice() else {
            panic!("one client, one key: {keys:?}")
        };
        let client = key.rsplit(':').next().unwrap();
        assert!(
            client.len() == 32 && client.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{key}"
        );
        let left: u64 = redis.run(&format!("PTTL {key}")).await;
        assert!((seconds * 900..=seconds * 1000).contains(&left), "{key}: {left} ms");
    }
    // What a later limit refuses, an earlier one has counted, as in memory.
    assert_eq!(statuses(&gateway, "/both", 2).await, [200, 429]);
    assert!(field(&get(&gateway, "/both").await, "ratelimit").starts_with("\"day\";r=46;"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_each_gateway_goes_on_to_count_alone() {
    let (upstream, mut redis) = (Upstream::echo().await, Redis::start().await);
    let toml = counting(&upstream, &redis, "", 2);
    let (here, there) = (Apart::serve(&toml).await, Apart::serve(&toml).await);
    assert_eq!(statuses(&here, "/x", 1).await, [200]);
    let (before, told) = (alone(&here).await, [here.told(), there.told()]);

    redis.kill();
    assert_eq!(
        statuses(&here, "/x", 2).await,
        [200, 429],
        "what passed here is not forgotten"
    );
    assert_eq!(
        statuses(&there, "/x", 3).await,
        [200, 200, 429],
        "what passed there is not known"
    );
    assert!((alone(&here).await - before - 2.0).abs() < 0.5, "two more");
    for (gateway, before) in [&here, &there].into_iter().zip(told) {
        eventually(DEADLINE, "the log says it", || async { when(gateway.told() > before) }).await;
    }

    redis.start_again().await;
    counts_in_redis(&here).await;
    counts_in_redis(&there).await;
    assert_eq!(statuses(&here, "/x", 1).await, [200], "Redis was started empty");
    assert_eq!(statuses(&there, "/x", 2).await, [200, 429], "and counts for both");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_does_not_answer_holds_nobody_up_for_long() {
    let (upstream, redis) = (Upstream::echo().await, Redis::start().await);
    let gateway = gateway(&upstream, &redis, "", 2).await;
    redis.freeze();
    // Had each waited for its own second, this would take forty.
    let answers = tokio::time::timeout(Duration::from_secs(30), statuses(&gateway, "/many", 40));
    let statuses = answers.await.expect("they wait once");
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    redis.thaw();
    counts_in_redis(&gateway).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_opens_redis_and_a_wrong_one_leaves_each_gateway_alone() {
    let upstream = Upstream::echo().await;
    let redis = Redis::start_with(&["--save", "", "--requirepass", "sesame"]).await;
    let here = gateway(&upstream, &redis, "password = \"sesame\"", 1).await;
    let wrong = format!(
        "[limiter]\nurl = \"redis://:open@127.0.0.1:{}\"\n[[limits]]\nname = \"few\"\nrate = \"1/h\"\n\
         [upstreams.app]\nservers = [\"{}\"]\n[[routes]]\npath = \"/\"\nupstream = \"app\"\nauth = \"none\"\nlimits = \"few\"\n",
        redis.port,
        upstream.url()
    );
    let there = TestGateway::start(&wrong).await;
    assert_eq!(statuses(&here, "/x", 2).await, [200, 429]);
    assert_eq!(statuses(&there, "/x", 2).await, [200, 429]);
    assert!((alone(&there).await - 2.0).abs() < 0.5, "both");
}
