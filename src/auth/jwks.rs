//! The public keys, for backends that verify tokens themselves.

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderValue, header};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::AuthState;

/// How long the public keys or the metadata may be cached: [`JWKS_CACHE_LIFE`](crate::token::JWKS_CACHE_LIFE). A key that
/// replaces another is published for longer than that before it signs.
pub(super) const CACHEABLE: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// A JWK Set (RFC 7517, section 5).
#[derive(ToSchema)]
#[schema(as = JwkSet)]
#[expect(dead_code, reason = "describes what `Tokens::jwks` writes")]
pub(super) struct JwkSet {
    /// The keys, each with `kid`, `kty`, `alg` and `use`. Shared secrets are never among them.
    #[schema(value_type = Vec<Object>)]
    keys: Vec<Map<String, Value>>,
}

/// Public keys
///
/// The keys that verify access tokens, as a JWK Set. May be cached for five minutes.
#[utoipa::path(
    get,
    path = "/.well-known/jwks.json",
    operation_id = "publicKeys",
    responses((status = 200, description = "The keys.", body = JwkSet)),
)]
pub(super) async fn jwks(State(state): State<AuthState>) -> Result<Response, Infallible> {
    let mut answer = Response::new(Body::from(state.tokens.jwks()));
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, CACHEABLE);
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::{JWKS_CACHE_LIFE, PUBLICATION};

    #[test]
    fn a_new_key_waits_for_longer_than_anybody_may_cache_the_set() {
        let expected = format!("public, max-age={}", JWKS_CACHE_LIFE.as_secs());
        assert_eq!(CACHEABLE, expected);
        assert!(PUBLICATION > JWKS_CACHE_LIFE);
    }
}
