//! [`Form`]: a body as OAuth's clients send it, `application/x-www-form-urlencoded`.
//!
//! It is read strictly: a parameter that is there twice, an escape that is none, or text that is not UTF-8 is refused, so
//! that no two programs see two tokens in one request.

use axum::extract::{FromRequest, Request};

use super::body::{check_media_type, read};
use super::error::Failure;
use crate::problem::Code;
use crate::secret::Secret;
use crate::token::MAX_TOKEN_BYTES;

/// The largest form that is read, in bytes: whatever token we would let in fits, with a client's credentials beside it.
pub(super) const MAX_FORM: usize = MAX_TOKEN_BYTES + 8 * 1024;

/// The parameters that have not been taken yet. Any of them may be a secret.
#[derive(Debug)]
pub(super) struct Form(Vec<(String, Secret<String>)>);

/// Why a text is no form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InvalidForm {
    /// A parameter is there twice (RFC 6749, section 3.2).
    Twice,
    /// A `%` is not followed by two hexadecimal digits, or what they spell is not UTF-8.
    Encoding,
}

impl Form {
    fn parse(body: &[u8]) -> Result<Self, InvalidForm> {
        let body = std::str::from_utf8(body).map_err(|_| InvalidForm::Encoding)?;
        let mut parameters: Vec<(String, Secret<String>)> = Vec::new();
        for pair in body.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name).ok_or(InvalidForm::Encoding)?;
            let value = decode(value).map(Secret::new).ok_or(InvalidForm::Encoding)?;
            if parameters.iter().any(|(known, _)| *known == name) {
                return Err(InvalidForm::Twice);
            }
            parameters.push((name, value));
        }
        Ok(Self(parameters))
    }

    /// Takes a parameter. One without a value is as good as absent (RFC 6749, section 3.2).
    pub(super) fn take(&mut self, name: &str) -> Option<Secret<String>> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        let (_, value) = self.0.swap_remove(at);
        (!value.expose().is_empty()).then_some(value)
    }
}

/// Undoes form encoding: `+` is a blank, `%XX` a byte. `None` where there is another `%`, or the bytes are not UTF-8.
pub(super) fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

impl<S: Sync> FromRequest<S> for Form {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        check_media_type(&parts.headers, "application/x-www-form-urlencoded")?;
        let body = read(body, MAX_FORM).await?;
        Self::parse(&body).map_err(|invalid| {
            let detail = match invalid {
                InvalidForm::Twice => "a parameter is there twice",
                InvalidForm::Encoding => "the body is not a form: a bad escape, or not UTF-8",
            };
            Failure::new(Code::InvalidRequest, detail)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn form(body: &str) -> Result<Vec<(String, String)>, InvalidForm> {
        let plain = |(name, value): (String, Secret<String>)| (name, value.expose().clone());
        Form::parse(body.as_bytes()).map(|form| form.0.into_iter().map(plain).collect())
    }

    #[test]
    fn parameters_are_decoded() {
        let expected = [("token", "a b+c"), ("hint", ""), ("ä", "=&")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(form("token=a+b%2Bc&hint&%C3%a4==%26").unwrap(), expected);
        assert_eq!(form("").unwrap(), []);
        assert_eq!(form("&&").unwrap(), []);
    }

    #[test]
    fn a_parameter_that_is_there_twice_is_refused() {
        for body in ["token=a&token=a", "token=a&x=1&token", "token=a&%74oken=b", "x&x"] {
            assert_eq!(form(body), Err(InvalidForm::Twice), "{body}");
        }
    }

    #[test]
    fn what_does_not_decode_is_refused() {
        for body in ["token=%", "token=%4", "token=%zz", "%=a", "token=%ff", "token=%+4"] {
            assert_eq!(form(body), Err(InvalidForm::Encoding), "{body}");
        }
        assert!(Form::parse(b"token=\xff").is_err());
    }

    #[test]
    fn a_parameter_without_a_value_is_absent() {
        let mut form = Form::parse(b"token=&client_id&x=1").unwrap();
        assert!(form.take("token").is_none() && form.take("client_id").is_none() && form.take("y").is_none());
        assert_eq!(form.take("x").unwrap().expose(), "1");
        assert!(form.take("x").is_none());
    }

    /// As a careful client encodes.
    fn encode(text: &str) -> String {
        let plain = |byte: u8| byte.is_ascii_alphanumeric();
        text.bytes()
            .map(|byte| {
                if plain(byte) {
                    char::from(byte).to_string()
                } else {
                    format!("%{byte:02X}")
                }
            })
            .collect()
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_read_as_it_was(name in "\\PC{1,20}", value in "\\PC{0,40}") {
            let body = format!("{}={}", encode(&name), encode(&value));
            prop_assert_eq!(form(&body), Ok(vec![(name, value)]));
        }

        #[test]
        fn no_bytes_make_the_reader_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Form::parse(&body);
        }

        #[test]
        fn no_name_is_read_twice(body in "[ab%6=&+]{0,40}") {
            if let Ok(mut parameters) = form(&body) {
                let count = parameters.len();
                parameters.sort();
                parameters.dedup_by(|one, other| one.0 == other.0);
                prop_assert_eq!(parameters.len(), count);
            }
        }
    }
}
