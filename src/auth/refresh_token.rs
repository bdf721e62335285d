//! [`RefreshToken`]: 32 random bytes. The store knows only their SHA-256, so that a copy of the database opens no session.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::secret::Secret;

/// How many random bytes a token holds.
const BYTES: usize = 32;

/// A refresh token. Its text is 43 characters of base64url (RFC 4648, section 5) without padding.
#[derive(Clone, Debug)]
pub(super) struct RefreshToken(Secret<[u8; BYTES]>);

impl RefreshToken {
    /// A new one, from the system's random numbers.
    pub(super) fn generate() -> Result<Self, Unspecified> {
        let mut bytes = [0; BYTES];
        rand::fill(&mut bytes)?;
        Ok(Self(Secret::new(bytes)))
    }

    /// The token of this text; `None` if it is none of ours.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        Some(Self(Secret::new(bytes.try_into().ok()?)))
    }

    /// The text. Whoever calls this answers for where it goes.
    pub(super) fn expose(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0.expose())
    }

    /// What the store knows it by.
    pub(super) fn hash(&self) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, self.0.expose()).as_ref());
        hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_its_text() {
        let token = RefreshToken::generate().unwrap();
        assert_eq!(token.expose().len(), 43);
        assert_eq!(RefreshToken::parse(&token.expose()).unwrap().hash(), token.hash());
        assert_ne!(RefreshToken::generate().unwrap().hash(), token.hash());
        assert_eq!(format!("{token:?}"), "RefreshToken([secret])");
    }

    #[test]
    fn other_texts_are_no_tokens() {
        let good = RefreshToken::generate().unwrap().expose();
        for bad in [
            String::new(),
            format!("{good}="),
            format!("{good}A"),
            good[1..].to_owned(),
            format!(" {good}"),
        ] {
            assert!(RefreshToken::parse(&bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn a_token_has_one_text() {
        // The last character holds 4 bits of data and 2 that must be zero.
        assert!(RefreshToken::parse(&format!("{}A", "A".repeat(42))).is_some());
        assert!(RefreshToken::parse(&format!("{}B", "A".repeat(42))).is_none());
    }
}
