//! Makes tokens that nobody should make.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_lc_rs::hmac;
use serde_json::{Value, json};

use crate::config::{self, Algorithm, OnStale};
use crate::id::{SessionId, TokenId, UserId};
use crate::secret::Secret;
use crate::time::{self, Timestamp};
use crate::token::compact::encode;
use crate::token::key::{Key, generate};
use crate::token::{Blocklist, KeySet, Reason, Refusal, Tokens, Verified};

pub(super) const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
pub(super) const ISSUER: &str = "http://127.0.0.1:8080/auth";
pub(super) const AUDIENCE: &str = "doorward";
pub(super) const SECRET: &[u8] = b"a shared secret of more than 32 bytes, for tests";
pub(super) const SUBJECT: &str = "0190a000-0000-7000-8000-000000000042";

pub(super) fn config(algorithm: Algorithm) -> config::Tokens {
    config::Tokens {
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        algorithm,
        access_ttl: Duration::from_mins(15),
        refresh_ttl: Duration::from_hours(7 * 24),
        session_ttl: Duration::from_hours(30 * 24),
        leeway: Duration::ZERO,
        secret: None,
        cache_capacity: 1000,
    }
}

/// A blocklist that has just been loaded from an empty store.
pub(super) fn blocklist() -> Arc<Blocklist> {
    let blocklist = Blocklist::new(&config::Revocation {
        poll_interval: Duration::from_millis(500),
        overlap: Duration::from_secs(30),
        full_reread: Duration::from_mins(1),
        max_staleness: Duration::from_hours(1),
        on_stale: OnStale::Refuse,
    });
    blocklist.confirm(time::monotonic());
    Arc::new(blocklist)
}

/// The private form of a key, made once per test run: RSA keys take their time.
pub(super) fn private(algorithm: Algorithm) -> &'static [u8] {
    static KEYS: [OnceLock<Vec<u8>>; 12] = [const { OnceLock::new() }; 12];
    let same = match algorithm {
        Algorithm::Rs384 | Algorithm::Rs512 | Algorithm::Ps256 | Algorithm::Ps384 | Algorithm::Ps512 => {
            Algorithm::Rs256
        }
        other => other,
    };
    let index = Algorithm::ALL.iter().position(|one| *one == same).unwrap();
    KEYS[index].get_or_init(|| generate(same).unwrap().to_vec())
}

pub(super) fn key(algorithm: Algorithm) -> Key {
    Key::from_private(Some("k1".parse().unwrap()), algorithm, private(algorithm)).unwrap()
}

/// A verifier with one key named `k1`.
pub(super) fn tokens(algorithm: Algorithm) -> Tokens {
    Tokens::new(&config(algorithm), KeySet::new(vec![key(algorithm)]), blocklist())
}

/// A verifier with the shared secret [`SECRET`].
pub(super) fn shared() -> Tokens {
    let keys = KeySet::from_secret(Algorithm::Hs256, &Secret::new(SECRET.to_vec())).unwrap();
    Tokens::new(&config(Algorithm::Hs256), keys, blocklist())
}

pub(super) fn header() -> Value {
    json!({ "alg": "HS256", "typ": "at+jwt" })
}

pub(super) fn claims() -> Value {
    json!({
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": SUBJECT,
        "jti": "0190a000-0000-7000-8000-000000000001",
        "sid": "0190a000-0000-7000-8000-000000000002",
        "gen": 1,
        "iat": NOW.unix_seconds() - 10,
        "exp": NOW.unix_seconds() + 600,
        "email": "a@example.test",
        "name": "Al",
        "roles": ["user"],
    })
}

/// `object` with this member set, or taken away when it is `None`.
pub(super) fn with(mut object: Value, name: &str, value: impl Into<Option<Value>>) -> Value {
    match value.into() {
        Some(value) => object[name] = value,
        None => drop(object.as_object_mut().unwrap().remove(name)),
    }
    object
}

/// HMAC over any two texts.
pub(super) fn mac(algorithm: hmac::Algorithm, secret: &[u8], header: &[u8], payload: &[u8]) -> String {
    let signed = format!("{}.{}", encode(header), encode(payload));
    let mac = hmac::sign(&hmac::Key::new(algorithm, secret), signed.as_bytes());
    format!("{signed}.{}", encode(mac))
}

/// A token for [`shared`] with a right MAC over these very bytes.
pub(super) fn raw(header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
    mac(hmac::HMAC_SHA256, SECRET, header.as_ref(), payload.as_ref())
}

/// A token for [`shared`] with a right MAC.
pub(super) fn signed(header: &Value, claims: &Value) -> String {
    raw(header.to_string(), claims.to_string())
}

/// The claims with a text of our choice, which need not be JSON, in the place of this claim's value.
pub(super) fn literal(name: &str, value: &str) -> String {
    let marked = with(claims(), name, json!("@@"));
    raw(header().to_string(), marked.to_string().replace("\"@@\"", value))
}

/// A token with a right signature by `key`, whose header is its own but for `name`.
pub(super) fn signed_by(key: &Key, payload: &Value) -> String {
    let message = format!("{}.{}", key.header(), encode(payload.to_string()));
    let signature = key.sign(message.as_bytes()).unwrap();
    format!("{message}.{signature}")
}

/// Asserts that the reason for which a token of a shared secret is refused is this one.
#[track_caller]
pub(super) fn refused(token: &str, reason: Reason) {
    assert_eq!(verdict(&shared(), token), Err(Refusal::Invalid(reason)), "{token:.400}");
}

/// Asserts that a token of a shared secret is accepted, and is the subject's.
#[track_caller]
pub(super) fn accepted(token: &str) {
    assert_eq!(verdict(&shared(), token), Ok(SUBJECT.parse().unwrap()), "{token:.400}");
}

/// Whose token it is, judged twice: what is remembered must be judged alike.
pub(super) fn verdict(tokens: &Tokens, token: &str) -> Result<UserId, Refusal> {
    let once = |_| {
        tokens
            .authenticate(token, NOW)
            .map(|verified: Arc<Verified>| verified.user)
    };
    let [first, second] = [1, 2].map(once);
    assert_eq!(first, second, "{token}");
    first
}

pub(super) fn session() -> SessionId {
    "0190a000-0000-7000-8000-000000000002".parse().unwrap()
}

pub(super) fn jti() -> TokenId {
    "0190a000-0000-7000-8000-000000000001".parse().unwrap()
}
