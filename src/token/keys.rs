//! [`KeySet`]: the keys that are held now, and how they come from and go to the store.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::key::{self, Key};
use super::{CLOCK_SKEW, MasterKey, PUBLICATION, SIGNING_PATIENCE, SealError, read_unverified, revoke_until};
use crate::config::Algorithm;
use crate::id::KeyId;
use crate::secret::Secret;
use crate::store::{Store, StoreError, StoredKey};
use crate::time::Timestamp;

/// Why a key was not made, loaded or used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The store failed.
    #[error("keys are not accessible")]
    Store(#[from] StoreError),
    /// A key was not sealed or opened.
    #[error("key {kid} was not sealed or opened")]
    Seal {
        /// Which.
        kid: KeyId,
        /// Why.
        #[source]
        source: SealError,
    },
    /// The master key can't be used.
    #[error(transparent)]
    MasterKey(#[from] SealError),
    /// The master key is not there, but keys that were sealed with it are: with a new one they would be closed for good.
    #[error(
        "the database holds {} sealed with a master key that is not at {}: put that file back, or point \
         keys.master_key_file to it",
        if *sealed == 1 { "1 key".to_owned() } else { format!("{sealed} keys") },
        path.display()
    )]
    MasterKeyLost {
        /// How many keys need it.
        sealed: usize,
        /// Where it should be.
        path: PathBuf,
    },
    /// There is a key, so another does not come first.
    #[error("there is a signing key already: `doorward keys rotate` makes the one that replaces it")]
    NotFirst,
    /// A new key was made a short while ago.
    #[error("key {kid} was made already and begins to sign at {not_before}; --force makes another, to follow it")]
    Waiting {
        /// Which.
        kid: KeyId,
        /// When it begins to sign.
        not_before: Timestamp,
    },
    /// No key has this name.
    #[error("there is no key {kid}; {}", those(.known))]
    Unknown {
        /// Which was meant.
        kid: KeyId,
        /// Those that are there.
        known: Vec<KeyId>,
    },
    /// A key was sealed with the new master key already.
    #[error("key {0} is sealed with the new master key already")]
    Resealed(KeyId),
    /// There is no randomness, or the library refuses.
    #[error("key generation failed")]
    Generate,
    /// The private key is not one of its algorithm, or is too short.
    #[error("private key does not fit its algorithm")]
    Malformed,
    /// The library refuses to sign.
    #[error("signing failed")]
    Signing,
}

/// These keys, in words.
fn those(kids: &[KeyId]) -> String {
    match kids {
        [] => "there is none at all".to_owned(),
        kids => {
            let kids: Vec<&str> = kids.iter().map(KeyId::as_str).collect();
            format!("there is {}", kids.join(", "))
        }
    }
}

/// The keys that are held now. There may be none, and then no token is issued or accepted.
#[derive(Debug)]
pub struct KeySet {
    keys: Vec<Arc<Key>>,
    jwks: Bytes,
}

impl KeySet {
    /// The set of a secret that is shared with others: HS* only, at least as long as the hash (RFC 7518, section 3.2).
    /// Its tokens bear no `kid`, and one that does names no key of ours. HMAC fills a secret shorter than its block
    /// with zeros (RFC 2104, section 2), so the same secret with NULs at its end is the same secret.
    pub fn from_secret(algorithm: Algorithm, secret: &Secret<Vec<u8>>) -> Result<Self, KeyError> {
        if !algorithm.is_symmetric() {
            return Err(KeyError::Malformed);
        }
        Ok(Self::new(vec![Key::from_private(None, algorithm, secret.expose())?]))
    }

    pub(super) fn new(keys: Vec<Key>) -> Self {
        Self::of(keys.into_iter().map(Arc::new).collect())
    }

    pub(super) fn of(keys: Vec<Arc<Key>>) -> Self {
        let public: Vec<Value> = keys.iter().filter_map(|key| key.jwk()).collect();
        let jwks = Bytes::from(json!({ "keys": public }).to_string());
        Self { keys, jwks }
    }

    /// The same keys, but those that `old` holds too are its very objects, so that tokens which they verified stay
    /// known.
    pub(super) fn carrying_over(&self, old: &Self) -> Self {
        let carried = self.keys.iter().map(|key| {
            let same = old.keys.iter().find(|old| old.is_same(key));
            Arc::clone(same.unwrap_or(key))
        });
        Self::of(carried.collect())
    }

    /// The key of this name. There are a handful of keys: a scan is faster than a hash.
    pub(super) fn find(&self, kid: Option<&str>) -> Option<&Arc<Key>> {
        self.keys.iter().find(|key| key.kid().map(KeyId::as_str) == kid)
    }

    /// The key whose tokens have this header, to the byte as we encode it, and that [`Self::find`] finds by its name.
    pub(super) fn writer_of(&self, header: &str) -> Option<&Arc<Key>> {
        let key = self.keys.iter().find(|key| key.header() == header)?;
        let named = self.find(key.kid().map(KeyId::as_str))?;
        Arc::ptr_eq(named, key).then_some(key)
    }

    /// Whether this very key is one of the set.
    pub(super) fn holds(&self, key: &Arc<Key>) -> bool {
        self.keys.iter().any(|held| Arc::ptr_eq(held, key))
    }

    /// The key to sign with: of those in force that may be used, the one that came into force last. One that would retire
    /// before a token of now has expired signs only where there is no other. Where none is in force, one that will be within
    /// a minute: our clock may be behind that of whoever made the only key.
    pub(super) fn signing_key(&self, now: Timestamp, may_sign: impl Fn(&Key) -> bool) -> Option<&Arc<Key>> {
        self.in_force(now, &may_sign)
            .or_else(|| self.in_force(now + CLOCK_SKEW, &may_sign))
            .or_else(|| self.of_the_future(now, &may_sign))
    }

    /// The first that will be in force, where all will be so late that none was ever made for that: our clock was set back
    /// since, or had run ahead until then. Nobody could log in otherwise until it has caught up.
    fn of_the_future(&self, now: Timestamp, may_sign: impl Fn(&Key) -> bool) -> Option<&Arc<Key>> {
        let signing = self.keys.iter().filter(|key| !key.is_retired(now) && may_sign(key));
        let first = signing.min_by_key(|key| key.not_before());
        first.filter(|key| key.not_before() > now + PUBLICATION + CLOCK_SKEW)
    }

    /// As [`Self::signing_key`], by our own clock alone.
    pub(super) fn in_force(&self, now: Timestamp, may_sign: impl Fn(&Key) -> bool) -> Option<&Arc<Key>> {
        let in_force = self.keys.iter().filter(|key| key.is_in_force(now) && may_sign(key));
        in_force.max_by_key(|key| (key.outlives(revoke_until(now)), key.not_before()))
    }

    /// Whether a key signs that nobody has to wait for.
    pub(super) fn signs(&self, now: Timestamp, may_sign: impl Fn(&Key) -> bool) -> bool {
        let key = self.in_force(now, &may_sign);
        key.or_else(|| self.of_the_future(now, &may_sign)).is_some()
    }

    /// Whether it holds these very keys and no others.
    pub(super) fn is_made_of(&self, keys: &[Arc<Key>]) -> bool {
        self.keys.len() == keys.len() && keys.iter().all(|key| self.holds(key))
    }

    /// The keys.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Key>> {
        self.keys.iter()
    }

    /// Whether something can be signed that others verify by the published keys: now, or so soon that logins would wait for
    /// it, as after the only key was revoked.
    #[must_use]
    pub fn can_assert(&self, now: Timestamp) -> bool {
        let soon = |key: &Arc<Key>| !key.is_retired(now) && key.not_before() <= now + SIGNING_PATIENCE;
        self.keys.iter().any(|key| key.is_published() && soon(key))
    }

    pub(super) fn jwks(&self) -> Bytes {
        self.jwks.clone()
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

/// Reads the master key, or makes it where nothing in the store was sealed with another.
pub async fn load_or_create_master_key(store: &Store, path: &Path) -> Result<MasterKey, KeyError> {
    match MasterKey::load(path) {
        Err(SealError::Missing(_)) => match store.keys().await?.len() {
            0 => Ok(MasterKey::load_or_create(path)?),
            sealed => Err(KeyError::MasterKeyLost {
                sealed,
                path: path.into(),
            }),
        },
        loaded => Ok(loaded?),
    }
}

/// Loads and opens the keys of the store that are in use.
pub async fn load_keys(store: &Store, master: &MasterKey, now: Timestamp) -> Result<KeySet, KeyError> {
    let stored = store.keys().await?;
    let in_use = stored.iter().filter(|key| !is_retired(key, now));
    Ok(KeySet::new(
        in_use.map(|key| open(key, master)).collect::<Result<_, _>>()?,
    ))
}

/// Whether the store has a key that this token names, so that other replicas may accept it although this one holds no such
/// key: one that has not been read yet, or does not open here.
pub async fn is_key_in_store(store: &Store, token: &str) -> Result<bool, StoreError> {
    let Some(named) = named_key(token) else {
        return Ok(false);
    };
    Ok(store.keys().await?.iter().any(|key| key.kid == named))
}

/// The key that a token says has signed it.
pub(super) fn named_key(token: &str) -> Option<KeyId> {
    let said = read_unverified(token).ok()?;
    said.header.get("kid")?.as_str()?.parse().ok()
}

/// Whether the time of a stored key is over.
pub(super) fn is_retired(key: &StoredKey, now: Timestamp) -> bool {
    key.retires_at.is_some_and(|retired| retired <= now)
}

/// Makes the row of a new key. It is CPU work: an RSA key takes a good part of a second.
pub(super) fn make(master: &MasterKey, algorithm: Algorithm, now: Timestamp) -> Result<StoredKey, KeyError> {
    seal(master, algorithm, &key::generate(algorithm)?, now)
}

/// The row of a new key of this private form. It signs from `now` on.
pub(super) fn seal(
    master: &MasterKey,
    algorithm: Algorithm,
    private: &[u8],
    now: Timestamp,
) -> Result<StoredKey, KeyError> {
    let kid = Key::name_for(algorithm, private)?;
    let key = Key::from_private(Some(kid.clone()), algorithm, private)?;
    let sealed = master.seal(&kid, algorithm, private);
    Ok(StoredKey {
        private_sealed: sealed.map_err(|source| KeyError::Seal {
            kid: kid.clone(),
            source,
        })?,
        kid,
        algorithm,
        public_jwk: key.jwk().map(|jwk| jwk.to_string()),
        not_before: now,
        retires_at: None,
        deleted_at: None,
    })
}

pub(super) fn open(stored: &StoredKey, master: &MasterKey) -> Result<Key, KeyError> {
    let private = unseal(stored, master)?;
    let key = Key::from_private(Some(stored.kid.clone()), stored.algorithm, &private)?;
    Ok(key.within(stored.not_before, stored.retires_at))
}

/// The private form of a stored key.
pub(super) fn unseal(stored: &StoredKey, master: &MasterKey) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    master
        .open(&stored.kid, stored.algorithm, &stored.private_sealed)
        .map_err(|source| KeyError::Seal {
            kid: stored.kid.clone(),
            source,
        })
}
