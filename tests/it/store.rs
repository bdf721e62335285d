//! What the store promises, on SQLite and on MariaDB: every behaviour is one function that runs on both.

mod audit;
mod cleanup;
mod endings;
mod failures;
mod files;
mod keys;
mod migrations;
mod passwords;
mod refresh;
mod revocations;
mod roles;
mod sessions;
mod signup;
mod throttle;
mod trail;
mod users;

use std::path::PathBuf;
use std::time::Duration;

use doorward::config;
use doorward::id::{SessionId, UserId};
use doorward::secret::Secret;
use doorward::store::{NewSession, NewUser, Refreshed, RolesChange, Rotation, Store, User};
use doorward::time::Timestamp;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use tempfile::TempDir;

use crate::support::mariadb::Database;

/// Makes two tests of each function, one on each database.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(&$crate::store::Db::sqlite().await).await;
            })*
        }
        mod on_mariadb {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(&$crate::store::Db::mariadb().await).await;
            })*
        }
    };
}

use on_both;

/// A time that is as good as any.
const NOW: Timestamp = Timestamp::from_unix_ms(1_795_361_760_123);

fn later(seconds: u64) -> Timestamp {
    NOW + Duration::from_secs(seconds)
}

/// A database with the whole schema, and a store on it.
struct Db {
    store: Store,
    config: config::Store,
    place: Place,
}

enum Place {
    Sqlite {
        /// Removed with the test.
        _dir: TempDir,
    },
    MariaDb(Database),
}

impl Db {
    async fn sqlite() -> Self {
        let db = Self::empty_sqlite().await;
        db.store.migrate_up(NOW).await.unwrap();
        db
    }

    async fn mariadb() -> Self {
        let db = Self::empty_mariadb().await;
        db.store.migrate_up(NOW).await.unwrap();
        db
    }

    async fn empty_sqlite() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = config::Store {
            backend: config::Backend::Sqlite(dir.path().join("data").join("doorward.db")),
            revocations: config::Revocations::Database,
            max_connections: 10,
            connect_timeout: Duration::from_secs(20),
            query_timeout: Duration::from_secs(20),
            migrate_on_start: true,
            cleanup_every: Duration::from_mins(1),
            cleanup_batch: 1000,
        };
        Self {
            store: Store::connect(&config).await.unwrap(),
            config,
            place: Place::Sqlite { _dir: dir },
        }
    }

    async fn empty_mariadb() -> Self {
        Self::on(Database::create().await).await
    }

    async fn on(database: Database) -> Self {
        let config = database.config();
        Self {
            store: Store::connect(&config).await.unwrap(),
            config,
            place: Place::MariaDb(database),
        }
    }

    /// Another store on the same database, as another replica has.
    async fn replica(&self) -> Store {
        Store::connect(&self.config).await.unwrap()
    }

    /// Runs a statement on SQLite that the store would not, and that may fail.
    async fn try_run(&self, sql: &'static str) -> Result<(), String> {
        let options = SqliteConnectOptions::new()
            .filename(self.sqlite_file())
            .disable_statement_logging();
        let mut connection = options.connect().await.unwrap();
        let done = sqlx::raw_sql(sql).execute(&mut connection).await;
        connection.close().await.unwrap();
        done.map(|_| ()).map_err(|error| error.to_string())
    }

    /// Runs statements that the store would not.
    async fn run(&self, sql: &str) {
        match &self.place {
            Place::Sqlite { .. } => {
                let options = SqliteConnectOptions::new()
                    .filename(self.sqlite_file())
                    .disable_statement_logging();
                let mut connection = options.connect().await.unwrap();
                sqlx::raw_sql(AssertSqlSafe(sql))
                    .execute(&mut connection)
                    .await
                    .unwrap();
                connection.close().await.unwrap();
            }
            Place::MariaDb(database) => database.run(sql).await,
        }
    }

    fn sqlite_file(&self) -> PathBuf {
        match &self.config.backend {
            config::Backend::Sqlite(path) => path.clone(),
            config::Backend::MySql(_) => panic!("this test is about SQLite"),
        }
    }

    /// A user of this name, who can log in with the hash `hash-of-NAME`.
    async fn user(&self, name: &str) -> User {
        self.store.create_user(&new_user(name)).await.unwrap()
    }

    /// A session of this user, whose first refresh token has the hash `[token; 32]`.
    async fn session(&self, user: &User, token: u8) -> SessionId {
        let session = new_session(user, token);
        assert!(self.store.start_session(&session).await.unwrap().is_some());
        session.id
    }

    /// Presents the refresh token `[presented; 32]` for `[successor; 32]`.
    async fn rotate(&self, presented: u8, successor: u8) -> Refreshed {
        self.store
            .rotate_refresh_token(&rotation(presented, successor, NOW))
            .await
            .unwrap()
    }
}

fn new_user(name: &str) -> NewUser {
    NewUser {
        id: UserId::generate(NOW),
        email: format!("{name}@example.com").parse().unwrap(),
        name: name.parse().unwrap(),
        password_hash: Secret::new(format!("hash-of-{name}")),
        roles: Vec::new(),
        now: NOW,
    }
}

fn new_session(user: &User, token: u8) -> NewSession {
    NewSession {
        id: SessionId::generate(NOW),
        user: user.id,
        password_hash: user.password_hash.clone(),
        created_at: NOW,
        expires_at: later(3000),
        ip: Some([192, 0, 2, 1].into()),
        user_agent: Some("curl/8.0".to_owned()),
        refresh_hash: [token; 32],
        refresh_expires_at: later(1000),
    }
}

fn rotation(presented: u8, successor: u8, now: Timestamp) -> Rotation {
    Rotation {
        presented: [presented; 32],
        successor: [successor; 32],
        successor_expires_at: now + Duration::from_secs(1000),
        revoke_until: now + Duration::from_mins(15),
        now,
    }
}

/// These roles and no other.
fn only(roles: &[&str]) -> RolesChange {
    RolesChange {
        clear: true,
        add: roles.iter().map(|name| name.parse().unwrap()).collect(),
        ..RolesChange::default()
    }
}
