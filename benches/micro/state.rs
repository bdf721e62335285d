//! What tokens are judged by: a database of one's own, its key, and a list of revocations that knows of it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use doorward::config::{self, Algorithm, OnStale};
use doorward::store::Store;
use doorward::time::Timestamp;
use doorward::token::{Blocklist, MasterKey, Tokens, create_key, load_keys};

/// An empty database in this folder.
pub(crate) async fn store(dir: &Path, now: Timestamp) -> Store {
    let config = config::Store {
        backend: config::Backend::Sqlite(dir.join("micro.db")),
        max_connections: 1,
        connect_timeout: Duration::from_secs(5),
        query_timeout: Duration::from_secs(5),
        migrate_on_start: true,
        cleanup_every: Duration::from_mins(1),
        cleanup_batch: 1_000,
        revocations: config::Revocations::Database,
    };
    let store = Store::connect(&config).await.expect("a database");
    store.migrate_up(now).await.expect("the schema");
    store
}

/// An empty list that has been loaded, and stays fresh for as long as anything is measured.
pub(crate) async fn blocklist(store: &Store, now: Timestamp) -> Blocklist {
    let list = Blocklist::new(&config::Revocation {
        poll_interval: Duration::from_millis(500),
        overlap: Duration::from_secs(30),
        full_reread: Duration::from_mins(1),
        max_staleness: Duration::from_hours(24),
        on_stale: OnStale::Refuse,
    });
    list.load(store, now).await.expect("revocations");
    list
}

/// The settings of tokens of this algorithm: the default ones, but that none expires while it is measured.
pub(crate) fn settings(algorithm: Algorithm) -> config::Tokens {
    config::Tokens {
        issuer: "https://shop.example.com/auth".to_owned(),
        audience: "doorward".to_owned(),
        algorithm,
        access_ttl: Duration::from_hours(24),
        refresh_ttl: Duration::from_hours(7 * 24),
        session_ttl: Duration::from_hours(30 * 24),
        leeway: Duration::from_secs(5),
        secret: None,
        cache_capacity: 100_000,
    }
}

/// What issues and judges tokens of this algorithm by a new key.
pub(crate) async fn tokens(settings: &config::Tokens, now: Timestamp) -> Tokens {
    let dir = tempfile::tempdir().expect("a folder");
    let store = store(dir.path(), now).await;
    let master = MasterKey::from_bytes(&[7; 32]).expect("a master key");
    create_key(&store, &master, settings.algorithm, now)
        .await
        .expect("a key");
    let keys = load_keys(&store, &master, now).await.expect("the key");
    let revocations = blocklist(&store, now).await;
    store.close().await;
    Tokens::new(settings, keys, Arc::new(revocations))
}
