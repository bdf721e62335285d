//! [`Identity`]: who a request comes from, and the values that it is made of.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::{Email, Principal, SessionId, Told};

/// Who a request comes from, as policy and identity headers see it. It is independent of how that was proven.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// Whom it speaks for.
    pub principal: Principal,
    /// Their address at the time the token was issued. A user of ours has one, a subject of another issuer may have none.
    pub email: Option<Email>,
    /// Their name at that time; as with the address.
    pub name: Option<UserName>,
    /// Their roles at that time, sorted, each once.
    pub roles: Vec<Role>,
    /// The session, which only a user of ours has.
    pub session: Option<SessionId>,
    /// Every claim of the token, for routes that ask for `claims`.
    pub claims: Map<String, Value>,
    /// What upstreams are told of all that: to be left as it is made.
    pub told: Told,
}

/// What a user is called: 1 to 100 characters, none a control character, not only blanks, trimmed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UserName(Box<str>);

/// A text that is not a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a name: expected 1 to 100 characters, none of them a control character")]
pub struct InvalidName;

impl UserName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UserName {
    type Err = InvalidName;

    fn from_str(raw: &str) -> Result<Self, InvalidName> {
        let name = raw.trim();
        let valid = (1..=100).contains(&name.chars().count()) && !raw.chars().any(is_control_or_direction);
        if valid { Ok(Self(name.into())) } else { Err(InvalidName) }
    }
}

/// Control characters, line and paragraph separators, and the bidirectional overrides that make a text read as another.
pub(super) fn is_control_or_direction(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for UserName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// A role: 1 to 64 characters of `a-z A-Z 0-9 _ - . :`. Case matters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Role(Box<str>);

/// The most roles of one user: as many as fit a token, and a header, at their longest.
pub const MAX_ROLES: usize = 32;

/// A text that is not a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a role: expected 1 to 64 characters of a-z A-Z 0-9 _ - . :")]
pub struct InvalidRole;

impl Role {
    /// The role as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Role {
    type Err = InvalidRole;

    fn from_str(text: &str) -> Result<Self, InvalidRole> {
        let valid = (1..=64).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':'));
        if valid { Ok(Self(text.into())) } else { Err(InvalidRole) }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Role {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_trimmed_and_has_no_control_characters() {
        assert_eq!("  Ann Lee ".parse::<UserName>().unwrap().as_str(), "Ann Lee");
        assert!("é".repeat(100).parse::<UserName>().is_ok());
        for bad in ["", "   ", "a\nb", "a\0", "\u{202e}nimda", "Ann\n", &"é".repeat(101)] {
            assert_eq!(bad.parse::<UserName>(), Err(InvalidName), "{bad:?}");
        }
    }

    #[test]
    fn a_role_cannot_break_a_header_list() {
        assert!("team:admin".parse::<Role>().is_ok());
        for bad in ["", "a,b", "a b", "a\r\n", "ä", &"r".repeat(65)] {
            assert_eq!(bad.parse::<Role>(), Err(InvalidRole), "{bad:?}");
        }
    }
}
