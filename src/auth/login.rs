//! Login: a session for whoever knows the password.
//!
//! An unknown address, a wrong password and a disabled user get the same bytes after the same work.

use axum::Json;
use axum::extract::State;
use utoipa::ToSchema;

use super::AuthState;
use super::answer::TokensBody;
use super::begin::begin;
use super::body::Fields;
use super::caller::Client;
use super::error::Failure;
use super::run_to_end;
use super::throttle::{Guess, Outcome};
use crate::id::{Email, UserId};
use crate::password::{HashError, Password, Verdict};
use crate::store::audit::{Actor, Detail, Event, EventKind, Reason};
use crate::store::{StoreError, User};

/// How often a login begins anew because the stored hash changed under it, by a login elsewhere that upgraded it.
const ATTEMPTS: usize = 3;

/// Who logs in. Other members are ignored.
#[derive(ToSchema)]
#[schema(as = Credentials)]
pub(super) struct Credentials {
    /// In any spelling that normalises to the one of the account.
    // `None`: what was typed is the address of no account.
    #[schema(value_type = String, format = Email, example = "ann@example.com")]
    email: Option<Email>,
    /// Byte for byte as it was set.
    // `None`: what was typed can be the password of no account.
    #[schema(value_type = String, format = Password, example = "tr0mbone-Kettle")]
    password: Option<Password>,
}

impl Credentials {
    /// Only an absent field or one of another type is a bad one. Whatever else is typed is simply not right.
    fn read(mut fields: Fields) -> Result<Self, Failure> {
        let email = fields.text("email");
        let password = fields.text("password");
        let (email, password) = fields.finish(email.zip(password))?;
        Ok(Self {
            email: email.expose().parse().ok(),
            password: Password::parse(password).ok(),
        })
    }
}

/// Log in
///
/// Begins a session. An unknown address, a wrong password and a disabled account get the same answer in the same time.
#[utoipa::path(
    post,
    path = "/login",
    operation_id = "logIn",
    request_body = Credentials,
    responses(
        (status = 200, description = "A session has begun.", body = TokensBody),
        (status = 401, description = "`invalid_credentials`: the e-mail address or the password is not right."),
        (status = 429, description = "`too_many_attempts`: after too many wrong ones, whatever this one is; `Retry-After` says when to \
            come back."),
    ),
)]
pub(super) async fn login(
    State(state): State<AuthState>,
    client: Client,
    fields: Fields,
) -> Result<Json<TokensBody>, Failure> {
    let credentials = Credentials::read(fields)?;
    run_to_end(async move {
        let _place = state.throttle.enter(&state, &client)?;
        let guess = Guess::begin(&state, credentials.email.as_ref(), &client).await;
        client.note_throttled(&state, EventKind::LoginThrottled, &guess);
        let guess = guess?;
        let answer = log_in(&state, credentials, &client).await;
        guess.end(&state, Outcome::of(&answer)).await;
        answer.map(Json)
    })
    .await
}

async fn log_in(state: &AuthState, credentials: Credentials, client: &Client) -> Result<TokensBody, Failure> {
    for _ in 0..ATTEMPTS {
        let (user, outdated) = check(state, client, &credentials).await?;
        if let Some(tokens) = begin(state, &user, client).await? {
            if outdated {
                upgrade(state, &user, credentials.password).await;
            }
            return Ok(tokens);
        }
    }
    Err(refused(state, client, None, Reason::ChangedMeanwhile))
}

/// Notes a login that is refused.
fn refused(state: &AuthState, client: &Client, user: Option<UserId>, reason: Reason) -> Failure {
    let event = client.event_by(state, EventKind::LoginFailed, Actor::Anonymous);
    let event = event.with(Detail::Reason(reason));
    state.store.note(Event { user, ..event });
    Failure::invalid_credentials()
}

/// The user whose password this is, and whether their hash is outdated.
async fn check(state: &AuthState, client: &Client, credentials: &Credentials) -> Result<(User, bool), Failure> {
    let found = match &credentials.email {
        Some(email) => state.store.user_by_email(email).await?,
        None => None,
    };
    // A disabled user is one that is not there: with the right password of a hash that is cheaper than today's, the
    // answer would otherwise come sooner.
    let known = found.as_ref().map(|user| (user.id, user.disabled_at.is_some()));
    let user = found.filter(|user| user.disabled_at.is_none());
    let stored = user.as_ref().map(|user| user.password_hash.expose().as_str());
    let verdict = state.hasher.verify(credentials.password.clone(), stored).await?;
    match (user, verdict) {
        (Some(user), Verdict::Right { outdated }) => Ok((user, outdated)),
        (Some(_), Verdict::Wrong) | (None, Verdict::Wrong | Verdict::Right { .. }) => {
            let reason = match known {
                Some((_, true)) => Reason::Disabled,
                Some((_, false)) => Reason::WrongPassword,
                None => Reason::UnknownAccount,
            };
            Err(refused(state, client, known.map(|(id, _)| id), reason))
        }
    }
}

/// Replaces a hash of another cost. A login does not fail because this does: the next one tries again.
async fn upgrade(state: &AuthState, user: &User, password: Option<Password>) {
    let Some(password) = password else { return };
    let upgraded = async {
        let hash = state.hasher.hash(password).await?;
        let seen = user.password_hash.expose();
        let now = state.clock.now();
        state
            .store
            .upgrade_password_hash(user.id, seen, hash.expose(), now)
            .await?;
        Ok::<_, UpgradeError>(())
    };
    match upgraded.await {
        Ok(()) => tracing::debug!(user = %user.id, "password hash upgraded to the configured cost"),
        Err(error) => tracing::warn!(user = %user.id, %error, "password hash not upgraded"),
    }
}

/// Why a hash was not upgraded.
#[derive(Debug, thiserror::Error)]
enum UpgradeError {
    #[error(transparent)]
    Hash(#[from] HashError),
    #[error(transparent)]
    Store(#[from] StoreError),
}
