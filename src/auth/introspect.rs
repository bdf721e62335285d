//! Introspection (RFC 7662): another service asks whether a token is live, and whose it is.

use axum::Json;
use axum::extract::{Request, State};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::AuthState;
use super::client::Asked;
use super::error::Failure;
use super::refresh_token::RefreshToken;
use crate::config::ClientPermission;
use crate::id::{Email, Role, SessionId, TokenId, UserId, UserName};
use crate::token::Refusal;

/// The claims of an access token that are answered with, where the token has them.
const CLAIMS: [&str; 14] = [
    "iss",
    "aud",
    "sub",
    "client_id",
    "scope",
    "jti",
    "sid",
    "gen",
    "iat",
    "nbf",
    "exp",
    "name",
    "email",
    "roles",
];

/// A token that another service asks about, or wants to end.
#[derive(ToSchema)]
#[schema(as = TokenOfClient)]
#[expect(dead_code, reason = "describes what `Asked::read` reads")]
pub(super) struct TokenOfClient {
    /// An access token or a refresh token.
    token: String,
    /// Accepted and not needed: our two kinds of token look different.
    #[schema(nullable = false, example = "access_token")]
    token_type_hint: Option<String>,
    /// Where the client does not authenticate by HTTP Basic.
    #[schema(nullable = false)]
    client_id: Option<String>,
    /// Where the client does not authenticate by HTTP Basic.
    #[schema(nullable = false)]
    client_secret: Option<String>,
}

/// What is known of a token. Of one that is not live, `active` is all.
#[derive(ToSchema)]
#[schema(as = Introspection)]
#[expect(dead_code, reason = "describes what is built of the claims")]
pub(super) struct Introspection {
    /// Whether the token is live: ours, in its time, not revoked.
    active: bool,
    /// `access_token`, or `refresh_token`, which is nothing to let anybody in by.
    #[schema(value_type = Option<String>, nullable = false, example = "access_token")]
    token_use: Option<&'static str>,
    /// `Bearer`, for an access token.
    #[schema(value_type = Option<String>, nullable = false, example = "Bearer")]
    token_type: Option<&'static str>,
    /// The user's e-mail address.
    #[schema(value_type = Option<String>, nullable = false, example = "ann@example.com")]
    username: Option<Email>,
    #[schema(value_type = Option<String>, nullable = false, format = "uuid")]
    sub: Option<UserId>,
    #[schema(value_type = Option<String>, nullable = false, format = "uuid")]
    sid: Option<SessionId>,
    #[schema(value_type = Option<String>, nullable = false, format = "uuid")]
    jti: Option<TokenId>,
    #[schema(nullable = false)]
    iss: Option<String>,
    #[schema(nullable = false)]
    aud: Option<String>,
    #[schema(nullable = false)]
    iat: Option<i64>,
    #[schema(nullable = false)]
    nbf: Option<i64>,
    #[schema(nullable = false)]
    exp: Option<i64>,
    /// How many times the session had been refreshed, counting from 1.
    #[schema(nullable = false, rename = "gen")]
    generation: Option<u32>,
    #[schema(nullable = false)]
    scope: Option<String>,
    #[schema(nullable = false)]
    client_id: Option<String>,
    #[schema(value_type = Option<String>, nullable = false, example = "ann@example.com")]
    email: Option<Email>,
    #[schema(value_type = Option<String>, nullable = false, example = "Ann Lee")]
    name: Option<UserName>,
    #[schema(value_type = Option<Vec<String>>, nullable = false, example = json!(["admin"]))]
    roles: Option<Vec<Role>>,
}

/// Ask about a token
///
/// Whether a token is live, and whose it is, for services that get tokens past the gateway (RFC 7662). A token that is
/// unknown, expired or revoked, or whose user was disabled or removed, is not active, and nothing else is told. Nothing is
/// used up. The endpoint is there when `[[clients]]` are configured.
#[utoipa::path(
    post,
    path = "/introspect",
    operation_id = "introspect",
    request_body(content = TokenOfClient, content_type = "application/x-www-form-urlencoded"),
    security(("client" = [])),
    responses((status = 200, description = "What is known of the token.", body = Introspection)),
)]
pub(super) async fn introspect(State(state): State<AuthState>, request: Request) -> Result<Json<Value>, Failure> {
    answer(&state, request).await.map(Json).map_err(Failure::in_oauth)
}

async fn answer(state: &AuthState, request: Request) -> Result<Value, Failure> {
    let asked = Asked::read(request, state, ClientPermission::Introspect).await?;
    let known = match RefreshToken::parse(asked.token.expose()) {
        Some(token) => refresh_token(state, &token).await?,
        None => access_token(state, asked.token.expose())?,
    };
    Ok(known.map_or_else(|| json!({ "active": false }), Value::Object))
}

/// What is known of a live access token, by what is in memory.
fn access_token(state: &AuthState, text: &str) -> Result<Option<Map<String, Value>>, Failure> {
    let verified = match state.tokens.authenticate(text, state.clock.now()) {
        Ok(verified) => verified,
        Err(Refusal::Invalid(_) | Refusal::Expired | Refusal::Revoked) => return Ok(None),
        // What is not known is not said, either way.
        Err(refusal @ (Refusal::IssuerUnavailable | Refusal::RevocationsUnknown)) => return Err(refusal.into()),
    };
    let mut known = Map::new();
    known.insert("active".to_owned(), true.into());
    known.insert("token_use".to_owned(), "access_token".into());
    known.insert("token_type".to_owned(), "Bearer".into());
    let claims = &verified.identity.claims;
    if let Some(email) = claims.get("email") {
        known.insert("username".to_owned(), email.clone());
    }
    for name in CLAIMS {
        if let Some(value) = claims.get(name) {
            known.insert(name.to_owned(), value.clone());
        }
    }
    Ok(Some(known))
}

/// What is known of a refresh token by which a session goes on. It says no `token_type`: nobody is let in by it.
async fn refresh_token(state: &AuthState, token: &RefreshToken) -> Result<Option<Map<String, Value>>, Failure> {
    let held = state.store.refresh_token(&token.hash()).await?;
    let Some(held) = held.filter(|held| held.is_live(state.clock.now())) else {
        return Ok(None);
    };
    let known = json!({
        "active": true,
        "token_use": "refresh_token",
        "username": held.email,
        "iss": state.config.tokens.issuer,
        "sub": held.user,
        "sid": held.session,
        "iat": held.issued_at.unix_seconds(),
        "exp": held.expires_at.unix_seconds(),
    });
    match known {
        Value::Object(known) => Ok(Some(known)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Ok(None),
    }
}
