//! Access tokens: signing keys, issuing, verification and revocation.
//!
//! [`Tokens::authenticate`] is the one way from a text to a [`Verified`] token. It promises that the token was signed
//! by a key that we hold now, is within its time, is meant for us, and has not been revoked as far as this replica
//! knows; where it cannot know, it refuses. A token that was seen before costs a few memory reads: no public-key operation,
//! no database.
//!
//! `jsonwebtoken` signs, with aws-lc-rs, which also checks signatures, by keys that are read once. Everything around it
//! (the compact form, the header, the claims) is read here, strictly: what two programs could read differently is refused.
//! The room knows no HTTP.

mod assertion;
mod cache;
mod claims;
mod compact;
mod foreign;
mod header;
mod issue;
mod jwk;
mod key;
mod keyring;
mod keys;
mod lifecycle;
mod live;
mod refusal;
mod revocation;
mod seal;
mod settings;
mod verify;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::sync::Notify;

use crate::config;
use crate::config::Algorithm;
use crate::id::KeyId;
use crate::issuer::Issuers;
use crate::rules::policy::{Permit, TrustedIssuers};
use crate::time::{self, Clock, Timestamp};

pub use assertion::AssertionError;
pub use claims::Verified;
pub use foreign::{Accepted, Foreign};
pub use issue::{AccessToken, Subject, TokenError};
pub use keyring::Keyring;
pub use keys::{KeyError, KeySet, is_key_in_store, load_keys, load_or_create_master_key};
pub use lifecycle::{
    JWKS_CACHE_LIFE, KeyState, NewKey, Occasion, PUBLICATION, Successor, create_key, ensure_first_key, key_states,
    reseal_keys, revoke_key, rotate_key,
};
pub use live::{Leash, Watched};
pub use refusal::{Reason, Refusal};
pub use revocation::{Blocklist, Freshness, Standing};
pub use seal::{MasterKey, SealError};
pub use verify::{Unverified, read_unverified};

use cache::Cache;
use key::Key;
use keys::named_key;
use live::Live;
use settings::Settings;

/// The longest token that is looked at, in bytes. A longer one is refused unread.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// The longest life of an access token that any configuration allows.
const MAX_ACCESS_TTL: Duration = Duration::from_hours(24);

/// The largest leeway that any configuration allows.
const MAX_LEEWAY: Duration = Duration::from_mins(5);

/// How long a request that needs a token signed waits for a key that begins to sign.
const SIGNING_PATIENCE: Duration = Duration::from_secs(5);

/// How often it looks.
const SIGNING_LOOK: Duration = Duration::from_millis(50);

/// How far the clock of a replica that issued a token may be ahead of ours, beyond the leeway.
const CLOCK_SKEW: Duration = Duration::from_mins(1);

/// Until when a revocation must be remembered, so that no token that was issued by `now` outlives it.
///
/// It goes by the longest life that any configuration allows, not by today's `access_ttl`: the token may have been
/// issued before a reload or by a replica with another setting, and by a clock that was ahead of ours.
#[must_use]
pub fn revoke_until(now: Timestamp) -> Timestamp {
    now + MAX_ACCESS_TTL + MAX_LEEWAY * 2 + CLOCK_SKEW
}

/// Issues and verifies access tokens. Shared by all workers; [`Tokens::authenticate`] takes no lock.
#[derive(Debug)]
pub struct Tokens {
    settings: Settings,
    keys: Arc<ArcSwap<KeySet>>,
    cache: Arc<Cache<Accepted>>,
    revocations: Arc<Blocklist>,
    /// Told when a key is missed.
    wanted: Arc<Notify>,
    issuers: Arc<Issuers>,
    /// The exchanges under way, also those that were let in under settings before these.
    live: Arc<Live>,
}

impl Tokens {
    /// Puts the parts together. The cache of verified tokens starts empty.
    #[must_use]
    pub fn new(config: &config::Tokens, keys: KeySet, revocations: Arc<Blocklist>) -> Self {
        let settings = Settings::new(config);
        Self {
            cache: settings.cache(),
            settings,
            keys: Arc::new(ArcSwap::from_pointee(keys)),
            revocations,
            wanted: Arc::default(),
            issuers: Arc::default(),
            live: Arc::new(Live::new()),
        }
    }

    /// The same keys, now and as they change, and the same revocations under other settings. What was verified before is
    /// remembered only where it would be judged no differently.
    #[must_use]
    pub fn renewed(&self, config: &config::Tokens, issuers: Arc<Issuers>) -> Self {
        let settings = Settings::new(config);
        let cache = if settings == self.settings && issuers.are_those_of(&self.issuers) {
            Arc::clone(&self.cache)
        } else {
            settings.cache()
        };
        Self {
            settings,
            keys: Arc::clone(&self.keys),
            cache,
            revocations: Arc::clone(&self.revocations),
            wanted: Arc::clone(&self.wanted),
            issuers,
            live: Arc::clone(&self.live),
        }
    }

    /// The same, and tokens of these issuers are accepted where they are trusted.
    #[must_use]
    pub fn with_issuers(self, issuers: Arc<Issuers>) -> Self {
        Self { issuers, ..self }
    }

    /// Issues an access token, signed with the newest key that is in its time or, where none is, will be within a minute.
    pub fn issue(&self, subject: &Subject<'_>, now: Timestamp) -> Result<AccessToken, TokenError> {
        let keys = self.keys.load();
        let key = keys
            .signing_key(now, |key| !self.is_key_revoked(key))
            .ok_or(TokenError::NoSigningKey)?;
        issue::issue(&self.settings, key, subject, now)
    }

    /// Judges the text of a bearer token.
    ///
    /// Time and revocation are judged on every call, whether or not the token was seen before; so is whether the key
    /// that signed it is still held. A token that is both revoked and expired is `Expired`.
    pub fn authenticate(&self, token: &str, now: Timestamp) -> Result<Arc<Verified>, Refusal> {
        self.own(token, self.cache.get(token.as_bytes()), now)
    }

    /// Judges the text of a bearer token where these issuers are trusted.
    ///
    /// As [`Tokens::authenticate`] for tokens of ours. Whether the issuer of a token seen before is trusted here, and still
    /// has the key that signed it, is judged on every call. Waits at the most two seconds, and only where the keys of
    /// another issuer are being fetched that may have to be known.
    pub async fn accept(&self, token: &str, trusted: &TrustedIssuers, now: Timestamp) -> Result<Accepted, Refusal> {
        if trusted.own && trusted.others.is_empty() {
            return self.authenticate(token, now).map(Accepted::Own);
        }
        foreign::accept(self, token, trusted, now).await
    }

    /// Judges the bytes of a bearer token of ours that was seen before, as [`Tokens::accept`] does; `None`: it is not known, or
    /// has to be looked at again.
    #[must_use]
    pub fn recall(&self, token: &[u8], trusted: &TrustedIssuers, now: Timestamp) -> Option<Result<Accepted, Refusal>> {
        if !trusted.own {
            return None;
        }
        match self.cache.get(token)? {
            Accepted::Own(verified) if self.keys.load().holds(&verified.key) => Some(
                verified
                    .check_time(now, self.settings.leeway)
                    .and_then(|()| self.stands(&verified))
                    .map(|()| Accepted::Own(verified)),
            ),
            Accepted::Own(_) | Accepted::Foreign(_) => None,
        }
    }

    /// Judges a token of ours that has been looked up.
    fn own(&self, token: &str, known: Option<Accepted>, now: Timestamp) -> Result<Arc<Verified>, Refusal> {
        let keys = self.keys.load();
        let verified = match known {
            Some(Accepted::Own(verified)) if keys.holds(&verified.key) => {
                verified.check_time(now, self.settings.leeway)?;
                verified
            }
            Some(Accepted::Own(_) | Accepted::Foreign(_)) | None => {
                let verified = verify::verify(&self.settings, &keys, token).map_err(|refusal| match refusal {
                    Refusal::Invalid(Reason::KeyId) => self.without_key(token),
                    Refusal::Invalid(_)
                    | Refusal::Expired
                    | Refusal::Revoked
                    | Refusal::IssuerUnavailable
                    | Refusal::RevocationsUnknown => refusal,
                })?;
                let verified = Arc::new(verified);
                verified.check_time(now, self.settings.leeway)?;
                self.remember(token, Accepted::Own(Arc::clone(&verified)), now);
                verified
            }
        };
        // Last, and on every request: a revocation may have come after the token was remembered.
        self.stands(&verified)?;
        Ok(verified)
    }

    /// Remembers a token that was verified until its leeway is over.
    fn remember(&self, token: &str, accepted: Accepted, now: Timestamp) {
        let lives_for = (accepted.expires_at() + self.settings.leeway).since(now);
        self.cache.remember(token, accepted, lives_for);
    }

    /// Whether neither the token nor its key was revoked, as far as can be known.
    fn stands(&self, verified: &Verified) -> Result<(), Refusal> {
        if self.is_key_revoked(&verified.key) {
            return Err(Refusal::Revoked);
        }
        match self
            .revocations
            .standing(verified.token, verified.session, verified.generation)
        {
            Standing::Live => Ok(()),
            Standing::Revoked => Err(Refusal::Revoked),
            Standing::Unknown => Err(Refusal::RevocationsUnknown),
        }
    }

    fn is_key_revoked(&self, key: &Key) -> bool {
        key.digest()
            .is_some_and(|digest| self.revocations.is_key_revoked(digest))
    }

    /// Why a token is refused whose key is not held: the key was revoked, or is not known. One that is not known may have
    /// been made a moment ago, or while the store could not be read.
    fn without_key(&self, token: &str) -> Refusal {
        match named_key(token) {
            Some(kid) if self.is_revoked(&kid) => Refusal::Revoked,
            Some(_) => {
                self.wanted.notify_one();
                match self.revocations.standing_unless_revoked(time::monotonic()) {
                    Standing::Live | Standing::Revoked => Refusal::Invalid(Reason::KeyId),
                    Standing::Unknown => Refusal::RevocationsUnknown,
                }
            }
            None => Refusal::Invalid(Reason::KeyId),
        }
    }

    fn is_revoked(&self, kid: &KeyId) -> bool {
        self.revocations.is_key_revoked(kid.digest())
    }

    /// Waits until a key is missed.
    async fn key_wanted(&self) {
        self.wanted.notified().await;
    }

    /// Whether a key that is held was revoked.
    fn holds_revoked_key(&self) -> bool {
        self.keys.load().iter().any(|key| self.is_key_revoked(key))
    }

    /// Holds no key any more that was revoked.
    fn drop_revoked_keys(&self) {
        if self.holds_revoked_key() {
            self.keys
                .rcu(|keys| KeySet::of(keys.iter().filter(|key| !self.is_key_revoked(key)).cloned().collect()));
        }
    }

    /// Waits, for a few seconds at the most, while there is no key to sign with but one is about to be: after the only one
    /// was revoked.
    pub async fn until_signing(&self, clock: &Clock) {
        let began = time::monotonic();
        loop {
            let keys = self.keys.load_full();
            let signs = keys.signs(clock.now(), |key| !self.is_key_revoked(key));
            if signs || keys.is_empty() || time::monotonic() - began >= SIGNING_PATIENCE {
                return;
            }
            self.wanted.notify_one();
            tokio::time::sleep(SIGNING_LOOK).await;
        }
    }

    /// How many keys are held.
    #[must_use]
    pub fn key_count(&self) -> usize {
        self.keys.load().len()
    }

    /// What new tokens are signed with now, and since when; `None`: nothing signs.
    #[must_use]
    pub fn signing_with(&self, now: Timestamp) -> Option<(Algorithm, Timestamp)> {
        let keys = self.keys.load();
        let key = keys.in_force(now, |key| !self.is_key_revoked(key))?;
        Some((key.algorithm(), key.not_before()))
    }

    /// Whether a key signs, or soon will, whose public half verifies assertions.
    #[must_use]
    pub fn can_assert(&self, now: Timestamp) -> bool {
        self.keys.load().can_assert(now)
    }

    /// Asserts to an upstream, called `audience`, who a request comes from that may pass: a JWT signed by a key in
    /// [`Self::jwks`], good for a minute and never for longer than the token. `None` where the permit vouches for nobody.
    pub fn assert(
        &self,
        permit: &Permit,
        token: &Accepted,
        audience: &str,
        now: Timestamp,
    ) -> Result<Option<Bytes>, AssertionError> {
        if !permit.identity().is_some_and(|who| Arc::ptr_eq(who, token.identity())) {
            return Ok(None);
        }
        let keys = self.keys.load();
        let is_revoked = |key: &Key| self.is_key_revoked(key);
        let issuer = &self.settings.issuer;
        let assertion = token.assertions().of(token, issuer, audience, &keys, is_revoked, now);
        assertion.map(Some)
    }

    /// Judges the text alone: a token that a key of ours signed, in its time or not, revoked or not. Nobody is let in by
    /// that; it is for who wants to end a token. Where its key is not known, the keys are read again soon.
    pub fn read(&self, token: &str) -> Result<Verified, Refusal> {
        let read = verify::verify(&self.settings, &self.keys.load(), token);
        read.map_err(|refusal| match refusal {
            Refusal::Invalid(Reason::KeyId) => self.without_key(token),
            Refusal::Invalid(_)
            | Refusal::Expired
            | Refusal::Revoked
            | Refusal::IssuerUnavailable
            | Refusal::RevocationsUnknown => refusal,
        })
    }

    /// Whether no replica accepts the token any more, whatever its leeway, and though its clock may be behind ours.
    #[must_use]
    pub fn is_over_everywhere(&self, token: &Verified, now: Timestamp) -> bool {
        now >= token.expires_at + MAX_LEEWAY + CLOCK_SKEW
    }

    /// The public keys as a JWK Set (RFC 7517, section 5), in JSON. Shared secrets are never in it.
    #[must_use]
    pub fn jwks(&self) -> Bytes {
        self.keys.load().jwks()
    }

    /// Takes these keys in place of the old ones. Tokens of a key that is gone are refused from now on, seen before or
    /// not.
    pub fn replace_keys(&self, keys: &KeySet) {
        // Until it succeeds, because the keys that live on are carried over from the set that is replaced.
        self.keys.rcu(|old| keys.carrying_over(old));
    }

    /// [`revoke_until`], where tokens are at hand.
    #[must_use]
    pub fn revoke_until(&self, now: Timestamp) -> Timestamp {
        revoke_until(now)
    }

    /// As [`revoke_until`], but for a token at hand, which may live longer where a shared secret lets others
    /// issue tokens.
    #[must_use]
    pub fn revoke_until_for(&self, token: &Verified, now: Timestamp) -> Timestamp {
        revoke_until(now).max(token.expires_at + MAX_LEEWAY * 2 + CLOCK_SKEW)
    }

    /// About how many verified tokens are remembered.
    #[must_use]
    pub fn remembered(&self) -> u64 {
        self.cache.len()
    }
}
