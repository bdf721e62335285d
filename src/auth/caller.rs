//! Who calls: [`Caller`], a user with a good token, [`Bearer`], the token alone, [`Submission`], what such a user sent, and
//! [`Client`], where a request comes from.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Request};
use http::request::Parts;
use http::{HeaderMap, HeaderName, header};

use super::body::Fields;
use super::error::Failure;
use super::{AuthState, ClientAddress};
use crate::problem::Code;
use crate::rules::bearer::bearer_token;
use crate::store::User;
use crate::token::Verified;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The most characters of a `User-Agent` that a session remembers.
const MAX_USER_AGENT: usize = 256;

/// A user who showed a token that is good, and who is still there and not disabled.
///
/// The token alone would do for the identity, but these endpoints show and change what the store holds now.
#[derive(Debug)]
pub(super) struct Caller {
    /// The token.
    pub(super) token: Arc<Verified>,
    /// The user, as stored at this moment.
    pub(super) user: User,
}

impl FromRequestParts<AuthState> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &AuthState) -> Result<Self, Failure> {
        Self::of(&parts.headers, state).await
    }
}

impl Caller {
    async fn of(headers: &HeaderMap, state: &AuthState) -> Result<Self, Failure> {
        Self::with(authenticate(headers, state)?, state).await
    }

    /// Who shows this token, if they are still there.
    pub(super) async fn with(token: Arc<Verified>, state: &AuthState) -> Result<Self, Failure> {
        let user = state.store.user_by_id(token.user).await?;
        match user {
            Some(user) if user.disabled_at.is_none() => Ok(Self { token, user }),
            Some(_) | None => Err(Failure::revoked()),
        }
    }

    /// Whether the token is still good after something took its time.
    pub(super) fn check_again(&self, state: &AuthState) -> Result<(), Failure> {
        let (token, session) = (self.token.token, self.token.session);
        if state.blocklist.is_revoked(token, session, self.token.generation) {
            return Err(Failure::revoked());
        }
        Ok(())
    }
}

/// A token that is good by what is in memory. Whoever asks for it sees to it that its user is still there where that matters.
#[derive(Debug)]
pub(super) struct Bearer(pub(super) Arc<Verified>);

impl FromRequestParts<AuthState> for Bearer {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &AuthState) -> Result<Self, Failure> {
        authenticate(&parts.headers, state).map(Self)
    }
}

/// Judges the token that a request shows, by what is in memory.
fn authenticate(headers: &HeaderMap, state: &AuthState) -> Result<Arc<Verified>, Failure> {
    let missing = || Failure::new(Code::TokenMissing, "send the access token as `Authorization: Bearer …`");
    let text = bearer_token(headers)?.ok_or_else(missing)?.text()?;
    Ok(state.tokens.authenticate(text, state.clock.now())?)
}

/// A body, and the user who sent it. Endpoints that take both ask for this, and not for one after the other.
#[derive(Debug)]
pub(super) struct Submission {
    /// Who sent it, as of the moment when all of it was there.
    pub(super) caller: Caller,
    /// What was sent.
    pub(super) fields: Fields,
}

impl FromRequest<AuthState> for Submission {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &AuthState) -> Result<Self, Failure> {
        let headers = request.headers().clone();
        // A stranger's body is not waited for.
        authenticate(&headers, state)?;
        let fields = Fields::from_request(request, state).await?;
        // A client may hold the end of its body back until its token has been revoked.
        let caller = Caller::of(&headers, state).await?;
        Ok(Self { caller, fields })
    }
}

/// The most characters of a request's id; the gateway lets no longer one in.
const MAX_REQUEST_ID: usize = 128;

/// Where a request comes from, for the list of sessions and for the audit trail.
#[derive(Debug, Default)]
pub(super) struct Client {
    /// The address, where the gateway knows it.
    pub(super) ip: Option<IpAddr>,
    /// What the client says it is, cut to 256 characters.
    pub(super) user_agent: Option<String>,
    /// The id of the request, where the gateway has given it one.
    pub(super) request_id: Option<String>,
}

impl<S: Sync> FromRequestParts<S> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let agent = parts.headers.get(header::USER_AGENT);
        let request_id = parts.headers.get(X_REQUEST_ID).and_then(|id| id.to_str().ok());
        Ok(Self {
            request_id: request_id.filter(|id| id.len() <= MAX_REQUEST_ID).map(str::to_owned),
            ip: parts.extensions.get::<ClientAddress>().map(|address| address.0),
            user_agent: agent.map(|agent| {
                let text = String::from_utf8_lossy(agent.as_bytes());
                text.chars().filter(|c| !c.is_control()).take(MAX_USER_AGENT).collect()
            }),
        })
    }
}
