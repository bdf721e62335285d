//! What can go wrong with the database, in words that hold no secret and no value of a row.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use sqlx::mysql::MySqlDatabaseError;

use super::migrate::Step;

/// The database could not be asked, or could not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// No answer in time. What was asked may still happen, wholly or not at all.
    #[error("the database did not answer within {0:?}")]
    Timeout(Duration),
    /// No connection could be made, or it broke: a write that it carried may have happened, wholly or not at all. Or others
    /// were in the way each time that it was tried, as they are while a Galera node can't tell what its cluster has committed.
    #[error("the database can't be reached")]
    Unavailable(#[source] Cause),
    /// The database refused a statement.
    #[error("the database refused a statement")]
    Query(#[source] Cause),
    /// The database takes no writes for now: it is read-only, or a disk is full or fails. Nothing was written.
    #[error("the database takes no writes")]
    Unwritable(#[source] Cause),
    /// Redis, which keeps the revocations, can't be used, or could not do what it was asked. What was asked may still happen.
    #[error("the revocations' Redis can't be used: {0}")]
    Redis(Cause),
    /// Redis has lost its data, or never had any. For a while, nobody can be sure that what others know is written back.
    #[error("Redis is new or has lost its data: other gateways may still be writing back what they know")]
    Unsettled,
    /// A row holds what this program never writes.
    #[error("the database holds an invalid {0}")]
    Corrupt(&'static str),
    /// The schema is older than this program: run `doorward migrate up`.
    #[error("the schema is behind: {missing} is not applied; run `doorward migrate up`")]
    SchemaBehind {
        /// The first migration that is not applied.
        missing: String,
    },
    /// The schema is newer than this program: upgrade Doorward, or undo the migration with the program that knows it.
    #[error("the schema is ahead: this version does not know {unknown}; run the version of Doorward that applied it")]
    SchemaAhead {
        /// A migration that is applied and that this program does not know.
        unknown: String,
    },
    /// A migration began and did not end, as MySQL's DDL is not transactional. Its statements may be run again:
    /// the same command resumes it.
    #[error("migration {name} stopped half-way; run `doorward migrate {command}` again to resume it")]
    SchemaHalfApplied {
        /// The migration.
        name: String,
        /// The command that resumes it.
        command: Step,
    },
}

/// Why no user was written.
#[derive(Debug, thiserror::Error)]
pub enum WriteUserError {
    /// Another user has this address.
    #[error("the e-mail address is taken")]
    EmailTaken,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What the driver or the database said, without the values that it quoted.
#[derive(Clone, Debug)]
pub struct Cause(String);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Cause {}

impl Cause {
    /// A cause that no driver reported.
    pub(super) fn of(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// How a piece of work failed, as the code that may try it again sees it.
#[derive(Debug)]
pub(super) enum Failure {
    /// Another transaction was in the way. All of this one is undone, and may succeed another time.
    Conflict(Cause),
    /// A unique key is taken.
    Duplicate(Cause),
    /// The connection is of no more use.
    Broken(Cause),
    /// Trying again would change nothing.
    Final(StoreError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Final(error)
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Duplicate(cause) => Self::Query(cause),
            Failure::Conflict(cause) | Failure::Broken(cause) => Self::Unavailable(cause),
            Failure::Final(error) => error,
        }
    }
}

impl From<Failure> for WriteUserError {
    fn from(failure: Failure) -> Self {
        match failure {
            // A fresh id has 74 random bits: the key that is taken is the address.
            Failure::Duplicate(_) => Self::EmailTaken,
            other => Self::Store(other.into()),
        }
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(database) => {
                if let Some(mysql) = database.try_downcast_ref::<MySqlDatabaseError>() {
                    return of_mysql(mysql.number(), mysql.message());
                }
                let cause = Cause(database.to_string());
                // The low byte of SQLite's extended code is the primary one: 5 is SQLITE_BUSY, 6 SQLITE_LOCKED.
                let code = database.code().and_then(|code| code.parse::<i32>().ok());
                match code.map(|code| code & 0xff) {
                    Some(5 | 6) => Self::Conflict(cause),
                    // READONLY, IOERR, FULL: which one a full disk is depends on how it is full.
                    Some(8 | 10 | 13) => Self::Final(StoreError::Unwritable(cause)),
                    _ if database.is_unique_violation() => Self::Duplicate(cause),
                    _ => Self::Final(StoreError::Query(cause)),
                }
            }
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => {
                Self::Broken(Cause(error.to_string()))
            }
            // The rest are errors of the program. Their text may hold a value that did not fit.
            _ => Self::Final(StoreError::Query(Cause::of("a value or column was not as expected"))),
        }
    }
}

/// See <https://mariadb.com/kb/en/mariadb-error-code-reference/>, which MySQL shares up to 1899. Numbers below 1000 are those of
/// the library below both (`mysys_err.h`).
fn of_mysql(number: u16, message: &str) -> Failure {
    let cause = Cause(format!("{number}: {}", without_values(number, message)));
    match number {
        // Lock wait timeout, deadlock (Galera: conflict at certification), record changed since it was read.
        1205 | 1213 | 1020 => Failure::Conflict(cause),
        1062 => Failure::Duplicate(cause),
        // Too many connections, a Galera node that is not ready, shutdown, killed, a commit that failed (Galera: the node was
        // cut off meanwhile), interrupted.
        1040 | 1047 | 1053 | 1077 | 1079 | 1152 | 1158..=1161 | 1180 | 1317 | 1927 => Failure::Broken(cause),
        // A file that can't be written, disk full (each twice), table full, no binary log; read-only by an option, a
        // transaction, or the engine.
        3 | 1026 | 20 | 1021 | 1114 | 1598 | 1290 | 1792 | 1836 => Failure::Final(StoreError::Unwritable(cause)),
        // What the system said to a storage engine.
        1030 if finds_no_room(message) => Failure::Final(StoreError::Unwritable(cause)),
        _ => Failure::Final(StoreError::Query(cause)),
    }
}

/// Whether `Got error 28 "No space left on device" from storage engine …` is about room: ENOSPC, or a quota (EDQUOT), whose
/// number is also what engines give to errors of their own that they can't explain.
fn finds_no_room(message: &str) -> bool {
    let mut numbers = message
        .split(|character: char| !character.is_ascii_digit())
        .filter(|digits| !digits.is_empty());
    match numbers.next() {
        Some("28") => true,
        Some("122") => message.contains("quota"),
        _ => false,
    }
}

/// MySQL quotes values of rows in its messages ("Duplicate entry 'ann@example.com' for key …").
fn without_values(number: u16, message: &str) -> String {
    match number {
        // Access denied and unknown database, table or column: what is quoted are names.
        1044 | 1045 | 1049 | 1054 | 1142 | 1146 | 1698 => message.to_owned(),
        _ => match (message.find('\''), message.rfind('\'')) {
            (Some(first), Some(last)) if first < last => {
                format!("{}'…'{}", &message[..first], &message[last + 1..])
            }
            _ => message.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::Chain;

    #[test]
    fn a_message_keeps_its_words_and_loses_its_values() {
        let said = "Duplicate entry 'o'neil@example.com' for key 'users_email'";
        assert_eq!(without_values(1062, said), "Duplicate entry '…'");
        let said = "Table 'doorward.users' doesn't exist";
        assert_eq!(without_values(1146, said), said);
        assert_eq!(without_values(1064, "it's odd"), "it's odd");
    }

    #[test]
    fn whatever_a_full_disk_is_called_the_database_takes_no_writes_for_now() {
        let unwritable =
            |number, message: &str| matches!(of_mysql(number, message), Failure::Final(StoreError::Unwritable(_)));
        let full = "Errcode: 28 \"No space left on device\"";
        for (number, message) in [
            (3, format!("Error writing file '/tmp/MLfd=24' ({full})")),
            (
                20,
                format!("Disk is full writing './doorward/users.MYD' ({full}). Waiting for someone to free space..."),
            ),
            (
                1021,
                "Disk full (/tmp/#sql); waiting for someone to free some space... (errno: 28)".to_owned(),
            ),
            (
                1026,
                "Error writing file 'binlog' (errno: 28 \"No space left on device\")".to_owned(),
            ),
            (
                1030,
                "Got error 28 \"No space left on device\" from storage engine InnoDB".to_owned(),
            ),
            (
                1030,
                "Got error 28 - 'No space left on device' from storage engine".to_owned(),
            ),
            (
                1030,
                "Got error 122 \"Disk quota exceeded\" from storage engine Aria".to_owned(),
            ),
            (1114, "The table 'users' is full".to_owned()),
            (
                1598,
                "Binary logging not possible. Message: the binary log can't be written".to_owned(),
            ),
        ] {
            assert!(unwritable(number, &message), "{number}: {message}");
        }
        for message in [
            "Got error 122 \"Internal (unspecified) error in handler\" from storage engine InnoDB",
            "Got error 128 \"Out of memory in engine\" from storage engine InnoDB",
            "Got an error from storage engine",
        ] {
            assert!(!unwritable(1030, message), "{message}");
        }
        assert!(!unwritable(1064, "You have an error in your SQL syntax near '28'"));
    }

    #[test]
    fn an_error_is_told_with_its_cause_where_it_has_one() {
        let cause = Cause::of("1040: Too many connections");
        assert_eq!(
            Chain(&StoreError::Unavailable(cause)).to_string(),
            "the database can't be reached: 1040: Too many connections"
        );
        assert_eq!(
            Chain(&StoreError::Timeout(Duration::from_secs(5))).to_string(),
            "the database did not answer within 5s"
        );
    }

    #[test]
    fn an_error_of_the_driver_does_not_quote_the_value_that_did_not_fit() {
        let error = sqlx::Error::Decode("ann@example.com".into());
        let shown = StoreError::from(Failure::from(error));
        assert!(!format!("{shown} {shown:?} {:?}", shown.source()).contains("ann@"));
    }
}
