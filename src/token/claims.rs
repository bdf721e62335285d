//! The claims of a token, once they are known to be ours.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::assertion::Assertions;
use super::key::Key;
use super::{CLOCK_SKEW, Reason, Refusal, Settings};
use crate::id::{Email, Identity, Principal, Role, SessionId, TokenId, Told, UserId, UserName};
use crate::time::Timestamp;

/// 9999-12-31T23:59:59Z in seconds since the epoch: the last instant that RFC 3339 can write.
pub(super) const LAST_SECOND: i64 = 253_402_300_799;

/// A token that is intact, ours, and meant for us. Whether it is within its time and not revoked was true at the moment
/// that [`Tokens::authenticate`](super::Tokens::authenticate) returned it.
#[derive(Debug)]
pub struct Verified {
    /// Who it speaks for.
    pub identity: Arc<Identity>,
    /// Its `sub`: the user of [`Verified::identity`].
    pub user: UserId,
    /// Its `sid`: the session of [`Verified::identity`].
    pub session: SessionId,
    /// Its `jti`.
    pub token: TokenId,
    /// Its `gen`: how many times its session had been refreshed, counting from 1.
    pub generation: u32,
    /// Its `iat`.
    pub issued_at: Timestamp,
    /// Its `exp`, without leeway.
    pub expires_at: Timestamp,
    /// The later of `nbf` and of `iat` less the skew that is allowed between clocks.
    not_before: Timestamp,
    /// The key that verified it.
    pub(super) key: Arc<Key>,
    /// What upstreams are told about it.
    pub(super) assertions: Assertions,
}

impl Verified {
    /// Takes the claims of a token whose signature by `key` has been verified.
    ///
    /// Every claim that we write must be there and be as we write it: ids in their one spelling, the e-mail normalised,
    /// the name trimmed and free of control characters, so that nothing of it can break a header. Claims that we do not
    /// know are kept for policy and decide nothing here.
    pub(super) fn from_claims(claims: Map<String, Value>, settings: &Settings, key: &Arc<Key>) -> Result<Self, Reason> {
        if string(&claims, "iss") != Some(settings.issuer.as_str()) {
            return Err(Reason::Issuer);
        }
        if !claims
            .get("aud")
            .is_some_and(|aud| names(aud, |one| one == settings.audience))
        {
            return Err(Reason::Audience);
        }
        let expires_at = time(&claims, "exp")?.ok_or(Reason::Time)?;
        let issued_at = time(&claims, "iat")?.ok_or(Reason::Time)?;
        let not_before = time(&claims, "nbf")?;
        // `iat` alone would not make a token invalid (RFC 7519, section 4.1.6). But one from a clock far ahead of ours
        // also expires that much later, and could outlive the memory of its revocation.
        let issued_by = issued_at - CLOCK_SKEW;
        let user = exactly(&claims, "sub", Reason::Id)?;
        let session = exactly(&claims, "sid", Reason::Id)?;
        let identity = Identity {
            principal: Principal::User(user),
            email: Some(normalised(&claims, "email", Email::as_str)?),
            name: Some(normalised(&claims, "name", UserName::as_str)?),
            roles: claims.get("roles").and_then(roles).ok_or(Reason::Profile)?,
            session: Some(session),
            claims: Map::new(),
            told: Told::default(),
        };
        let token = exactly(&claims, "jti", Reason::Id)?;
        let generation = claims.get("gen").and_then(Value::as_u64);
        let generation = generation
            .and_then(|count| u32::try_from(count).ok())
            .ok_or(Reason::Id)?;
        Ok(Self {
            identity: Arc::new(Identity { claims, ..identity }),
            user,
            session,
            token,
            generation,
            issued_at,
            expires_at,
            not_before: not_before.map_or(issued_by, |nbf| nbf.max(issued_by)),
            key: Arc::clone(key),
            assertions: Assertions::new(),
        })
    }

    /// Judges the token's time: it is valid while `nbf - leeway <= now < exp + leeway` (RFC 7519, sections 4.1.4,
    /// 4.1.5).
    pub(super) fn check_time(&self, now: Timestamp, leeway: Duration) -> Result<(), Refusal> {
        if now >= self.expires_at + leeway {
            Err(Refusal::Expired)
        } else if self.key.is_retired(now) {
            Err(Refusal::Invalid(Reason::KeyId))
        } else if now < self.not_before - leeway {
            Err(Refusal::Invalid(Reason::NotYetValid))
        } else {
            Ok(())
        }
    }
}

pub(super) fn string<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    claims.get(name).and_then(Value::as_str)
}

/// `aud` is one string or a list of strings (RFC 7519, section 4.1.3). A list with anything else in it is refused
/// whole.
pub(super) fn names(aud: &Value, is_ours: impl Fn(&str) -> bool) -> bool {
    match aud {
        Value::String(one) => is_ours(one),
        Value::Array(list) => list.iter().all(Value::is_string) && list.iter().filter_map(Value::as_str).any(is_ours),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
    }
}

/// A `NumericDate`, if the claim is there. RFC 7519, section 2, allows fractions; nobody who issues tokens for us
/// writes them, and `1e400` shows what may hide in a float, so only integers of a year up to 9999 are taken.
fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<Timestamp>, Reason> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => match value.as_i64() {
            Some(seconds @ 0..=LAST_SECOND) => Ok(Some(Timestamp::from_unix_seconds(seconds))),
            Some(_) | None => Err(Reason::Time),
        },
    }
}

fn exactly<T: FromStr>(claims: &Map<String, Value>, name: &str, reason: Reason) -> Result<T, Reason> {
    string(claims, name).and_then(|text| text.parse().ok()).ok_or(reason)
}

/// A claim that is refused when it is not in its normal form already.
fn normalised<T: FromStr>(claims: &Map<String, Value>, name: &str, text: fn(&T) -> &str) -> Result<T, Reason> {
    let raw = string(claims, name).ok_or(Reason::Profile)?;
    let value = raw.parse().map_err(|_| Reason::Profile)?;
    if text(&value) == raw {
        Ok(value)
    } else {
        Err(Reason::Profile)
    }
}

fn roles(list: &Value) -> Option<Vec<Role>> {
    let roles = list.as_array()?.iter().map(|role| role.as_str()?.parse().ok());
    let mut roles = roles.collect::<Option<Vec<Role>>>()?;
    roles.sort_unstable();
    roles.dedup();
    Some(roles)
}
