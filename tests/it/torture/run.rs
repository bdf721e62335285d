//! One run: sessions are made, writers log them out while gateways and servers are disturbed, and each gateway is asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward::time::{Clock, monotonic};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use super::chaos::{Chaos, KINDS};
use super::court::{Answer, Court};
use super::fleet::Fleet;
use super::ledger::{Ended, Ledger};
use super::plan::Plan;
use super::report::Report;
use super::rules::Rules;
use super::world::World;
use crate::support::account::PASSWORD;
use crate::support::random::Random;
use crate::support::{eventually, when};

/// How long it takes, after the last disturbance, until each gateway has refused each token, at the very most.
const LAST_PATIENCE: Duration = Duration::from_secs(120);
/// How long a writer leaves a gateway alone that gave no answer.
const AVOIDED_FOR: Duration = Duration::from_secs(10);
/// How many users sign up, and log in, at once.
const PREPARED_AT_ONCE: usize = 16;

/// Does it all.
pub(super) async fn run(plan: Plan, world: World) -> Report {
    let mut random = Random::new(plan.seed);
    let name = world.name;
    let fleet = Fleet::start(&plan, &world).await;
    let ledger = Arc::new(Ledger::default());
    let court = Arc::new(Court {
        fleet: Arc::clone(&fleet),
        ledger: Arc::clone(&ledger),
        rules: Rules {
            bound: plan.bound,
            max_staleness: plan.max_staleness,
        },
        settle: plan.settle,
        // Longer than any pause: an answer that comes late is the most interesting one.
        http: client(2 * plan.pauses.0 + Duration::from_secs(10)),
        tally: Mutex::default(),
    });
    let tokens = Arc::new(Mutex::new(prepare(&plan, &fleet, &mut random).await));

    let began = monotonic();
    let chaos = Arc::new(Chaos {
        hands: (0..plan.gateways()).map(|_| tokio::sync::Mutex::default()).collect(),
        fleet: Arc::clone(&fleet),
        ledger: Arc::clone(&ledger),
        world,
        plan: plan.clone(),
    });
    let mut disturbers = Vec::new();
    for _ in 0..2 {
        let (chaos, random) = (Arc::clone(&chaos), random.fork());
        disturbers.push(tokio::spawn(async move { chaos.gateways(random).await }));
    }
    let (servers, forked) = (Arc::clone(&chaos), random.fork());
    disturbers.push(tokio::spawn(async move { servers.servers(forked).await }));
    let watchers: Vec<_> = (0..plan.gateways())
        .map(|gateway| {
            let (court, random) = (Arc::clone(&court), random.fork());
            tokio::spawn(async move { court.watch(gateway, random).await })
        })
        .collect();
    let writers: Vec<_> = (0..plan.writers)
        .map(|_| {
            let writer = Writer {
                court: Arc::clone(&court),
                tokens: Arc::clone(&tokens),
                plan: plan.clone(),
                http: client(plan.patience),
                random: random.fork(),
                avoided: vec![began; plan.gateways()],
            };
            tokio::spawn(writer.work())
        })
        .collect();
    for task in writers {
        task.await.expect("a writer ended");
    }
    // Writers that were fast leave time for each kind of disturbance.
    eventually(LAST_PATIENCE, "each kind of disturbance", || async {
        when(ledger.kinds().len() == KINDS.len())
    })
    .await;
    ledger.finish();
    for task in disturbers.into_iter().chain(watchers) {
        task.await.expect("a task ended");
    }
    let last_words = (0..plan.gateways()).map(|gateway| court.last_word(gateway, LAST_PATIENCE));
    futures_util::future::join_all(last_words).await;

    let tally = std::mem::take(&mut *court.tally());
    if tally.violations > 0 || !tally.surprises.is_empty() {
        for gateway in &fleet.gateways {
            eprintln!("{}", gateway.log());
        }
    }
    Report {
        world: name,
        seed: plan.seed,
        gateways: plan.gateways(),
        writers: plan.writers,
        acknowledged: ledger.ended_from(0).len(),
        took: began.elapsed(),
        chaos: ledger.kinds(),
        tally,
    }
}

fn client(patience: Duration) -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .timeout(patience)
        .build()
        .expect("a client")
}

/// Signs users up and logs them in, all on gateways by chance: the access token of each session, shuffled.
async fn prepare(plan: &Plan, fleet: &Fleet, random: &mut Random) -> VecDeque<String> {
    let http = client(Duration::from_secs(60));
    let gateways = plan.gateways();
    let post = async |gateway: usize, path: &str, body: Value| -> String {
        let url = fleet.gateways[gateway % gateways].url(path);
        let response = http.post(url).json(&body).send().await.expect("an answer");
        let status = response.status().as_u16();
        let answer: Value = response.json().await.expect("JSON");
        let log = || fleet.gateways[gateway % gateways].log();
        assert!(status == 200 || status == 201, "{status} {answer}\n{}", log());
        answer["access_token"].as_str().expect("a token").to_owned()
    };
    let email = |user: usize| format!("user{user}@example.com");
    let sign_up = |user: usize| {
        post(
            user,
            "/auth/signup",
            json!({"email": email(user), "password": PASSWORD, "name": "Ada"}),
        )
    };
    let log_in = |turn: usize| {
        post(
            turn,
            "/auth/login",
            json!({"email": email(turn % plan.users), "password": PASSWORD}),
        )
    };
    let mut tokens: Vec<String> = stream::iter(0..plan.users)
        .map(sign_up)
        .buffered(PREPARED_AT_ONCE)
        .collect()
        .await;
    for (token, clock) in tokens.iter().zip(&plan.clocks) {
        let off = seconds_ahead(token) - clock;
        assert!(
            (-20..=5).contains(&off),
            "a clock is wrong by {off} s more than it should be"
        );
    }
    let more = plan.users * (plan.logins_per_user - 1);
    tokens.extend(
        stream::iter(0..more)
            .map(log_in)
            .buffer_unordered(PREPARED_AT_ONCE)
            .collect::<Vec<_>>()
            .await,
    );
    for index in (1..tokens.len()).rev() {
        tokens.swap(index, random.below(index + 1));
    }
    tokens.into()
}

/// How far the clock was ahead that issued a token, with the time since then taken off.
fn seconds_ahead(token: &str) -> i64 {
    let claims = token.split('.').nth(1).expect("a token has three parts");
    let claims = URL_SAFE_NO_PAD.decode(claims).expect("base64url");
    let claims: Value = serde_json::from_slice(&claims).expect("JSON");
    claims["iat"].as_i64().expect("a number") - Clock::system().now().unix_seconds()
}

/// Logs sessions out, one after the other, on gateways by chance.
struct Writer {
    court: Arc<Court>,
    tokens: Arc<Mutex<VecDeque<String>>>,
    plan: Plan,
    http: reqwest::Client,
    random: Random,
    /// Until when it asks each gateway nothing, as it did not answer.
    avoided: Vec<Instant>,
}

impl Writer {
    async fn work(mut self) {
        let writers = u32::try_from(self.plan.writers).expect("a few");
        let each = Duration::from_secs_f64(f64::from(writers) / self.plan.rate);
        loop {
            let begun = monotonic();
            let Some(token) = self.tokens.lock().expect("nobody panicked").pop_front() else {
                return;
            };
            let pause = self.random.between(Duration::ZERO, 2 * each);
            self.before(&token).await;
            self.log_out(token).await;
            tokio::time::sleep(pause.saturating_sub(begun.elapsed())).await;
        }
    }

    /// One by chance, and as a load balancer would, mostly not one that gave no answer a moment ago.
    fn any_gateway(&mut self) -> usize {
        let mut gateway = self.random.below(self.plan.gateways());
        for _ in 0..self.plan.gateways() {
            if self.avoided[gateway] <= monotonic() {
                break;
            }
            gateway = self.random.below(self.plan.gateways());
        }
        gateway
    }

    fn avoid(&mut self, gateway: usize) {
        self.avoided[gateway] = monotonic() + AVOIDED_FOR;
    }

    /// Before its logout a token passes, or all that is asked after it would mean nothing.
    async fn before(&mut self, token: &str) {
        let gateway = self.any_gateway();
        let Ok(answer) = tokio::time::timeout(self.plan.patience, self.court.ask(gateway, token)).await else {
            self.avoid(gateway);
            return;
        };
        let mut tally = self.court.tally();
        match answer {
            Answer::Passed => tally.live += 1,
            Answer::Revoked => tally.surprise(format!("gateway {gateway} refused a token that nobody had revoked")),
            Answer::Surprise(detail) => tally.surprise(detail),
            Answer::Unavailable | Answer::Unreachable => {}
        }
    }

    /// Tries until a gateway answers 204, or says that it had happened already.
    async fn log_out(&mut self, token: String) {
        loop {
            let by = self.any_gateway();
            let url = self.court.fleet.gateways[by].url("/auth/logout");
            let status = match self.http.post(url).bearer_auth(&token).send().await {
                Ok(response) => response.status().as_u16(),
                Err(_) => 0,
            };
            match status {
                204 => {
                    let ended = Ended {
                        token,
                        at: monotonic(),
                        by,
                    };
                    // The one that answered refuses it from now on.
                    self.court.ledger.end(ended.clone());
                    self.court.check(by, &ended).await;
                    return;
                }
                401 => {
                    self.court.tally().ended_unanswered += 1;
                    return;
                }
                0 | 503 => {
                    self.avoid(by);
                    self.court.tally().retried += 1;
                }
                status => {
                    let detail = format!("gateway {by} answered {status} to a logout");
                    self.court.tally().surprise(detail);
                    return;
                }
            }
            let (least, most) = (Duration::from_millis(50), Duration::from_millis(250));
            let pause = self.random.between(least, most);
            tokio::time::sleep(pause).await;
        }
    }
}
