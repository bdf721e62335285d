//! Finding the bearer token of a request (RFC 6750, section 2.1). Only the `Authorization` header is looked at: a token in a
//! query or a form ends up in logs and caches.

use http::{HeaderMap, header};

use crate::problem::Code;

/// There is an `Authorization` header, but no single bearer token in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBearer {
    /// There are two headers: two programs could each believe another one.
    #[error("there is more than one Authorization header")]
    Several,
    /// It is of another scheme.
    #[error("the Authorization header is not of the Bearer scheme")]
    OtherScheme,
    /// What follows the scheme is not one token.
    #[error("after `Bearer` there is not one token")]
    Malformed,
}

impl InvalidBearer {
    /// What a client is told. Credentials of another scheme are no token at all (RFC 6750, section 3.1).
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::Several | Self::Malformed => Code::TokenInvalid,
            Self::OtherScheme => Code::TokenMissing,
        }
    }
}

/// The token of a request, if there is one. The scheme's case does not matter (RFC 9110, section 11.1).
pub fn bearer_token(headers: &HeaderMap) -> Result<Option<&str>, InvalidBearer> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(InvalidBearer::Several);
    }
    let value = value.to_str().map_err(|_| InvalidBearer::Malformed)?;
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(InvalidBearer::OtherScheme);
    }
    let token = token.trim_start_matches(' ');
    let plain = token
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte));
    if plain && !token.is_empty() {
        Ok(Some(token))
    } else {
        Err(InvalidBearer::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn find(values: &[&str]) -> Result<Option<String>, InvalidBearer> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        bearer_token(&headers).map(|token| token.map(str::to_owned))
    }

    #[test]
    fn one_token_is_found_whatever_the_case_of_the_scheme() {
        assert_eq!(find(&[]), Ok(None));
        for value in ["Bearer a.b.c", "bearer a.b.c", "BEARER   a.b.c"] {
            assert_eq!(find(&[value]), Ok(Some("a.b.c".to_owned())));
        }
    }

    #[test]
    fn anything_else_in_the_header_is_refused() {
        assert_eq!(find(&["Bearer a", "Bearer a"]), Err(InvalidBearer::Several));
        for value in ["Bearer", "Bearer ", "Bearer a b", "Bearer a, Bearer b", "Bearer é"] {
            assert_eq!(find(&[value]), Err(InvalidBearer::Malformed), "{value:?}");
        }
        for value in ["", "Basic a", "BearerX a", "Bearer\ta", "Token a"] {
            assert_eq!(find(&[value]), Err(InvalidBearer::OtherScheme), "{value:?}");
        }
    }
}
