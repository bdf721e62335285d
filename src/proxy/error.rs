//! Why a request was not answered by an upstream, and what the client is told.

use std::time::Duration;

use http::{HeaderValue, Method};

use crate::limiter::Exceeded;
use crate::problem::{Code, Problem};
use crate::rules::bearer::InvalidBearer;
use crate::rules::path::AmbiguousPath;
use crate::rules::policy::Denied;
use crate::token;
use crate::upstream::{BodyFailure, UpstreamError};

/// Why a request was not answered by an upstream.
#[derive(Debug)]
pub enum Refused {
    /// The target is not a path.
    Target,
    /// The path could be read in two ways.
    Path(AmbiguousPath),
    /// The host is not one, or not the target's.
    Host,
    /// No route is for this host and path.
    NoRoute,
    /// The route for this host and path takes these methods only.
    Method(Vec<Method>),
    /// The `Authorization` header holds no single token.
    Bearer(InvalidBearer),
    /// The token was not accepted.
    Token(token::Refusal),
    /// The policy said no.
    Denied(Denied),
    /// As many requests as are allowed are being answered.
    Overloaded,
    /// The client has as many requests under way as it may.
    TooManyAtOnce,
    /// The client has used up a limit.
    Limited(Exceeded),
    /// The route asks for a certificate, and the client has shown none.
    ClientCertificate,
    /// The route is closed for this long, as far as its clients are told.
    Maintenance(Duration),
    /// The client asks for a WebSocket.
    Upgrade,
    /// It asks for an upgrade in a way that no upgrade is asked for.
    Handshake(&'static str),
    /// The request body is larger than the route takes.
    BodyTooLarge,
    /// The exchange took longer than the route allows.
    Timeout(Duration),
    /// The upstream wants a signed assertion, and there is none.
    Assertion(token::AssertionError),
    /// The upstream gave no answer that can be relayed.
    Upstream(UpstreamError),
}

impl From<token::AssertionError> for Refused {
    fn from(error: token::AssertionError) -> Self {
        tracing::error!(%error, "an upstream can't be told who a request comes from");
        Self::Assertion(error)
    }
}

impl Refused {
    /// What the client is told.
    #[must_use]
    pub fn problem(&self) -> Problem {
        match self {
            Self::Target => Problem::new(Code::BadRequest, "the request target is not a path"),
            Self::Path(error) => Problem::new(Code::AmbiguousPath, error.to_string()),
            Self::Host => Problem::new(
                Code::BadRequest,
                "the Host is not a host, or not the one that the target names",
            ),
            Self::NoRoute => Problem::new(Code::NotFound, "no route is for this host and path"),
            Self::Method(methods) => method_not_allowed(methods),
            Self::Bearer(error) => Problem::new(error.code(), error.to_string()),
            Self::Token(refusal) => token_problem(*refusal),
            Self::Denied(Denied::TokenMissing) => {
                Problem::new(Code::TokenMissing, "send the access token as `Authorization: Bearer …`")
            }
            Self::Denied(Denied::Issuer) => token_problem(token::Refusal::Invalid(token::Reason::Issuer)),
            Self::Denied(Denied::MissingRole) => Problem::new(
                Code::Forbidden,
                "the token has none of the roles that this route asks for",
            ),
            Self::Denied(Denied::MissingClaim) => {
                Problem::new(Code::Forbidden, "the token lacks a claim that this route asks for")
            }
            Self::Overloaded => overloaded(),
            Self::TooManyAtOnce => Problem::new(
                Code::RateLimited,
                "as many of your requests as are allowed at once are under way",
            )
            .retry_after(Duration::from_secs(1)),
            Self::Limited(exceeded) => rate_limited(exceeded),
            Self::Upgrade => Problem::new(
                Code::UpgradeRefused,
                "this route does not relay the protocol that is asked for",
            ),
            Self::Handshake(why) => Problem::new(Code::BadRequest, *why),
            Self::ClientCertificate => Problem::new(
                Code::ClientCertificateRequired,
                "this route asks for a client certificate: show one when you connect",
            ),
            Self::Maintenance(after) => {
                Problem::new(Code::Maintenance, "this route is closed for a while: try again later").retry_after(*after)
            }
            Self::BodyTooLarge => {
                Problem::new(Code::BodyTooLarge, "the request body is larger than this route takes").closing()
            }
            Self::Timeout(limit) => Problem::new(
                Code::UpstreamTimeout,
                format!("the whole exchange took longer than {limit:?}"),
            )
            .closing(),
            Self::Assertion(_) => Problem::new(Code::Internal, "the gateway failed; its log says how"),
            Self::Upstream(error) => upstream_problem(error),
        }
    }
}

/// What clients are told while as many requests as are allowed are being answered, on routes and on our own endpoints.
#[must_use]
pub fn overloaded() -> Problem {
    Problem::new(
        Code::Overloaded,
        "as many requests as are allowed at once are under way",
    )
    .retry_after(Duration::from_secs(1))
}

/// What a client that has used up a limit is told, on routes and on the endpoints that we own.
#[must_use]
pub fn rate_limited(exceeded: &Exceeded) -> Problem {
    Problem::new(Code::RateLimited, "this is more than may be asked for in this time")
        .retry_after(exceeded.retry_after)
        .with((*exceeded.fields).clone())
}

fn method_not_allowed(methods: &[Method]) -> Problem {
    let list = methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
    let problem = Problem::new(Code::MethodNotAllowed, format!("this route takes {list}"));
    match HeaderValue::try_from(list) {
        Ok(list) => problem.allow(list),
        Err(_) => problem,
    }
}

/// What a refused token is called in logs and metrics, and to clients.
pub(super) const fn token_code(refusal: token::Refusal) -> Code {
    match refusal {
        token::Refusal::Invalid(_) => Code::TokenInvalid,
        token::Refusal::Expired => Code::TokenExpired,
        token::Refusal::Revoked => Code::TokenRevoked,
        token::Refusal::IssuerUnavailable => Code::IssuerUnavailable,
        token::Refusal::RevocationsUnknown => Code::RevocationsUnavailable,
    }
}

/// One place for the proxy's own wording; the endpoints that we own have theirs.
pub(super) fn token_problem(refusal: token::Refusal) -> Problem {
    let detail = match refusal {
        token::Refusal::Invalid(_) => "the access token is not one that this gateway accepts here",
        token::Refusal::Expired => "the access token has expired: refresh it",
        token::Refusal::Revoked => "the access token was revoked: log in again",
        token::Refusal::IssuerUnavailable => "the keys of the token's issuer are not known at the moment",
        token::Refusal::RevocationsUnknown => "whether the token was revoked is not known at the moment",
    };
    let problem = Problem::new(token_code(refusal), detail);
    match refusal {
        token::Refusal::Invalid(_) | token::Refusal::Expired | token::Refusal::Revoked => problem,
        token::Refusal::IssuerUnavailable => problem.retry_after(Duration::from_secs(5)),
        token::Refusal::RevocationsUnknown => problem.retry_after(Duration::from_secs(1)),
    }
}

fn upstream_problem(error: &UpstreamError) -> Problem {
    match error {
        UpstreamError::Connect(_) | UpstreamError::ConnectTimeout(_) => {
            Problem::new(Code::UpstreamUnreachable, "no connection to the upstream could be made")
        }
        UpstreamError::Tls(_) => Problem::new(Code::UpstreamUnreachable, "no TLS with the upstream could be had"),
        UpstreamError::Unprocessed(_) => {
            Problem::new(Code::UpstreamUnreachable, "the upstream did not take the request")
        }
        UpstreamError::Broken(_) => {
            Problem::new(Code::UpstreamUnreachable, "the upstream broke off before it answered")
        }
        UpstreamError::NotHttp(_) => Problem::new(Code::UpstreamInvalid, "the upstream's answer is not HTTP"),
        UpstreamError::Invalid(_) => Problem::new(Code::UpstreamInvalid, "the upstream's answer may not be relayed"),
        UpstreamError::Timeout(_) => Problem::new(Code::UpstreamTimeout, "the upstream took too long to answer"),
        UpstreamError::NoneFit => Problem::new(Code::UpstreamUnavailable, "no server of the upstream is well")
            .retry_after(Duration::from_secs(1)),
        UpstreamError::Full => Problem::new(
            Code::UpstreamUnavailable,
            "the upstream has as many requests as it may have",
        )
        .retry_after(Duration::from_secs(1)),
        UpstreamError::ClientBody(BodyFailure::TooLarge) => {
            Problem::new(Code::BodyTooLarge, "the request body is larger than this route takes").closing()
        }
        UpstreamError::ClientBody(failure @ (BodyFailure::Broken | BodyFailure::Unwanted)) => {
            Problem::new(Code::BadRequest, failure.to_string()).closing()
        }
        UpstreamError::ClientBody(failure @ BodyFailure::Stalled) => {
            Problem::new(Code::RequestTimeout, failure.to_string()).closing()
        }
    }
}
