//! [`Fields`]: the body of a request, read once and then taken apart field by field.
//!
//! Every field that is not acceptable is found before any of them is answered. Members that an endpoint does not ask for
//! are ignored: they grant nothing.

use std::borrow::Cow;
use std::error::Error;
use std::io;
use std::iter::successors;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::{Map, Value};

use super::error::Failure;
use crate::id::{Email, UserName};
use crate::json;
use crate::password::{InvalidPassword, MAX_BYTES, Password, Weakness};
use crate::problem::{Code, FieldError, Problem};
use crate::secret::Secret;

/// The largest body that an endpoint reads, in bytes: several times what any needs, as everybody may send one.
pub(super) const MAX_BODY: usize = 8 * 1024;

/// How long the whole body of a request to an endpoint may take to arrive.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// The most characters of a [`UserName`].
const MAX_NAME: usize = 100;

/// The members of a JSON body that have not been taken yet, and what was wrong with those that have.
#[derive(Debug)]
pub(super) struct Fields {
    members: Map<String, Value>,
    errors: Vec<FieldError>,
}

/// What is wrong with one field: a stable name and a text for people.
#[derive(Debug, PartialEq)]
pub(super) struct Fault {
    code: &'static str,
    detail: Cow<'static, str>,
}

impl Fault {
    pub(super) const fn new(code: &'static str, detail: &'static str) -> Self {
        Self {
            code,
            detail: Cow::Borrowed(detail),
        }
    }
}

impl Fields {
    fn new(members: Map<String, Value>) -> Self {
        Self {
            members,
            errors: Vec::new(),
        }
    }

    /// Takes a field that must be there.
    pub(super) fn required<T>(
        &mut self,
        field: &'static str,
        parse: impl FnOnce(&str) -> Result<T, Fault>,
    ) -> Option<T> {
        let raw = self.text(field)?;
        self.parsed(field, parse(raw.expose()))
    }

    /// Takes a field that may be absent.
    pub(super) fn optional<T>(
        &mut self,
        field: &'static str,
        parse: impl FnOnce(&str) -> Result<T, Fault>,
    ) -> Option<T> {
        let raw = self.take(field)?;
        self.parsed(field, parse(raw.expose()))
    }

    /// Takes a field that must be there and may hold any text: it is compared with what is stored, not judged.
    pub(super) fn text(&mut self, field: &'static str) -> Option<Secret<String>> {
        if !self.members.contains_key(field) {
            self.refuse(field, Fault::new("missing", "this field must be there"));
        }
        self.take(field)
    }

    fn take(&mut self, field: &'static str) -> Option<Secret<String>> {
        match self.members.remove(field)? {
            Value::String(text) => Some(Secret::new(text)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                self.refuse(field, Fault::new("wrong_type", "expected a string"));
                None
            }
        }
    }

    fn parsed<T>(&mut self, field: &'static str, parsed: Result<T, Fault>) -> Option<T> {
        parsed.map_err(|fault| self.refuse(field, fault)).ok()
    }

    /// Notes what is wrong with a field.
    pub(super) fn refuse(&mut self, field: &'static str, fault: impl Into<Fault>) {
        let Fault { code, detail } = fault.into();
        self.errors.push(FieldError { field, code, detail });
    }

    /// The values, if nothing was wrong with any field.
    pub(super) fn finish<T>(self, values: Option<T>) -> Result<T, Failure> {
        match values {
            Some(values) if self.errors.is_empty() => Ok(values),
            Some(_) | None => Err(Problem::fields(self.errors).into()),
        }
    }
}

/// An address.
pub(super) fn email(raw: &str) -> Result<Email, Fault> {
    let parsed = raw.parse();
    parsed.map_err(|_| Fault::new("invalid", "expected an e-mail address, such as ann@example.com"))
}

/// A name.
pub(super) fn name(raw: &str) -> Result<UserName, Fault> {
    raw.parse().map_err(|_| {
        if raw.trim().is_empty() {
            Fault::new("too_short", "expected at least 1 character that is not blank")
        } else if raw.trim().chars().count() > MAX_NAME {
            Fault::new("too_long", "expected at most 100 characters")
        } else {
            Fault::new(
                "invalid",
                "control characters and text direction overrides are not allowed",
            )
        }
    })
}

/// A password that somebody wants to have; how good it is, is judged later.
pub(super) fn new_password(raw: &str) -> Result<Password, Fault> {
    Password::parse(Secret::new(raw.to_owned())).map_err(|invalid| match invalid {
        InvalidPassword::TooLong => Fault {
            code: "too_long",
            detail: format!("expected at most {MAX_BYTES} bytes in UTF-8").into(),
        },
        InvalidPassword::HoldsNul => Fault::new("invalid", "NUL characters are not allowed"),
    })
}

impl From<Weakness> for Fault {
    fn from(weakness: Weakness) -> Self {
        let code = match weakness {
            Weakness::TooShort { .. } => "too_short",
            Weakness::TooSimilar => "too_similar",
            Weakness::TooCommon => "too_common",
        };
        Self {
            code,
            detail: weakness.to_string().into(),
        }
    }
}

impl<S: Sync> FromRequest<S> for Fields {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        check_media_type(&parts.headers, "application/json")?;
        let text = read(body, MAX_BODY).await?;
        let members = json::object(&text).map_err(|error| Problem::new(Code::Malformed, error.to_string()))?;
        Ok(Self::new(members))
    }
}

/// Only this type, in UTF-8 if it says so at all. Where that is `application/json`, a form of another site can't send it
/// without being asked first.
pub(super) fn check_media_type(headers: &HeaderMap, expected: &'static str) -> Result<(), Failure> {
    let unsupported = || {
        let detail = format!("expected Content-Type: {expected}");
        Failure::from(Problem::new(Code::UnsupportedMediaType, detail))
    };
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err(Failure::new(
            Code::UnsupportedMediaType,
            "expected a body without Content-Encoding",
        ));
    }
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(unsupported());
    };
    let text = value.to_str().map_err(|_| unsupported())?;
    let mut parts = text.split(';').map(str::trim);
    let right = parts
        .next()
        .is_some_and(|essence| essence.eq_ignore_ascii_case(expected));
    let utf8 = parts.all(|parameter| match parameter.split_once('=') {
        Some((name, value)) if name.eq_ignore_ascii_case("charset") => {
            value.trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        Some(_) | None => true,
    });
    if right && utf8 { Ok(()) } else { Err(unsupported()) }
}

/// The whole body, if it has at most so many bytes. What is too long by its own account is not waited for.
pub(super) async fn read(body: Body, limit: usize) -> Result<bytes::Bytes, Failure> {
    let too_large = || Problem::new(Code::BodyTooLarge, format!("expected at most {} KiB", limit / 1024)).into();
    if http_body::Body::size_hint(&body).lower() > limit as u64 {
        return Err(too_large());
    }
    let too_slow = || Problem::new(Code::RequestTimeout, "the body took too long to arrive").closing();
    let collected = tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, limit).collect()).await;
    match collected {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(error)) if timed_out(error.as_ref()) => Err(too_slow().into()),
        Ok(Err(_)) => Err(Failure::new(Code::BadRequest, "the body broke off")),
        Err(_) => Err(too_slow().into()),
    }
}

/// Whether the connection gave the client up because it had stopped sending.
fn timed_out(error: &(dyn Error + 'static)) -> bool {
    successors(Some(error), |&error| error.source()).any(|error| {
        error
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields(value: Value) -> Fields {
        match value {
            Value::Object(members) => Fields::new(members),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn every_bad_field_is_found_at_once() {
        let mut fields = fields(json!({ "email": "nobody", "name": 7, "unknown": true }));
        let parsed = (
            fields.required("email", email),
            fields.required("name", name),
            fields.required("password", new_password),
        );
        assert!(matches!(parsed, (None, None, None)));
        let found: Vec<_> = fields.errors.iter().map(|error| (error.field, error.code)).collect();
        assert_eq!(
            found,
            [("email", "invalid"), ("name", "wrong_type"), ("password", "missing")]
        );
    }

    #[test]
    fn an_absent_field_is_no_error_where_it_is_optional_but_null_is() {
        let mut fields = fields(json!({ "name": null }));
        assert!(fields.optional("email", email).is_none());
        assert!(fields.errors.is_empty());
        assert!(fields.optional("name", name).is_none());
        assert_eq!(fields.errors[0].code, "wrong_type");
    }

    #[test]
    fn a_bad_name_is_told_what_is_bad() {
        for (raw, code) in [
            ("", "too_short"),
            (" \t", "too_short"),
            (&"x".repeat(101), "too_long"),
            ("a\u{7}b", "invalid"),
        ] {
            assert_eq!(name(raw).unwrap_err().code, code, "{raw:?}");
        }
    }

    #[test]
    fn a_password_that_bcrypt_would_change_is_refused() {
        let code = |raw: String| new_password(&raw).unwrap_err().code;
        assert_eq!(code("x".repeat(73)), "too_long");
        assert_eq!(code("a\0b".to_owned()), "invalid");
    }

    #[test]
    fn only_json_in_utf_8_is_read() {
        let check = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::CONTENT_TYPE, value.parse().unwrap());
            }
            check_media_type(&headers, "application/json").is_ok()
        };
        for good in [
            "application/json",
            "Application/JSON",
            "application/json; charset=UTF-8",
            "application/json;charset=\"utf-8\"",
        ] {
            assert!(check(&[good]), "{good}");
        }
        for bad in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "application/json; charset=utf-16",
            "application/jsonp",
            "text/plain, application/json",
            "",
        ] {
            assert!(!check(&[bad]), "{bad}");
        }
        assert!(!check(&[]));
        assert!(!check(&["application/json", "application/json"]));
    }

    #[test]
    fn an_endpoint_that_takes_forms_takes_no_json() {
        let check = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, value.parse().unwrap());
            check_media_type(&headers, "application/x-www-form-urlencoded").is_ok()
        };
        assert!(check("application/x-www-form-urlencoded"));
        assert!(check("application/x-www-form-urlencoded;charset=UTF-8"));
        assert!(!check("application/x-www-form-urlencoded; charset=latin1"));
        assert!(!check("application/json") && !check("multipart/form-data; boundary=x"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_end_is_given_up_after_a_while() {
        let trickle = futures_util::stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Some((Ok::<_, io::Error>(" "), ()))
        });
        let began = tokio::time::Instant::now();
        let expected = Problem::new(Code::RequestTimeout, "the body took too long to arrive").closing();
        assert_eq!(read(Body::from_stream(trickle), MAX_BODY).await, Err(expected.into()));
        assert_eq!(began.elapsed().as_secs(), 30);
    }

    #[test]
    fn a_compressed_body_is_refused() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
        headers.insert(header::CONTENT_ENCODING, "gzip".parse().unwrap());
        assert!(check_media_type(&headers, "application/json").is_err());
    }
}
