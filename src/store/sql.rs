//! Statements, values and rows that do not depend on which database they go to or come from.
//!
//! sqlx's own `Any` driver fails on types that we use, so this is the little of it that we need.

use sqlx::Row as _;
use sqlx::mysql::MySqlRow;
use sqlx::sqlite::SqliteRow;

use super::StoreError;
use crate::id::{SessionId, TokenId, UserId};
use crate::time::Timestamp;

/// A statement, in each dialect. Both take the same values, in the same order.
#[derive(Clone, Copy)]
pub(super) struct Sql {
    pub(super) mysql: &'static str,
    pub(super) sqlite: &'static str,
}

/// One that reads the same in both dialects.
impl From<&'static str> for Sql {
    fn from(both: &'static str) -> Self {
        Self {
            mysql: both,
            sqlite: both,
        }
    }
}

/// A `SELECT` that locks its rows until the end of the transaction. SQLite needs no such word: a transaction of ours
/// begins IMMEDIATE, and so holds the whole database.
macro_rules! locking {
    ($select:expr) => {
        $crate::store::sql::Sql {
            mysql: concat!($select, " FOR UPDATE"),
            sqlite: $select,
        }
    };
}

/// A `DELETE` of at most so many rows: the table, its primary key, the condition, the order that its index has.
macro_rules! delete_some {
    ($table:literal, $key:literal, $condition:literal, $order:literal) => {
        $crate::store::sql::Sql {
            mysql: concat!(
                "DELETE FROM ",
                $table,
                " WHERE ",
                $condition,
                " ORDER BY ",
                $order,
                " LIMIT ?"
            ),
            // SQLite is built without LIMIT on DELETE.
            sqlite: concat!(
                "DELETE FROM ",
                $table,
                " WHERE ",
                $key,
                " IN (SELECT ",
                $key,
                " FROM ",
                $table,
                " WHERE ",
                $condition,
                " LIMIT ?)"
            ),
        }
    };
}

/// The values of a statement, in order.
macro_rules! values {
    ($($value:expr),* $(,)?) => {
        &[$($crate::store::sql::Value::from($value)),*]
    };
}

pub(super) use {delete_some, locking, values};

/// A value of a statement. It has no `Debug`: it may be a secret.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Int(Option<i64>),
    Text(Option<&'a str>),
    Bytes(Option<&'a [u8]>),
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Int(Some(number))
    }
}

impl From<u32> for Value<'_> {
    fn from(number: u32) -> Self {
        Self::Int(Some(i64::from(number)))
    }
}

impl From<Timestamp> for Value<'_> {
    fn from(at: Timestamp) -> Self {
        Self::Int(Some(at.unix_ms()))
    }
}

impl From<Option<Timestamp>> for Value<'_> {
    fn from(at: Option<Timestamp>) -> Self {
        Self::Int(at.map(Timestamp::unix_ms))
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Some(text))
    }
}

impl<'a> From<Option<&'a str>> for Value<'a> {
    fn from(text: Option<&'a str>) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(Some(bytes))
    }
}

impl<'a> From<Option<&'a UserId>> for Value<'a> {
    fn from(id: Option<&'a UserId>) -> Self {
        Self::Bytes(id.map(|id| id.as_bytes().as_slice()))
    }
}

impl<'a> From<Option<&'a SessionId>> for Value<'a> {
    fn from(id: Option<&'a SessionId>) -> Self {
        Self::Bytes(id.map(|id| id.as_bytes().as_slice()))
    }
}

impl<'a> From<&'a UserId> for Value<'a> {
    fn from(id: &'a UserId) -> Self {
        Self::Bytes(Some(id.as_bytes()))
    }
}

impl<'a> From<&'a SessionId> for Value<'a> {
    fn from(id: &'a SessionId) -> Self {
        Self::Bytes(Some(id.as_bytes()))
    }
}

impl<'a> From<&'a TokenId> for Value<'a> {
    fn from(id: &'a TokenId) -> Self {
        Self::Bytes(Some(id.as_bytes()))
    }
}

/// A row of an answer. Columns are asked for by name; one that holds what it can't hold is [`StoreError::Corrupt`].
pub(super) enum Row {
    MySql(MySqlRow),
    Sqlite(SqliteRow),
}

macro_rules! column {
    ($row:expr, $column:expr) => {
        match $row {
            Row::MySql(row) => row.try_get($column),
            Row::Sqlite(row) => row.try_get($column),
        }
        .map_err(|_| StoreError::Corrupt($column))
    };
}

impl Row {
    pub(super) fn int(&self, column: &'static str) -> Result<i64, StoreError> {
        column!(self, column)
    }

    pub(super) fn unsigned(&self, column: &'static str) -> Result<u32, StoreError> {
        u32::try_from(self.int(column)?).map_err(|_| StoreError::Corrupt(column))
    }

    pub(super) fn time(&self, column: &'static str) -> Result<Timestamp, StoreError> {
        self.int(column).map(Timestamp::from_unix_ms)
    }

    pub(super) fn time_if_any(&self, column: &'static str) -> Result<Option<Timestamp>, StoreError> {
        let at: Option<i64> = column!(self, column)?;
        Ok(at.map(Timestamp::from_unix_ms))
    }

    pub(super) fn text(&self, column: &'static str) -> Result<String, StoreError> {
        column!(self, column)
    }

    pub(super) fn text_if_any(&self, column: &'static str) -> Result<Option<String>, StoreError> {
        column!(self, column)
    }

    pub(super) fn bytes(&self, column: &'static str) -> Result<Vec<u8>, StoreError> {
        column!(self, column)
    }

    pub(super) fn bytes_if_any(&self, column: &'static str) -> Result<Option<Vec<u8>>, StoreError> {
        column!(self, column)
    }

    /// The 16 bytes of an id.
    pub(super) fn id(&self, column: &'static str) -> Result<[u8; 16], StoreError> {
        self.bytes(column)?.try_into().map_err(|_| StoreError::Corrupt(column))
    }

    /// A text that parses, as all do that we write.
    pub(super) fn parsed<T: std::str::FromStr>(&self, column: &'static str) -> Result<T, StoreError> {
        self.text(column)?.parse().map_err(|_| StoreError::Corrupt(column))
    }
}
