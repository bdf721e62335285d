//! [`Detail`]: what an event says beside who, whom, when and whence. Each is typed, so that nothing gets in that should not.

use std::net::IpAddr;

use serde_json::{Map, Value};

use crate::id::{Email, KeyId, Role, TokenId};

/// The most characters of an error that are kept.
const MAX_PROBLEM_CHARS: usize = 1000;

/// Something that an event says.
#[derive(Clone, Debug, PartialEq)]
pub enum Detail {
    /// Why it was refused.
    Reason(Reason),
    /// What an attempt was counted by that had to wait: the `kind` of `doorward_throttled_total`.
    By(&'static str),
    /// How many attempts it is of.
    Attempts(u64),
    /// Which sessions a logout was about: `this`, `others` or `all`.
    Scope(&'static str),
    /// How many sessions ended with it.
    SessionsEnded(usize),
    /// Which fields of an account changed.
    Fields(Vec<&'static str>),
    /// The e-mail address that another took the place of: nothing else remembers it.
    FormerEmail(Email),
    /// The roles by now.
    Roles(Vec<Role>),
    /// The roles before.
    FormerRoles(Vec<Role>),
    /// The access token that was revoked, by its `jti`.
    Token(TokenId),
    /// What kind of token was revoked: `access_token` or `refresh_token`.
    TokenType(&'static str),
    /// Signing keys that were made.
    KeysMade(Vec<KeyId>),
    /// Signing keys that were deleted.
    KeysDeleted(Vec<KeyId>),
    /// An address that it was about.
    About(IpAddr),
    /// How many things it was about.
    Count(u64),
    /// Which configuration is in force: 1 at the start, one more with each that was taken.
    Generation(u64),
    /// The version of the program.
    Version(&'static str),
    /// What was wrong, without secrets; cut to 1000 characters.
    Problem(String),
}

/// Why somebody was refused. What they typed is not told: it may be a password, in the wrong field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// There is no account of this address.
    UnknownAccount,
    /// The password is not that of the account.
    WrongPassword,
    /// The account is disabled.
    Disabled,
    /// The password was replaced while it was looked at.
    ChangedMeanwhile,
}

impl Reason {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownAccount => "unknown_account",
            Self::WrongPassword => "wrong_password",
            Self::Disabled => "disabled",
            Self::ChangedMeanwhile => "changed_meanwhile",
        }
    }
}

impl Detail {
    /// What it is called, and its value as JSON.
    fn in_json(&self) -> (&'static str, Value) {
        let roles = |roles: &[Role]| roles.iter().map(Role::as_str).collect::<Value>();
        let keys = |keys: &[KeyId]| keys.iter().map(KeyId::as_str).collect::<Value>();
        match self {
            Self::Reason(reason) => ("reason", reason.as_str().into()),
            Self::By(kind) => ("by", (*kind).into()),
            Self::Attempts(number) => ("attempts", (*number).into()),
            Self::Scope(scope) => ("scope", (*scope).into()),
            Self::SessionsEnded(number) => ("sessions_ended", (*number).into()),
            Self::Fields(fields) => ("fields", fields.iter().copied().collect()),
            Self::FormerEmail(email) => ("former_email", email.as_str().into()),
            Self::Roles(now) => ("roles", roles(now)),
            Self::FormerRoles(before) => ("former_roles", roles(before)),
            Self::Token(token) => ("token", token.to_string().into()),
            Self::TokenType(kind) => ("token_type", (*kind).into()),
            Self::KeysMade(made) => ("keys_made", keys(made)),
            Self::KeysDeleted(deleted) => ("keys_deleted", keys(deleted)),
            Self::About(address) => ("about", address.to_string().into()),
            Self::Count(number) => ("count", (*number).into()),
            Self::Generation(number) => ("generation", (*number).into()),
            Self::Version(version) => ("version", (*version).into()),
            Self::Problem(text) => (
                "problem",
                text.chars().take(MAX_PROBLEM_CHARS).collect::<String>().into(),
            ),
        }
    }
}

/// Details as the text of a JSON object.
pub(super) fn to_text<'d>(details: impl IntoIterator<Item = &'d Detail>) -> String {
    let members = details.into_iter().map(|detail| {
        let (name, value) = detail.in_json();
        (name.to_owned(), value)
    });
    Value::Object(members.collect::<Map<_, _>>()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_the_members_of_one_object() {
        let role: Role = "admin".parse().unwrap();
        let details = [
            Detail::Reason(Reason::Disabled),
            Detail::Roles(vec![role]),
            Detail::SessionsEnded(2),
        ];
        assert_eq!(
            to_text(&details),
            r#"{"reason":"disabled","roles":["admin"],"sessions_ended":2}"#
        );
        assert_eq!(to_text(&[]), "{}");
    }

    #[test]
    fn a_long_problem_is_cut() {
        let long = to_text(&[Detail::Problem("ä".repeat(5000))]);
        assert_eq!(long.matches('ä').count(), 1000);
    }
}
