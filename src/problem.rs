//! Errors as the client sees them: RFC 9457 problem details, rendered in one place.
//!
//! A [`Code`] is the stable, machine-readable name of what went wrong; it decides status and title. Every answer that the
//! gateway makes itself because of an error carries [`GATEWAY_ERROR`] with the code, which no upstream can set.

mod code;
mod grpc;

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use serde::Serialize;

pub use code::Code;
pub use grpc::is_grpc;

/// The response header that tells the gateway's own errors from the upstream's: its value is the [`Code`].
pub const GATEWAY_ERROR: HeaderName = HeaderName::from_static("x-doorward-error");

/// The realm of `WWW-Authenticate` (RFC 6750, section 3).
const REALM: &str = "doorward";

/// What is wrong with one field of a request body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct FieldError {
    /// The field's name.
    pub field: &'static str,
    /// What is wrong, as a stable name: `missing`, `wrong_type`, `invalid`, `too_short`, `too_long`, `too_common`,
    /// `too_similar`.
    pub code: &'static str,
    /// What is wrong, for a person. It never repeats the value.
    pub detail: Cow<'static, str>,
}

/// An error on its way to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    code: Code,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    retry_after: Option<Duration>,
    allow: Option<HeaderValue>,
    fields: Option<Box<HeaderMap>>,
    close: bool,
    oauth: bool,
}

/// An error (RFC 9457).
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody<'a> {
    /// `urn:doorward:problem:` and the code.
    #[serde(rename = "type")]
    kind: String,
    /// What is wrong, the same for every occurrence of the code.
    title: &'a str,
    /// The HTTP status.
    status: u16,
    /// What is wrong this time.
    detail: &'a str,
    /// The stable name of what is wrong.
    code: &'a str,
    /// The fields that are not acceptable, all of them.
    #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
    #[schema(required = false)]
    errors: &'a [FieldError],
    /// Where other services ask: the error in the terms of RFC 6749, section 5.2.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "invalid_client")]
    error: Option<&'a str>,
}

impl Problem {
    /// A problem with this code. `detail` goes to the client: it holds no secret and no internal error text.
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after: None,
            allow: None,
            fields: None,
            close: false,
            oauth: false,
        }
    }

    /// The problem of a body with fields that are not acceptable.
    #[must_use]
    pub fn fields(errors: Vec<FieldError>) -> Self {
        let mut problem = Self::new(Code::InvalidFields, "see `errors` for each field");
        problem.errors = errors;
        problem
    }

    /// Adds the member `error` (RFC 6749, section 5.2), which a client of OAuth looks for.
    #[must_use]
    pub fn in_oauth(mut self) -> Self {
        self.oauth = true;
        self
    }

    /// Adds `Retry-After` (RFC 9110, section 10.2.3), rounded up to whole seconds, at least one.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// Adds `Allow` (RFC 9110, section 10.2.1): the methods that are there, separated by commas.
    #[must_use]
    pub fn allow(mut self, methods: HeaderValue) -> Self {
        self.allow = Some(methods);
        self
    }

    /// Adds fields to the answer's head.
    #[must_use]
    pub fn with(mut self, fields: HeaderMap) -> Self {
        self.fields = Some(Box::new(fields));
        self
    }

    /// Makes the answer the last one on its HTTP/1 connection: what follows on it can't be trusted.
    #[must_use]
    pub fn closing(mut self) -> Self {
        self.close = true;
        self
    }

    /// What went wrong.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }

    /// What went wrong this time, for a person.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The answer, with a body of known length. Not to be cached.
    #[must_use]
    pub fn render(&self) -> Response<Bytes> {
        let body = ProblemBody {
            kind: format!("urn:doorward:problem:{}", self.code),
            title: self.code.title(),
            status: self.code.status().as_u16(),
            detail: &self.detail,
            code: self.code.as_str(),
            errors: &self.errors,
            error: self.oauth.then(|| self.oauth_error()),
        };
        let bytes = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = Response::new(Bytes::from(bytes));
        *response.status_mut() = self.code.status();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(GATEWAY_ERROR, HeaderValue::from_static(self.code.as_str()));
        if let Some(challenge) = self.challenge() {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(after) = self.retry_after {
            let seconds = after.as_millis().div_ceil(1000).max(1);
            headers.insert(
                header::RETRY_AFTER,
                HeaderValue::from(u64::try_from(seconds).unwrap_or(u64::MAX)),
            );
        }
        if let Some(allow) = &self.allow {
            headers.insert(header::ALLOW, allow.clone());
        }
        if let Some(fields) = &self.fields {
            headers.extend((**fields).clone());
        }
        if self.close {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    /// The error in the words that OAuth has for it (RFC 6749, sections 4.1.2.1 and 5.2).
    fn oauth_error(&self) -> &'static str {
        match self.code.status() {
            StatusCode::UNAUTHORIZED => "invalid_client",
            StatusCode::FORBIDDEN => "unauthorized_client",
            StatusCode::SERVICE_UNAVAILABLE => "temporarily_unavailable",
            status if status.is_server_error() => "server_error",
            _ => "invalid_request",
        }
    }

    /// The challenge of RFC 6750, section 3: no `error` when no token was sent. Or of RFC 7617, section 2, for a client.
    fn challenge(&self) -> Option<HeaderValue> {
        let error = match self.code {
            Code::TokenMissing => {
                return HeaderValue::try_from(format!("Bearer realm=\"{REALM}\"")).ok();
            }
            Code::InvalidClient => return HeaderValue::try_from(format!("Basic realm=\"{REALM}\"")).ok(),
            Code::TokenInvalid | Code::TokenExpired | Code::TokenRevoked => "invalid_token",
            Code::Forbidden => "insufficient_scope",
            _ => return None,
        };
        let description = self.code.title();
        HeaderValue::try_from(format!(
            "Bearer realm=\"{REALM}\", error=\"{error}\", error_description=\"{description}\""
        ))
        .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_of_oauth_finds_the_error_in_its_own_words() {
        let error = |code| {
            let response = Problem::new(code, "").in_oauth().render();
            let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
            body["error"].as_str().unwrap().to_owned()
        };
        assert_eq!(error(Code::InvalidClient), "invalid_client");
        assert_eq!(error(Code::UnauthorizedClient), "unauthorized_client");
        assert_eq!(error(Code::StoreUnavailable), "temporarily_unavailable");
        assert_eq!(error(Code::Internal), "server_error");
        assert_eq!(error(Code::BodyTooLarge), "invalid_request");
        let other = Problem::new(Code::InvalidRequest, "").render();
        assert!(!String::from_utf8_lossy(other.body()).contains("\"error\""));
    }

    #[test]
    fn every_code_has_a_name_of_its_own() {
        let mut names: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Code::ALL.len());
    }

    #[test]
    fn a_problem_renders_as_rfc_9457_asks() {
        let error = FieldError {
            field: "email",
            code: "invalid",
            detail: "not an e-mail address".into(),
        };
        let response = Problem::fields(vec![error]).render();
        assert_eq!(response.status(), 422);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert_eq!(response.headers()[GATEWAY_ERROR], "invalid_fields");
        let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(body["type"], "urn:doorward:problem:invalid_fields");
        assert_eq!(body["status"], 422);
        assert_eq!(body["errors"][0]["field"], "email");
    }

    #[test]
    fn a_challenge_names_an_error_only_when_a_token_was_sent() {
        let missing = Problem::new(Code::TokenMissing, "").render();
        assert_eq!(missing.headers()["www-authenticate"], "Bearer realm=\"doorward\"");
        let expired = Problem::new(Code::TokenExpired, "").render();
        assert!(
            expired.headers()["www-authenticate"]
                .to_str()
                .unwrap()
                .contains("error=\"invalid_token\"")
        );
        let forbidden = Problem::new(Code::Forbidden, "").render();
        assert!(
            forbidden.headers()["www-authenticate"]
                .to_str()
                .unwrap()
                .contains("insufficient_scope")
        );
        assert!(
            !Problem::new(Code::NotFound, "")
                .render()
                .headers()
                .contains_key("www-authenticate")
        );
    }

    #[test]
    fn retry_after_is_whole_seconds_and_never_zero() {
        let busy = |after| Problem::new(Code::Busy, "").retry_after(after).render().headers()["retry-after"].clone();
        assert_eq!(busy(Duration::from_millis(1)), "1");
        assert_eq!(busy(Duration::from_millis(1001)), "2");
    }
}
