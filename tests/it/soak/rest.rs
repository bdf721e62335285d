//! What a gateway holds while nobody is there: before a run, and after it.

use std::time::Duration;

use doorward::time::monotonic;
use serde_json::{Value, json};

use super::gauge::{Files, Metrics};
use super::site::{CONNECTIONS, STORE_FILES};
use crate::support::process::Process;

/// How long what is left over may take to go: idle connections of all sides have to be given up, and a thread that hashed or
/// read files ends when it has had nothing to do for ten seconds.
const SETTLING: Duration = Duration::from_mins(1);
/// How long it is until the next look, and how many looks in a row see the same of a gateway that rests.
const PAUSE: Duration = Duration::from_millis(100);
const LOOKS: u32 = 10;

/// The threads of a process, by what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Threads {
    /// Of connections to SQLite, one each.
    pub(super) store: usize,
    pub(super) others: usize,
}

/// One look at it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rest {
    files: Files,
    threads: Threads,
    /// As `/metrics` counts them, that of the question among them.
    tasks: Option<f64>,
    /// Whether `/metrics` says that nobody is there and nothing under way.
    idle: bool,
}

impl Threads {
    fn of(process: u32) -> Self {
        let mut threads = Self { store: 0, others: 0 };
        let all = std::fs::read_dir(format!("/proc/{process}/task")).expect("the process runs");
        for thread in all.filter_map(Result::ok) {
            // One that ended in this moment is none.
            let Ok(name) = std::fs::read_to_string(thread.path().join("comm")) else {
                continue;
            };
            let kind = if name.starts_with("sqlx-sqlite") {
                &mut threads.store
            } else {
                &mut threads.others
            };
            *kind += 1;
        }
        threads
    }
}

impl Rest {
    async fn of(process: &Process, http: &reqwest::Client) -> Self {
        // Before a connection is made to ask it.
        let (files, threads) = (Files::of(process.id()), Threads::of(process.id()));
        let metrics = Metrics::read(process, http).await;
        Self {
            files,
            threads,
            tasks: metrics.tasks(),
            idle: metrics.is_idle(),
        }
    }

    /// Of a gateway to which nobody has come yet, once all that begins with it has begun.
    pub(super) async fn before(process: &Process, http: &reqwest::Client) -> Self {
        let since = monotonic();
        let (mut last, mut looks) = (Self::of(process, http).await, 0);
        while looks < LOOKS {
            assert!(since.elapsed() < SETTLING, "the gateway does not rest: {last:?}");
            tokio::time::sleep(PAUSE).await;
            let next = Self::of(process, http).await;
            looks = if next.idle && next == last { looks + 1 } else { 0 };
            last = next;
        }
        last
    }

    /// Of one from which all have gone, once nothing of what they opened is left over. Gives up after a while: what is left
    /// over then is told by the report.
    pub(super) async fn after(process: &Process, http: &reqwest::Client, before: &Self) -> Self {
        let since = monotonic();
        loop {
            let after = Self::of(process, http).await;
            if after.left_over(before).is_empty() || since.elapsed() > SETTLING {
                return after;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// What there is more of than before, but for connections to SQLite, which are kept for minutes: of these there may be as
    /// many as are allowed, each with a thread of its own.
    pub(super) fn left_over(&self, before: &Self) -> Vec<String> {
        let (files, threads) = (&self.files, &self.threads);
        let mut left = Vec::new();
        let mut more = |what: &str, is_more: bool| {
            if is_more {
                left.push(what.to_owned());
            }
        };
        more("requests or connections of clients", !self.idle);
        more("sockets", files.sockets > before.files.sockets);
        more("files", files.others > before.files.others);
        more("files of SQLite", files.store > STORE_FILES);
        more("threads", threads.others > before.threads.others);
        more("threads of SQLite", threads.store > CONNECTIONS);
        let tasks = self.tasks.zip(before.tasks);
        more("tasks", tasks.is_none_or(|(after, before)| after > before));
        left
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "sockets": self.files.sockets,
            "store_files": self.files.store,
            "other_files": self.files.others,
            "store_threads": self.threads.store,
            "other_threads": self.threads.others,
            "tasks": self.tasks,
            "idle": self.idle,
        })
    }
}
