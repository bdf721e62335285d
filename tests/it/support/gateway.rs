//! A gateway inside the test's process, started from a TOML text as `serve` would start it from a file.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use doorward::config::Config;
use doorward::server::{self, Door, Running};
use doorward::store::Store;
use doorward::time::{Clock, ClockShift};
use serde_json::Value;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions};
use tempfile::TempDir;
use toml::Table;

use super::Upstream;
use super::mariadb::Database;

/// The routes that most tests use, all to one upstream: `/c` is guarded, `/public` open, `/optional` takes both,
/// `/admin` asks for a role, `/api` is guarded and taken off the path.
pub(crate) fn usual_routes(upstream: &Upstream) -> String {
    format!(
        r#"
        [upstreams.app]
        servers = ["{}"]
        [[routes]]
        path = "/c"
        upstream = "app"
        [[routes]]
        path = "/public"
        upstream = "app"
        auth = "none"
        [[routes]]
        path = "/optional"
        upstream = "app"
        auth = "optional"
        [[routes]]
        path = "/admin"
        upstream = "app"
        roles = ["admin"]
        [[routes]]
        path = "/api"
        upstream = "app"
        strip_prefix = "/api"
        "#,
        upstream.url()
    )
}

/// Which database a gateway under test keeps its users in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backend {
    Sqlite,
    MariaDb,
}

/// A running gateway with a database and a folder of its own.
pub(crate) struct TestGateway {
    running: Option<Running>,
    /// The public listener.
    pub(crate) address: SocketAddr,
    /// The private listener.
    pub(crate) admin: SocketAddr,
    /// Moves the gateway's clock.
    pub(crate) shift: ClockShift,
    /// A client without redirects, proxies or patience.
    pub(crate) http: reqwest::Client,
    /// The whole configuration, as TOML.
    pub(crate) toml: String,
    clock: Clock,
    dir: Arc<TempDir>,
    database: Option<Arc<Database>>,
}

impl TestGateway {
    /// Starts a gateway on SQLite. `toml` says what the test is about; the rest is filled in.
    pub(crate) async fn start(toml: &str) -> Self {
        Self::start_on(Backend::Sqlite, toml).await
    }

    /// Starts a gateway on this database.
    pub(crate) async fn start_on(backend: Backend, toml: &str) -> Self {
        let database = match backend {
            Backend::Sqlite => None,
            Backend::MariaDb => Some(Database::create().await),
        };
        Self::start_with(toml, database).await
    }

    /// Starts a gateway on this MariaDB database or, without one, on SQLite.
    pub(crate) async fn start_with(toml: &str, database: Option<Database>) -> Self {
        let dir = Arc::new(tempfile::tempdir().expect("a folder for the test"));
        let database = database.map(Arc::new);
        let toml = complete(toml, database.as_deref());
        let (clock, shift) = Clock::shifted();
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(super::DEADLINE)
            .build()
            .expect("a client");
        let running = launch(&toml, dir.path(), &clock).await;
        Self {
            address: running.addresses()[0],
            admin: running.admin_address().expect("the admin listener is on"),
            running: Some(running),
            shift,
            http,
            toml,
            clock,
            dir,
            database,
        }
    }

    /// Another gateway with the same configuration on the same database and keys: a replica.
    pub(crate) async fn replica(&self) -> Self {
        self.replica_with("").await
    }

    /// A replica for which this TOML says otherwise.
    pub(crate) async fn replica_with(&self, toml: &str) -> Self {
        let mut config: Table = toml.parse().unwrap_or_else(|error| panic!("{error}\n{toml}"));
        merge(&mut config, self.toml.parse().expect("it was written from TOML"));
        let toml = toml::to_string(&config).expect("what was parsed can be written");
        let running = launch(&toml, self.dir.path(), &self.clock).await;
        Self {
            address: running.addresses()[0],
            admin: running.admin_address().expect("the admin listener is on"),
            running: Some(running),
            shift: self.shift.clone(),
            http: self.http.clone(),
            toml,
            clock: self.clock.clone(),
            dir: Arc::clone(&self.dir),
            database: self.database.clone(),
        }
    }

    /// The MariaDB database that it is on.
    pub(crate) fn database(&self) -> &Database {
        self.database.as_deref().expect("this gateway is on MariaDB")
    }

    /// Runs the program itself beside this gateway, with its configuration: whether it succeeded, its output, and what it
    /// said beside. Its clock is the machine's.
    pub(crate) async fn command(&self, args: &str) -> (bool, String, String) {
        let file = self.dir.path().join("gateway.toml");
        std::fs::write(&file, &self.toml).expect("a file in the test's folder");
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_doorward"));
        command
            .args(args.split_whitespace())
            .current_dir(self.dir.path())
            .env_clear();
        command.envs(std::env::vars().filter(|(name, _)| name == "LLVM_PROFILE_FILE"));
        let done = tokio::task::spawn_blocking(move || command.output()).await;
        let done = done.expect("no panic").expect("the program runs");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (done.status.success(), text(done.stdout), text(done.stderr))
    }

    /// The first listener for this.
    pub(crate) fn door(&self, wanted: Door) -> SocketAddr {
        let running = self.running.as_ref().expect("the gateway runs");
        let mut doors = running.doors().into_iter();
        let found = doors.find_map(|(door, address)| (door == wanted).then_some(address));
        found.unwrap_or_else(|| panic!("nothing listens for {wanted:?}"))
    }

    /// The path of a file in this gateway's folder.
    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    /// Puts this configuration in place of the one before, as SIGHUP does with a changed file. The error is what the log says.
    pub(crate) async fn reload(&mut self, toml: &str) -> Result<u64, String> {
        let toml = complete(toml, self.database.as_deref());
        let loaded = doorward::config::parse(&toml, self.dir.path());
        let running = self.running.as_mut().expect("the gateway runs");
        let reloaded = super::within("reload", running.reload(loaded)).await;
        if reloaded.is_ok() {
            self.toml = toml;
        }
        reloaded.map_err(|error| error.to_string())
    }

    /// The value of a metric, by its name with labels.
    pub(crate) async fn metric(&self, name: &str) -> Option<f64> {
        super::metric(&self.http, self.admin, name).await
    }

    /// Stops the gateway and starts it again: all that it held in memory is gone. It listens on other ports then.
    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        let running = launch(&self.toml, self.dir.path(), &self.clock).await;
        self.address = running.addresses()[0];
        self.admin = running.admin_address().expect("the admin listener is on");
        self.running = Some(running);
    }

    /// The same configuration, for what else uses it.
    pub(crate) fn config(&self) -> Config {
        doorward::config::parse(&self.toml, self.dir.path()).expect("the gateway runs with it")
    }

    /// The gateway's store, opened once more as a command would.
    pub(crate) async fn store(&self) -> Store {
        let store = Store::connect(&self.config().store).await;
        store.expect("the gateway runs with it")
    }

    /// How many rows a table of the gateway's SQLite file has.
    pub(crate) async fn rows(&self, table: &str) -> i64 {
        let file = self.dir.path().join("data/doorward.db");
        let mut connection = SqliteConnectOptions::new()
            .filename(file)
            .connect()
            .await
            .expect("the file is there");
        let count = format!("SELECT COUNT(*) FROM {table}");
        sqlx::query_scalar(AssertSqlSafe(count))
            .fetch_one(&mut connection)
            .await
            .expect("the table is there")
    }

    /// Stops the gateway as SIGTERM does.
    pub(crate) async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            super::within("drain", running.drain()).await;
        }
    }

    /// `http://127.0.0.1:PORT` and the path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The same on the private listener.
    pub(crate) fn admin_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.admin)
    }

    /// Puts this gateway's address in place of `HOST` and the token in place of `TOKEN` in a raw request.
    pub(crate) fn fill(&self, raw: &str, token: &str) -> String {
        raw.replace("HOST", &self.address.to_string()).replace("TOKEN", token)
    }

    /// GETs a path, with a bearer token or without: status and body.
    pub(crate) async fn get(&self, path: &str, token: Option<&str>) -> (u16, String) {
        let mut request = self.http.get(self.url(path));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.expect("an answer");
        (response.status().as_u16(), response.text().await.expect("a whole body"))
    }

    /// GETs a path exactly as it is written, which no ordinary client does: status and body.
    pub(crate) async fn get_raw(&self, target: &str, token: &str) -> (u16, String) {
        let raw =
            format!("GET {target} HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer TOKEN\r\nConnection: close\r\n\r\n");
        let ended = super::exchange(self.address, self.fill(&raw, token)).await;
        assert_eq!(ended.answers.len(), 1, "{target}: {ended:?}");
        (
            ended.answers[0].status,
            String::from_utf8_lossy(&ended.answers[0].body).into_owned(),
        )
    }

    /// POSTs JSON: status and JSON body.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let response = self
            .http
            .post(self.url(path))
            .json(body)
            .send()
            .await
            .expect("an answer");
        let status = response.status().as_u16();
        let text = response.text().await.expect("a whole body");
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// Logs the session of this token out.
    pub(crate) async fn log_out(&self, token: &str) {
        let request = self.http.post(self.url("/auth/logout")).bearer_auth(token);
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), 204);
    }
}

async fn launch(toml: &str, base: &Path, clock: &Clock) -> Running {
    let config =
        doorward::config::parse(toml, base).unwrap_or_else(|errors| panic!("{errors}\nin the configuration\n{toml}"));
    Box::pin(server::start(config, clock.clone()))
        .await
        .unwrap_or_else(|error| panic!("the gateway did not start: {error:?}\n{toml}"))
}

/// Fills in what a test rarely cares about: free ports, a database, the cheapest bcrypt, one worker, and as many sign-ups and
/// refreshes as it likes.
pub(crate) fn complete(toml: &str, database: Option<&Database>) -> String {
    let mut config: Table = toml.parse().unwrap_or_else(|error| panic!("{error}\n{toml}"));
    let mut defaults: Table = r#"
        [server]
        listen = "127.0.0.1:0"
        workers = 1
        [admin]
        listen = "127.0.0.1:0"
        [store]
        url = "sqlite://data/doorward.db"
        [keys]
        master_key_file = "data/master.key"
        [passwords]
        bcrypt_cost = 4
        [throttle]
        signups_per_address = "off"
        signups_per_network = "off"
        refreshes_per_session = "off"
        "#
    .parse()
    .expect("the defaults are TOML");
    if let Some(database) = database {
        let store: Table = format!("url = {:?}\nmigrate_on_start = true", database.url())
            .parse()
            .expect("the store's defaults are TOML");
        defaults.insert("store".into(), store.into());
        merge(
            &mut defaults,
            "[keys]\ncreate = true".parse().expect("the keys' defaults are TOML"),
        );
    }
    merge(&mut config, defaults);
    toml::to_string(&config).expect("what was parsed can be written")
}

/// Adds what is not there.
fn merge(into: &mut Table, from: Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(toml::Value::Table(into)), toml::Value::Table(from)) => merge(into, from),
            (Some(_), _) => {}
            (None, value) => {
                into.insert(key, value);
            }
        }
    }
}
