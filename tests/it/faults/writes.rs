//! A database that takes no writes, or takes them slowly.

use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use tokio::process::Command;

use super::kept::{Kept, Meanwhile, Refused};
use super::log::with_log;
use super::told::Told;
use super::{Client, PATIENCE, TIMEOUTS, recovers};
use crate::support::mariadb::{Database, Server};
use crate::support::process::{Process, doorward_with_open_files, limit_files};
use crate::support::{Account, DEADLINE, Upstream, eventually, usual_routes, when};

/// A gateway on a database that will take no writes, with users in each state that matters.
struct Scene {
    cause: &'static str,
    process: Process,
    client: Client,
    kept: Kept,
    told: Told,
    _upstream: Upstream,
}

impl Scene {
    async fn on(cause: &'static str, url: &str) -> Self {
        let store = format!("[store]\nmigrate_on_start = true\nurl = {url:?}");
        let settings = PATIENCE.replace("[store]", &store);
        Self::with(
            cause,
            &format!("{settings}[keys]\ncreate = true\n"),
            doorward_with_open_files(128),
        )
        .await
    }

    async fn with(cause: &'static str, settings: &str, command: Command) -> Self {
        let upstream = Upstream::echo().await;
        let process = Process::serve_by(&format!("{settings}{}", usual_routes(&upstream)), command).await;
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

    /// Nothing of what was refused has happened, and what needs no write goes on.
    async fn the_rest_goes_on(&self) {
        let (client, kept) = (&self.client, &self.kept);
        for account in [&kept.known, &kept.fresh] {
            assert_eq!(client.get("/c/x", &account.token).await, 200, "{}", self.cause);
        }
        let leaving = client.get("/c/x", &kept.leaving.token).await;
        assert_eq!(leaving, if kept.has_left() { 401 } else { 200 }, "{}", self.cause);
        assert!(client.is_revoked(&kept.gone.token).await);
        assert_eq!(client.get("/public/x", "").await, 200);
    }

    /// Once it takes writes again.
    async fn once_it_is_over(&mut self, refused: Refused) {
        let (client, known) = (&self.client, &self.kept.known);
        recovers(client, self.cause, || async {
            when(client.log_in(known).await.0 == 200)
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
async fn a_database_that_is_slow_delays_nobody_beyond_the_timeout_and_loses_nothing() {
    let database = Database::create().await;
    let mut scene = Scene::on("a locked table", &database.url()).await;
    scene.client.auth_waits(TIMEOUTS);
    let lock = database.lock_tables("sessions WRITE, refresh_tokens WRITE").await;
    assert_eq!(scene.kept.meanwhile(&scene.client).await, Meanwhile::REFUSED);
    scene.the_rest_goes_on().await;
    let word = "the database did not answer within 2s";
    scene.told.that_requests_are_refused(&scene.process, &[word]).await;
    lock.release().await;
    scene.once_it_is_over(Refused::Undone).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_turns_read_only_keeps_what_it_has_and_takes_the_rest_later() {
    let server = Server::start().await;
    let database = Database::create_in(&server).await;
    let mut scene = Scene::on("read-only", &database.plain_url()).await;
    database.run("SET GLOBAL read_only = ON").await;
    assert_eq!(scene.kept.meanwhile(&scene.client).await, Meanwhile::REFUSED);
    assert_eq!(scene.client.log_in(&scene.kept.known).await.0, 503);
    scene.the_rest_goes_on().await;
    let word = "the database takes no writes: 1290";
    scene.told.that_requests_are_refused(&scene.process, &[word]).await;
    database.run("SET GLOBAL read_only = OFF").await;
    scene.once_it_is_over(Refused::Undone).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_mariadb_keeps_what_it_has_and_takes_the_rest_later() {
    const LARGEST: u64 = 16 << 20;
    let server = Server::start().await;
    let database = Database::create_in(&server).await;
    let mut scene = Scene::on("a full MariaDB", &database.url()).await;
    // It has much to do, too.
    scene.client.auth_waits(TIMEOUTS);
    // Each table a little below the limit, and each row that comes wants a page of its own soon.
    limit_files(server.id(), Some(LARGEST)).await;
    let (client, known) = (&scene.client, &scene.kept.known);
    // The server makes room again as it tidies up, so what comes later may find some, and is to hold then.
    eventually(DEADLINE * 2, "a logout finds no room", || async {
        database.fill_with_revocations().await;
        let (status, tokens) = client.log_in(known).await;
        if status == 503 {
            return None;
        }
        let leaving = Account::from_tokens(&tokens);
        let status = client.log_out(&leaving.token).await;
        let passes = client.get("/c/x", &leaving.token).await == 200;
        assert_eq!(passes, status == 503, "{status}");
        when(status == 503)
    })
    .await;
    let meanwhile = scene.kept.meanwhile(&scene.client).await;
    eprintln!("a full MariaDB: meanwhile {meanwhile:?}");
    scene.the_rest_goes_on().await;
    let word = "the database takes no writes";
    scene.told.that_requests_are_refused(&scene.process, &[word]).await;
    limit_files(server.id(), None).await;
    scene.once_it_is_over(Refused::Undone).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_up_whose_first_session_finds_no_room_makes_no_account() {
    let database = Database::create().await;
    let mut scene = Scene::on("a full table", &database.url()).await;
    let full =
        "CREATE TRIGGER full BEFORE INSERT ON sessions FOR EACH ROW SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1114";
    database.run(full).await;
    let meanwhile = Meanwhile {
        signup: 503,
        ..Meanwhile::DONE
    };
    assert_eq!(scene.kept.meanwhile(&scene.client).await, meanwhile);
    scene.the_rest_goes_on().await;
    scene
        .told
        .that_requests_are_refused(&scene.process, &["the database takes no writes: 1114"])
        .await;
    database.run("DROP TRIGGER full").await;
    scene.once_it_is_over(Refused::Undone).await;
}

/// A full disk below SQLite; `told` where the log is not on it as well.
async fn a_full_disk_under_sqlite(command: Command, told: bool) -> Scene {
    let mut scene = Scene::with("a full disk under SQLite", PATIENCE, command).await;
    scene.process.limit_files(Some(1)).await;
    assert_eq!(scene.kept.meanwhile(&scene.client).await, Meanwhile::REFUSED);
    assert_eq!(scene.client.log_in(&scene.kept.known).await.0, 503);
    scene.the_rest_goes_on().await;
    if told {
        let word = "the database takes no writes";
        scene.told.that_requests_are_refused(&scene.process, &[word]).await;
    }
    scene.process.limit_files(None).await;
    scene.once_it_is_over(Refused::Undone).await;
    scene
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_under_sqlite_and_the_log_loses_nothing_and_is_forgotten_once_there_is_room() {
    let scene = a_full_disk_under_sqlite(doorward_with_open_files(128), false).await;
    assert_eq!(scene.client.get("/public/afterwards", "").await, 200);
    recovers(&scene.client, "a log on a full disk", || async {
        when(scene.process.log().contains("/public/afterwards"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_under_sqlite_alone_is_told_by_the_log() {
    // Another process writes the log, which no limit of the gateway's holds for.
    a_full_disk_under_sqlite(with_log("2> >(exec cat >&2)"), true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_sqlite_that_another_process_keeps_locked_is_read_on_and_takes_the_rest_later() {
    let mut scene = Scene::with("a locked SQLite", PATIENCE, doorward_with_open_files(128)).await;
    scene.client.auth_waits(TIMEOUTS);
    let file = scene.process.path("data/doorward.db");
    let mut other = SqliteConnectOptions::new().filename(file).connect().await.unwrap();
    let mut run = async |sql: &'static str| sqlx::raw_sql(sql).execute(&mut other).await.unwrap();
    // It waits for its turn.
    run("BEGIN IMMEDIATE").await;
    assert_eq!(scene.kept.meanwhile(&scene.client).await, Meanwhile::REFUSED);
    assert_eq!(scene.client.log_in(&scene.kept.known).await.0, 503);
    scene.the_rest_goes_on().await;
    let word = "the database did not answer within 2s";
    scene.told.that_requests_are_refused(&scene.process, &[word]).await;
    run("ROLLBACK").await;
    scene.once_it_is_over(Refused::Undone).await;
}
