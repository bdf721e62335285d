//! Issuer metadata, for libraries that find the keys by the issuer.

use axum::Json;
use axum::extract::State;
use http::{HeaderValue, header};
use serde::Serialize;
use utoipa::ToSchema;

use super::AuthState;
use super::jwks::CACHEABLE;

/// How other services authenticate (RFC 7591, section 2).
const CLIENT_AUTH_METHODS: [&str; 2] = ["client_secret_basic", "client_secret_post"];

/// Metadata in the terms of RFC 8414, section 2, and of `OpenID` Connect Discovery 1.0, section 3.
///
/// It says only what is true: nobody logs in by OAuth here and no id tokens are issued, so none of the members for these is
/// there.
#[derive(Serialize, ToSchema)]
#[schema(as = IssuerMetadata)]
pub(super) struct MetadataBody {
    /// The `iss` of every token.
    #[schema(format = "uri", example = "http://127.0.0.1:8080/auth")]
    issuer: String,
    /// Where the keys are.
    #[schema(format = "uri")]
    jwks_uri: String,
    /// Empty: there is no authorization endpoint. It has to be said, as RFC 8414 asks for the member.
    response_types_supported: [&'static str; 0],
    /// Empty: there is no token endpoint in OAuth's sense. Unsaid, it would mean `authorization_code` and `implicit`.
    grant_types_supported: [&'static str; 0],
    /// Where other services ask about a token (RFC 7662), if any may.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "uri", nullable = false)]
    introspection_endpoint: Option<String>,
    /// How they authenticate there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>, nullable = false)]
    introspection_endpoint_auth_methods_supported: Option<[&'static str; 2]>,
    /// Where other services end a token (RFC 7009), if any may.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "uri", nullable = false)]
    revocation_endpoint: Option<String>,
    /// How they authenticate there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>, nullable = false)]
    revocation_endpoint_auth_methods_supported: Option<[&'static str; 2]>,
    /// `sub` is the same for everybody who sees a token.
    subject_types_supported: [&'static str; 1],
    /// Where the endpoints that there are, are described.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "uri", nullable = false)]
    service_documentation: Option<String>,
}

/// Issuer metadata
///
/// Names the issuer and its keys. May be cached for five minutes.
#[utoipa::path(
    get,
    path = "/.well-known/openid-configuration",
    operation_id = "issuerMetadata",
    responses((status = 200, description = "The metadata.", body = MetadataBody)),
)]
pub(super) async fn metadata(
    State(state): State<AuthState>,
) -> ([(header::HeaderName, HeaderValue); 1], Json<MetadataBody>) {
    let issuer = state.config.tokens.issuer.clone();
    let base = public_base(&issuer, &state.config.auth.path);
    let with_clients = !state.config.clients.is_empty();
    let body = MetadataBody {
        jwks_uri: format!("{base}/.well-known/jwks.json"),
        response_types_supported: [],
        grant_types_supported: [],
        introspection_endpoint: with_clients.then(|| format!("{base}/introspect")),
        introspection_endpoint_auth_methods_supported: with_clients.then_some(CLIENT_AUTH_METHODS),
        revocation_endpoint: with_clients.then(|| format!("{base}/revoke")),
        revocation_endpoint_auth_methods_supported: with_clients.then_some(CLIENT_AUTH_METHODS),
        subject_types_supported: ["public"],
        service_documentation: state.config.auth.docs.then(|| format!("{base}/docs")),
        issuer,
    };
    ([(header::CACHE_CONTROL, CACHEABLE)], Json(body))
}

/// The URL under which clients reach the endpoints: the issuer itself, as it is by default; or `path` on the issuer's
/// host, where the issuer is named otherwise. The request's `Host` is not asked: whoever sends it must not decide where
/// keys are looked for.
fn public_base(issuer: &str, path: &str) -> String {
    let trimmed = issuer.trim_end_matches('/');
    let host_from = trimmed.find("://").map_or(0, |at| at + 3);
    let host_to = trimmed[host_from..]
        .find('/')
        .map_or(trimmed.len(), |at| host_from + at);
    // The path alone: a host may be called as our path is, and `//auth` ends with `/auth`.
    let (origin, own_path) = trimmed.split_at(host_to);
    if own_path.ends_with(path) {
        trimmed.to_owned()
    } else {
        format!("{origin}{path}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_are_found_below_the_issuer_or_on_its_host() {
        for (issuer, base) in [
            ("http://127.0.0.1:8080/auth", "http://127.0.0.1:8080/auth"),
            ("https://example.com/gate/auth/", "https://example.com/gate/auth"),
            ("https://example.com", "https://example.com/auth"),
            ("https://example.com/", "https://example.com/auth"),
            ("https://example.com/id", "https://example.com/auth"),
            ("http://auth", "http://auth/auth"),
            ("http://auth/", "http://auth/auth"),
        ] {
            assert_eq!(public_base(issuer, "/auth"), base);
        }
    }
}
