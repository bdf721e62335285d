//! Sign-up: an account, and a session to begin with.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use utoipa::ToSchema;

use super::AuthState;
use super::answer::TokensBody;
use super::begin::Beginning;
use super::body::{self, Fields};
use super::caller::Client;
use super::error::Failure;
use super::run_to_end;
use super::throttle::{Outcome, SignUp};
use crate::config::Signup;
use crate::id::{Email, UserId, UserName};
use crate::password::Password;
use crate::problem::Code;
use crate::store::NewUser;
use crate::store::audit::{Event, EventKind};

/// An account to be. Other members are ignored.
#[derive(ToSchema)]
#[schema(as = NewAccount)]
pub(super) struct NewAccount {
    /// Trimmed and lower-cased, the domain by IDNA.
    #[schema(value_type = String, format = Email, max_length = 254, example = "ann@example.com")]
    email: Email,
    /// At least `passwords.min_length` characters (8 unless configured), at most 72 bytes in UTF-8, no NUL. Not a common
    /// one, and not the e-mail address or the name.
    #[schema(value_type = String, format = Password, min_length = 8, example = "tr0mbone-Kettle")]
    password: Password,
    /// No control characters.
    #[schema(value_type = String, min_length = 1, max_length = 100, example = "Ann Lee")]
    name: UserName,
}

impl NewAccount {
    async fn read(mut fields: Fields, state: &AuthState, client: &Client) -> Result<Self, Failure> {
        let email = fields.required("email", body::email);
        let password = fields.required("password", body::new_password);
        let name = fields.required("name", body::name);
        if let Some(password) = &password {
            let (password, email, name) = (password.clone(), email.clone(), name.clone());
            let judged = state.throttle.judge(state, client, None, password, email, name);
            if let Err(weakness) = judged.await? {
                fields.refuse("password", weakness);
            }
        }
        let values = email.zip(password).zip(name);
        let ((email, password), name) = fields.finish(values)?;
        Ok(Self { email, password, name })
    }
}

/// Sign up
///
/// Makes an account without roles and begins a session. A first session is like one from a login.
#[utoipa::path(
    post,
    path = "/signup",
    operation_id = "signUp",
    request_body = NewAccount,
    responses(
        (status = 201, description = "The account is there, and so is a session.", body = TokensBody),
        (status = 403, description = "`signup_closed`: accounts are made by the operator."),
        (status = 409, description = "`email_taken`: another account has this address."),
        (status = 429, description = "`too_many_attempts`: too many sign-ups from there; `Retry-After` says when to come back."),
    ),
)]
pub(super) async fn signup(
    State(state): State<AuthState>,
    client: Client,
    fields: Result<Fields, Failure>,
) -> Result<(StatusCode, Json<TokensBody>), Failure> {
    match state.config.auth.signup {
        Signup::Open => {}
        Signup::Closed => return Err(Failure::new(Code::SignupClosed, "ask the operator for an account")),
    }
    let fields = fields?;
    let _place = state.throttle.enter(&state, &client)?;
    let begun = async {
        let account = NewAccount::read(fields, &state, &client).await?;
        let sign_up = SignUp::begin(&state, &account.email, &client).await?;
        Ok((account, sign_up))
    };
    let begun = begun.await;
    client.note_throttled(&state, EventKind::SignupThrottled, &begun);
    let (account, sign_up) = begun?;
    let answer = make(state.clone(), account, client).await;
    sign_up.end(&state, Outcome::of(&answer)).await;
    Ok((StatusCode::CREATED, answer?))
}

async fn make(state: AuthState, account: NewAccount, client: Client) -> Result<Json<TokensBody>, Failure> {
    // The hash comes before the look at the address: a taken one costs the same time as a free one.
    let password_hash = state.hasher.hash(account.password).await?;
    let now = state.clock.now();
    let user = NewUser {
        id: UserId::generate(now),
        email: account.email,
        name: account.name,
        password_hash,
        roles: Vec::new(),
        now,
    };
    run_to_end(async move {
        let made = user.made();
        let session = Beginning::of(&state, &made, &client).await?;
        // The tokens come first: whatever they fail for leaves no account behind.
        let tokens = session.tokens(&state, &made)?;
        let signed_up = client.event(&state, EventKind::Signup);
        let begins = Event {
            kind: EventKind::Login,
            ..signed_up.clone()
        };
        let store = state.store.recording(signed_up);
        store.sign_up(&user, &session.new, &begins).await?;
        Ok(Json(tokens))
    })
    .await
}
