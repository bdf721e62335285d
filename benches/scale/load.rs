//! How long a start takes to load revocations from each database, and what a full re-read costs.

use std::path::Path;
use std::time::Duration;

use doorward::config;
use doorward::store::{Revocation, Store};
use doorward::time::{Clock, monotonic};
use doorward::token::Blocklist;

use crate::mariadb::{Database, Server};
use crate::memory;
use crate::usage::{cpu_time, resident_bytes};

pub(crate) async fn load(many: usize) {
    let dir = tempfile::tempdir().expect("a folder");
    measure("SQLite", &sqlite(dir.path()), many).await;
    let server = Server::start().await;
    measure("MariaDB", &Database::create_in(&server).await.config(), many).await;
}

fn sqlite(dir: &Path) -> config::Store {
    config::Store {
        backend: config::Backend::Sqlite(dir.join("bench.db")),
        max_connections: 10,
        connect_timeout: Duration::from_secs(5),
        query_timeout: Duration::from_secs(5),
        migrate_on_start: true,
        cleanup_every: Duration::from_mins(1),
        cleanup_batch: 1000,
        revocations: config::Revocations::Database,
    }
}

async fn measure(database: &str, config: &config::Store, many: usize) {
    let store = Store::connect(config).await.expect("a database");
    let now = Clock::system().now();
    store.migrate_up(now).await.expect("the schema");
    let mut left = many;
    while left > 0 {
        let page: Vec<Revocation> = (0..left.min(10_000)).map(|_| memory::revocation(now)).collect();
        store.block(&page, now).await.expect("rows");
        left -= page.len();
    }
    let blocklist = Blocklist::new(&memory::config());
    let before = resident_bytes();
    for what in ["load", "full re-read"] {
        let (since, cpu) = (monotonic(), cpu_time());
        let read = blocklist.load(&store, now).await.expect("a load");
        assert_eq!(read, many);
        println!(
            "load: {what} of {many} revocations from {database}: {:.2?}, {:.2?} of processor time in this process",
            since.elapsed(),
            cpu_time().saturating_sub(cpu)
        );
    }
    let grown = resident_bytes().saturating_sub(before);
    println!("load: {database}: {} bytes each, buffers included", grown / many as u64);
    let (since, polls) = (monotonic(), 20);
    for _ in 0..polls {
        blocklist.poll_once(&store, now).await.expect("a poll");
    }
    println!(
        "load: a poll of {database} without news: {:.2?}",
        since.elapsed() / polls
    );
    store.close().await;
}
