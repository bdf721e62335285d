//! Private MariaDB servers, in folders and on ports of their own: one that the tests of a run share, each with a database
//! of its own, and one for each test that hurts its server.
//!
//! They end with the test process, however it ends.

// Named, as the benchmarks have this file elsewhere.
#[path = "mariadb/guard.rs"]
mod guard;

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use doorward::config::{Backend, MySql, MySqlTls, Revocations, Store};
use doorward::secret::Secret;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use tokio::sync::OnceCell;

pub(crate) use guard::stands_still;
use guard::{install, spawn};

const ROOT: &str = "root";
/// Who may do everything there.
const USER: &str = "doorward";
/// Who may do all that a gateway needs, and does not write to a server that is read-only.
const PLAIN_USER: &str = "plain";
/// Looked for in what must not hold it.
pub(crate) const PASSWORD: &str = "p4ss-of-the-database";

/// A running server.
pub(crate) struct Server {
    port: u16,
    dir: PathBuf,
    /// The shell that ends the server once its standard input does.
    guard: Child,
}

/// Settings for a server that must keep what it answered, whatever becomes of it.
pub(crate) const DURABLE: [&str; 1] = ["--innodb-flush-log-at-trx-commit=1"];

/// A database of its own on a server.
pub(crate) struct Database {
    pub(crate) port: u16,
    name: String,
}

impl Database {
    /// An empty one on the server that all tests share, which the first call starts.
    pub(crate) async fn create() -> Self {
        static SHARED: OnceCell<Server> = OnceCell::const_new();
        Self::create_in(SHARED.get_or_init(Server::start).await).await
    }

    /// An empty one on this server.
    pub(crate) async fn create_in(server: &Server) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let mut connection = connect(server.port, "mysql")
            .await
            .expect("the server takes connections");
        let create = format!("CREATE DATABASE {name}");
        sqlx::raw_sql(AssertSqlSafe(create))
            .execute(&mut connection)
            .await
            .expect("a database can be made");
        Self {
            port: server.port,
            name,
        }
    }

    /// What `store.url` says for it.
    pub(crate) fn url(&self) -> String {
        self.url_at(self.port)
    }

    /// The same for a user who does not write to a server that is read-only.
    pub(crate) fn plain_url(&self) -> String {
        format!("mysql://{PLAIN_USER}:{PASSWORD}@127.0.0.1:{}/{}", self.port, self.name)
    }

    /// Makes an account that has these rights on these tables of it, which are there, and no others: what `store.url` says for it.
    pub(crate) async fn account_with(&self, rights: &[(&str, &str)]) -> String {
        let user = format!("narrow_{}", self.name);
        self.run(&format!("CREATE USER '{user}'@'%' IDENTIFIED BY '{PASSWORD}'"))
            .await;
        for (table, rights) in rights {
            self.run(&format!("GRANT {rights} ON {}.{table} TO '{user}'@'%'", self.name))
                .await;
        }
        format!("mysql://{user}:{PASSWORD}@127.0.0.1:{}/{}", self.port, self.name)
    }

    /// The same behind another port.
    pub(crate) fn url_at(&self, port: u16) -> String {
        format!("mysql://{USER}:{PASSWORD}@127.0.0.1:{port}/{}", self.name)
    }

    /// The same for the copy of it on another server.
    pub(crate) fn url_on(&self, server: &Server) -> String {
        self.url_at(server.port)
    }

    /// The configuration that `store.url` stands for.
    pub(crate) fn config(&self) -> Store {
        Store {
            backend: Backend::MySql(MySql {
                host: "127.0.0.1".to_owned(),
                port: self.port,
                socket: None,
                user: USER.to_owned(),
                password: Some(Secret::new(PASSWORD.to_owned())),
                database: self.name.clone(),
                tls: MySqlTls::Preferred,
                tls_ca: None,
            }),
            revocations: Revocations::Database,
            max_connections: 10,
            connect_timeout: Duration::from_secs(20),
            query_timeout: Duration::from_secs(20),
            migrate_on_start: false,
            cleanup_every: Duration::from_mins(1),
            cleanup_batch: 1000,
        }
    }

    /// Ends every connection to it from the server's side.
    pub(crate) async fn kill_connections(&self) {
        let mut connection = connect(self.port, "mysql").await.expect("the server takes connections");
        let list = "SELECT id FROM information_schema.processlist WHERE db = ?";
        let ids: Vec<i64> = sqlx::query_scalar(list)
            .bind(&self.name)
            .fetch_all(&mut connection)
            .await
            .expect("the server lists its connections");
        for id in ids {
            // One may have ended by itself.
            drop(
                sqlx::raw_sql(AssertSqlSafe(format!("KILL {id}")))
                    .execute(&mut connection)
                    .await,
            );
        }
    }

    /// Keeps everybody else from these tables (`name WRITE, …`) until it is released.
    pub(crate) async fn lock_tables(&self, tables: &str) -> TableLock {
        let mut connection = connect(self.port, &self.name)
            .await
            .expect("the server takes connections");
        sqlx::raw_sql(AssertSqlSafe(format!("LOCK TABLES {tables}")))
            .execute(&mut connection)
            .await
            .expect("tables can be locked");
        TableLock(connection)
    }

    /// Writes revocations of nobody until the server takes no more for now. They end within a day or so, as those of a test's
    /// sessions do: the pages of the index that these would go to are full as well.
    pub(crate) async fn fill_with_revocations(&self) {
        let mut connection = connect(self.port, &self.name)
            .await
            .expect("the server takes connections");
        for rows in [100_000, 1000, 100, 10, 1] {
            let insert = format!(
                "INSERT INTO blocked_tokens (kind, value, gen, expires_at, blocked_at) \
                 SELECT 1, UNHEX(REPLACE(UUID(), '-', '')), 0, FLOOR((UNIX_TIMESTAMP() + RAND() * 90000) * 1000), 0 \
                 FROM seq_1_to_{rows}"
            );
            for _ in 0..1000 {
                let statement = sqlx::raw_sql(AssertSqlSafe(insert.clone()));
                if statement.execute(&mut connection).await.is_err() {
                    break;
                }
            }
        }
    }

    /// Runs statements that the gateway would not.
    pub(crate) async fn run(&self, sql: &str) {
        let mut connection = connect(self.port, &self.name)
            .await
            .expect("the server takes connections");
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut connection)
            .await
            .expect("the statement is right");
        connection.close().await.expect("the connection can be closed");
    }
}

/// Tables that nobody else can use.
pub(crate) struct TableLock(MySqlConnection);

impl TableLock {
    /// Lets everybody go on.
    pub(crate) async fn release(self) {
        self.0.close().await.expect("the connection can be closed");
    }
}

impl Server {
    /// Starts one and waits until it takes connections.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts one with more settings, which win over ours.
    pub(crate) async fn start_with(settings: &[&str]) -> Self {
        Self::start_as(ROOT, settings, "").await
    }

    /// Starts one as this user, with more settings, and with one that no longer counts once it has ended.
    pub(crate) async fn start_as(user: &str, settings: &[&str], once: &str) -> Self {
        for _ in 0..3 {
            if let Some(server) = Self::try_start(user, settings, once).await {
                return server;
            }
        }
        panic!("MariaDB does not start: see what it wrote above");
    }

    /// `None` when it ended, as it does when somebody else took the port in the meantime.
    async fn try_start(user: &str, settings: &[&str], once: &str) -> Option<Self> {
        let dir = tempfile::Builder::new()
            .prefix("doorward-mariadb")
            .tempdir()
            .expect("a folder")
            .keep();
        let made = dir.clone();
        tokio::task::spawn_blocking(move || install(&made))
            .await
            .expect("the installation ran");
        std::fs::write(dir.join("once"), once).expect("the folder takes a file");
        if user != ROOT {
            let given = Command::new("chown").args(["-R", user]).arg(&dir).status();
            assert!(given.expect("chown runs").success(), "{user} can't be given a folder");
        }
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("a bound address").port();
        drop(listener);
        let mut server = Self {
            port,
            guard: spawn(user, &dir, port, settings),
            dir,
        };
        for _ in 0..1200 {
            if connect(server.port, "mysql").await.is_ok() {
                return Some(server);
            }
            if server.guard.try_wait().expect("a child can be asked").is_some() {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("MariaDB takes no connections within 60 s");
    }

    /// Stops its clock: connections stay open and nothing answers, until [`Self::thaw`].
    pub(crate) fn freeze(&self) {
        self.signal("STOP");
        stands_still(self.id());
    }

    /// Lets a frozen server go on.
    pub(crate) fn thaw(&self) {
        self.signal("CONT");
    }

    /// From now on it is started again whenever it ends.
    pub(crate) fn keep(&self) {
        self.mark("again");
    }

    fn mark(&self, name: &str) {
        std::fs::write(self.dir.join(name), "").expect("the folder takes a file");
    }

    /// Ends it as a power cut would, until [`Self::revive`]. It is started again whenever it ends from now on.
    pub(crate) fn kill(&self) {
        self.end_by("KILL");
    }

    /// Begins to end it as an administrator would, until [`Self::revive`]. It is started again whenever it ends from now on.
    pub(crate) fn end(&self) {
        self.end_by("TERM");
    }

    fn end_by(&self, signal: &str) {
        self.keep();
        self.mark("hold");
        self.signal(signal);
    }

    /// Starts a server that was ended, and waits until it takes connections.
    pub(crate) async fn revive(&self) {
        std::fs::remove_file(self.dir.join("hold")).expect("a server that was ended waits");
        for _ in 0..1200 {
            if connect(self.port, "mysql").await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("MariaDB does not come back within 60 s");
    }

    /// The value of one of its status variables, if it answers.
    pub(crate) async fn status(&self, name: &str) -> Option<String> {
        let mut connection = connect(self.port, "mysql").await.ok()?;
        let query = "SELECT variable_value FROM information_schema.global_status WHERE variable_name = ?";
        sqlx::query_scalar(query)
            .bind(name)
            .fetch_optional(&mut connection)
            .await
            .ok()?
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([format!("-{name}"), self.id().to_string()])
            .status()
            .expect("kill runs");
        assert!(sent.success(), "no signal to {}", self.id());
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        let pid = std::fs::read_to_string(self.dir.join("server")).expect("a running server has a process id");
        pid.trim().parse().expect("it is a number")
    }
}

async fn connect(port: u16, database: &str) -> sqlx::Result<MySqlConnection> {
    let options = MySqlConnectOptions::new()
        .host("127.0.0.1")
        .port(port)
        .username(USER)
        .password(PASSWORD)
        .database(database);
    options.disable_statement_logging().connect().await
}
