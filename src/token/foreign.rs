//! Tokens of other issuers, on routes that trust them.
//!
//! The `iss` that a token claims, before anything of it is verified, does no more than to choose whose keys it is held
//! against; they verify the tokens of their issuer and of nobody else. Such tokens can't be revoked here: they end by
//! their `exp`, or with the key that signed them.

mod claims;

use std::sync::Arc;

use serde_json::{Map, Value};

use super::assertion::Assertions;
use super::claims::string;
use super::compact::Compact;
use super::header::Header;
use super::{Reason, Refusal, Tokens, Verified};
use crate::config::Algorithm;
use crate::id::Identity;
use crate::issuer::{Issuer, IssuerKey};
use crate::json;
use crate::rules::policy::TrustedIssuers;
use crate::time::Timestamp;

/// A token that is accepted: ours, or that of an issuer which is trusted where it was sent.
#[derive(Clone, Debug)]
pub enum Accepted {
    /// Ours.
    Own(Arc<Verified>),
    /// Another issuer's.
    Foreign(Arc<Foreign>),
}

impl Accepted {
    /// Who it speaks for.
    #[must_use]
    pub fn identity(&self) -> &Arc<Identity> {
        match self {
            Self::Own(verified) => &verified.identity,
            Self::Foreign(foreign) => &foreign.identity,
        }
    }

    /// What upstreams are told of it.
    pub(super) fn assertions(&self) -> &Assertions {
        match self {
            Self::Own(verified) => &verified.assertions,
            Self::Foreign(foreign) => &foreign.assertions,
        }
    }

    /// Its `exp`, without leeway.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        match self {
            Self::Own(verified) => verified.expires_at,
            Self::Foreign(foreign) => foreign.expires_at,
        }
    }
}

/// A token of another issuer that is intact and meant for us. Whether it is within its time was true at the moment that
/// [`Tokens::accept`] returned it.
#[derive(Debug)]
pub struct Foreign {
    /// Who it speaks for.
    pub identity: Arc<Identity>,
    /// Its `exp`, without leeway.
    pub expires_at: Timestamp,
    /// The later of `nbf` and of `iat` less the skew that is allowed between clocks, where either is there.
    not_before: Option<Timestamp>,
    issuer: Arc<Issuer>,
    /// The key that verified it.
    key: Arc<IssuerKey>,
    /// What upstreams were told of it.
    assertions: Assertions,
}

/// Why a token is not accepted as yet.
enum Unsettled {
    /// And will not be.
    Refused(Refusal),
    /// It would take keys of this issuer that are not known.
    KeysWanted(Arc<Issuer>, Refusal),
}

impl From<Reason> for Unsettled {
    fn from(reason: Reason) -> Self {
        Self::Refused(Refusal::Invalid(reason))
    }
}

/// Judges a token; where it names a key that is not known, again once the keys have been fetched.
pub(super) async fn accept(
    tokens: &Tokens,
    token: &str,
    trusted: &TrustedIssuers,
    now: Timestamp,
) -> Result<Accepted, Refusal> {
    match judge(tokens, token, trusted, now) {
        Ok(accepted) => Ok(accepted),
        Err(Unsettled::Refused(refusal)) => Err(refusal),
        Err(Unsettled::KeysWanted(issuer, refusal)) => {
            if !issuer.refetched().await {
                return Err(refusal);
            }
            judge(tokens, token, trusted, now).map_err(|unsettled| match unsettled {
                Unsettled::Refused(refusal) | Unsettled::KeysWanted(_, refusal) => refusal,
            })
        }
    }
}

fn judge(tokens: &Tokens, token: &str, trusted: &TrustedIssuers, now: Timestamp) -> Result<Accepted, Unsettled> {
    let known = tokens.cache.get(token.as_bytes());
    match &known {
        Some(Accepted::Own(_)) if trusted.own => return own(tokens, token, known, now),
        Some(Accepted::Foreign(foreign)) if trusted.others.contains(&foreign.issuer.config().name) => {
            if foreign.is_vouched_for(now)? {
                foreign.check_time(tokens, now)?;
                return Ok(Accepted::Foreign(Arc::clone(foreign)));
            }
        }
        Some(Accepted::Own(_) | Accepted::Foreign(_)) | None => {}
    }
    let compact = Compact::parse(token)?;
    let claims = json::object(&compact.payload).map_err(|_| Reason::PayloadJson)?;
    let issuer = string(&claims, "iss").and_then(|iss| tokens.issuers.find(iss, &trusted.others));
    let Some(issuer) = issuer else {
        return if trusted.own {
            own(tokens, token, known, now)
        } else {
            Err(Reason::Issuer.into())
        };
    };
    let key = signer(&compact, issuer, now)?;
    let foreign = Arc::new(Foreign::from_claims(claims, issuer, key)?);
    foreign.check_time(tokens, now)?;
    let accepted = Accepted::Foreign(foreign);
    tokens.remember(token, accepted.clone(), now);
    Ok(accepted)
}

fn own(tokens: &Tokens, token: &str, known: Option<Accepted>, now: Timestamp) -> Result<Accepted, Unsettled> {
    let verified = tokens.own(token, known, now);
    verified.map(Accepted::Own).map_err(Unsettled::Refused)
}

/// The key of this issuer that signed the token.
fn signer(compact: &Compact<'_>, issuer: &Arc<Issuer>, now: Timestamp) -> Result<Arc<IssuerKey>, Unsettled> {
    let config = issuer.config();
    let header = Header::parse(&compact.header, |typ| config.token_types.contains(typ))?;
    // The header's word decides nothing: the configuration says which algorithms there are, and the key has one of them.
    let algorithm = header.alg().and_then(Algorithm::from_name);
    let algorithm = algorithm.filter(|algorithm| config.algorithms.contains(algorithm));
    let algorithm = algorithm.ok_or(Reason::Algorithm)?;
    let keys = issuer
        .keys(now)
        .ok_or_else(|| Unsettled::KeysWanted(Arc::clone(issuer), Refusal::IssuerUnavailable))?;
    let key = keys
        .find(header.kid(), algorithm)
        .ok_or_else(|| Unsettled::KeysWanted(Arc::clone(issuer), Refusal::Invalid(Reason::KeyId)))?;
    if key.verifies(compact.signed.as_bytes(), &compact.signature) {
        Ok(Arc::clone(key))
    } else {
        Err(Reason::Signature.into())
    }
}

impl Foreign {
    /// Takes the claims of a token whose signature by `key` has been verified.
    fn from_claims(claims: Map<String, Value>, issuer: &Arc<Issuer>, key: Arc<IssuerKey>) -> Result<Self, Reason> {
        let config = issuer.config();
        if string(&claims, "iss") != Some(config.issuer.as_str()) {
            return Err(Reason::Issuer);
        }
        let times = claims::check(&claims, &config.audiences)?;
        Ok(Self {
            identity: Arc::new(claims::identity(claims, config)?),
            expires_at: times.expires_at,
            not_before: times.not_before,
            issuer: Arc::clone(issuer),
            key,
            assertions: Assertions::new(),
        })
    }

    /// Judges it again: whether its issuer still has the key that signed it, and whether it is within its time.
    pub(super) fn recheck(&self, tokens: &Tokens, now: Timestamp) -> Result<(), Refusal> {
        let settled = |unsettled| match unsettled {
            Unsettled::Refused(refusal) | Unsettled::KeysWanted(_, refusal) => refusal,
        };
        self.check_time(tokens, now).map_err(settled)?;
        if self.is_vouched_for(now).map_err(settled)? {
            Ok(())
        } else {
            Err(Refusal::Invalid(Reason::KeyId))
        }
    }

    /// Whether its issuer still has the key that signed it.
    fn is_vouched_for(&self, now: Timestamp) -> Result<bool, Unsettled> {
        match self.issuer.keys(now) {
            Some(keys) => Ok(keys.holds(&self.key)),
            None => Err(Unsettled::KeysWanted(
                Arc::clone(&self.issuer),
                Refusal::IssuerUnavailable,
            )),
        }
    }

    /// It is valid while `nbf - leeway <= now < exp + leeway` (RFC 7519, sections 4.1.4, 4.1.5).
    fn check_time(&self, tokens: &Tokens, now: Timestamp) -> Result<(), Unsettled> {
        let leeway = tokens.settings.leeway;
        if now >= self.expires_at + leeway {
            Err(Unsettled::Refused(Refusal::Expired))
        } else if self.not_before.is_some_and(|not_before| now < not_before - leeway) {
            Err(Reason::NotYetValid.into())
        } else {
            Ok(())
        }
    }
}
