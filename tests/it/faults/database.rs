//! A MariaDB that is gone, stands still, is slow or lets nobody in: what is answered and how soon, what tells of it, and that
//! all is well again by itself, with everything that was answered with success and nothing by halves.

use std::time::{Duration, Instant};

use doorward::time::monotonic;
use futures_util::future::join_all;
use serde_json::{Value, json};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{AssertSqlSafe, ConnectOptions};

use super::Client;
use crate::support::account::PASSWORD;
use crate::support::mariadb::{self, DURABLE, Database, Server};
use crate::support::process::Process;
use crate::support::wire::Wire;
use crate::support::{Account, DEADLINE, Upstream, eventually, metric, usual_routes, when};

const STALENESS: Duration = Duration::from_secs(3);
const SETTINGS: &str = "[store]\nconnect_timeout = \"1s\"\nquery_timeout = \"1s\"\nmigrate_on_start = true\n\
                        [keys]\ncreate = true\n[revocation]\npoll_interval = \"100ms\"\nmax_staleness = \"3s\"\n";
/// What an answer may take by these settings, a second for a connection and one to use it, and what a busy machine adds.
const BOUND: Duration = Duration::from_secs(2 + 6);

const OLD: &str = "old-wistful-otter-47";
const NEW: &str = "new-wistful-otter-48";

/// Whether what was answered with 503 may have happened all the same.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Refused {
    /// Wholly or not at all: the database may have heard of it.
    Unknown,
    /// It has not: nothing reached the database.
    Undone,
}

/// A gateway on a database, with users in each state that matters.
struct Scene {
    cause: &'static str,
    process: Process,
    client: Client,
    /// Its token was used before.
    known: Account,
    /// Its token never was.
    fresh: Account,
    /// Logged out before.
    gone: Account,
    /// Changed the password before, from [`OLD`] to [`NEW`].
    changed: String,
    /// Tries to log out meanwhile.
    leaving: Account,
    /// Tries to change the password meanwhile, from [`PASSWORD`] to [`NEW`].
    torn: Account,
    _upstream: Upstream,
}

/// What was asked, and what came back after how long.
struct Answer {
    what: &'static str,
    status: u16,
    code: String,
    took: Duration,
}

impl Scene {
    async fn on(cause: &'static str, url: &str) -> Self {
        let upstream = Upstream::echo().await;
        let settings = SETTINGS.replace("[store]", &format!("[store]\nurl = {url:?}"));
        let process = Process::serve(&format!("{settings}{}", usual_routes(&upstream))).await;
        let client = Client::at(&process);
        let account = || Account::sign_up_at(&client.http, &client.base);
        let (known, fresh, gone) = (account().await, account().await, account().await);
        let (leaving, torn) = (account().await, account().await);
        for account in [&known, &gone] {
            assert_eq!(client.get("/c/x", &account.token).await, 200);
        }
        assert_eq!(client.log_out(&gone.token).await, 204);
        let signup = json!({"email": "changed@example.com", "password": OLD, "name": "Ada"});
        let (status, tokens) = client.post("/auth/signup", None, &signup).await;
        assert_eq!(status, 201, "{tokens}");
        let token = tokens["access_token"].as_str().expect("a token");
        assert_eq!(client.change_password(token, OLD, NEW).await.0, 204);
        Self {
            cause,
            changed: "changed@example.com".to_owned(),
            process,
            known,
            fresh,
            gone,
            leaving,
            torn,
            _upstream: upstream,
            client,
        }
    }

    /// Asks for everything at once.
    async fn ask(&self) -> Vec<Answer> {
        const ASKED: [&str; 8] = [
            "seen",
            "unseen",
            "logged out",
            "open",
            "login",
            "signup",
            "logout",
            "password",
        ];
        let asked = ASKED.map(|what| async move {
            let (client, since) = (&self.client, monotonic());
            let (status, body) = match what {
                "seen" => client.get_whole("/c/x", &self.known.token).await,
                "unseen" => client.get_whole("/c/x", &self.fresh.token).await,
                "logged out" => client.get_whole("/c/x", &self.gone.token).await,
                "open" => client.get_whole("/public/x", "").await,
                "login" => client.log_in(&self.known).await,
                "signup" => client.post("/auth/signup", None, &late()).await,
                "logout" => {
                    client
                        .post("/auth/logout", Some(&self.leaving.token), &Value::Null)
                        .await
                }
                _ => client.change_password(&self.torn.token, PASSWORD, NEW).await,
            };
            Answer {
                what,
                status,
                code: body["code"].as_str().unwrap_or_default().to_owned(),
                took: since.elapsed(),
            }
        });
        join_all(asked).await
    }

    /// While it lasts: `began` is when the cause began at the latest, `word` is what tells of it.
    async fn while_it_lasts(&self, began: Instant, word: &str) {
        let mut answers = self.ask().await;
        for answer in &answers {
            let Answer { what, status, code, .. } = answer;
            let unavailable = *status == 503 && code == "store_unavailable";
            let stale = *status == 503 && code == "revocations_unavailable" && began.elapsed() >= STALENESS;
            let expected = match *what {
                "seen" | "unseen" => *status == 200 || stale,
                "logged out" => *status == 401,
                "open" => *status == 200,
                "logout" | "password" => unavailable || stale,
                _ => unavailable,
            };
            assert!(expected, "{}: {what}: {status} {code}", self.cause);
        }
        let why = eventually(DEADLINE, "readiness says no", || async {
            let (ready, why) = self.readiness().await;
            when(!ready).map(|()| why)
        })
        .await;
        assert!(
            why.contains("revocations have not been read for") && why.contains(word),
            "{why}"
        );
        let later = self.ask().await;
        for Answer { what, status, code, .. } in &later {
            let expected = match *what {
                "seen" | "unseen" | "logout" | "password" => (503, "revocations_unavailable"),
                "logged out" => (401, "token_revoked"),
                "open" => (200, ""),
                _ => (503, "store_unavailable"),
            };
            assert_eq!((*status, code.as_str()), expected, "{}: {what}", self.cause);
        }
        answers.extend(later);
        for answer in &answers {
            let what = answer.what;
            assert!(answer.took < BOUND, "{}: {what} took {:?}", self.cause, answer.took);
        }
        let slowest = answers.iter().max_by_key(|answer| answer.took).expect("there are some");
        eprintln!(
            "{}: the slowest answer ({}) took {:?}",
            self.cause, slowest.what, slowest.took
        );
        for (name, least) in [
            ("doorward_revocations_age_seconds", STALENESS.as_secs_f64()),
            ("doorward_problems_total{code=\"store_unavailable\"}", 1.0),
            ("doorward_problems_total{code=\"revocations_unavailable\"}", 1.0),
        ] {
            let value = metric(&self.client.http, self.process.admin, name).await;
            assert!(value.is_some_and(|value| value >= least), "{name}: {value:?}");
        }
        eventually(DEADLINE, "the log says it", || async {
            let log = self.process.log();
            let tells = |what: &str, word: &str| log.lines().any(|line| line.contains(what) && line.contains(word));
            // Of a row of failures that is the first one, which may have caught a poll half-way.
            let polls = tells("revocations can't be read", "the database");
            when(polls && tells("the store is not available", word))
        })
        .await;
    }

    /// Once it is over: `since` is when it was at the latest.
    async fn once_it_is_over(&self, since: Instant, refused: Refused) {
        let client = &self.client;
        eventually(DEADLINE, "all is well again", || async {
            let seen = client.get("/c/x", &self.known.token).await == 200;
            let (ready, _) = self.readiness().await;
            when(seen && ready && client.log_in(&self.known).await.0 == 200)
        })
        .await;
        eprintln!("{}: all was well again after {:?}", self.cause, since.elapsed());
        assert_eq!(client.get("/c/x", &self.fresh.token).await, 200);
        assert_eq!(client.get("/c/x", &self.gone.token).await, 401, "a logout holds");
        let log_in = async |email: &str, password: &str| {
            let login = json!({"email": email, "password": password});
            client.post("/auth/login", None, &login).await.0
        };
        assert_eq!(log_in(&self.changed, NEW).await, 200, "a changed password holds");
        assert_eq!(log_in(&self.changed, OLD).await, 401);

        let is_in = client.get("/c/x", &self.leaving.token).await == 200;
        assert!(
            is_in || refused == Refused::Unknown,
            "a logout that was refused has happened"
        );
        if is_in {
            assert_eq!(client.log_out(&self.leaving.token).await, 204);
        }
        assert_eq!(client.get("/c/x", &self.leaving.token).await, 401);
        let refresh = json!({"refresh_token": self.leaving.refresh_token});
        assert_eq!(client.post("/auth/refresh", None, &refresh).await.0, 401);

        let (old, new) = (
            log_in(&self.torn.email, PASSWORD).await,
            log_in(&self.torn.email, NEW).await,
        );
        match refused {
            Refused::Undone => assert_eq!((old, new), (200, 401)),
            Refused::Unknown => assert!(matches!((old, new), (200, 401) | (401, 200)), "{old} {new}"),
        }
        let (status, body) = client.post("/auth/signup", None, &late()).await;
        match refused {
            Refused::Undone => assert_eq!(status, 201, "{body}"),
            Refused::Unknown => assert!(matches!(status, 201 | 409), "{body}"),
        }
        assert_eq!(log_in("late@example.com", PASSWORD).await, 200);
        let log = self.process.log();
        assert!(log.contains("revocations can be read again"), "{log}");
        for secret in [
            mariadb::PASSWORD,
            PASSWORD,
            OLD,
            NEW,
            &self.known.token,
            &self.leaving.token,
        ] {
            assert!(!log.contains(secret), "{secret} in {log}");
        }
    }

    /// Whether it is ready, and why not.
    async fn readiness(&self) -> (bool, String) {
        let report = self.process.ready().await;
        (report["ready"] == true, report["reasons"].to_string())
    }
}

/// Clients of a database who stay, and let nobody else in.
struct Crowd(Vec<MySqlConnection>);

impl Crowd {
    async fn enter(database: &Database) -> Self {
        let url: MySqlConnectOptions = database.url().parse().expect("a URL");
        let mut inside = Vec::new();
        for _ in 0..15 {
            inside.push(url.connect().await.expect("the server takes connections"));
        }
        Self(inside)
    }

    async fn run(&mut self, sql: String) {
        let statement = sqlx::raw_sql(AssertSqlSafe(sql));
        statement.execute(&mut self.0[0]).await.expect("the statement is right");
    }

    /// There is room for fewer than are inside, which is the least that MariaDB allows; everybody else is put out.
    async fn close_the_door(&mut self) {
        self.run("SET GLOBAL max_connections = 10".to_owned()).await;
        let others = "SELECT id FROM information_schema.processlist WHERE user = 'plain'";
        let others: Vec<i64> = sqlx::query_scalar(others)
            .fetch_all(&mut self.0[0])
            .await
            .expect("a list");
        assert!(!others.is_empty(), "the gateway has none");
        for id in others {
            self.run(format!("KILL {id}")).await;
        }
    }

    /// Everybody may come in again.
    async fn leave(mut self) {
        self.run("SET GLOBAL max_connections = 1000".to_owned()).await;
    }
}

fn late() -> Value {
    json!({"email": "late@example.com", "password": PASSWORD, "name": "Late"})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_killed_is_missed_for_as_long_as_it_is_away() {
    let server = Server::start_with(&DURABLE).await;
    let database = Database::create_in(&server).await;
    let scene = Scene::on("killed", &database.url()).await;
    server.kill();
    scene.while_it_lasts(monotonic(), "Connection refused").await;
    server.revive().await;
    scene.once_it_is_over(monotonic(), Refused::Undone).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_started_again_costs_no_more_than_the_moment() {
    let server = Server::start_with(&DURABLE).await;
    let database = Database::create_in(&server).await;
    let scene = Scene::on("restarted", &database.url()).await;
    server.restart().await;
    eventually(DEADLINE, "the revocations are read again", || async {
        when(scene.readiness().await.0)
    })
    .await;
    // Connections from before all died, and may be those that are used next.
    assert_eq!(scene.client.log_in(&scene.known).await.0, 200);
    assert_eq!(scene.client.get("/c/x", &scene.known.token).await, 200);
    assert_eq!(scene.client.get("/c/x", &scene.gone.token).await, 401);
    let late = scene.client.post("/auth/signup", None, &late()).await;
    assert_eq!(late.0, 201, "{}", late.1);
    assert_eq!(scene.client.log_out(&scene.leaving.token).await, 204);
    assert_eq!(scene.client.get("/c/x", &scene.leaving.token).await, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_stands_still_holds_nobody_up_beyond_its_timeouts() {
    let server = Server::start().await;
    let database = Database::create_in(&server).await;
    let scene = Scene::on("frozen", &database.url()).await;
    server.freeze();
    scene.while_it_lasts(monotonic(), "did not answer within 1s").await;
    server.thaw();
    scene.once_it_is_over(monotonic(), Refused::Unknown).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_behind_a_slow_network_holds_nobody_up_beyond_its_timeouts() {
    let database = Database::create().await;
    let wire = Wire::to(database.port).await;
    let scene = Scene::on("slow", &database.url_at(wire.address.port())).await;
    wire.delay(Duration::from_millis(1500));
    scene.while_it_lasts(monotonic(), "did not answer within 1s").await;
    wire.delay(Duration::ZERO);
    scene.once_it_is_over(monotonic(), Refused::Unknown).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_has_no_connection_left_is_asked_until_it_has() {
    let server = Server::start().await;
    let database = Database::create_in(&server).await;
    let scene = Scene::on("full of connections", &database.plain_url()).await;
    let mut crowd = Crowd::enter(&database).await;
    crowd.close_the_door().await;
    scene.while_it_lasts(monotonic(), "Too many connections").await;
    crowd.leave().await;
    scene.once_it_is_over(monotonic(), Refused::Undone).await;
}
