//! How a session begins: after a sign-up, and after a login.

use super::AuthState;
use super::answer::TokensBody;
use super::caller::Client;
use super::error::Failure;
use super::refresh_token::RefreshToken;
use crate::id::SessionId;
use crate::store::audit::{Actor, EventKind};
use crate::store::{NewSession, Session, User};
use crate::token::{Subject, TokenError};

/// A session that is about to begin, and the refresh token that its client alone is to have.
pub(super) struct Beginning {
    /// What is written of it.
    pub(super) new: NewSession,
    refresh: RefreshToken,
}

impl Beginning {
    /// Of a user with this password hash. Waits until there is a key that all who verify know.
    pub(super) async fn of(state: &AuthState, user: &User, client: &Client) -> Result<Self, Failure> {
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
        Ok(Self { new, refresh })
    }

    /// Its first tokens, for the user as stored with it.
    pub(super) fn tokens(&self, state: &AuthState, user: &User) -> Result<TokensBody, TokenError> {
        let now = self.new.created_at;
        let session = Session {
            id: self.new.id,
            user: self.new.user,
            generation: 1,
            created_at: now,
            last_used_at: now,
            expires_at: self.new.expires_at,
            ip: None,
            user_agent: None,
        };
        let access = state.tokens.issue(&Subject::new(user, &session), now)?;
        Ok(TokensBody::new(&access, &self.refresh, user, now))
    }
}

/// Begins a session for a user whose password was verified against `user.password_hash`. `None`: since the user was read,
/// they were deleted or disabled, or their password hash was replaced. The tokens are of the user as they are by now.
pub(super) async fn begin(state: &AuthState, user: &User, client: &Client) -> Result<Option<TokensBody>, Failure> {
    let session = Beginning::of(state, user, client).await?;
    // Not the user that the password was verified for: roles taken away since then have revoked no token of this session.
    let store = state.store.recording(client.event(state, EventKind::Login));
    let Some(user) = store.start_session(&session.new).await? else {
        return Ok(None);
    };
    match session.tokens(state, &user) {
        Ok(tokens) => Ok(Some(tokens)),
        Err(error) => {
            // Without a signing key, no session is left behind that nobody has.
            let (id, now) = (session.new.id, session.new.created_at);
            let until = state.tokens.revoke_until(now);
            let event = client.event_by(state, EventKind::SessionEnded, Actor::System);
            let store = state.store.recording(event.about(user.id).of(id));
            store.end_session(user.id, id, until, now).await?;
            Err(error.into())
        }
    }
}
