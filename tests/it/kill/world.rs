//! What is killed, and what is asked as soon as it is back.

use std::path::Path;
use std::time::{Duration, Instant};

use doorward::time::monotonic;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};
use tempfile::TempDir;

use super::api::{Api, Outcome};
use crate::support::mariadb::{DURABLE, Database, Server};
use crate::support::process::Process;

/// Who waits so long for a gateway that starts has met a hang.
const HANG: Duration = Duration::from_secs(60);
/// How long to wait before one that does not answer yet is asked again.
const PAUSE: Duration = Duration::from_millis(1);

/// A gateway and its database, one of which is killed.
pub(super) struct World {
    /// What the report calls it.
    pub(super) name: &'static str,
    pub(super) process: Process,
    pub(super) victim: Victim,
    /// How many lives the gateway has had.
    lives: usize,
}

/// Who is killed.
pub(super) enum Victim {
    Gateway { on_sqlite: bool },
    MariaDb(Server),
}

/// Two sessions that nobody else uses: one that goes on, and one that was ended before the first kill.
pub(super) struct Witness {
    email: String,
    live: String,
    ended: String,
}

const PASSWORD: &str = "wistful-otter-47-lantern";

/// As many of everything as the clients like, and tokens that outlive the run.
pub(super) fn configuration(store: &str) -> String {
    format!(
        r#"
        {store}
        [tokens]
        access_ttl = "12h"
        [passwords]
        queue = 1000
        queue_per_address = 1000
        [throttle]
        max_delay = "0s"
        per_account = "off"
        per_address = "off"
        per_network = "off"
        bad_refreshes_per_address = "off"
        [revocation]
        max_staleness = "2m"
        [log]
        access = false
        [upstreams.app]
        servers = "builtin:whoami"
        [[routes]]
        path = "/guarded"
        upstream = "app"
        "#
    )
}

pub(super) fn on_mariadb(database: &Database) -> String {
    let url = database.url();
    configuration(&format!(
        "[store]\nurl = {url:?}\nmigrate_on_start = true\n[keys]\ncreate = true\n"
    ))
}

impl World {
    pub(super) async fn gateway_on_sqlite() -> Self {
        let victim = Victim::Gateway { on_sqlite: true };
        Self::start("the gateway, on SQLite", &configuration(""), victim).await
    }

    pub(super) async fn gateway_on_mariadb() -> Self {
        let toml = on_mariadb(&Database::create().await);
        let victim = Victim::Gateway { on_sqlite: false };
        Self::start("the gateway, on MariaDB", &toml, victim).await
    }

    pub(super) async fn mariadb() -> Self {
        let server = Server::start_with(&DURABLE).await;
        let toml = on_mariadb(&Database::create_in(&server).await);
        Self::start("MariaDB", &toml, Victim::MariaDb(server)).await
    }

    async fn start(name: &'static str, toml: &str, victim: Victim) -> Self {
        Self::of(name, Process::serve(toml).await, victim)
    }

    /// One whose gateway runs.
    pub(super) fn of(name: &'static str, process: Process, victim: Victim) -> Self {
        Self {
            name,
            process,
            victim,
            lives: 2,
        }
    }

    /// A client that has no connection yet.
    pub(super) fn api(&self) -> Api {
        Api::new(self.process.address)
    }

    /// Starts the gateway again.
    pub(super) fn start_again(&mut self) {
        self.lives += 1;
        self.process.start_again(&format!("log-{}", self.lives));
    }

    /// Waits for the first 200 on a guarded route, from `began` on. Until then, no answer may be one to an ended session.
    pub(super) async fn first_200(&mut self, witness: &Witness, began: Instant) -> Result<Duration, String> {
        let api = self.api();
        while began.elapsed() < HANG {
            if let Some(status) = self.process.has_ended() {
                return Err(format!("the gateway ended with {status}: {}", self.process.log()));
            }
            let ended = api.guarded(&witness.ended).await;
            if ended.is_done() {
                return Err("the first answers let a token of an ended session pass".to_owned());
            }
            if ended != Outcome::Unknown && api.guarded(&witness.live).await.is_done() {
                return Ok(began.elapsed());
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(format!("no 200 within {HANG:?}: {}", self.process.log()))
    }

    /// Waits for the first login, from now on.
    pub(super) async fn first_login(&self, witness: &Witness) -> Result<Duration, String> {
        let (api, began) = (self.api(), monotonic());
        while began.elapsed() < HANG {
            match api.log_in(&witness.email, PASSWORD).await {
                Outcome::Done(_) => return Ok(began.elapsed()),
                Outcome::Unknown => tokio::time::sleep(PAUSE).await,
                Outcome::Refused(code) => return Err(format!("a login once the database was back: {code}")),
            }
        }
        Err(format!("no login within {HANG:?}: {}", self.process.log()))
    }

    /// What is wrong with the SQLite file as the killed gateway left it; the file itself is left for the gateway to mend.
    pub(super) async fn integrity(&self) -> Result<(), String> {
        let copy = tempfile::tempdir().expect("a folder for the copy");
        for name in ["doorward.db", "doorward.db-wal"] {
            let file = self.process.path("data").join(name);
            if file.exists() {
                std::fs::copy(file, copy.path().join(name)).expect("a file can be copied");
            }
        }
        is_whole(&copy).await
    }
}

async fn is_whole(copy: &TempDir) -> Result<(), String> {
    let mut connection = open(&copy.path().join("doorward.db")).await;
    let found: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check")
        .fetch_all(&mut connection)
        .await
        .map_err(|error| format!("the SQLite file: {error}"))?;
    let strangers = sqlx::query("PRAGMA foreign_key_check")
        .fetch_all(&mut connection)
        .await
        .map_err(|error| format!("the SQLite file: {error}"))?;
    connection.close().await.expect("the copy can be closed");
    if found == ["ok"] && strangers.is_empty() {
        Ok(())
    } else {
        Err(format!("the SQLite file: {found:?}, {} strangers", strangers.len()))
    }
}

async fn open(file: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(file);
    options.connect().await.expect("the copy is there")
}

impl Witness {
    /// Signs up, logs in once more, and ends that session.
    pub(super) async fn take(world: &World) -> Self {
        let (api, email) = (world.api(), "witness@example.com".to_owned());
        let token = |outcome: Outcome| match outcome {
            Outcome::Done(tokens) => tokens["access_token"].as_str().expect("a token").to_owned(),
            outcome => panic!("the witness: {outcome:?}"),
        };
        let live = token(api.sign_up(&email, PASSWORD).await);
        let ended = token(api.log_in(&email, PASSWORD).await);
        assert!(api.log_out(&ended, "this").await.is_done());
        Self { email, live, ended }
    }
}
