//! [`Refusal`]: why a token is not accepted.

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is not a token of ours, or not intact.
    #[error("invalid token: {0}")]
    Invalid(Reason),
    /// It was ours, and its time is over.
    #[error("token expired")]
    Expired,
    /// It, or its session, was revoked.
    #[error("token revoked")]
    Revoked,
    /// It says that it is of another issuer, whose keys are not known: they have not been fetched for too long.
    #[error("the keys of its issuer are not known")]
    IssuerUnavailable,
    /// Whether it was revoked, or is of a key that was made meanwhile, can't be known: the store has not answered for too
    /// long.
    #[error("revocations unknown")]
    RevocationsUnknown,
}

/// What is wrong with a token. For logs and metrics: clients are only told that it is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Longer than [`MAX_TOKEN_BYTES`](super::MAX_TOKEN_BYTES).
    #[error("too long")]
    TooLong,
    /// Not three parts with two dots between them (RFC 7515, section 7.1); a JWE or a JSON serialisation, for example.
    #[error("not three non-empty parts")]
    NotThreeParts,
    /// A part is not base64url without padding, or has bits set that carry no data (RFC 4648, section 3.5).
    #[error("not canonical base64url")]
    Base64,
    /// The header is not a JSON object, or has a member twice.
    #[error("header is not a plain JSON object")]
    HeaderJson,
    /// The payload is not a JSON object, or has a member twice at any depth.
    #[error("payload is not a plain JSON object")]
    PayloadJson,
    /// `alg` is missing, not a string, or not the algorithm of the key.
    #[error("alg is not the key's algorithm")]
    Algorithm,
    /// `typ` is missing or not `at+jwt` (RFC 9068, section 4).
    #[error("typ is not at+jwt")]
    Type,
    /// `crit` is there: no extension is known to us, so each that is critical must be refused (RFC 7515, section
    /// 4.1.11).
    #[error("crit is present")]
    Critical,
    /// A header parameter that would change how the token is read (`b64`, `enc`, `zip`) or that brings a key of the
    /// sender's choice (`jwk`, `jku`, `x5c`, `x5u`).
    #[error("header parameter not allowed")]
    HeaderParameter,
    /// `kid` is missing where there is more than a shared secret, not a string, or names no key that we hold.
    #[error("kid names no key")]
    KeyId,
    /// The signature does not fit.
    #[error("signature does not fit")]
    Signature,
    /// `iss` is missing, not a string, or not ours.
    #[error("iss is not ours")]
    Issuer,
    /// `aud` is missing, neither a string nor a list of strings, or does not name us.
    #[error("aud does not name us")]
    Audience,
    /// `exp`, `iat` or `nbf` is not an integral `NumericDate` between 1970 and 9999; or `exp` or `iat` is missing.
    #[error("a time is missing or not an integral NumericDate")]
    Time,
    /// `nbf` or `iat` lies in the future.
    #[error("not valid yet")]
    NotYetValid,
    /// `sub`, `jti` or `sid` is missing or not an id in its one spelling, or `gen` is not a number of 32 bits.
    #[error("sub, jti, sid or gen is missing or malformed")]
    Id,
    /// `email`, `name` or `roles` is missing, malformed, or not as we write it.
    #[error("email, name or roles is missing or malformed")]
    Profile,
}
