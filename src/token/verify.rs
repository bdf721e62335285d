//! From a text to a verified token, without the cache and without revocation.

use serde_json::{Map, Value};

use super::claims::Verified;
use super::compact::Compact;
use super::keys::KeySet;
use super::{Reason, Refusal, Settings, header};
use crate::json;

/// Checks form, key, signature and claims, in this order: no claim is read before the signature fits. Time is left to
/// [`Verified::check_time`].
pub(super) fn verify(settings: &Settings, keys: &KeySet, token: &str) -> Result<Verified, Refusal> {
    let compact = Compact::parse(token).map_err(Refusal::Invalid)?;
    let key = header::key_for(&compact, keys).map_err(Refusal::Invalid)?;
    if !key.verifies(&compact) {
        return Err(Refusal::Invalid(Reason::Signature));
    }
    let claims = json::object(&compact.payload).map_err(|_| Refusal::Invalid(Reason::PayloadJson))?;
    Verified::from_claims(claims, settings, key).map_err(Refusal::Invalid)
}

/// What a token says, without any promise that it is true. For people who look at one: nothing may be decided by it.
#[derive(Clone, Debug, PartialEq)]
pub struct Unverified {
    /// The JOSE header.
    pub header: Map<String, Value>,
    /// The claims.
    pub claims: Map<String, Value>,
}

/// Reads a token without verifying it.
pub fn read_unverified(token: &str) -> Result<Unverified, Reason> {
    let compact = Compact::parse(token)?;
    Ok(Unverified {
        header: json::object(&compact.header).map_err(|_| Reason::HeaderJson)?,
        claims: json::object(&compact.payload).map_err(|_| Reason::PayloadJson)?,
    })
}
