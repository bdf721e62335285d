//! Other issuers: who they are, and their keys, fetched in the background and kept while they are down.
//!
//! [`Issuers`] is what the configuration names. Each [`Issuer`] has a task that fetches its keys from time to time, and
//! sooner when a token names a key that is not known, but never twice within a cooldown, whatever clients send. Requests
//! read what is there; the most that one waits for is a fetch that is under way, and then for a bounded time. This room
//! knows keys and not tokens: [`token`](crate::token) holds the ones against the others.

mod fetch;
mod jwks;
mod key;
mod run;
mod source;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, Guard};
use tokio::sync::{Notify, watch};

use crate::config;
use crate::id::IssuerName;
use crate::time::Timestamp;

pub use fetch::{FetchError, TlsError};
pub use jwks::{Ignored, InvalidJwks, IssuerKeys};
pub use key::{IssuerKey, WeakKey};
pub use run::Fetching;
pub use source::SourceError;

use source::Source;

/// Reads a JWK Set as one that was fetched is read, for the fuzz targets: the keys for these algorithms, and why each of the
/// others is not taken, with its `kid`.
#[cfg(fuzzing)]
pub fn read_jwks(
    text: &[u8],
    algorithms: &[config::Algorithm],
) -> Result<(IssuerKeys, Vec<(String, Ignored)>), InvalidJwks> {
    jwks::parse(text, algorithms)
}

/// Why an issuer can't be used at all.
#[derive(Debug, thiserror::Error)]
#[error("the issuer {name} can't be used")]
pub struct InvalidIssuer {
    /// Which.
    pub name: IssuerName,
    /// Why.
    #[source]
    pub source: SourceError,
}

/// All other issuers.
#[derive(Debug, Default)]
pub struct Issuers(Vec<Arc<Issuer>>);

impl Issuers {
    /// The issuers of the configuration, without keys as yet, but for those whose keys are in a file: these are read
    /// here. Nothing is fetched. One that is configured as it was in `before` stays what it is, with its keys; a file is
    /// read again nevertheless.
    pub async fn new(configs: &[config::Issuer], before: Option<&Self>, now: Timestamp) -> Result<Self, InvalidIssuer> {
        let mut issuers = Vec::new();
        for config in configs {
            if let Some(same) = before.and_then(|before| before.iter().find(|issuer| issuer.config == *config)) {
                same.ask_for_file();
                issuers.push(Arc::clone(same));
                continue;
            }
            let invalid = |source| InvalidIssuer {
                name: config.name.clone(),
                source,
            };
            let issuer = Issuer::new(config).map_err(|error| invalid(error.into()))?;
            if let config::KeySource::File(_) = config.source {
                issuer.fetch(now).await.map_err(invalid)?;
                if issuer.held() == 0 {
                    return Err(invalid(SourceError::NoKey));
                }
            }
            issuers.push(Arc::new(issuer));
        }
        Ok(Self(issuers))
    }

    /// The issuer whose tokens have this `iss`, if it is one of `among`.
    #[must_use]
    pub fn find(&self, iss: &str, among: &[IssuerName]) -> Option<&Arc<Issuer>> {
        let issuer = self.0.iter().find(|issuer| issuer.config.issuer == iss)?;
        among.contains(&issuer.config.name).then_some(issuer)
    }

    /// Whether they are the same, none made anew.
    #[must_use]
    pub fn are_those_of(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(|(one, two)| Arc::ptr_eq(one, two))
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Issuer>> {
        self.0.iter()
    }
}

/// Another issuer, and what is known of its keys.
#[derive(Debug)]
pub struct Issuer {
    config: config::Issuer,
    source: Source,
    keys: ArcSwap<IssuerKeys>,
    /// When the keys were last got, in milliseconds since the epoch; `NEVER` before that.
    got_at: AtomicI64,
    /// Somebody asks for a fetch.
    wanted: Notify,
    /// Whether one may begin now: none did within the cooldown.
    rested: AtomicBool,
    /// Whether one is under way.
    fetching: AtomicBool,
    /// How many fetches have ended.
    rounds: watch::Sender<u64>,
    /// How many requests wait for the end of one.
    waiting: AtomicUsize,
    failures: AtomicU64,
    last_error: Mutex<Option<String>>,
}

const NEVER: i64 = i64::MIN;

impl Issuer {
    fn new(config: &config::Issuer) -> Result<Self, TlsError> {
        Ok(Self {
            source: Source::new(config)?,
            config: config.clone(),
            keys: ArcSwap::default(),
            got_at: AtomicI64::new(NEVER),
            wanted: Notify::new(),
            rested: AtomicBool::new(true),
            fetching: AtomicBool::new(false),
            rounds: watch::channel(0).0,
            waiting: AtomicUsize::new(0),
            failures: AtomicU64::new(0),
            last_error: Mutex::new(None),
        })
    }

    /// Has the keys read again soon where they are in a file.
    fn ask_for_file(&self) {
        if let config::KeySource::File(_) = self.config.source {
            self.wanted.notify_one();
        }
    }

    /// What the configuration says of it.
    #[must_use]
    pub const fn config(&self) -> &config::Issuer {
        &self.config
    }

    /// Its keys. `None` while they are not known: they have never been fetched, or not for longer than `keep`.
    #[must_use]
    pub fn keys(&self, now: Timestamp) -> Option<Guard<Arc<IssuerKeys>>> {
        let got_at = self.got_at.load(Ordering::Acquire);
        let known = got_at != NEVER && now.since(Timestamp::from_unix_ms(got_at)) <= self.config.keep;
        known.then(|| self.keys.load())
    }

    /// How many keys were there when they were last fetched.
    #[must_use]
    pub fn held(&self) -> usize {
        self.keys.load().len()
    }

    /// How many fetches have failed since the start.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Why the last fetch failed; `None` when it succeeded.
    #[must_use]
    pub fn last_error(&self) -> Option<String> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
