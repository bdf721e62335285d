//! Refresh: the next pair of tokens for the refresh token of the last one.

use axum::Json;
use axum::extract::State;
use utoipa::ToSchema;

use super::answer::TokensBody;
use super::body::Fields;
use super::caller::Client;
use super::error::Failure;
use super::refresh_token::RefreshToken;
use super::{AuthState, run_to_end};
use crate::problem::Code;
use crate::store::audit::{Actor, EventKind};
use crate::store::{Refreshed, Rotation};
use crate::token::{Subject, TokenError};

/// What a session goes on with. Other members are ignored.
#[derive(ToSchema)]
#[schema(as = RefreshRequest)]
pub(super) struct RefreshRequest {
    /// The latest one of the session.
    // `None`: what was sent is no refresh token of ours.
    #[schema(value_type = String)]
    refresh_token: Option<RefreshToken>,
}

impl RefreshRequest {
    fn read(mut fields: Fields) -> Result<Self, Failure> {
        let text = fields.text("refresh_token");
        let text = fields.finish(text)?;
        Ok(Self {
            refresh_token: RefreshToken::parse(text.expose()),
        })
    }
}

/// Refresh
///
/// Uses the refresh token up and answers with the next pair. The user in it, and in the new access token, is the user of
/// this moment. One that is presented again gets another pair as long as nobody has used the pair that it got before, whose
/// refresh token dies: an answer may have been lost. Any other second use means that somebody holds a copy: the session
/// ends at once.
#[utoipa::path(
    post,
    path = "/refresh",
    operation_id = "refresh",
    request_body = RefreshRequest,
    responses(
        (status = 200, description = "The session goes on with these.", body = TokensBody),
        (status = 401, description = "`invalid_refresh_token`: unknown, expired, used before and followed up, or of an ended session."),
        (status = 429, description = "`too_many_attempts`: the session is refreshed too often, or too many refresh tokens from there were no \
            good; `Retry-After` says when to come back."),
    ),
)]
pub(super) async fn refresh(
    State(state): State<AuthState>,
    client: Client,
    fields: Fields,
) -> Result<Json<TokensBody>, Failure> {
    let presented = RefreshRequest::read(fields)?
        .refresh_token
        .ok_or_else(Failure::invalid_refresh_token)?;
    let may = state.throttle.may_refresh(&state, presented.hash(), client.ip);
    client.note_throttled(&state, EventKind::RefreshThrottled, &may);
    let admitted = may?;
    run_to_end(async move {
        let answer = rotate(&state, &client, &presented).await;
        if answer
            .as_ref()
            .is_err_and(|failure| failure.code() == Code::InvalidRefreshToken)
        {
            state.throttle.note_bad_refresh(&state, admitted, client.ip);
        }
        answer.map(Json)
    })
    .await
}

async fn rotate(state: &AuthState, client: &Client, presented: &RefreshToken) -> Result<TokensBody, Failure> {
    // Before the refresh token is used up.
    state.tokens.until_signing(&state.clock).await;
    let successor = RefreshToken::generate().map_err(|error| Failure::internal(&error))?;
    let now = state.clock.now();
    let rotation = Rotation {
        presented: presented.hash(),
        successor: successor.hash(),
        successor_expires_at: now + state.config.tokens.refresh_ttl,
        revoke_until: state.tokens.revoke_until(now),
        now,
    };
    let event = client.event_by(state, EventKind::RefreshReplayed, Actor::Anonymous);
    match state.store.recording(event).rotate_refresh_token(&rotation).await? {
        Refreshed::Rotated { session, user, again } => {
            let both = [rotation.presented, rotation.successor];
            state.throttle.note_refresh(state, session.id, both);
            if again {
                let (user, session) = (user.id, session.id);
                tracing::info!(%user, %session, "a refresh token was presented again before its successor was used");
            }
            match state.tokens.issue(&Subject::new(&user, &session), now) {
                Ok(access) => Ok(TokensBody::new(&access, &successor, &user, now)),
                Err(TokenError::SessionOver) => Err(Failure::invalid_refresh_token()),
                Err(error @ (TokenError::NoSigningKey | TokenError::TooLong(_) | TokenError::Signing(_))) => {
                    Err(error.into())
                }
            }
        }
        Refreshed::Refused => Err(Failure::invalid_refresh_token()),
        Refreshed::Replayed {
            session,
            user,
            revocation,
        } => {
            state.blocklist.apply(&[revocation], now);
            tracing::warn!(%user, %session, "a used refresh token was presented again: its session has been ended");
            Err(Failure::invalid_refresh_token())
        }
    }
}
