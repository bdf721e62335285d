//! [`Principal`]: whom a request speaks for, so that no subject of another issuer can look like a user of ours.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::UserId;
use super::identity::is_control_or_direction;

/// The most characters of a [`Subject`] (as many as `sub` has in `OpenID Connect`: Core 1.0, section 2).
const MAX_SUBJECT: usize = 255;

/// Whom a request speaks for.
///
/// Its text is what upstreams and logs call it: the UUID of a user of ours, `NAME:SUBJECT` for a subject of another issuer.
/// Neither a UUID nor the name of an issuer has a colon in it, so no two principals share a text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Principal {
    /// One of our users.
    User(UserId),
    /// Somebody whom another issuer vouches for.
    Foreign {
        /// The issuer.
        issuer: IssuerName,
        /// What that issuer calls them.
        subject: Subject,
    },
}

impl Principal {
    /// The name of the issuer that vouches: [`IssuerName::SELF`] where it is ourselves.
    #[must_use]
    pub fn issuer(&self) -> &str {
        match self {
            Self::User(_) => IssuerName::SELF,
            Self::Foreign { issuer, .. } => issuer.as_str(),
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => id.fmt(f),
            Self::Foreign { issuer, subject } => write!(f, "{issuer}:{subject}"),
        }
    }
}

impl From<UserId> for Principal {
    fn from(user: UserId) -> Self {
        Self::User(user)
    }
}

impl Serialize for Principal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What the configuration calls another issuer: 1 to 32 characters of `a-z 0-9 - _`, and not `self`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IssuerName(Arc<str>);

/// A text that is not the name of an issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a name for an issuer: expected 1 to 32 characters of a-z 0-9 - _, other than \"self\"")]
pub struct InvalidIssuerName;

impl IssuerName {
    /// What we call ourselves among issuers.
    pub const SELF: &str = "self";

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for IssuerName {
    type Err = InvalidIssuerName;

    fn from_str(text: &str) -> Result<Self, InvalidIssuerName> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
        let valid = (1..=32).contains(&text.len()) && text.bytes().all(plain) && text != Self::SELF;
        if valid {
            Ok(Self(text.into()))
        } else {
            Err(InvalidIssuerName)
        }
    }
}

impl fmt::Display for IssuerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What another issuer calls somebody: 1 to 255 characters, none of them a control character, no blank at either end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject(Box<str>);

/// A text that is not a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a subject: expected 1 to 255 characters, none of them a control character, no blank at either end")]
pub struct InvalidSubject;

impl Subject {
    /// The subject as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Subject {
    type Err = InvalidSubject;

    fn from_str(text: &str) -> Result<Self, InvalidSubject> {
        let valid = (1..=MAX_SUBJECT).contains(&text.chars().count())
            && text.trim() == text
            && !text.chars().any(is_control_or_direction);
        if valid {
            Ok(Self(text.into()))
        } else {
            Err(InvalidSubject)
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_of_another_issuer_never_has_the_text_of_a_user() {
        let user = UserId::from_bytes([1; 16]);
        let foreign = Principal::Foreign {
            issuer: "corp".parse().unwrap(),
            subject: user.to_string().parse().unwrap(),
        };
        assert_eq!(foreign.to_string(), format!("corp:{user}"));
        assert_eq!(Principal::User(user).to_string(), user.to_string());
        assert_eq!((foreign.issuer(), Principal::User(user).issuer()), ("corp", "self"));
        assert_eq!("self".parse::<IssuerName>(), Err(InvalidIssuerName));
    }

    #[test]
    fn an_issuer_is_named_plainly() {
        assert!("key-cloak_2".parse::<IssuerName>().is_ok() && "a".repeat(32).parse::<IssuerName>().is_ok());
        for bad in ["", "Corp", "a:b", "a b", "ä", &"a".repeat(33)] {
            assert_eq!(bad.parse::<IssuerName>(), Err(InvalidIssuerName), "{bad:?}");
        }
    }

    #[test]
    fn a_subject_cannot_break_a_log_line() {
        assert!("auth0|5f:7c".parse::<Subject>().is_ok() && "é".repeat(255).parse::<Subject>().is_ok());
        for bad in ["", " a", "a ", "a\nb", "a\0", "\u{202e}nimda", &"é".repeat(256)] {
            assert_eq!(bad.parse::<Subject>(), Err(InvalidSubject), "{bad:?}");
        }
    }
}
