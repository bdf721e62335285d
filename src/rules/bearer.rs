//! Finding the bearer token of a request (RFC 6750, section 2.1). Only the `Authorization` header is looked at: a token in a
//! query or a form ends up in logs and caches.

use std::fmt;

use http::{HeaderMap, header};
use memchr::memchr;

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

/// What was sent as a token. One that is known needs no look at its characters.
#[derive(Clone, Copy)]
pub struct Bearer<'a>(&'a [u8]);

impl<'a> Bearer<'a> {
    /// Its bytes, whatever they are.
    #[must_use]
    pub const fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// Its text, if it is made of what a token may be made of.
    pub fn text(self) -> Result<&'a str, InvalidBearer> {
        // Without a way out in the middle, which no processor can take many bytes at a time with: tokens are long.
        let plain = self.0.iter().fold(true, |plain, byte| plain & is_plain(*byte));
        match std::str::from_utf8(self.0) {
            Ok(token) if plain && !token.is_empty() => Ok(token),
            Ok(_) | Err(_) => Err(InvalidBearer::Malformed),
        }
    }
}

/// Not shown, as it is a token.
impl fmt::Debug for Bearer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bearer(…)")
    }
}

/// The token of a request, if there is one. The scheme's case does not matter (RFC 9110, section 11.1).
pub fn bearer_token(headers: &HeaderMap) -> Result<Option<Bearer<'_>>, InvalidBearer> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(InvalidBearer::Several);
    }
    let bytes = value.as_bytes();
    let (scheme, rest) = bytes.split_at(memchr(b' ', bytes).unwrap_or(bytes.len()));
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        let is_text = value.to_str().is_ok();
        return Err(if is_text {
            InvalidBearer::OtherScheme
        } else {
            InvalidBearer::Malformed
        });
    }
    let token = &rest[rest.iter().take_while(|byte| **byte == b' ').count()..];
    Ok(Some(Bearer(token)))
}

/// Whether it may be in a token (RFC 6750, section 2.1): a letter, a digit, or one of `-._~+/=`.
const fn is_plain(byte: u8) -> bool {
    (byte | 0x20).wrapping_sub(b'a') < 26
        || byte.wrapping_sub(b'-') <= b'9' - b'-'
        || byte == b'_'
        || byte == b'~'
        || byte == b'+'
        || byte == b'='
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
        match bearer_token(&headers)? {
            None => Ok(None),
            Some(token) => token.text().map(|token| Some(token.to_owned())),
        }
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

    #[test]
    fn a_token_is_made_of_the_characters_that_rfc_6750_has_for_it() {
        for byte in 0..=u8::MAX {
            let plain = byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
            assert_eq!(is_plain(byte), plain, "{byte}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_malformed_whatever_the_scheme() {
        for value in ["Basic é", "é", "Bearer a é"] {
            assert_eq!(find(&[value]), Err(InvalidBearer::Malformed), "{value:?}");
        }
    }
}
