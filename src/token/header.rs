//! The JOSE header of a token.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::Reason;
use super::key::Key;
use super::keys::KeySet;
use crate::json;

/// Header parameters that would change how the rest is read, or that bring a key of the sender's choice. All others
/// that we do not know are ignored, as RFC 7515, section 4, asks.
const FORBIDDEN: [&str; 7] = ["b64", "enc", "zip", "jwk", "jku", "x5c", "x5u"];

/// Reads the header and finds the key that must have signed the token.
///
/// The header's word decides nothing: its `kid` picks one of our keys, and its `alg` has to be that key's.
pub(super) fn key_for<'a>(header: &[u8], keys: &'a KeySet) -> Result<&'a Arc<Key>, Reason> {
    let header = json::object(header).map_err(|_| Reason::HeaderJson)?;
    if header.contains_key("crit") {
        return Err(Reason::Critical);
    }
    if FORBIDDEN.iter().any(|name| header.contains_key(*name)) {
        return Err(Reason::HeaderParameter);
    }
    if !string(&header, "typ").is_some_and(is_access_token_type) {
        return Err(Reason::Type);
    }
    let kid = match header.get("kid") {
        None => None,
        Some(Value::String(kid)) => Some(kid.as_str()),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            return Err(Reason::KeyId);
        }
    };
    let key = keys.find(kid).ok_or(Reason::KeyId)?;
    if string(&header, "alg") == Some(key.algorithm().as_str()) {
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

fn string<'a>(header: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    header.get(name).and_then(Value::as_str)
}
