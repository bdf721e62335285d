//! `[audit]`

use std::time::Duration;

/// What is recorded of what happens to accounts, sessions and keys, and for how long.
#[derive(Clone, Debug, PartialEq)]
pub struct Audit {
    /// Whether events become rows in the database (default true).
    pub store: bool,
    /// Whether they become lines in the log, of the target `audit` (default true).
    pub log: bool,
    /// How old rows become before they are removed (default 365 d; 1 d to 100 times 365 d).
    pub retention: Duration,
}

impl Default for Audit {
    fn default() -> Self {
        Self {
            store: true,
            log: true,
            retention: Duration::from_hours(365 * 24),
        }
    }
}
