//! The user's own password.

use axum::extract::State;
use http::StatusCode;
use utoipa::ToSchema;

use super::body::{self, Fields};
use super::caller::{Caller, Client, Submission};
use super::error::Failure;
use super::throttle::{Guess, Outcome};
use super::{AuthState, revoke, run_to_end};
use crate::password::{Password, Verdict};
use crate::store::PasswordChanged;
use crate::store::audit::{Detail, EventKind, Reason};

/// The password as it is, and as it is to be. Other members are ignored.
#[derive(ToSchema)]
#[schema(as = PasswordChange)]
pub(super) struct PasswordChange {
    /// Whoever only found the token does not know it.
    // `None`: what was typed can be the password of no account.
    #[schema(value_type = String, format = Password, example = "tr0mbone-Kettle")]
    current_password: Option<Password>,
    /// Judged as at sign-up.
    #[schema(value_type = String, format = Password, min_length = 8, example = "correct horse battery")]
    new_password: Password,
}

impl PasswordChange {
    async fn read(mut fields: Fields, state: &AuthState, client: &Client, caller: &Caller) -> Result<Self, Failure> {
        let current = fields.text("current_password");
        let new = fields.required("new_password", body::new_password);
        if let Some(new) = &new {
            let (email, name) = (Some(caller.user.email.clone()), Some(caller.user.name.clone()));
            let user = Some(caller.user.id);
            let judged = state.throttle.judge(state, client, user, new.clone(), email, name);
            if let Err(weakness) = judged.await? {
                fields.refuse("new_password", weakness);
            }
        }
        let (current, new_password) = fields.finish(current.zip(new))?;
        Ok(Self {
            current_password: Password::parse(current).ok(),
            new_password,
        })
    }
}

/// Change the password
///
/// Ends every other session. This one goes on with the tokens that it has.
#[utoipa::path(
    post,
    path = "/user/password",
    operation_id = "changePassword",
    request_body = PasswordChange,
    security(("bearer" = [])),
    responses(
        (status = 204, description = "The password is changed, and the other sessions have ended."),
        (status = 401, description = "`invalid_credentials`: the current password is not right, or was replaced meanwhile. Or, as everywhere, \
            `token_missing`, `token_invalid`, `token_expired` or `token_revoked`."),
        (status = 429, description = "`too_many_attempts`: a wrong current password is a guess, as at login."),
    ),
)]
pub(super) async fn change(
    State(state): State<AuthState>,
    client: Client,
    Submission { caller, fields }: Submission,
) -> Result<StatusCode, Failure> {
    // Until the last hash is made.
    let _place = state.throttle.enter(&state, &client)?;
    let begun = async {
        let change = PasswordChange::read(fields, &state, &client, &caller).await?;
        let guess = Guess::begin(&state, Some(&caller.user.email), &client).await?;
        Ok((change, guess))
    };
    let begun = begun.await;
    client.note_throttled_of(&caller, &state, EventKind::PasswordChangeThrottled, &begun);
    let (change, guess) = begun?;
    let stored = caller.user.password_hash.expose();
    let verdict = state.hasher.verify(change.current_password, Some(stored)).await;
    let outcome = verdict.as_ref().map_or(Outcome::Unjudged, |verdict| (*verdict).into());
    guess.end(&state, outcome).await;
    match verdict? {
        Verdict::Right { .. } => {}
        Verdict::Wrong => return Err(refused(&state, &client, &caller, Reason::WrongPassword)),
    }
    let hash = state.hasher.hash(change.new_password).await?;
    run_to_end(async move {
        // The hashes have taken their time: what was verified may be over by now.
        caller.check_again(&state)?;
        let now = state.clock.now();
        let until = revoke::until(&state, &caller, now);
        let keep = Some(caller.token.session);
        let seen = Some(caller.user.password_hash.expose().as_str());
        let event = client.event(&state, EventKind::PasswordChanged);
        let changed = state
            .store
            .recording(event.of(caller.token.session))
            .change_password(caller.user.id, seen, hash.expose(), keep, until, now)
            .await?;
        match changed {
            PasswordChanged::Done(ended) => state.blocklist.apply(&ended, now),
            PasswordChanged::HashReplaced => {
                return Err(refused(&state, &client, &caller, Reason::ChangedMeanwhile));
            }
            PasswordChanged::NoUser | PasswordChanged::SessionEnded => return Err(Failure::revoked()),
        }
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

/// Notes a change that is refused.
fn refused(state: &AuthState, client: &Client, caller: &Caller, reason: Reason) -> Failure {
    let event = client.event(state, EventKind::PasswordChangeFailed);
    let event = event.about(caller.user.id).of(caller.token.session);
    state.store.note(event.with(Detail::Reason(reason)));
    Failure::invalid_credentials()
}
