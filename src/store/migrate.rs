//! The schema and its versions.
//!
//! A migration is a pair of files per database, with the same names. On SQLite all that a call does is one transaction. On
//! MySQL, whose DDL is not transactional, a row says that a migration is under way, and every statement of one may run
//! again after it ran: a call that stopped is resumed by the next, and two at once do no harm.

use std::fmt;
use std::time::Duration;

use super::connection::Connection;
use super::error::{Cause, Failure};
use super::sql::{Sql, values};
use super::work::run;
use super::{Store, StoreError};
use crate::time::Timestamp;

/// How long a call may take: an index on a large table is not made in seconds.
const PATIENCE: Duration = Duration::from_mins(10);

/// Which way a migration goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is applied.
    Up,
    /// It is undone.
    Down,
}

impl Step {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A migration, and whether the database has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationState {
    /// Its number, from 1.
    pub version: i64,
    /// Its name, for example `0001_initial`.
    pub name: String,
    /// When it was applied; `None`: it is not, or not wholly.
    pub applied_at: Option<Timestamp>,
    /// Whether this program knows it; `false` for one that a newer version applied.
    pub known: bool,
}

struct Migration {
    version: i64,
    name: &'static str,
    up: Sql,
    down: Sql,
}

impl Migration {
    /// The tables that it makes: the same on either database.
    fn tables(&self) -> impl Iterator<Item = &'static str> {
        let statements = self.up.mysql.split("CREATE TABLE IF NOT EXISTS ").skip(1);
        statements.filter_map(|rest| rest.split([' ', '(']).next())
    }
}

macro_rules! migration {
    ($version:literal, $name:literal) => {
        Migration {
            version: $version,
            name: $name,
            up: Sql {
                mysql: include_str!(concat!("../../migrations/mysql/", $name, ".up.sql")),
                sqlite: include_str!(concat!("../../migrations/sqlite/", $name, ".up.sql")),
            },
            down: Sql {
                mysql: include_str!(concat!("../../migrations/mysql/", $name, ".down.sql")),
                sqlite: include_str!(concat!("../../migrations/sqlite/", $name, ".down.sql")),
            },
        }
    };
}

/// By ascending version.
const MIGRATIONS: &[Migration] = &[
    migration!(1, "0001_initial"),
    migration!(2, "0002_throttle"),
    migration!(3, "0003_audit"),
];

const CREATE_RECORD: Sql = Sql {
    mysql: "CREATE TABLE IF NOT EXISTS doorward_migrations (version BIGINT NOT NULL PRIMARY KEY, \
            name VARCHAR(100) NOT NULL, applied_at BIGINT NOT NULL, under_way VARCHAR(4) NULL) \
            ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
    sqlite: "CREATE TABLE IF NOT EXISTS doorward_migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL, \
             applied_at INTEGER NOT NULL, under_way TEXT) STRICT",
};

/// What the database says about one migration.
struct Recorded {
    version: i64,
    name: String,
    applied_at: Timestamp,
    under_way: Option<Step>,
}

impl Recorded {
    fn is_known(&self) -> bool {
        MIGRATIONS.iter().any(|known| known.version == self.version)
    }
}

impl Store {
    /// Applies what is not applied, oldest first, and answers with the names. Refuses a schema that is ahead, and a
    /// database with tables of the same names that are not ours. May take up to ten minutes.
    pub async fn migrate_up(&self, now: Timestamp) -> Result<Vec<String>, StoreError> {
        let done = run!(self.altering(PATIENCE), |connection| {
            // In this order: whoever made a table of ours wrote the record before.
            let there = tables(connection).await?;
            let recorded = recorded(connection).await?;
            refuse_ahead(&recorded)?;
            refuse_strange(&there, &recorded)?;
            connection.execute(CREATE_RECORD, values![]).await?;
            let mut names = Vec::new();
            for migration in MIGRATIONS {
                let found = recorded.iter().find(|recorded| recorded.version == migration.version);
                if found.is_some_and(|recorded| recorded.under_way.is_none()) {
                    continue;
                }
                apply(connection, migration, found.is_some(), now).await?;
                names.push(migration.name.to_owned());
            }
            Ok(names)
        });
        Ok(done?)
    }

    /// Undoes the last `steps` migrations, newest first, and answers with the names. Their data is lost.
    pub async fn migrate_down(&self, steps: u32) -> Result<Vec<String>, StoreError> {
        let done = run!(self.altering(PATIENCE), |connection| {
            let recorded = recorded(connection).await?;
            refuse_ahead(&recorded)?;
            let mut names = Vec::new();
            for migration in MIGRATIONS.iter().rev() {
                let done = names.len() == steps as usize;
                if !done && recorded.iter().any(|recorded| recorded.version == migration.version) {
                    undo(connection, migration).await?;
                    names.push(migration.name.to_owned());
                }
            }
            Ok(names)
        });
        Ok(done?)
    }

    /// Every migration that this program or the database knows, oldest first.
    pub async fn migration_status(&self) -> Result<Vec<MigrationState>, StoreError> {
        let recorded = run!(self.reading(), |connection| recorded(connection).await)?;
        let mut states: Vec<MigrationState> = recorded
            .iter()
            .map(|recorded| MigrationState {
                version: recorded.version,
                name: recorded.name.clone(),
                applied_at: recorded.under_way.is_none().then_some(recorded.applied_at),
                known: recorded.is_known(),
            })
            .collect();
        for migration in MIGRATIONS {
            if !recorded.iter().any(|recorded| recorded.version == migration.version) {
                states.push(MigrationState {
                    version: migration.version,
                    name: migration.name.to_owned(),
                    applied_at: None,
                    known: true,
                });
            }
        }
        states.sort_by_key(|state| state.version);
        Ok(states)
    }

    /// Drops every table of ours, with all data. Refuses a schema that is ahead: it may have tables that this program does
    /// not know.
    pub async fn drop_everything(&self) -> Result<(), StoreError> {
        let done = run!(self.altering(PATIENCE), |connection| {
            let recorded = recorded(connection).await?;
            refuse_ahead(&recorded)?;
            // What is not recorded is not ours.
            for migration in MIGRATIONS.iter().rev() {
                if recorded.iter().any(|recorded| recorded.version == migration.version) {
                    undo(connection, migration).await?;
                }
            }
            connection.run("DROP TABLE IF EXISTS doorward_migrations").await
        });
        Ok(done?)
    }

    /// Whether the schema is the one that this program was made for: neither behind, nor ahead, nor half-way.
    pub async fn check_schema(&self) -> Result<(), StoreError> {
        let recorded = run!(self.reading(), |connection| recorded(connection).await)?;
        refuse_ahead(&recorded)?;
        for migration in MIGRATIONS {
            match recorded.iter().find(|recorded| recorded.version == migration.version) {
                None => {
                    return Err(StoreError::SchemaBehind {
                        missing: migration.name.to_owned(),
                    });
                }
                Some(Recorded {
                    under_way: Some(command),
                    ..
                }) => {
                    return Err(StoreError::SchemaHalfApplied {
                        name: migration.name.to_owned(),
                        command: *command,
                    });
                }
                Some(Recorded { under_way: None, .. }) => {}
            }
        }
        Ok(())
    }
}

fn refuse_ahead(recorded: &[Recorded]) -> Result<(), StoreError> {
    match recorded.iter().find(|recorded| !recorded.is_known()) {
        Some(unknown) => Err(StoreError::SchemaAhead {
            unknown: unknown.name.clone(),
        }),
        None => Ok(()),
    }
}

/// Refuses tables that a migration would make, and that are there although it is not recorded. MySQL's migrations take
/// what is there for their own, and undoing them would delete it.
fn refuse_strange(there: &[String], recorded: &[Recorded]) -> Result<(), StoreError> {
    let is_recorded = |migration: &&Migration| recorded.iter().any(|recorded| recorded.version == migration.version);
    let strange: Vec<String> = MIGRATIONS
        .iter()
        .filter(|migration| !is_recorded(migration))
        .flat_map(Migration::tables)
        // Whether the case of a table's name matters depends on the server: one that differs in it alone may be in the way.
        .filter(|table| there.iter().any(|there| there.eq_ignore_ascii_case(table)))
        .map(|table| format!("`{table}`"))
        .collect();
    if strange.is_empty() {
        return Ok(());
    }
    Err(StoreError::Query(Cause::of(format!(
        "the database has tables that Doorward would make but did not: {}",
        strange.join(", ")
    ))))
}

/// The names of all tables and views.
async fn tables(connection: &mut Connection) -> Result<Vec<String>, Failure> {
    const SELECT: Sql = Sql {
        mysql: "SELECT CAST(table_name AS CHAR) AS name FROM information_schema.tables WHERE table_schema = DATABASE()",
        sqlite: "SELECT name FROM sqlite_master WHERE type IN ('table', 'view')",
    };
    let rows = connection.rows(SELECT, values![]).await?;
    Ok(rows.iter().map(|row| row.text("name")).collect::<Result<_, _>>()?)
}

async fn has_table(connection: &mut Connection, name: &'static str) -> Result<bool, Failure> {
    const FIND: Sql = Sql {
        mysql: "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?",
        sqlite: "SELECT name FROM sqlite_master WHERE type = 'table' AND name = ?",
    };
    Ok(connection.row(FIND, values![name]).await?.is_some())
}

/// What is recorded, by ascending version; nothing where nothing was ever applied.
async fn recorded(connection: &mut Connection) -> Result<Vec<Recorded>, Failure> {
    const SELECT: &str = "SELECT version, name, applied_at, under_way FROM doorward_migrations ORDER BY version";
    if !has_table(connection, "doorward_migrations").await? {
        return Ok(Vec::new());
    }
    let mut recorded = Vec::new();
    for row in connection.rows(SELECT, values![]).await? {
        recorded.push(Recorded {
            version: row.int("version")?,
            name: row.text("name")?,
            applied_at: row.time("applied_at")?,
            under_way: match row.text_if_any("under_way")?.as_deref() {
                None => None,
                Some("up") => Some(Step::Up),
                Some("down") => Some(Step::Down),
                Some(_) => return Err(StoreError::Corrupt("under_way").into()),
            },
        });
    }
    Ok(recorded)
}

async fn apply(
    connection: &mut Connection,
    migration: &Migration,
    is_recorded: bool,
    now: Timestamp,
) -> Result<(), Failure> {
    if is_recorded {
        mark(connection, migration, Some(Step::Up)).await?;
    } else {
        const INSERT: &str =
            "INSERT INTO doorward_migrations (version, name, applied_at, under_way) VALUES (?, ?, ?, ?)";
        let row = values![migration.version, migration.name, now, Step::Up.as_str()];
        match connection.execute(INSERT, row).await {
            // Somebody else began it in this very moment: both run it.
            Ok(_) | Err(Failure::Duplicate(_)) => {}
            Err(failure) => return Err(failure),
        }
    }
    connection.run_either(migration.up).await?;
    mark(connection, migration, None).await
}

async fn undo(connection: &mut Connection, migration: &Migration) -> Result<(), Failure> {
    mark(connection, migration, Some(Step::Down)).await?;
    connection.run_either(migration.down).await?;
    connection
        .execute(
            "DELETE FROM doorward_migrations WHERE version = ?",
            values![migration.version],
        )
        .await?;
    Ok(())
}

async fn mark(connection: &mut Connection, migration: &Migration, under_way: Option<Step>) -> Result<(), Failure> {
    let step = under_way.map(Step::as_str);
    connection
        .execute(
            "UPDATE doorward_migrations SET under_way = ? WHERE version = ?",
            values![step, migration.version],
        )
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_of_a_migration_are_those_that_either_database_gets() {
        let made: Vec<&str> = MIGRATIONS.iter().flat_map(Migration::tables).collect();
        let all = [
            "users",
            "sessions",
            "refresh_tokens",
            "blocked_tokens",
            "signing_keys",
            "turns",
            "throttles",
            "audit_events",
        ];
        assert_eq!(made, all);
        for migration in MIGRATIONS {
            assert_eq!(
                migration.up.mysql.matches("CREATE TABLE").count(),
                migration.tables().count()
            );
            assert_eq!(
                migration.up.sqlite.matches("CREATE TABLE").count(),
                migration.tables().count()
            );
        }
    }

    #[test]
    fn migrations_are_numbered_without_a_gap_and_named_by_their_number() {
        for (migration, version) in MIGRATIONS.iter().zip(1..) {
            assert_eq!(migration.version, version);
            assert!(
                migration.name.starts_with(&format!("{version:04}_")),
                "{}",
                migration.name
            );
        }
    }
}
