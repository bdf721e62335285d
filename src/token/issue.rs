//! Access tokens as we make them.

use serde::Serialize;

use super::compact::encode;
use super::key::Key;
use super::{KeyError, MAX_TOKEN_BYTES, Settings};
use crate::id::{Email, Role, SessionId, TokenId, UserId, UserName};
use crate::secret::Secret;
use crate::store::{Session, User};
use crate::time::Timestamp;

/// Whom a token is for.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// `sub`
    pub user: UserId,
    /// `email`
    pub email: &'a Email,
    /// `name`
    pub name: &'a UserName,
    /// `roles`
    pub roles: &'a [Role],
    /// `sid`
    pub session: SessionId,
    /// `gen`: how many times the session has been refreshed, counting from 1.
    pub generation: u32,
    /// When the session ends at the latest; no token outlives it.
    pub session_expires_at: Timestamp,
}

impl<'a> Subject<'a> {
    /// The user in this session.
    #[must_use]
    pub fn new(user: &'a User, session: &Session) -> Self {
        Self {
            user: user.id,
            email: &user.email,
            name: &user.name,
            roles: &user.roles,
            session: session.id,
            generation: session.generation,
            session_expires_at: session.expires_at,
        }
    }
}

/// A token that was issued.
#[derive(Clone, Debug)]
pub struct AccessToken {
    /// The token itself. Whoever holds it is the user.
    pub text: Secret<String>,
    /// Its `jti`.
    pub id: TokenId,
    /// Its `exp`, on a whole second.
    pub expires_at: Timestamp,
}

/// Why no token was issued.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// There is no key that may sign now.
    #[error("no signing key: make one with `doorward keys create`")]
    NoSigningKey,
    /// The session is over.
    #[error("session is over")]
    SessionOver,
    /// The token would be longer than any that is accepted: the user has too many roles.
    #[error("token would be {0} bytes long, and is accepted with at most {MAX_TOKEN_BYTES}")]
    TooLong(usize),
    /// The key would not sign.
    #[error("signing failed")]
    Signing(#[source] KeyError),
}

/// The claims, in the order in which they are written. RFC 9068, section 2.2, and ours: `sid`, `gen`.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: UserId,
    jti: TokenId,
    sid: SessionId,
    r#gen: u32,
    iat: i64,
    exp: i64,
    name: &'a UserName,
    email: &'a Email,
    roles: &'a [Role],
}

/// Signs a new token. It lives for `access_ttl`, but never longer than its session; both ends are on whole seconds,
/// rounded down, so that no token lives longer than it was meant to.
pub(super) fn issue(
    settings: &Settings,
    key: &Key,
    subject: &Subject<'_>,
    now: Timestamp,
) -> Result<AccessToken, TokenError> {
    let expires_at = (now + settings.access_ttl).min(subject.session_expires_at);
    if expires_at <= now {
        return Err(TokenError::SessionOver);
    }
    let id = TokenId::generate(now);
    let claims = Claims {
        iss: &settings.issuer,
        aud: &settings.audience,
        sub: subject.user,
        jti: id,
        sid: subject.session,
        r#gen: subject.generation,
        iat: now.unix_seconds(),
        exp: expires_at.unix_seconds(),
        name: subject.name,
        email: subject.email,
        roles: subject.roles,
    };
    let payload = serde_json::to_vec(&claims).map_err(|_| TokenError::Signing(KeyError::Signing))?;
    let mut text = format!("{}.{}", key.header(), encode(payload));
    let signature = key.sign(text.as_bytes()).map_err(TokenError::Signing)?;
    text.push('.');
    text.push_str(&signature);
    if text.len() > MAX_TOKEN_BYTES {
        return Err(TokenError::TooLong(text.len()));
    }
    Ok(AccessToken {
        text: Secret::new(text),
        id,
        expires_at: Timestamp::from_unix_seconds(claims.exp),
    })
}
