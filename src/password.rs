//! Passwords: what one may be ([`Password`], [`judge()`]), and bcrypt off the async threads ([`Hasher`]).
//!
//! The promise: no more than the configured number of hashes run at once, no more than the configured number wait, and a
//! verification that fails costs the same whether the account exists, has a malformed hash, or has a cheaper one. It does
//! not promise that for a hash that is dearer than the configured cost: what was made dear can't be verified for less.

mod hasher;
mod judge;

use std::fmt;

pub use hasher::{HashError, Hasher, Verdict};
pub use judge::{Weakness, judge};

use crate::secret::Secret;

/// bcrypt reads 72 bytes and no more.
pub const MAX_BYTES: usize = 72;

/// A text that bcrypt can tell from every other: at most [`MAX_BYTES`] bytes of UTF-8 without NUL. May be empty.
#[derive(Clone)]
pub struct Password(Secret<String>);

/// A text that bcrypt would take for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPassword {
    /// bcrypt would cut it.
    #[error("longer than {MAX_BYTES} bytes")]
    TooLong,
    /// To bcrypt `"a\0b"` may be `"a"`, and `"\0"` is `""`.
    #[error("holds a NUL character")]
    HoldsNul,
}

impl Password {
    /// Takes the text in, byte for byte: nothing is trimmed or normalised.
    pub fn parse(text: Secret<String>) -> Result<Self, InvalidPassword> {
        if text.expose().len() > MAX_BYTES {
            Err(InvalidPassword::TooLong)
        } else if text.expose().contains('\0') {
            Err(InvalidPassword::HoldsNul)
        } else {
            Ok(Self(text))
        }
    }

    /// The text. Whoever calls this answers for where it goes.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Password, InvalidPassword> {
        Password::parse(Secret::new(text.to_owned()))
    }

    #[test]
    fn a_password_has_at_most_72_bytes() {
        assert!(parse("").is_ok());
        assert!(parse(&"x".repeat(72)).is_ok());
        assert_eq!(parse(&"x".repeat(73)).err(), Some(InvalidPassword::TooLong));
        assert_eq!(parse(&"é".repeat(37)).err(), Some(InvalidPassword::TooLong));
    }

    #[test]
    fn a_password_holds_no_nul() {
        assert_eq!(parse("correct\0horse").err(), Some(InvalidPassword::HoldsNul));
    }

    #[test]
    fn a_password_does_not_print() {
        assert_eq!(format!("{:?}", parse("hunter2").unwrap()), "[secret]");
    }
}
