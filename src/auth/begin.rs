//! How a session begins: after a sign-up, and after a login.

use super::AuthState;
use super::answer::TokensBody;
use super::caller::Client;
use super::error::Failure;
use super::refresh_token::RefreshToken;
use crate::id::SessionId;
use crate::store::{NewSession, Session, User};
use crate::token::Subject;

/// Begins a session for a user whose password was verified against `user.password_hash`. `None`: since the user was read,
/// they were deleted or disabled, or their password hash was replaced.
pub(super) async fn begin(state: &AuthState, user: &User, client: &Client) -> Result<Option<TokensBody>, Failure> {
    let now = state.clock.now();
    let tokens = &state.config.tokens;
    let refresh = RefreshToken::generate().map_err(|error| Failure::internal(&error))?;
    let expires_at = now + tokens.session_ttl;
    let new = NewSession {
        id: SessionId::generate(now),
        user: user.id,
        password_hash: user.password_hash.clone(),
        created_at: now,
        expires_at,
        ip: client.ip,
        user_agent: client.user_agent.clone(),
        refresh_hash: refresh.hash(),
        refresh_expires_at: (now + tokens.refresh_ttl).min(expires_at),
    };
    // Before the session is there: without a signing key, none is left behind.
    let session = Session {
        id: new.id,
        user: new.user,
        generation: 1,
        created_at: now,
        last_used_at: now,
        expires_at,
        ip: None,
        user_agent: None,
    };
    let access = state.tokens.issue(&Subject::new(user, &session), now)?;
    let begun = state.store.start_session(&new).await?;
    Ok(begun.then(|| TokensBody::new(&access, &refresh, user, now)))
}
