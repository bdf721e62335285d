//! The user's own account.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use utoipa::ToSchema;

use super::answer::UserBody;
use super::body::{self, Fields};
use super::caller::{Caller, Client, Submission};
use super::error::Failure;
use super::{AuthState, revoke, run_to_end};
use crate::id::{Email, UserName};
use crate::store::UserChange;
use crate::store::audit::EventKind;

/// What is to change; what is absent stays. Other members are ignored.
#[derive(ToSchema)]
#[schema(as = UserChange)]
pub(super) struct Change {
    /// The new address. The password stays the one that logs in.
    #[schema(value_type = Option<String>, format = Email, max_length = 254, nullable = false, example = "ann@example.org")]
    email: Option<Email>,
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100, nullable = false, example = "Ann B. Lee")]
    name: Option<UserName>,
}

impl Change {
    fn read(mut fields: Fields) -> Result<Self, Failure> {
        let email = fields.optional("email", body::email);
        let name = fields.optional("name", body::name);
        fields.finish(Some(Self { email, name }))
    }
}

/// Show the account
///
/// The user as the store holds it now, which may be newer than what the token says.
#[utoipa::path(
    get,
    path = "/user",
    operation_id = "showUser",
    security(("bearer" = [])),
    responses((status = 200, description = "The user.", body = UserBody)),
)]
pub(super) async fn show(caller: Caller) -> Json<UserBody> {
    Json(caller.user.into())
}

/// Change the account
///
/// Changes e-mail address, name, or both. Access tokens that were issued before say the old ones: once the answer is there,
/// they are refused, the one that is shown included. Sessions go on: refresh.
#[utoipa::path(
    patch,
    path = "/user",
    operation_id = "changeUser",
    request_body = Change,
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The user, changed.", body = UserBody),
        (status = 409, description = "`email_taken`: another account has this address."),
    ),
)]
pub(super) async fn change(
    State(state): State<AuthState>,
    client: Client,
    Submission { caller, fields }: Submission,
) -> Result<Json<UserBody>, Failure> {
    let Change { email, name } = Change::read(fields)?;
    run_to_end(async move {
        let now = state.clock.now();
        let change = UserChange { email, name };
        let by = Some(caller.token.session);
        let until = revoke::until(&state, &caller, now);
        let event = client.event(&state, EventKind::UserChanged).of(caller.token.session);
        let store = state.store.recording(event);
        let changed = store.update_user(caller.user.id, by, &change, until, now).await?;
        let changed = changed.ok_or_else(Failure::revoked)?;
        state.blocklist.apply(&changed.revoked, now);
        Ok(Json(changed.user.into()))
    })
    .await
}

/// Delete the account
///
/// Removes the user and ends all sessions. Once the answer is there, this gateway refuses their tokens.
#[utoipa::path(
    delete,
    path = "/user",
    operation_id = "deleteUser",
    security(("bearer" = [])),
    responses((status = 204, description = "The account is gone.")),
)]
pub(super) async fn delete(
    State(state): State<AuthState>,
    client: Client,
    caller: Caller,
) -> Result<StatusCode, Failure> {
    run_to_end(async move {
        let now = state.clock.now();
        let until = revoke::until(&state, &caller, now);
        let by = Some(caller.token.session);
        let event = client.event(&state, EventKind::UserDeleted).of(caller.token.session);
        let store = state.store.recording(event);
        let ended = store.delete_user(caller.user.id, by, until, now).await?;
        let ended = ended.ok_or_else(Failure::revoked)?;
        // The caller's session may be none of the store's: then its token goes all the same.
        revoke::own_too(&state, &state.store, &caller, &ended, now).await?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}
