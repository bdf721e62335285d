//! [`Failure`]: what ends a request to an endpoint, and which [`Problem`] the client gets for it.
//!
//! Every error of the rooms below is named here. What the client may not know is logged and answered with a text that
//! says nothing of it.

use std::error::Error;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use tokio::task::JoinError;

use crate::chain::Chain;
use crate::password::HashError;
use crate::problem::{Code, Problem};
use crate::rules::bearer::InvalidBearer;
use crate::store::{StoreError, WriteUserError};
use crate::token::{Refusal, TokenError};

/// When to ask again what the store, or the poll of revocations, could not answer: they are back within seconds or not
/// for a while.
pub(super) const SOON: Duration = Duration::from_secs(2);

/// An endpoint's answer when it does not do what it was asked.
#[derive(Debug, PartialEq)]
pub(super) struct Failure {
    problem: Box<Problem>,
    /// By what the attempt was counted that has to wait, if that is what it is.
    waits_for: Option<&'static str>,
}

impl Failure {
    /// A failure with this code and, for a person, this detail.
    pub(super) fn new(code: Code, detail: &'static str) -> Self {
        Problem::new(code, detail).into()
    }

    /// Unknown user, wrong password, disabled user: one answer, so that nobody learns which.
    pub(super) fn invalid_credentials() -> Self {
        Self::new(
            Code::InvalidCredentials,
            "the e-mail address or the password is not right",
        )
    }

    /// The refresh token is no good, for whatever reason.
    pub(super) fn invalid_refresh_token() -> Self {
        Self::new(Code::InvalidRefreshToken, "log in again")
    }

    /// The token is intact, but whom it names may not use it any more.
    pub(super) fn revoked() -> Self {
        Self::new(Code::TokenRevoked, "the token is no longer valid")
    }

    /// What went wrong.
    pub(super) fn code(&self) -> Code {
        self.problem.code()
    }

    /// The same, of an attempt that has to wait for what it is counted by.
    pub(super) fn counted_by(self, kind: &'static str) -> Self {
        Self {
            waits_for: Some(kind),
            ..self
        }
    }

    /// By what the attempt was counted that has to wait, if that is what it is.
    pub(super) fn waits_for(&self) -> Option<&'static str> {
        self.waits_for
    }

    /// The same, so that a client understands it that knows OAuth alone: with the `error` of RFC 6749, section 5.2.
    pub(super) fn in_oauth(self) -> Self {
        Self {
            problem: Box::new(self.problem.in_oauth()),
            ..self
        }
    }

    /// Something that does not happen did.
    pub(super) fn internal(error: &(dyn Error + 'static)) -> Self {
        tracing::error!(error = %Chain(error), "an endpoint failed");
        Self::new(Code::Internal, "the gateway failed; its log says how")
    }

    /// Work of ours that ended before its end. What its error says of a panic is told nowhere: it may hold what a client sent.
    pub(super) fn of_task(error: &JoinError) -> Self {
        tracing::error!(panicked = error.is_panic(), "an endpoint failed");
        Self::new(Code::Internal, "the gateway failed; its log says how")
    }

    fn store_unavailable(error: &StoreError) -> Self {
        tracing::error!(error = %Chain(error), "the store is not available");
        Problem::new(Code::StoreUnavailable, "try again soon")
            .retry_after(SOON)
            .into()
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let code = self.problem.code();
        let mut response = self.problem.render().map(Body::from);
        // For the one who counts and logs.
        response.extensions_mut().insert(code);
        response
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self {
            problem: Box::new(problem),
            waits_for: None,
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Timeout(_)
            | StoreError::Unavailable(_)
            | StoreError::Unwritable(_)
            | StoreError::Redis(_)
            | StoreError::Unsettled
            | StoreError::SchemaBehind { .. }
            | StoreError::SchemaAhead { .. }
            | StoreError::SchemaHalfApplied { .. } => Self::store_unavailable(&error),
            StoreError::Query(_) | StoreError::Corrupt(_) => Self::internal(&error),
        }
    }
}

impl From<WriteUserError> for Failure {
    fn from(error: WriteUserError) -> Self {
        match error {
            WriteUserError::EmailTaken => Self::new(Code::EmailTaken, "another account has this e-mail address"),
            WriteUserError::Store(error) => error.into(),
        }
    }
}

impl From<HashError> for Failure {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Busy { retry_after } => {
                tracing::warn!("the queue for password hashing is full");
                Problem::new(Code::Busy, "too many logins at once")
                    .retry_after(retry_after)
                    .into()
            }
            HashError::Bcrypt(_) | HashError::Lost => Self::internal(&error),
        }
    }
}

impl From<InvalidBearer> for Failure {
    fn from(invalid: InvalidBearer) -> Self {
        Problem::new(invalid.code(), invalid.to_string()).into()
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Invalid(reason) => {
                tracing::debug!(%reason, "token refused");
                Self::new(Code::TokenInvalid, "the token is not one of ours, or not intact")
            }
            Refusal::Expired => Self::new(Code::TokenExpired, "the token's time is over"),
            Refusal::Revoked => Self::revoked(),
            Refusal::IssuerUnavailable => Self::new(
                Code::IssuerUnavailable,
                "the keys of the token's issuer are not known at the moment",
            ),
            Refusal::RevocationsUnknown => {
                let problem = Problem::new(
                    Code::RevocationsUnavailable,
                    "whether the token was revoked is not known",
                );
                problem.retry_after(SOON).into()
            }
        }
    }
}

impl From<TokenError> for Failure {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::NoSigningKey | TokenError::SessionOver | TokenError::TooLong(_) | TokenError::Signing(_) => {
                Self::internal(&error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::Reason;

    fn problem(failure: impl Into<Failure>) -> (u16, String, Option<String>, String) {
        let answer = failure.into().problem.render();
        let header = |name| {
            answer
                .headers()
                .get(name)
                .map(|v: &http::HeaderValue| v.to_str().unwrap().to_owned())
        };
        (
            answer.status().as_u16(),
            header("x-doorward-error").unwrap(),
            header("retry-after"),
            String::from_utf8(answer.body().to_vec()).unwrap(),
        )
    }

    #[test]
    fn a_store_that_does_not_answer_is_503_and_worth_another_try() {
        let behind = StoreError::SchemaBehind {
            missing: "0001_users".to_owned(),
        };
        for error in [StoreError::Timeout(Duration::from_secs(5)), behind] {
            let (status, code, retry, body) = problem(error);
            assert_eq!(
                (status, code.as_str(), retry.as_deref()),
                (503, "store_unavailable", Some("2"))
            );
            assert!(!body.contains("0001_users"));
        }
    }

    #[test]
    fn what_is_wrong_inside_is_500_and_not_told() {
        let (status, code, retry, body) = problem(StoreError::Corrupt("users.roles"));
        assert_eq!((status, code.as_str(), retry), (500, "internal", None));
        assert!(!body.contains("roles"));
        assert_eq!(problem(HashError::Lost).0, 500);
        assert_eq!(problem(TokenError::NoSigningKey).0, 500);
    }

    #[test]
    fn a_full_queue_says_when_to_come_back() {
        let (status, code, retry, _) = problem(HashError::Busy {
            retry_after: Duration::from_secs(7),
        });
        assert_eq!((status, code.as_str(), retry.as_deref()), (503, "busy", Some("7")));
    }

    #[test]
    fn a_refused_token_has_a_code_of_its_own() {
        for (refusal, status, code) in [
            (Refusal::Invalid(Reason::TooLong), 401, "token_invalid"),
            (Refusal::Expired, 401, "token_expired"),
            (Refusal::Revoked, 401, "token_revoked"),
            (Refusal::RevocationsUnknown, 503, "revocations_unavailable"),
            (Refusal::IssuerUnavailable, 503, "issuer_unavailable"),
        ] {
            let (got, name, ..) = problem(refusal);
            assert_eq!((got, name.as_str()), (status, code));
        }
    }

    #[tokio::test]
    async fn work_that_panics_is_an_internal_error_and_nobody_is_told_what_it_was_about() {
        let (written, log) = (tempfile::NamedTempFile::new().unwrap(), tracing_subscriber::fmt());
        let log = log
            .with_ansi(false)
            .with_writer(written.reopen().map(std::sync::Mutex::new).unwrap());
        let _here = tracing::subscriber::set_default(log.finish());
        let sent = "what a client sent".to_owned();
        let error = tokio::spawn(async move { panic!("about {sent}") }).await.unwrap_err();
        let Failure { problem, .. } = Failure::of_task(&error);
        assert_eq!(problem.code(), Code::Internal);
        assert!(!problem.detail().contains("sent"), "{problem:?}");
        let written = std::fs::read_to_string(written.path()).unwrap();
        assert!(
            written.contains("panicked=true") && !written.contains("sent"),
            "{written}"
        );
    }
}
