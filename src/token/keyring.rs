//! [`Keyring`]: keeps the keys that this replica holds as they are in the store, without a restart.
//!
//! The keys are read again every `keys.reload_every`, and at once when one that is held is revoked or a token names one
//! that is not held. What can't be read or opened takes nothing away: the keys that are held stay, unless their rows are
//! gone or they are revoked. It all happens in the background; a request finds the keys in memory.

mod reload;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::key::Key;
use super::lifecycle::{Occasion, delete_retired, is_deletion_due, rotate_key};
use super::{KeyError, KeySet, MasterKey, Tokens, load_keys};
use crate::chain::Chain;
use crate::config::{self, Algorithm};
use crate::store::audit::{Actor, Event, EventKind};
use crate::store::{Store, StoredKey};
use crate::time::{self, Clock, Timestamp};

/// How often it is looked whether a key that is held was revoked: a few memory reads.
const LOOK: Duration = Duration::from_millis(100);

/// How long after keys were read a token of an unknown key may have them read again: anybody can send one.
const NUDGE_PAUSE: Duration = Duration::from_secs(1);

/// How long after a failure it is tried again, unless `keys.reload_every` is shorter.
const RETRY: Duration = Duration::from_secs(1);

/// Follows the signing keys in the store.
#[derive(Debug)]
pub struct Keyring {
    path: PathBuf,
    reload_every: Duration,
    rotate_every: Option<Duration>,
    algorithm: Algorithm,
    held: tokio::sync::Mutex<Held>,
    failures: AtomicU64,
    trouble: Mutex<Option<String>>,
}

/// What is held, and what opens more.
#[derive(Debug)]
struct Held {
    master: MasterKey,
    /// Each with its row as it was when the key was opened.
    keys: Vec<(StoredKey, Arc<Key>)>,
}

impl Keyring {
    /// A keyring that holds nothing yet, and the keys to begin with. All of them have to open.
    pub async fn load(
        store: &Store,
        master: MasterKey,
        config: &config::Keys,
        algorithm: Algorithm,
        now: Timestamp,
    ) -> Result<(Self, KeySet), KeyError> {
        let keys = load_keys(store, &master, now).await?;
        let keyring = Self {
            path: config.master_key_file.clone(),
            reload_every: config.reload_every,
            rotate_every: config.rotate_every,
            algorithm,
            held: tokio::sync::Mutex::new(Held {
                master,
                keys: Vec::new(),
            }),
            failures: AtomicU64::new(0),
            trouble: Mutex::new(None),
        };
        Ok((keyring, keys))
    }

    /// Keeps the keys as they are in the store, replaces and deletes them when it is time, until `stop` says true or its
    /// sender is gone.
    pub async fn run(
        self: Arc<Self>,
        store: Store,
        tokens: Arc<Tokens>,
        clock: Clock,
        mut stop: watch::Receiver<bool>,
    ) {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => {}
            () = self.follow(&store, &tokens, &clock) => {}
        }
    }

    async fn follow(&self, store: &Store, tokens: &Tokens, clock: &Clock) {
        loop {
            let began = Instant::from_std(time::monotonic());
            let pause = match self.refresh(store, tokens, clock).await {
                Ok(()) if tokens.key_count() > 0 => self.reload_every,
                // Also without any: the revocation of the only one may come before its successor.
                Ok(()) | Err(_) => self.reload_every.min(RETRY),
            };
            let wanted = async {
                sleep_until(began + NUDGE_PAUSE).await;
                tokens.key_wanted().await;
            };
            let revoked = async {
                while !tokens.holds_revoked_key() {
                    sleep(LOOK).await;
                }
            };
            // Whichever comes first.
            let _ = timeout(pause, async {
                tokio::select! {
                    () = wanted => {}
                    () = revoked => {}
                }
            })
            .await;
        }
    }

    /// Reads the keys, and does what it is time for. Where the store can't be read, the keys stay that are held.
    pub async fn refresh(&self, store: &Store, tokens: &Tokens, clock: &Clock) -> Result<(), KeyError> {
        let now = clock.now();
        let done = self.reload(store, tokens, now).await;
        // Also where the store can't be read: that one of them is revoked must not be forgotten with the revocation.
        tokens.drop_revoked_keys();
        let done = match done {
            Ok(keys) => self.attend(&keys, store, tokens, now).await,
            Err(error) => Err(error),
        };
        self.record(done.as_ref().err().map(|error| Chain(error).to_string()));
        done
    }

    /// Replaces and deletes keys when it is time.
    async fn attend(&self, keys: &[StoredKey], store: &Store, tokens: &Tokens, now: Timestamp) -> Result<(), KeyError> {
        if is_deletion_due(keys, now) {
            let recording = store.recording(Event::new(EventKind::KeyDeleted, Actor::System, now));
            for kid in delete_retired(&recording, now).await? {
                tracing::info!(%kid, "a signing key that retired was deleted");
            }
        }
        let Some(after) = self.rotate_every else { return Ok(()) };
        let occasion = Occasion::Due { after };
        let made = {
            let held = self.held.lock().await;
            let recording = store.recording(Event::new(EventKind::KeyRotated, Actor::System, now));
            rotate_key(&recording, &held.master, self.algorithm, occasion, now).await?
        };
        if let Some(made) = made {
            tracing::info!(kid = %made.kid, signs_from = %made.signs_from, "made a signing key to replace the one before");
            self.reload(store, tokens, now).await?;
        }
        Ok(())
    }

    /// How many times keys could not be read, opened or made since the start.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// What is wrong with the keys; `None` when all is well.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts and remembers a failure. Each is logged once, however often it comes again.
    fn record(&self, trouble: Option<String>) {
        let mut last = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        match (&trouble, &*last) {
            (Some(error), last) if last.as_ref() != Some(error) => {
                tracing::warn!(%error, "the signing keys can't all be kept up to date");
            }
            (None, Some(_)) => tracing::info!("the signing keys are up to date again"),
            (Some(_) | None, _) => {}
        }
        if trouble.is_some() {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
        *last = trouble;
    }
}
