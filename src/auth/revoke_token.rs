//! Revocation (RFC 7009): another service ends a token, or the session behind it.

use std::time::Duration;

use axum::extract::{Request, State};
use http::StatusCode;

use super::caller::Client;
use super::client::Asked;
use super::error::{Failure, SOON};
use super::refresh_token::RefreshToken;
use super::{AuthState, run_to_end};
use crate::config::ClientPermission;
use crate::problem::{Code, Problem};
use crate::store::audit::{Actor, Detail, Event, EventKind};
use crate::store::{Revocation, Revoked};
use crate::token::{Reason, Refusal, Verified, is_key_in_store};

/// How long one look for a key waits before the next.
const KEY_LOOK: Duration = Duration::from_millis(100);

/// How often a key is looked for that is not known: keys are read again within a second and a query.
const KEY_LOOKS: usize = 20;

/// End a token
///
/// Ends a token on its user's behalf (RFC 7009). An access token is refused from then on, and its session lives: its next
/// refresh gives another. A refresh token ends its session, with all its tokens, even if it was used before. Once the
/// answer is there, this gateway refuses them; other replicas do within `revocation.poll_interval`. A token that is
/// unknown, expired or revoked is answered the same. The endpoint is there when `[[clients]]` are configured; for a page or
/// an app that holds its user's own tokens there is `/logout`.
#[utoipa::path(
    post,
    path = "/revoke",
    operation_id = "revoke",
    request_body(content = super::introspect::TokenOfClient, content_type = "application/x-www-form-urlencoded"),
    security(("client" = [])),
    responses((status = 200, description = "The token is good for nothing. The answer has no body.")),
)]
pub(super) async fn revoke(
    State(state): State<AuthState>,
    from: Client,
    request: Request,
) -> Result<StatusCode, Failure> {
    answer(state, from, request).await.map_err(Failure::in_oauth)
}

async fn answer(state: AuthState, from: Client, request: Request) -> Result<StatusCode, Failure> {
    let Asked { client, token } = Asked::read(request, &state, ClientPermission::Revoke).await?;
    run_to_end(async move {
        let event = from.event_by(&state, EventKind::TokenRevoked, Actor::Client(client.clone()));
        match RefreshToken::parse(token.expose()) {
            Some(token) => end_session(&state, &client, &token, event).await?,
            None => end_token(&state, &client, token.expose(), event).await?,
        }
        Ok(StatusCode::OK)
    })
    .await
}

/// Ends one access token.
async fn end_token(state: &AuthState, client: &str, text: &str, event: Event) -> Result<(), Failure> {
    // Whatever its time: a replica whose clock is behind ours may accept a token that is over here, and one that is not
    // valid yet will be.
    let Some(token) = read(state, text).await? else {
        return Ok(());
    };
    let now = state.clock.now();
    // That was committed before. Of a session it says nothing: where others issue tokens with our secret, this one may outlive
    // the memory of its session's end.
    let known = state.blocklist.is_token_revoked(token.token);
    if known || state.tokens.is_over_everywhere(&token, now) {
        return Ok(());
    }
    let revocation = Revocation {
        target: Revoked::Token(token.token),
        expires_at: state.tokens.revoke_until_for(&token, now),
    };
    let event = event
        .about(token.user)
        .of(token.session)
        .with(Detail::Token(token.token));
    let event = event.with(Detail::TokenType("access_token"));
    state.store.recording(event).block(&[revocation], now).await?;
    state.blocklist.apply(&[revocation], now);
    tracing::info!(%client, token = %token.token, "a client revoked an access token");
    Ok(())
}

/// The token, if it is one of ours. One whose key is not known here may be another replica's, whose key was made a moment
/// ago: the keys are being read again, and that is waited for, as nobody may be told that it is dead before it is. Where it
/// does not come, although the store has it or does not answer, nothing can be said.
async fn read(state: &AuthState, text: &str) -> Result<Option<Verified>, Failure> {
    for _ in 0..KEY_LOOKS {
        match state.tokens.read(text) {
            Ok(token) => return Ok(Some(token)),
            Err(Refusal::Invalid(Reason::KeyId) | Refusal::RevocationsUnknown) => tokio::time::sleep(KEY_LOOK).await,
            Err(Refusal::Invalid(_) | Refusal::Expired | Refusal::Revoked | Refusal::IssuerUnavailable) => {
                return Ok(None);
            }
        }
    }
    if is_key_in_store(&state.store, text).await? {
        tracing::error!("a token can't be revoked, as its key can't be read or opened here");
        let problem = Problem::new(
            Code::StoreUnavailable,
            "the key of this token is not available: try again soon",
        );
        return Err(problem.retry_after(SOON).into());
    }
    Ok(None)
}

/// Ends the session of a refresh token, used or not: whoever asks wants it dead.
async fn end_session(state: &AuthState, client: &str, token: &RefreshToken, event: Event) -> Result<(), Failure> {
    let Some(held) = state.store.refresh_token(&token.hash()).await? else {
        return Ok(());
    };
    let now = state.clock.now();
    let revocation = Revocation {
        target: Revoked::Session {
            id: held.session,
            up_to: u32::MAX,
        },
        expires_at: state.tokens.revoke_until(now),
    };
    if !held.session_ended {
        let until = revocation.expires_at;
        let event = event.about(held.user).of(held.session);
        let store = state.store.recording(event.with(Detail::TokenType("refresh_token")));
        let ended = store.end_session(held.user, held.session, until, now).await?;
        if ended.is_none() {
            // Its time is over, and with some leeway its last token's is not.
            store.block(&[revocation], now).await?;
        }
        tracing::info!(%client, session = %held.session, "a client revoked a refresh token: its session has been ended");
    }
    // Also one that another replica has ended, of which this one may not have heard.
    state.blocklist.apply(&[revocation], now);
    Ok(())
}
