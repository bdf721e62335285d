//! A replica with a store of its own or another's.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::watch;

use crate::config::{self, Algorithm, Backend, OnStale};
use crate::id::{KeyId, SessionId, UserId};
use crate::store::Store;
use crate::time::{self, Clock, ClockShift, Timestamp};
use crate::token::{
    Blocklist, Keyring, MasterKey, Occasion, Refusal, Subject, Tokens, create_key, revoke_until, rotate_key,
};

/// A store with one key, and what a replica has of it.
pub(super) struct Replica {
    pub(super) store: Store,
    pub(super) tokens: Arc<Tokens>,
    pub(super) blocklist: Arc<Blocklist>,
    pub(super) keyring: Arc<Keyring>,
    pub(super) clock: Clock,
    pub(super) shift: ClockShift,
    pub(super) directory: Arc<TempDir>,
}

pub(super) fn tokens_config() -> config::Tokens {
    config::Tokens {
        issuer: "https://example.com/auth".to_owned(),
        audience: "doorward".to_owned(),
        algorithm: Algorithm::EdDsa,
        access_ttl: Duration::from_mins(15),
        refresh_ttl: Duration::from_hours(1),
        session_ttl: Duration::from_hours(1),
        leeway: Duration::ZERO,
        secret: None,
        cache_capacity: 100,
    }
}

pub(super) fn revocation_config() -> config::Revocation {
    config::Revocation {
        poll_interval: Duration::from_millis(5),
        overlap: Duration::from_secs(30),
        full_reread: Duration::from_mins(1),
        max_staleness: Duration::from_mins(10),
        on_stale: OnStale::Refuse,
    }
}

impl Replica {
    pub(super) async fn first() -> Self {
        let directory = Arc::new(tempfile::tempdir().unwrap());
        let (clock, shift) = Clock::shifted();
        let store = connect(&directory).await;
        store.migrate_up(clock.now()).await.unwrap();
        let master = MasterKey::load_or_create(&directory.path().join("master.key")).unwrap();
        create_key(&store, &master, Algorithm::EdDsa, clock.now())
            .await
            .unwrap();
        Self::beside(directory, clock, shift, None).await
    }

    pub(super) async fn another(&self, rotate_every: Option<Duration>) -> Self {
        Self::beside(
            Arc::clone(&self.directory),
            self.clock.clone(),
            self.shift.clone(),
            rotate_every,
        )
        .await
    }

    async fn beside(directory: Arc<TempDir>, clock: Clock, shift: ClockShift, rotate_every: Option<Duration>) -> Self {
        let store = connect(&directory).await;
        let blocklist = Arc::new(Blocklist::new(&revocation_config()));
        blocklist.load(&store, clock.now()).await.unwrap();
        let config = config::Keys {
            master_key_file: directory.path().join("master.key"),
            create: false,
            // Whatever is learned sooner is learned for another reason.
            reload_every: Duration::from_mins(1),
            rotate_every,
        };
        let master = MasterKey::load(&config.master_key_file).unwrap();
        let loaded = Keyring::load(&store, master, &config, Algorithm::EdDsa, clock.now()).await;
        let (keyring, keys) = loaded.unwrap();
        Self {
            store,
            tokens: Arc::new(Tokens::new(&tokens_config(), keys, Arc::clone(&blocklist))),
            blocklist,
            keyring: Arc::new(keyring),
            clock,
            shift,
            directory,
        }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn master(&self) -> MasterKey {
        MasterKey::load(&self.path("master.key")).unwrap()
    }

    pub(super) async fn refresh(&self) -> bool {
        self.keyring
            .refresh(&self.store, &self.tokens, &self.clock)
            .await
            .is_ok()
    }

    pub(super) async fn rotate(&self) -> KeyId {
        let made = rotate_key(
            &self.store,
            &self.master(),
            Algorithm::Es256,
            Occasion::Forced,
            self.now(),
        )
        .await;
        made.unwrap().unwrap().kid
    }

    pub(super) async fn kids(&self) -> Vec<KeyId> {
        self.store
            .keys()
            .await
            .unwrap()
            .into_iter()
            .map(|key| key.kid)
            .collect()
    }

    pub(super) fn published(&self, kid: &KeyId) -> bool {
        std::str::from_utf8(&self.tokens.jwks()).unwrap().contains(kid.as_str())
    }

    pub(super) fn issue(&self) -> String {
        let subject = Subject {
            user: UserId::generate(self.now()),
            email: &"ann@example.com".parse().unwrap(),
            name: &"Ann".parse().unwrap(),
            roles: &[],
            session: SessionId::generate(self.now()),
            generation: 1,
            session_expires_at: revoke_until(self.now()),
        };
        self.tokens.issue(&subject, self.now()).unwrap().text.expose().clone()
    }

    pub(super) fn refusal(&self, token: &str) -> Option<Refusal> {
        self.tokens.authenticate(token, self.now()).err()
    }

    pub(super) fn run(&self) -> watch::Sender<bool> {
        let (stop, stopped) = watch::channel(false);
        let (store, tokens) = (self.store.clone(), Arc::clone(&self.tokens));
        tokio::spawn(Arc::clone(&self.keyring).run(store, tokens, self.clock.clone(), stopped));
        stop
    }
}

async fn connect(directory: &TempDir) -> Store {
    let config = config::Store {
        backend: Backend::Sqlite(directory.path().join("test.db")),
        max_connections: 4,
        connect_timeout: Duration::from_secs(5),
        query_timeout: Duration::from_secs(5),
        migrate_on_start: true,
        cleanup_every: Duration::from_mins(1),
        cleanup_batch: 1000,
        revocations: config::Revocations::Database,
    };
    Store::connect(&config).await.unwrap()
}

pub(super) async fn wait(what: &str, condition: impl Fn() -> bool) {
    let deadline = time::monotonic() + Duration::from_secs(30);
    while !condition() {
        assert!(time::monotonic() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
