//! What a gateway answers, tells and keeps while something that it needs is slow, full, wrong or gone, and how soon all is well
//! again by itself. The README has a table of it (When a part breaks).
//!
//! In each of them, what does not need it goes on, what does is refused in time and has not happened, and what was promised
//! before holds. Of upstreams only how soon they are back is here: see `upstream_faults` and `resilience`.

mod client;
mod clock;
mod database;
mod files;
mod galera;
mod kept;
mod log;
mod names;
mod panics;
mod redis;
mod told;
mod upstreams;
mod writes;

use std::time::Duration;

use client::Client;
use doorward::time::monotonic;

use crate::support::{DEADLINE, asked_recovery, eventually};

/// Fails fast where the database does, but takes no part of a slow machine for a slow database: within [`TIMEOUTS`].
const PATIENCE: &str = "[store]\nconnect_timeout = \"2s\"\nquery_timeout = \"2s\"\n\
                        [revocation]\npoll_interval = \"100ms\"\nmax_staleness = \"1m\"\n";

/// What a question to the database may take by [`PATIENCE`]: the time for a connection, and that for an answer.
const TIMEOUTS: Duration = Duration::from_secs(2 + 2);

/// How soon all must be well again once the cause is over: as long as any wait, or as soon as `tools/faults` asks for.
fn recovery() -> Duration {
    asked_recovery().unwrap_or(DEADLINE)
}

/// Waits until it is, by [`recovery`], and says how long that took, and the longest answers up to then: it is called as soon as
/// the cause is over.
async fn recovers<F: Future<Output = Option<()>>>(client: &Client, cause: &str, condition: impl FnMut() -> F) {
    let since = monotonic();
    eventually(recovery(), &format!("{cause}: all is well again"), condition).await;
    eprintln!(
        "{cause}: all is well again after {:?}; the longest answers: {}",
        since.elapsed(),
        client.longest()
    );
}
