//! `[[clients]]`

use crate::secret::Secret;

/// `[[clients]]`: another service that may ask about tokens, or revoke them.
#[derive(Clone, Debug)]
pub struct Client {
    /// What it is called: 1 to 64 characters of `A-Z a-z 0-9 - _ .`, and no other client is.
    pub id: String,
    /// What it proves that with: at least 32 bytes, all printable ASCII (RFC 6749, appendix A.2).
    pub secret: Secret<String>,
    /// What it may do. At least one thing, none twice.
    pub allow: Vec<ClientPermission>,
}

/// What a client may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientPermission {
    /// Ask whether a token is live, and whose it is (RFC 7662).
    Introspect,
    /// End a token or its session (RFC 7009).
    Revoke,
}

impl ClientPermission {
    /// Every permission.
    pub const ALL: &[Self] = &[Self::Introspect, Self::Revoke];

    /// The word for it in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Introspect => "introspect",
            Self::Revoke => "revoke",
        }
    }
}
