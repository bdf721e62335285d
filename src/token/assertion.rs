//! Assertions: what the gateway tells one upstream about a request, signed, so that the upstream need not trust whoever can
//! reach it.
//!
//! Each is a JWT of its own type (RFC 8725, section 3.11) for one audience. It is kept beside the verified token, so that in
//! steady state a request costs no signature, and goes where that goes: with the cache entry. A key that is no longer held, or
//! was revoked, vouches for nothing more, kept assertions included.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use serde::Serialize;
use serde_json::json;

use super::compact::encode;
use super::key::Key;
use super::keys::KeySet;
use super::{Accepted, KeyError};
use crate::id::{Email, Identity, Principal, Role, SessionId, UserName};
use crate::time::Timestamp;

/// The `typ` of an assertion. No verifier of access tokens takes it for one, ours above all.
const TYPE: &str = "doorward-assertion+jwt";

/// How long an assertion lives, unless its token ends sooner.
const LIFETIME: Duration = Duration::from_mins(1);

/// An assertion with less left than this is signed anew: a request may take a while to be judged.
const LEAST_LEFT: Duration = Duration::from_secs(30);

/// How many upstreams' assertions are kept beside one token. With more in use at once, some are signed more often.
const KEPT: usize = 8;

/// Why no assertion was made.
#[derive(Debug, thiserror::Error)]
pub enum AssertionError {
    /// No key that may sign now has a public half that upstreams could verify with.
    #[error("no key with a public half signs: make one with `doorward keys rotate`")]
    NoPublishedKey,
    /// The key would not sign.
    #[error("signing failed")]
    Signing(#[source] KeyError),
}

/// The assertions of one token, at most one for each audience.
pub(super) struct Assertions(ArcSwap<Vec<Arc<Assertion>>>);

struct Assertion {
    audience: Box<str>,
    text: Bytes,
    key: Arc<Key>,
    issued_at: Timestamp,
    /// From when on it is signed anew.
    renew_at: Timestamp,
}

/// The claims, in the order in which they are written.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a Principal,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<SessionId>,
    iat: i64,
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a UserName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a Email>,
    roles: &'a [Role],
}

impl Assertions {
    pub(super) fn new() -> Self {
        Self(ArcSwap::from_pointee(Vec::new()))
    }

    /// The assertion of `token` for this audience: the one that is kept, or a new one.
    pub(super) fn of(
        &self,
        token: &Accepted,
        issuer: &str,
        audience: &str,
        keys: &KeySet,
        is_revoked: impl Fn(&Key) -> bool,
        now: Timestamp,
    ) -> Result<Bytes, AssertionError> {
        let usable = |one: &Assertion| one.is_in_time(now) && keys.holds(&one.key) && !is_revoked(&one.key);
        let kept = self.0.load();
        let is_it = |one: &&Arc<Assertion>| *one.audience == *audience && usable(one);
        if let Some(one) = kept.iter().find(is_it) {
            return Ok(one.text.clone());
        }
        let key = keys
            .signing_key(now, |key| key.is_published() && !is_revoked(key))
            .ok_or(AssertionError::NoPublishedKey)?;
        let new = Arc::new(sign(token, issuer, audience, key, now)?);
        let text = new.text.clone();
        // Others may put theirs beside it at the same time.
        self.0.rcu(|kept| {
            let mut next = Vec::with_capacity(KEPT);
            next.push(Arc::clone(&new));
            let others = kept.iter().filter(|one| one.audience != new.audience);
            next.extend(others.filter(|one| usable(one)).take(KEPT - 1).cloned());
            next
        });
        Ok(text)
    }
}

/// Whoever holds an assertion is its user for a while: it is not shown.
impl fmt::Debug for Assertions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assertions")
            .field("kept", &self.0.load().len())
            .finish()
    }
}

impl Assertion {
    fn is_in_time(&self, now: Timestamp) -> bool {
        // A clock that was set back makes those of the future too long.
        (self.issued_at..self.renew_at).contains(&now) && !self.key.is_retired(now)
    }
}

fn sign(
    token: &Accepted,
    issuer: &str,
    audience: &str,
    key: &Arc<Key>,
    now: Timestamp,
) -> Result<Assertion, AssertionError> {
    let identity: &Identity = token.identity();
    // Never beyond the token, which may even be over by now, within the leeway: then the assertion says so.
    let expires_at = (now + LIFETIME).min(token.expires_at());
    // Where the token ends so soon, another signature would give no more time.
    let renew_at = (expires_at - LEAST_LEFT).max(now + LEAST_LEFT);
    let claims = Claims {
        iss: issuer,
        aud: audience,
        sub: &identity.principal,
        sid: identity.session,
        iat: now.unix_seconds(),
        exp: expires_at.unix_seconds(),
        name: identity.name.as_ref(),
        email: identity.email.as_ref(),
        roles: &identity.roles,
    };
    let header = json!({ "alg": key.algorithm().as_str(), "typ": TYPE, "kid": key.kid() });
    let payload = serde_json::to_vec(&claims).map_err(|_| AssertionError::Signing(KeyError::Signing))?;
    let mut text = format!("{}.{}", encode(header.to_string()), encode(payload));
    let signature = key.sign(text.as_bytes()).map_err(AssertionError::Signing)?;
    text.push('.');
    text.push_str(&signature);
    Ok(Assertion {
        audience: audience.into(),
        text: text.into(),
        key: Arc::clone(key),
        issued_at: now,
        renew_at,
    })
}
