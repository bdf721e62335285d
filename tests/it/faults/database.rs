//! A MariaDB that is gone, stands still, is slow or lets nobody in: what is answered and how soon, what tells of it, and that
//! all is well again by itself, with everything that was answered with success and nothing by halves.

use std::time::{Duration, Instant};

use doorward::time::monotonic;
use futures_util::future::join_all;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{AssertSqlSafe, ConnectOptions};
use tokio::process::Command;

use super::kept::{Kept, Refused};
use super::told::Told;
use super::{Client, recovers};
use crate::support::lookups::{self, Lookups};
use crate::support::mariadb::{self, DURABLE, Database, Server};
use crate::support::process::{Process, doorward_with_open_files};
use crate::support::wire::Wire;
use crate::support::{DEADLINE, Upstream, eventually, usual_routes, when};

const STALENESS: Duration = Duration::from_secs(3);
const SETTINGS: &str = "[store]\nconnect_timeout = \"1s\"\nquery_timeout = \"1s\"\nmigrate_on_start = true\n\
                        [keys]\ncreate = true\n[revocation]\npoll_interval = \"100ms\"\nmax_staleness = \"3s\"\n";
/// What a question to the database may take by these settings: a second for a connection, and one to use it.
const TIMEOUTS: Duration = Duration::from_secs(1 + 1);

/// A gateway on a database, with users in each state that matters.
struct Scene {
    cause: &'static str,
    process: Process,
    client: Client,
    kept: Kept,
    told: Told,
    _upstream: Upstream,
}

/// What was asked, and what came back.
struct Answer {
    what: &'static str,
    status: u16,
    code: String,
}

impl Scene {
    async fn on(cause: &'static str, url: &str) -> Self {
        Self::with(cause, url, SETTINGS).await
    }

    async fn with(cause: &'static str, url: &str, settings: &str) -> Self {
        Self::by(cause, url, settings, doorward_with_open_files(128)).await
    }

    async fn by(cause: &'static str, url: &str, settings: &str, command: Command) -> Self {
        let upstream = Upstream::echo().await;
        let settings = settings.replace("[store]", &format!("[store]\nurl = {url:?}"));
        let process = Process::serve_by(&format!("{settings}{}", usual_routes(&upstream)), command).await;
        let client = Client::at(&process);
        Self {
            cause,
            kept: Kept::before(&client).await,
            told: Told::by(&process).await,
            process,
            _upstream: upstream,
            client,
        }
    }

    /// Asks for everything at once.
    async fn ask(&self) -> Vec<Answer> {
        const ASKED: [&str; 9] = [
            "seen",
            "unseen",
            "logged out",
            "open",
            "login",
            "signup",
            "refresh",
            "logout",
            "password",
        ];
        let asked = ASKED.map(|what| async move {
            let (client, kept) = (&self.client, &self.kept);
            let (status, body) = match what {
                "seen" => client.get_whole("/c/x", &kept.known.token).await,
                "unseen" => client.get_whole("/c/x", &kept.fresh.token).await,
                "logged out" => client.get_whole("/c/x", &kept.gone.token).await,
                "open" => client.get_whole("/public/x", "").await,
                "login" => client.log_in(&kept.known).await,
                "signup" => kept.sign_up(client).await,
                "refresh" => kept.refresh(client).await,
                "logout" => kept.log_out(client).await,
                _ => kept.change_password(client).await,
            };
            Answer {
                what,
                status,
                code: body["code"].as_str().unwrap_or_default().to_owned(),
            }
        });
        join_all(asked).await
    }

    /// While it lasts: `began` is when the cause began at the latest, `word` is what tells of it.
    async fn while_it_lasts(&self, began: Instant, word: &str) {
        for Answer { what, status, code } in &self.ask().await {
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
        Told::not_ready(&self.process, &[word]).await;
        for Answer { what, status, code } in &self.ask().await {
            let expected = match *what {
                "seen" | "unseen" | "logout" | "password" => (503, "revocations_unavailable"),
                "logged out" => (401, "token_revoked"),
                "open" => (200, ""),
                _ => (503, "store_unavailable"),
            };
            assert_eq!((*status, code.as_str()), expected, "{}: {what}", self.cause);
        }
        self.told
            .that_guarded_routes_are_refused(&self.process, "the database", &[word])
            .await;
    }

    /// Once it is over.
    async fn once_it_is_over(&mut self, refused: Refused) {
        let (client, known) = (&self.client, &self.kept.known);
        recovers(client, self.cause, || async {
            let seen = client.get("/c/x", &known.token).await == 200;
            let ready = self.process.ready().await["ready"] == true;
            when(seen && ready && client.log_in(known).await.0 == 200)
        })
        .await;
        self.kept.holds(&self.client, refused).await;
        // Lines are written a moment after they are logged.
        eventually(DEADLINE, "the log says that it is over", || async {
            when(self.process.log().contains("revocations can be read again"))
        })
        .await;
        let log = self.process.log();
        for secret in self.kept.secrets().into_iter().chain([mariadb::PASSWORD]) {
            assert!(!log.contains(secret), "{secret} in {log}");
        }
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_killed_is_missed_for_as_long_as_it_is_away() {
    let server = Server::start_with(&DURABLE).await;
    let database = Database::create_in(&server).await;
    let mut scene = Scene::on("killed", &database.url()).await;
    server.kill();
    scene.while_it_lasts(monotonic(), "Connection refused").await;
    server.revive().await;
    scene.once_it_is_over(Refused::Undone).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_started_again_costs_no_more_than_the_moment() {
    let server = Server::start_with(&DURABLE).await;
    let database = Database::create_in(&server).await;
    // Nobody is refused for what can't be read for a moment.
    let settings = SETTINGS.replace("max_staleness = \"3s\"", "max_staleness = \"1m\"");
    let mut scene = Scene::with("restarted", &database.url(), &settings).await;
    // A connection that had died is replaced once.
    scene.client.auth_waits(2 * TIMEOUTS);
    server.end();
    let Scene { client, kept, .. } = &mut scene;
    // It ends while this is asked for: some of it may be done, and is to hold then.
    let meanwhile = kept.meanwhile(client).await;
    eprintln!("restarted: meanwhile {meanwhile:?}");
    eventually(DEADLINE, "it is away", || async {
        when(client.log_in(&kept.known).await.0 == 503)
    })
    .await;
    for account in [&kept.known, &kept.fresh] {
        assert_eq!(client.get("/c/x", &account.token).await, 200, "guarded routes go on");
    }
    assert!(client.is_revoked(&kept.gone.token).await);
    assert_eq!(client.get("/public/x", "").await, 200);
    scene
        .told
        .that_revocations_are_not_read(
            &scene.process,
            "the database",
            &["the database can't be reached", "the database did not answer within"],
        )
        .await;
    server.revive().await;
    scene.once_it_is_over(Refused::Unknown).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_stands_still_holds_nobody_up_beyond_its_timeouts() {
    let server = Server::start().await;
    let database = Database::create_in(&server).await;
    let mut scene = Scene::on("frozen", &database.url()).await;
    scene.client.auth_waits(TIMEOUTS);
    server.freeze();
    scene.while_it_lasts(monotonic(), "did not answer within 1s").await;
    server.thaw();
    scene.once_it_is_over(Refused::Unknown).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_behind_a_slow_network_holds_nobody_up_beyond_its_timeouts() {
    let database = Database::create().await;
    let wire = Wire::to(database.port).await;
    let mut scene = Scene::on("slow", &database.url_at(wire.address.port())).await;
    scene.client.auth_waits(TIMEOUTS);
    wire.delay(Duration::from_millis(1500));
    scene.while_it_lasts(monotonic(), "did not answer within 1s").await;
    wire.delay(Duration::ZERO);
    scene.once_it_is_over(Refused::Unknown).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_has_no_connection_left_is_asked_until_it_has() {
    let server = Server::start().await;
    let database = Database::create_in(&server).await;
    let mut scene = Scene::on("full of connections", &database.plain_url()).await;
    let mut crowd = Crowd::enter(&database).await;
    crowd.close_the_door().await;
    scene.while_it_lasts(monotonic(), "Too many connections").await;
    crowd.leave().await;
    scene.once_it_is_over(Refused::Undone).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_whose_name_nobody_resolves_is_used_over_what_is_open_and_else_missed_until_somebody_does() {
    let (lookups, database) = (Lookups::answered().await, Database::create().await);
    let url = database.url().replace("127.0.0.1", lookups::NAME);
    let mut scene = Scene::by("without a name server", &url, SETTINGS, lookups.doorward()).await;
    scene.client.auth_waits(TIMEOUTS);
    lookups.fall_silent();
    // Whoever finds no open connection idle would need another one.
    let Scene { client, kept, .. } = &scene;
    eventually(DEADLINE, "open connections go on", || async {
        when(client.log_in(&kept.known).await.0 == 200)
    })
    .await;
    for account in [&kept.known, &kept.fresh] {
        assert_eq!(client.get("/c/x", &account.token).await, 200);
    }
    database.kill_connections().await;
    scene.while_it_lasts(monotonic(), "did not answer within 1s").await;
    lookups.answer();
    scene.once_it_is_over(Refused::Undone).await;
}
