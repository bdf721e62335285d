//! The JOSE header of a token.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::Reason;
use super::compact::Compact;
use super::key::Key;
use super::keys::KeySet;
use crate::json;

/// Header parameters that would change how the rest is read, or that bring a key of the sender's choice. All others
/// that we do not know are ignored, as RFC 7515, section 4, asks.
const FORBIDDEN: [&str; 7] = ["b64", "enc", "zip", "jwk", "jku", "x5c", "x5u"];

/// A header whose parameters are of the right types, and none of them forbidden.
pub(super) struct Header(Map<String, Value>);

impl Header {
    /// Reads a header. `is_type` judges its `typ`.
    pub(super) fn parse(header: &[u8], is_type: impl FnOnce(Option<&str>) -> bool) -> Result<Self, Reason> {
        let header = Self(json::object(header).map_err(|_| Reason::HeaderJson)?);
        if header.0.contains_key("crit") {
            return Err(Reason::Critical);
        }
        if FORBIDDEN.iter().any(|name| header.0.contains_key(*name)) {
            return Err(Reason::HeaderParameter);
        }
        if !is_type(header.string("typ").map_err(|()| Reason::Type)?) {
            return Err(Reason::Type);
        }
        header.string("kid").map_err(|()| Reason::KeyId)?;
        Ok(header)
    }

    /// `kid`.
    pub(super) fn kid(&self) -> Option<&str> {
        self.string("kid").unwrap_or(None)
    }

    /// `alg`, where it is a string.
    pub(super) fn alg(&self) -> Option<&str> {
        self.string("alg").unwrap_or(None)
    }

    /// A parameter that is a string where it is there.
    fn string(&self, name: &str) -> Result<Option<&str>, ()> {
        match self.0.get(name) {
            None => Ok(None),
            Some(value) => value.as_str().map(Some).ok_or(()),
        }
    }
}

/// Reads the header and finds the key that must have signed the token.
///
/// The header's word decides nothing: its `kid` picks one of our keys, and its `alg` has to be that key's.
pub(super) fn key_for<'a>(token: &Compact<'_>, keys: &'a KeySet) -> Result<&'a Arc<Key>, Reason> {
    // To the byte what one of our keys writes: reading it would find that key.
    if let Some(key) = keys.writer_of(token.protected) {
        return Ok(key);
    }
    let header = Header::parse(&token.header, |typ| typ.is_some_and(is_access_token_type))?;
    let key = keys.find(header.kid()).ok_or(Reason::KeyId)?;
    if header.alg() == Some(key.algorithm().as_str()) {
        Ok(key)
    } else {
        Err(Reason::Algorithm)
    }
}

/// `at+jwt` or `application/at+jwt`, in any case (RFC 9068, section 4; RFC 7515, section 4.1.9). A plain `JWT` is
/// refused: an ID token of the same issuer must not pass as an access token.
fn is_access_token_type(typ: &str) -> bool {
    typ.eq_ignore_ascii_case("at+jwt") || typ.eq_ignore_ascii_case("application/at+jwt")
}
