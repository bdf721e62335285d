//! Logout: after the answer, the tokens are refused.

use std::str::FromStr;

use axum::extract::{RawQuery, State};
use http::StatusCode;
use utoipa::{IntoParams, ToSchema};

use super::caller::{Bearer, Caller, Client};
use super::error::Failure;
use super::{AuthState, revoke, run_to_end};
use crate::problem::{FieldError, Problem};
use crate::store::audit::{Detail, EventKind};

/// Which sessions end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "lowercase")]
pub(super) enum Scope {
    /// The one whose token is shown.
    #[default]
    This,
    /// Every other one of the user.
    Others,
    /// Every one of the user.
    All,
}

/// The query of a logout.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what `Scope::of_query` reads")]
pub(super) struct LogoutQuery {
    /// `this` (the default): the session whose token is shown. `others`: every other one. `all`: every one.
    #[param(inline, required = false)]
    scope: Scope,
}

/// A text that is no scope.
#[derive(Debug, PartialEq)]
pub(super) struct InvalidScope;

impl FromStr for Scope {
    type Err = InvalidScope;

    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        match text {
            "this" => Ok(Self::This),
            "others" => Ok(Self::Others),
            "all" => Ok(Self::All),
            _ => Err(InvalidScope),
        }
    }
}

impl Scope {
    /// The word for it.
    const fn as_str(self) -> &'static str {
        match self {
            Self::This => "this",
            Self::Others => "others",
            Self::All => "all",
        }
    }

    /// The scope that a query asks for. Twice is not all right even when equal, other parameters are ignored.
    fn of_query(query: Option<&str>) -> Result<Self, InvalidScope> {
        let mut scopes = query
            .unwrap_or_default()
            .split('&')
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .filter(|(name, _)| *name == "scope");
        match (scopes.next(), scopes.next()) {
            (None, _) => Ok(Self::default()),
            (Some((_, value)), None) => value.parse(),
            (Some(_), Some(_)) => Err(InvalidScope),
        }
    }
}

/// Log out
///
/// Ends sessions. Once the answer is there, this gateway refuses their access tokens and refresh tokens; other replicas do
/// within `revocation.poll_interval`.
#[utoipa::path(
    post,
    path = "/logout",
    operation_id = "logOut",
    params(LogoutQuery),
    security(("bearer" = [])),
    responses(
        (status = 204, description = "The sessions have ended."),
        (status = 422, description = "`invalid_fields`: there is no such scope."),
    ),
)]
pub(super) async fn logout(
    State(state): State<AuthState>,
    client: Client,
    Bearer(token): Bearer,
    RawQuery(query): RawQuery,
) -> Result<StatusCode, Failure> {
    let scope = Scope::of_query(query.as_deref()).map_err(|InvalidScope| {
        Problem::fields(vec![FieldError {
            field: "scope",
            code: "invalid",
            detail: "expected this, others or all, once".into(),
        }])
    })?;
    run_to_end(async move {
        let event = client
            .event(&state, EventKind::Logout)
            .about(token.user)
            .of(token.session);
        let store = state.store.recording(event.with(Detail::Scope(scope.as_str())));
        match scope {
            Scope::This => revoke::own_session(&state, &store, token).await?,
            Scope::Others => revoke::other_sessions(&state, &store, &Caller::with(token, &state).await?).await?,
            Scope::All => revoke::all_sessions(&state, &store, &Caller::with(token, &state).await?).await?,
        }
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_asks_for_one_scope() {
        for (query, scope) in [
            (None, Ok(Scope::This)),
            (Some(""), Ok(Scope::This)),
            (Some("x=1"), Ok(Scope::This)),
            (Some("scope=this"), Ok(Scope::This)),
            (Some("scope=others&x=1"), Ok(Scope::Others)),
            (Some("scope=all"), Ok(Scope::All)),
            (Some("scope"), Err(InvalidScope)),
            (Some("scope="), Err(InvalidScope)),
            (Some("scope=ALL"), Err(InvalidScope)),
            (Some("scope=all&scope=all"), Err(InvalidScope)),
        ] {
            assert_eq!(Scope::of_query(query), scope, "{query:?}");
        }
    }
}
