//! JWK Sets as others publish them (RFC 7517): which of their keys are taken, and why others are not.
//!
//! A key is taken when it is a public key of a kind that fits an algorithm of the configuration, is strong enough, and
//! nothing in it says that it is for something else. Certificates beside it and references to some (`x5c`, `x5u`) do not
//! count: whoever serves the set vouches for it.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::key::{Curve, IssuerKey, Material, WeakKey};
use crate::config::Algorithm;
use crate::json;

/// The most keys of a set that is read.
const MAX_KEYS: usize = 100;

/// The longest `kid`, in bytes.
const MAX_KID: usize = 255;

/// Members that only a private or a symmetric key has (RFC 7518, sections 6.2.2, 6.3.2 and 6.4).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// Why a text is not a JWK Set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidJwks {
    /// It is not a JSON object, or has a member twice.
    #[error("not a JSON object whose members are there once")]
    Json,
    /// It has no list of keys.
    #[error("no list `keys` in it")]
    NoKeys,
    /// It has more keys than anybody needs.
    #[error("more than {MAX_KEYS} keys")]
    TooMany,
}

/// Why one key of a set is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ignored {
    /// It is not an object with a `kty`, or a member is of the wrong type.
    #[error("not a key, or a member of the wrong type")]
    Malformed,
    /// It is not for signatures.
    #[error("for another use than verifying signatures")]
    Use,
    /// It is for an algorithm that the configuration does not have, or of a kind that has none.
    #[error("for no algorithm of the configuration")]
    Algorithm,
    /// It holds what nobody but its owner should know.
    #[error("a private or symmetric key, which should never be published")]
    Private,
    /// It is too weak, or not a valid key.
    #[error(transparent)]
    Weak(WeakKey),
    /// Another key for the same algorithm has the same `kid`, so that none of them is taken.
    #[error("two different keys of the same kid")]
    Ambiguous,
}

/// The keys of an issuer, each with one algorithm.
#[derive(Debug, Default)]
pub struct IssuerKeys {
    keys: Vec<Arc<IssuerKey>>,
}

impl IssuerKeys {
    /// The key that a token with this `kid` and algorithm has to be signed with. A token that names no key can only be
    /// meant for the one that there is.
    #[must_use]
    pub fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<&Arc<IssuerKey>> {
        let mut fitting = self.keys.iter().filter(|key| key.algorithm() == algorithm);
        match kid {
            Some(kid) => fitting.find(|key| key.kid() == Some(kid)),
            None => fitting.next().filter(|_| fitting.next().is_none()),
        }
    }

    /// Whether this very key is one of them.
    #[must_use]
    pub fn holds(&self, key: &Arc<IssuerKey>) -> bool {
        self.keys.iter().any(|held| Arc::ptr_eq(held, key))
    }

    /// How many there are, a key with two algorithms counted twice.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether one has a key that the other has not.
    pub(super) fn differ_from(&self, old: &Self) -> bool {
        let is_known = |key: &Arc<IssuerKey>| old.keys.iter().any(|old| old.is_same(key));
        self.len() != old.len() || !self.keys.iter().all(is_known)
    }

    /// The same keys, but those that `old` holds too are its very objects, so that tokens which they verified stay known.
    pub(super) fn carrying_over(self, old: &Self) -> Self {
        let carried = self.keys.into_iter().map(|key| {
            let same = old.keys.iter().find(|old| old.is_same(&key));
            same.map_or(key, Arc::clone)
        });
        Self {
            keys: carried.collect(),
        }
    }
}

/// Reads a set: the keys for these algorithms, and why each of the others is not taken, with its `kid`.
pub(super) fn parse(
    text: &[u8],
    algorithms: &[Algorithm],
) -> Result<(IssuerKeys, Vec<(String, Ignored)>), InvalidJwks> {
    let set = json::object(text).map_err(|_| InvalidJwks::Json)?;
    let list = set.get("keys").and_then(Value::as_array).ok_or(InvalidJwks::NoKeys)?;
    if list.len() > MAX_KEYS {
        return Err(InvalidJwks::TooMany);
    }
    let mut keys: Vec<IssuerKey> = Vec::new();
    let mut ignored = Vec::new();
    for jwk in list {
        match read(jwk, algorithms) {
            Ok(read) => keys.extend(read),
            Err(why) => ignored.push((name(jwk), why)),
        }
    }
    Ok((unambiguous(keys, &mut ignored), ignored))
}

/// Without those that share algorithm and `kid` with a different key: the set does not say which one is meant.
fn unambiguous(keys: Vec<IssuerKey>, ignored: &mut Vec<(String, Ignored)>) -> IssuerKeys {
    let mut taken: Vec<Arc<IssuerKey>> = Vec::new();
    let mut dropped: Vec<(Algorithm, Option<String>)> = Vec::new();
    for key in keys {
        let place = (key.algorithm(), key.kid().map(str::to_owned));
        let twin = taken
            .iter()
            .position(|other| key.kid().is_some() && other.kid() == key.kid() && other.algorithm() == key.algorithm());
        match twin {
            _ if dropped.contains(&place) => {}
            Some(twin) if taken[twin].is_same(&key) => {}
            Some(twin) => {
                taken.remove(twin);
                ignored.push((place.1.clone().unwrap_or_default(), Ignored::Ambiguous));
                dropped.push(place);
            }
            None => taken.push(Arc::new(key)),
        }
    }
    IssuerKeys { keys: taken }
}

/// The `kid` as it may be logged.
fn name(jwk: &Value) -> String {
    let kid = jwk.get("kid").and_then(Value::as_str).unwrap_or("(none)");
    kid.chars().filter(|c| !c.is_control()).take(64).collect()
}

/// One key: once for each algorithm that the configuration and the key itself allow.
fn read(jwk: &Value, algorithms: &[Algorithm]) -> Result<Vec<IssuerKey>, Ignored> {
    let jwk = jwk.as_object().ok_or(Ignored::Malformed)?;
    let kty = text(jwk, "kty")?.ok_or(Ignored::Malformed)?;
    if kty == "oct" || PRIVATE.iter().any(|member| jwk.contains_key(*member)) {
        return Err(Ignored::Private);
    }
    if text(jwk, "use")?.is_some_and(|usage| usage != "sig") {
        return Err(Ignored::Use);
    }
    match jwk.get("key_ops") {
        None => {}
        Some(Value::Array(operations)) if operations.iter().any(|operation| operation == "verify") => {}
        Some(_) => return Err(Ignored::Use),
    }
    let kid = text(jwk, "kid")?;
    if kid.is_some_and(|kid| kid.len() > MAX_KID) {
        return Err(Ignored::Malformed);
    }
    let said = text(jwk, "alg")?;
    let material = material(jwk, kty)?;
    let mut keys = Vec::new();
    let mut why = Ignored::Algorithm;
    for algorithm in algorithms {
        if said.is_some_and(|said| said != algorithm.as_str()) {
            continue;
        }
        match IssuerKey::new(kid, *algorithm, material.clone()) {
            Ok(key) => keys.push(key),
            Err(WeakKey::Kind) => {}
            Err(weak @ (WeakKey::Modulus(_) | WeakKey::Exponent | WeakKey::Malformed)) => why = Ignored::Weak(weak),
        }
    }
    if keys.is_empty() { Err(why) } else { Ok(keys) }
}

fn material(jwk: &Map<String, Value>, kty: &str) -> Result<Material, Ignored> {
    match (kty, text(jwk, "crv")?) {
        ("RSA", _) => Ok(Material::Rsa {
            n: bytes(jwk, "n")?,
            e: bytes(jwk, "e")?,
        }),
        ("EC", Some(curve @ ("P-256" | "P-384"))) => Ok(Material::Ec {
            curve: if curve == "P-256" { Curve::P256 } else { Curve::P384 },
            x: bytes(jwk, "x")?,
            y: bytes(jwk, "y")?,
        }),
        ("OKP", Some("Ed25519")) => Ok(Material::Ed25519(bytes(jwk, "x")?)),
        _ => Err(Ignored::Algorithm),
    }
}

fn text<'a>(jwk: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, Ignored> {
    match jwk.get(name) {
        None => Ok(None),
        Some(value) => value.as_str().map(Some).ok_or(Ignored::Malformed),
    }
}

fn bytes(jwk: &Map<String, Value>, name: &str) -> Result<Vec<u8>, Ignored> {
    let text = text(jwk, name)?.ok_or(Ignored::Malformed)?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Ignored::Malformed)
}
