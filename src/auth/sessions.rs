//! The user's own sessions.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::caller::{Caller, Client};
use super::error::Failure;
use super::{AuthState, revoke, run_to_end};
use crate::id::SessionId;
use crate::problem::Code;
use crate::store::Session;
use crate::store::audit::EventKind;

/// A session, as its user sees it.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
pub(super) struct SessionBody {
    /// The `sid` of its tokens.
    #[schema(value_type = String, format = "uuid")]
    id: SessionId,
    /// Whether it is the one whose token is shown.
    current: bool,
    /// When it began. RFC 3339, in UTC.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it was last refreshed.
    #[schema(format = DateTime)]
    last_used_at: String,
    /// When it ends at the latest, refreshed or not.
    #[schema(format = DateTime)]
    expires_at: String,
    /// Where it began.
    #[schema(required = true, example = "203.0.113.7")]
    ip: Option<String>,
    /// What its client said it was.
    #[schema(required = true)]
    user_agent: Option<String>,
}

impl SessionBody {
    fn new(session: Session, current: SessionId) -> Self {
        Self {
            id: session.id,
            current: session.id == current,
            created_at: session.created_at.to_string(),
            last_used_at: session.last_used_at.to_string(),
            expires_at: session.expires_at.to_string(),
            ip: session.ip.map(|ip| ip.to_string()),
            user_agent: session.user_agent,
        }
    }
}

/// List sessions
///
/// Every session of the user that is not over, the latest first. One that was not refreshed in time is over.
#[utoipa::path(
    get,
    path = "/sessions",
    operation_id = "listSessions",
    security(("bearer" = [])),
    responses((status = 200, description = "The sessions.", body = Vec<SessionBody>)),
)]
pub(super) async fn list(State(state): State<AuthState>, caller: Caller) -> Result<Json<Vec<SessionBody>>, Failure> {
    let current = caller.token.session;
    let sessions = state.store.live_sessions(caller.user.id, state.clock.now()).await?;
    Ok(Json(
        sessions
            .into_iter()
            .map(|session| SessionBody::new(session, current))
            .collect(),
    ))
}

/// End a session
///
/// Ends one session of the user, the current one included. Once the answer is there, this gateway refuses its tokens.
#[utoipa::path(
    delete,
    path = "/sessions/{id}",
    operation_id = "endSession",
    params(("id" = String, Path, description = "The session's id.", format = "uuid")),
    security(("bearer" = [])),
    responses(
        (status = 204, description = "The session has ended."),
        (status = 404, description = "`not_found`: the user has no such session."),
    ),
)]
pub(super) async fn end(
    State(state): State<AuthState>,
    client: Client,
    caller: Caller,
    id: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Failure> {
    let missing = || Failure::new(Code::NotFound, "you have no such session");
    let session = id.map_err(|_| missing())?.parse().map_err(|_| missing())?;
    run_to_end(async move {
        let now = state.clock.now();
        let until = revoke::until(&state, &caller, now);
        let event = client.event(&state, EventKind::SessionEnded);
        let store = state.store.recording(event.about(caller.user.id).of(session));
        let ended = store.end_session(caller.user.id, session, until, now).await?;
        state.blocklist.apply(&[ended.ok_or_else(missing)?], now);
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}
