//! What must be there before anything is served: the store, the keys, the revocations, and the rooms on top of them.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::StartError;
use super::background::keep;
use super::clean::{Believed, clean};
use crate::auth::{self, AuthState, Throttle};
use crate::config::{AcmeChallenge, Config};
use crate::gateway::{Owned, Snapshot};
use crate::issuer::Issuers;
use crate::password::Hasher;
use crate::proxy::InvalidProxy;
use crate::store::Store;
use crate::store::audit::{Actor, Event, EventKind};
use crate::time::{Clock, Timestamp};
use crate::tls::Tls;
use crate::token::{Blocklist, KeySet, Keyring, MasterKey, Tokens, ensure_first_key, load_or_create_master_key};

/// The rooms, ready. Of these a reload replaces the tokens' settings, the issuers and the hasher; the rest stays.
#[derive(Clone, Debug)]
pub(super) struct Rooms {
    pub(super) store: Store,
    pub(super) tokens: Arc<Tokens>,
    pub(super) blocklist: Arc<Blocklist>,
    /// `None` with a shared secret, which nothing replaces.
    pub(super) keyring: Option<Arc<Keyring>>,
    pub(super) issuers: Arc<Issuers>,
    pub(super) tls: Arc<Tls>,
    pub(super) throttle: Throttle,
    hasher: Hasher,
}

/// Opens, loads and builds, in the order in which one needs the other.
pub(super) async fn prepare(config: &Config, clock: &Clock) -> Result<Rooms, StartError> {
    let now = clock.now();
    let tls = Arc::new(Tls::new(&config.tls)?);
    let store = Store::connect(&config.store).await?;
    store.audit_by(&config.audit);
    if config.store.migrate_on_start {
        for name in store.migrate_up(now).await? {
            tracing::info!(%name, "migration applied");
        }
    }
    store.check_schema().await?;
    let (keyring, keys) = keys(config, &store, now).await?;
    let blocklist = Arc::new(Blocklist::new(&config.revocation));
    let known = blocklist.load(&store, now).await?;
    tracing::debug!(known, "revocations loaded");
    let issuers = Arc::new(Issuers::new(&config.issuers, None, now).await?);
    let tokens = Tokens::new(&config.tokens, keys, Arc::clone(&blocklist));
    let tokens = Arc::new(tokens.with_issuers(Arc::clone(&issuers)));
    warn_of_another_algorithm(config, &tokens, now);
    Ok(Rooms {
        store,
        tokens,
        blocklist,
        keyring,
        issuers,
        tls,
        throttle: Throttle::default(),
        hasher: Hasher::new(&config.passwords),
    })
}

impl Rooms {
    /// The rooms for `next` in place of `config`. Asks no database and no network.
    pub(super) async fn renewed(&self, config: &Config, next: &Config, now: Timestamp) -> Result<Self, StartError> {
        let issuers = Arc::new(Issuers::new(&next.issuers, Some(&self.issuers), now).await?);
        if asserts(next) && next.tokens.secret.is_none() && !self.tokens.can_assert(now) {
            return Err(StartError::NoPublishedKey);
        }
        let hasher = if config.passwords == next.passwords {
            self.hasher.clone()
        } else {
            Hasher::new(&next.passwords)
        };
        Ok(Self {
            tokens: Arc::new(self.tokens.renewed(&next.tokens, Arc::clone(&issuers))),
            issuers,
            hasher,
            ..self.clone()
        })
    }

    /// All that a request needs.
    pub(super) fn snapshot(
        &self,
        config: &Config,
        clock: &Clock,
        before: Option<&Snapshot>,
    ) -> Result<Snapshot, InvalidProxy> {
        for upstream in config.upstreams.iter().filter(|upstream| upstream.tls.skip_verify) {
            let upstream = upstream.name.as_str();
            tracing::warn!(upstream, "tls_skip_verify: its servers need not prove who they are");
        }
        let state = AuthState {
            store: self.store.clone(),
            tokens: Arc::clone(&self.tokens),
            blocklist: Arc::clone(&self.blocklist),
            hasher: self.hasher.clone(),
            throttle: self.throttle.clone(),
            config: Arc::new(config.clone()),
            clock: clock.clone(),
        };
        let templates = auth::openapi(&config.auth.path).paths.paths.into_keys();
        let owned = Owned::new(auth::router(state), Handle::current(), &config.auth.path, templates);
        let asked = config.tls.acme.as_ref().map(|acme| acme.challenge);
        let challenges = (asked == Some(AcmeChallenge::Http01)).then(|| Arc::clone(self.tls.challenges()));
        Ok(Snapshot::new(config, Arc::clone(&self.tokens), owned, before)?.with_challenges(challenges))
    }
}

/// Whether an upstream is to get assertions.
fn asserts(config: &Config) -> bool {
    config.routes.iter().any(|route| route.assertion)
}

/// The algorithm of the configuration is that of keys that are made: those that are there stay what they are.
fn warn_of_another_algorithm(config: &Config, tokens: &Tokens, now: Timestamp) {
    let wanted = config.tokens.algorithm;
    if let Some((algorithm, _)) = tokens.signing_with(now).filter(|(found, _)| *found != wanted) {
        let (signing, wanted) = (algorithm.as_str(), wanted.as_str());
        tracing::warn!(
            signing,
            wanted,
            "tokens are signed with another algorithm than tokens.algorithm until `doorward keys rotate` makes a key for it"
        );
    }
}

async fn keys(config: &Config, store: &Store, now: Timestamp) -> Result<(Option<Arc<Keyring>>, KeySet), StartError> {
    if let Some(secret) = &config.tokens.secret {
        return Ok((None, KeySet::from_secret(config.tokens.algorithm, secret)?));
    }
    let master = if config.keys.create {
        let master = load_or_create_master_key(store, &config.keys.master_key_file).await?;
        let event = Event::new(EventKind::KeyCreated, Actor::System, now);
        ensure_first_key(&store.recording(event), &master, config.tokens.algorithm, now).await?;
        master
    } else {
        MasterKey::load(&config.keys.master_key_file)?
    };
    let (keyring, keys) = Keyring::load(store, master, &config.keys, config.tokens.algorithm, now).await?;
    if keys.is_empty() {
        Err(StartError::NoKey)
    } else if asserts(config) && !keys.can_assert(now) {
        // The keys are older than the configuration, which asks for an algorithm that has one.
        Err(StartError::NoPublishedKey)
    } else {
        Ok((Some(Arc::new(keyring)), keys))
    }
}

impl Rooms {
    /// Starts what goes on in the background until told to stop, whatever is reloaded.
    pub(super) fn spawn_background(
        &self,
        config: &Config,
        clock: &Clock,
        stop: &watch::Receiver<bool>,
    ) -> Vec<JoinHandle<()>> {
        let told = (clock.clone(), stop.clone());
        let pace = (config.store.cleanup_every, config.store.cleanup_batch);
        let (store, tls) = (self.store.clone(), Arc::clone(&self.tls));
        let cleaned = (self.store.clone(), self.throttle.clone(), Believed::new(clock));
        let mut tasks = vec![
            keep(&told, "certificates", Arc::clone(&tls), Tls::run),
            keep(&told, "acme", tls, Tls::keep_issued),
            keep(
                &told,
                "revocations",
                Arc::clone(&self.blocklist),
                move |list, clock, stop| list.run(store.clone(), clock, stop),
            ),
            keep(&told, "clean-up", cleaned, move |cleaned, clock, stop| {
                clean(cleaned, pace, clock, stop)
            }),
            keep(&told, "exchanges", Arc::clone(&self.tokens), Tokens::watch_over),
        ];
        if let Some(keyring) = &self.keyring {
            let given = (Arc::clone(keyring), self.store.clone(), Arc::clone(&self.tokens));
            tasks.push(keep(&told, "keys", given, |(keyring, store, tokens), clock, stop| {
                keyring.run(store, tokens, clock, stop)
            }));
        }
        tasks
    }
}
