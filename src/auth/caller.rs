//! Who calls: [`Caller`], a user with a good token, and [`Client`], where a request comes from.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::header;
use http::request::Parts;

use super::error::Failure;
use super::{AuthState, ClientAddress};
use crate::problem::Code;
use crate::rules::bearer::bearer_token;
use crate::store::User;
use crate::token::Verified;

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
        let missing = || Failure::new(Code::TokenMissing, "send the access token as `Authorization: Bearer …`");
        let text = bearer_token(&parts.headers)?.ok_or_else(missing)?;
        let token = state.tokens.authenticate(text, state.clock.now())?;
        let user = state.store.user_by_id(token.identity.user).await?;
        match user {
            Some(user) if user.disabled_at.is_none() => Ok(Self { token, user }),
            Some(_) | None => Err(Failure::revoked()),
        }
    }
}

/// Where a request comes from, for the list of sessions.
#[derive(Debug)]
pub(super) struct Client {
    /// The address, where the gateway knows it.
    pub(super) ip: Option<IpAddr>,
    /// What the client says it is, cut to 256 characters.
    pub(super) user_agent: Option<String>,
}

impl<S: Sync> FromRequestParts<S> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let agent = parts.headers.get(header::USER_AGENT);
        Ok(Self {
            ip: parts.extensions.get::<ClientAddress>().map(|address| address.0),
            user_agent: agent.map(|agent| {
                let text = String::from_utf8_lossy(agent.as_bytes());
                text.chars().filter(|c| !c.is_control()).take(MAX_USER_AGENT).collect()
            }),
        })
    }
}
