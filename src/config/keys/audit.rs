//! The keys of the audit trail.

use super::Default::Value;
use super::Kind::{Bool, Duration};
use super::{DAY, Key, YEAR, key};

/// `[audit]`.
pub(super) static KEYS: &[Key] = &[
    key(
        "audit.store",
        Bool,
        Value("true"),
        "Whether events are recorded in the database, each in the transaction of what it tells of.",
    ),
    key(
        "audit.log",
        Bool,
        Value("true"),
        "Whether each event is a line in the log, of the target `audit` and the level `info`.",
    ),
    key(
        "audit.retention",
        Duration(DAY, std::time::Duration::from_secs(100 * YEAR.as_secs())),
        Value("\"365d\""),
        "How old recorded events become before they are removed.",
    ),
];
