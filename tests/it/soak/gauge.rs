//! What the gateway's process holds, as the system tells it and as `/metrics` does.

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::tally::Tally;
use crate::support::process::{Process, processor_time};

/// What is taken from `/metrics`.
const NAMES: [&str; 8] = [
    "doorward_connections",
    "doorward_requests_in_flight",
    "doorward_tunnels",
    "doorward_exchanges_watched",
    "doorward_tokens_remembered",
    "doorward_revocations",
    "doorward_tasks",
    "doorward_panics_total",
];
/// Where some of them stand.
const TASKS: usize = 6;
const PANICS: usize = 7;
/// How many of them, the first, are zero while nobody is there.
const OF_CLIENTS: usize = 4;

/// What `/metrics` says.
#[derive(Clone, Debug)]
pub(super) struct Metrics([Option<f64>; NAMES.len()]);

/// The open files of a process, by what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Files {
    pub(super) sockets: usize,
    /// SQLite's.
    pub(super) store: usize,
    pub(super) others: usize,
}

/// One look.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) after: Duration,
    /// Bytes.
    pub(super) memory: u64,
    pub(super) files: Files,
    threads: u64,
    pub(super) metrics: Metrics,
    /// Bytes of the database and its log.
    store: u64,
    answered: u64,
}

/// How busy the machine is with a run: of the gateway, and of this process: its clients and upstreams.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// Processor time, in seconds; of a whole run, how many processors were busy on average.
    gateway: f64,
    others: f64,
}

impl Load {
    /// From now on.
    pub(super) fn since(process: &Process) -> Self {
        Self {
            gateway: processor_time(process.id()).as_secs_f64(),
            others: processor_time(std::process::id()).as_secs_f64(),
        }
    }

    /// What came of it in so much time.
    pub(super) fn until_now(self, process: &Process, took: Duration) -> Self {
        let now = Self::since(process);
        Self {
            gateway: (now.gateway - self.gateway) / took.as_secs_f64(),
            others: (now.others - self.others) / took.as_secs_f64(),
        }
    }

    pub(super) fn json(&self) -> Value {
        json!({"gateway": self.gateway, "clients_and_upstreams": self.others, "of": processors()})
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (gateway, others) = (self.gateway, self.others);
        let of = processors();
        write!(
            f,
            "busy of {of} processors: the gateway {gateway:.2}, its clients and upstreams {others:.2}"
        )
    }
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(0, usize::from)
}

impl Files {
    pub(super) fn of(process: u32) -> Self {
        let mut files = Self {
            sockets: 0,
            store: 0,
            others: 0,
        };
        let open = std::fs::read_dir(format!("/proc/{process}/fd")).expect("the process runs");
        for file in open.filter_map(Result::ok) {
            // One that was closed in this moment is none.
            let Ok(target) = std::fs::read_link(file.path()) else {
                continue;
            };
            let target = target.to_string_lossy();
            let kind = if target.starts_with("socket:") {
                &mut files.sockets
            } else if target.contains("doorward.db") {
                &mut files.store
            } else {
                &mut files.others
            };
            *kind += 1;
        }
        files
    }
}

impl Sample {
    pub(super) async fn take(began: Instant, process: &Process, http: &reqwest::Client, tally: &Tally) -> Self {
        // Before a connection is made to ask it.
        let files = Files::of(process.id());
        let metrics = Metrics::read(process, http).await;
        Self {
            after: began.elapsed(),
            memory: process.resident_bytes(),
            files,
            threads: process.threads(),
            metrics,
            store: ["doorward.db", "doorward.db-wal"]
                .iter()
                .map(|name| size(&process.path("data").join(name)))
                .sum(),
            answered: tally.total(),
        }
    }

    pub(super) fn json(&self) -> Value {
        let metrics = NAMES.iter().zip(&self.metrics.0);
        let metrics: serde_json::Map<String, Value> =
            metrics.map(|(name, value)| ((*name).into(), json!(value))).collect();
        json!({
            "after_s": self.after.as_secs_f64(),
            "memory_bytes": self.memory,
            "sockets": self.files.sockets,
            "store_files": self.files.store,
            "other_files": self.files.others,
            "threads": self.threads,
            "store_bytes": self.store,
            "answered": self.answered,
            "metrics": metrics,
        })
    }
}

/// The head of a table of samples.
pub(super) const HEAD: &str = "   after  answered  memory  sockets  store  others  threads  tasks  connections  in flight  remembered  revocations  database";

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let metric = |at: usize| self.metrics.0[at].map_or("?".to_owned(), |value| value.to_string());
        write!(
            f,
            "{:>6} s  {:>8}  {:>3} MiB  {:>7}  {:>5}  {:>6}  {:>7}  {:>5}  {:>11}  {:>9}  {:>10}  {:>11}  {:>4} MiB",
            self.after.as_secs(),
            self.answered,
            self.memory >> 20,
            self.files.sockets,
            self.files.store,
            self.files.others,
            self.threads,
            metric(TASKS),
            metric(0),
            metric(1),
            metric(4),
            metric(5),
            self.store >> 20,
        )
    }
}

impl Metrics {
    pub(super) async fn read(process: &Process, http: &reqwest::Client) -> Self {
        let url = format!("http://{}/metrics", process.admin);
        let text = match http.get(url).header("connection", "close").send().await {
            Ok(answer) => answer.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        };
        Self(NAMES.map(|name| {
            let mut values = text
                .lines()
                .filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            values.next()?.parse().ok()
        }))
    }

    /// Whether nobody is there, and nothing under way.
    pub(super) fn is_idle(&self) -> bool {
        self.0[..OF_CLIENTS].iter().all(|value| *value == Some(0.0))
    }

    /// How many tasks are alive, that of the question among them.
    pub(super) fn tasks(&self) -> Option<f64> {
        self.0[TASKS]
    }

    /// How often something panicked.
    pub(super) fn panics(&self) -> Option<f64> {
        self.0[PANICS]
    }
}

fn size(file: &Path) -> u64 {
    std::fs::metadata(file).map_or(0, |file| file.len())
}
