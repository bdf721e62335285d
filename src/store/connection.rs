//! One connection to either database, and how it is made.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection as _, MySqlConnection, SqliteConnection};

use super::error::Failure;
use super::sql::{Row, Sql, Value};
use crate::config::{MySql, MySqlTls};

/// A connection. Whoever drops it in the middle of an answer closes it: the server then undoes what was not committed.
pub(super) enum Connection {
    MySql(Box<MySqlConnection>),
    Sqlite(Box<SqliteConnection>),
}

/// Runs one body on the connection of either kind, with the statement in its dialect and its values bound.
macro_rules! on {
    ($connection:expr, $sql:expr, $values:expr, |$query:ident, $raw:ident, $row:ident| $body:expr) => {{
        let sql: Sql = $sql.into();
        match $connection {
            Connection::MySql($raw) => {
                let $row = Row::MySql;
                let $query = bind!(sqlx::query::<sqlx::MySql>(sql.mysql), $values);
                $body
            }
            Connection::Sqlite($raw) => {
                let $row = Row::Sqlite;
                let $query = bind!(sqlx::query::<sqlx::Sqlite>(sql.sqlite), $values);
                $body
            }
        }
    }};
}

macro_rules! bind {
    ($query:expr, $values:expr) => {{
        let mut query = $query;
        for value in $values {
            query = match *value {
                Value::Int(number) => query.bind(number),
                Value::Text(text) => query.bind(text),
                Value::Bytes(bytes) => query.bind(bytes),
            };
        }
        query
    }};
}

impl Connection {
    /// Runs a statement and answers with the number of rows that it inserted, deleted, or matched for an update.
    pub(super) async fn execute(&mut self, sql: impl Into<Sql>, values: &[Value<'_>]) -> Result<u64, Failure> {
        Ok(on!(self, sql, values, |query, raw, _row| query
            .execute(&mut **raw)
            .await?
            .rows_affected()))
    }

    /// All rows of a query.
    pub(super) async fn rows(&mut self, sql: impl Into<Sql>, values: &[Value<'_>]) -> Result<Vec<Row>, Failure> {
        Ok(on!(self, sql, values, |query, raw, row| {
            query.fetch_all(&mut **raw).await?.into_iter().map(row).collect()
        }))
    }

    /// All rows of a query that is put together for the occasion: its text holds no value.
    pub(super) async fn rows_once(&mut self, text: &str, values: &[Value<'_>]) -> Result<Vec<Row>, Failure> {
        macro_rules! query {
            ($database:ty) => {
                bind!(
                    sqlx::query::<$database>(sqlx::AssertSqlSafe(text.to_owned())).persistent(false),
                    values
                )
            };
        }
        Ok(match self {
            Self::MySql(raw) => {
                let rows = query!(sqlx::MySql).fetch_all(&mut **raw).await?;
                rows.into_iter().map(Row::MySql).collect()
            }
            Self::Sqlite(raw) => {
                let rows = query!(sqlx::Sqlite).fetch_all(&mut **raw).await?;
                rows.into_iter().map(Row::Sqlite).collect()
            }
        })
    }

    /// The one row of a query, if any.
    pub(super) async fn row(&mut self, sql: impl Into<Sql>, values: &[Value<'_>]) -> Result<Option<Row>, Failure> {
        Ok(on!(self, sql, values, |query, raw, row| query
            .fetch_optional(&mut **raw)
            .await?
            .map(row)))
    }

    /// Runs one or more statements as text: transaction control, settings and DDL, which take no values.
    pub(super) async fn run(&mut self, text: &str) -> Result<(), Failure> {
        let text = sqlx::AssertSqlSafe(text);
        match self {
            Self::MySql(raw) => sqlx::raw_sql(text).execute(&mut **raw).await.map(|_| ())?,
            Self::Sqlite(raw) => sqlx::raw_sql(text).execute(&mut **raw).await.map(|_| ())?,
        }
        Ok(())
    }

    /// Runs one or more statements as text, in this database's dialect.
    pub(super) async fn run_either(&mut self, sql: Sql) -> Result<(), Failure> {
        let text = match self {
            Self::MySql(_) => sql.mysql,
            Self::Sqlite(_) => sql.sqlite,
        };
        self.run(text).await
    }

    /// Begins a transaction that will write.
    pub(super) async fn begin(&mut self) -> Result<(), Failure> {
        self.run(match self {
            Self::MySql(_) => "START TRANSACTION",
            // A deferred one that reads first can't become a writer once somebody else has written.
            Self::Sqlite(_) => "BEGIN IMMEDIATE",
        })
        .await
    }

    pub(super) async fn ping(&mut self) -> Result<(), Failure> {
        match self {
            Self::MySql(raw) => raw.ping().await?,
            Self::Sqlite(raw) => raw.ping().await?,
        }
        Ok(())
    }

    /// Sees to it that on a node of a Galera cluster each read, and each transaction, first waits until the node has applied
    /// what the cluster had committed by then. Otherwise a node that lags behind, or was cut off and has not noticed yet,
    /// shows an old state as if it were the present one, and a logout on another node would be missed.
    async fn wait_for_the_cluster(&mut self) -> Result<(), Failure> {
        // The variable is unknown to servers that were built without Galera.
        let wsrep = self.row("SHOW GLOBAL VARIABLES LIKE 'wsrep_on'", &[]).await?;
        let on = wsrep.map(|row| row.text("Value")).transpose()?;
        if on.as_deref() == Some("ON") {
            self.run("SET SESSION wsrep_sync_wait = 1").await?;
        }
        Ok(())
    }

    /// Says good-bye to the server, or writes SQLite's log back into its file.
    pub(super) async fn close(self) {
        // There is nothing to do about one that can't be closed: it is gone.
        match self {
            Self::MySql(raw) => drop(raw.close().await),
            Self::Sqlite(raw) => drop(raw.close().await),
        }
    }
}

/// How connections are made. It has no `Debug`: the options hold the password.
pub(super) enum Connector {
    MySql {
        options: Box<MySqlConnectOptions>,
        session: String,
    },
    Sqlite(Box<SqliteConnectOptions>),
}

impl Connector {
    pub(super) fn mysql(config: &MySql, query_timeout: Duration) -> Self {
        let mut options = MySqlConnectOptions::new()
            .host(&config.host)
            .port(config.port)
            .username(&config.user)
            .database(&config.database)
            .ssl_mode(match config.tls {
                MySqlTls::Disabled => MySqlSslMode::Disabled,
                MySqlTls::Preferred => MySqlSslMode::Preferred,
                MySqlTls::Required => MySqlSslMode::Required,
                MySqlTls::VerifyCa => MySqlSslMode::VerifyCa,
                MySqlTls::VerifyIdentity => MySqlSslMode::VerifyIdentity,
            })
            .charset("utf8mb4")
            .collation("utf8mb4_bin")
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .timezone(None)
            .disable_statement_logging();
        if let Some(password) = &config.password {
            options = options.password(password.expose());
        }
        if let Some(socket) = &config.socket {
            options = options.socket(socket);
        }
        if let Some(ca) = &config.tls_ca {
            options = options.ssl_ca(ca);
        }
        // Half of our own patience, so that the server gives up first and the transaction can be tried again.
        let wait = (query_timeout.as_secs() / 2).clamp(1, 50);
        // A strict mode refuses what does not fit instead of cutting it. READ COMMITTED takes no gap locks, and lets each
        // statement see what is committed by then.
        let session = format!(
            "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', \
             autocommit = 1, innodb_lock_wait_timeout = {wait}, lock_wait_timeout = {wait}; \
             SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"
        );
        Self::MySql {
            options: Box::new(options),
            session,
        }
    }

    /// The connector for the one connection that writes.
    pub(super) fn sqlite_writer(path: &Path, query_timeout: Duration) -> Self {
        // A revocation that was answered with success survives a power cut: FULL syncs at each commit.
        let options = sqlite(path, query_timeout)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true);
        Self::Sqlite(Box::new(options))
    }

    /// The connector for those that read: with a write-ahead log they never wait for the writer.
    pub(super) fn sqlite_reader(path: &Path, query_timeout: Duration) -> Self {
        Self::Sqlite(Box::new(sqlite(path, query_timeout).pragma("query_only", "ON")))
    }

    pub(super) async fn connect(&self) -> Result<Connection, Failure> {
        match self {
            Self::MySql { options, session } => {
                let mut connection = Connection::MySql(Box::new(options.connect().await?));
                connection.run(session).await?;
                connection.wait_for_the_cluster().await?;
                Ok(connection)
            }
            Self::Sqlite(options) => Ok(Connection::Sqlite(Box::new(options.connect().await?))),
        }
    }
}

/// The pages that each connection keeps: half a mebibyte (a number below zero counts KiB), instead of two. What is asked for
/// again and again fits, the system has the rest, and memory does not grow for hours while the file does.
const SQLITE_CACHE: &str = "-512";

fn sqlite(path: &Path, query_timeout: Duration) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(as_file(path))
        .create_if_missing(false)
        .pragma("cache_size", SQLITE_CACHE)
        // A quarter of our own patience: another process that writes is waited for, a few times over.
        .busy_timeout(query_timeout / 4)
        .disable_statement_logging()
}

/// SQLite reads `:memory:`, `file:…` and the empty name as something else than a file of that name.
fn as_file(path: &Path) -> PathBuf {
    if path.is_absolute() {
        path.to_owned()
    } else {
        Path::new(".").join(path)
    }
}

/// Makes the file and its directory when missing, for our own user alone. SQLite gives its `-wal` and `-shm` files the
/// mode of this one.
pub(super) fn create_sqlite_file(path: &Path) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(as_file(path))?;
    Ok(())
}
