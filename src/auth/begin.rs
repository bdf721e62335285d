//! How a session begins: after a sign-up, and after a login.

use super::AuthState;
use super::answer::TokensBody;
use super::caller::Client;
use super::error::Failure;
use super::refresh_token::RefreshToken;
use crate::id::SessionId;
use crate::store::audit::{Actor, EventKind};
use crate::store::{NewSession, Session, User};
use crate::token::Subject;

/// Begins a session for a user whose password was verified against `user.password_hash`. `None`: since the user was read,
/// they were deleted or disabled, or their password hash was replaced. The tokens are of the user as they are by now.
pub(super) async fn begin(state: &AuthState, user: &User, client: &Client) -> Result<Option<TokensBody>, Failure> {
    state.tokens.until_signing(&state.clock).await;
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
    // Not the user that the password was verified for: roles taken away since then have revoked no token of this session.
    let store = state.store.recording(client.event(state, EventKind::Login));
    let Some(user) = store.start_session(&new).await? else {
        return Ok(None);
    };
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
    match state.tokens.issue(&Subject::new(&user, &session), now) {
        Ok(access) => Ok(Some(TokensBody::new(&access, &refresh, &user, now))),
        Err(error) => {
            // Without a signing key, no session is left behind that nobody has.
            let until = state.tokens.revoke_until(now);
            let event = client.event_by(state, EventKind::SessionEnded, Actor::System);
            let store = state.store.recording(event.about(user.id).of(session.id));
            store.end_session(user.id, session.id, until, now).await?;
            Err(error.into())
        }
    }
}
