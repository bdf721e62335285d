//! The identifiers and small values that the rest of the gateway speaks in. Each parses once and is valid from then on.
//!
//! Ids of rows are UUIDs of version 7 (RFC 9562, section 5.7): they sort by creation time and need no round trip to a
//! database.

mod certificate;
mod email;
mod identity;
mod principal;
mod told;

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

pub use certificate::ClientCertificate;
pub use email::{Email, InvalidEmail};
pub use identity::{Identity, InvalidName, InvalidRole, MAX_ROLES, Role, UserName};
pub use principal::{InvalidIssuerName, InvalidSubject, IssuerName, Principal, Subject};
pub use told::{TELLING, Told};

use crate::time::Timestamp;

/// A text that is not an id of the wanted kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id: expected a hyphenated UUID")]
pub struct InvalidId;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id that sorts after those made before `now`.
            #[must_use]
            pub fn generate(now: Timestamp) -> Self {
                let ms = u64::try_from(now.unix_ms()).unwrap_or(0);
                let at = uuid::Timestamp::from_unix(
                    uuid::NoContext,
                    ms / 1000,
                    u32::try_from(ms % 1000 * 1_000_000).unwrap_or(0),
                );
                Self(Uuid::new_v7(at))
            }

            /// The id whose 16 bytes, as stored in a database, are these.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// Its one spelling, as `Display` writes it, without the detour of formatting.
            pub fn write<'a>(&self, text: &'a mut [u8; 36]) -> &'a str {
                self.0.as_hyphenated().encode_lower(text)
            }

            /// The 16 bytes that a database stores.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0.as_hyphenated())
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            /// Reads the one spelling that `Display` writes, so that one id never has two texts.
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let id = Uuid::try_parse(text).map_err(|_| InvalidId)?;
                let mut buffer = Uuid::encode_buffer();
                if &*id.as_hyphenated().encode_lower(&mut buffer) == text { Ok(Self(id)) } else { Err(InvalidId) }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

uuid_id! {
    /// A user: the `sub` of a token.
    UserId
}
uuid_id! {
    /// One access token: its `jti`.
    TokenId
}
uuid_id! {
    /// A session, from a login to its end: the `sid` of a token.
    SessionId
}

/// The `kid` of a signing key: 1 to 64 characters of `A-Z a-z 0-9 - _`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct KeyId(Box<str>);

impl KeyId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands for it where there is room for 16 bytes only.
    #[must_use]
    pub fn digest(&self) -> KeyDigest {
        let mut short = [0; 16];
        short.copy_from_slice(&digest(&SHA256, self.0.as_bytes()).as_ref()[..16]);
        KeyDigest(short)
    }
}

/// The first 16 bytes of the SHA-256 of a [`KeyId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyDigest([u8; 16]);

impl KeyDigest {
    /// The digest of these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl FromStr for KeyId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let valid = (1..=64).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if valid { Ok(Self(text.into())) } else { Err(InvalidId) }
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        let id = UserId::generate(Timestamp::from_unix_ms(1_795_361_760_123));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.to_string().to_uppercase().parse::<UserId>(), Err(InvalidId));
        assert_eq!(id.to_string().replace('-', "").parse::<UserId>(), Err(InvalidId));
        assert_eq!(format!("{{{id}}}").parse::<UserId>(), Err(InvalidId));
        assert_eq!(UserId::from_bytes(*id.as_bytes()), id);
        assert_eq!(id.write(&mut [0; 36]), id.to_string());
    }

    #[test]
    fn ids_sort_by_the_time_they_were_made() {
        let early = SessionId::generate(Timestamp::from_unix_ms(1_000_000));
        let late = SessionId::generate(Timestamp::from_unix_ms(1_000_001));
        assert!(early < late);
    }

    #[test]
    fn a_key_id_is_short_and_plain() {
        assert!("k-1_A".parse::<KeyId>().is_ok());
        for bad in ["", "a b", "../x", "a\0", &"x".repeat(65)] {
            assert_eq!(bad.parse::<KeyId>(), Err(InvalidId), "{bad:?}");
        }
    }
}
