//! [`Verifying`]: the half of a key that verifies, made ready once. To read a public key anew for each signature takes about a
//! tenth as long as to verify one.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{self, ParsedPublicKey, RsaPublicKeyComponents, VerificationAlgorithm};

use crate::config::Algorithm;
use crate::token::KeyError;
use crate::token::jwk::PublicKey;

/// What verifies the signatures of one key, by the one algorithm of that key.
#[derive(Clone)]
pub(super) enum Verifying {
    Public(ParsedPublicKey),
    Shared(Box<hmac::Key>),
}

impl Verifying {
    /// The public half, for the algorithm of the private one.
    pub(super) fn public(algorithm: Algorithm, key: &PublicKey) -> Result<Self, KeyError> {
        let raw = |algorithm: &'static dyn VerificationAlgorithm, key: &[u8]| ParsedPublicKey::new(algorithm, key);
        let parsed = match (algorithm, key) {
            (Algorithm::EdDsa, PublicKey::Ed { x }) => raw(&signature::ED25519, x),
            // The uncompressed form of SEC 1, section 2.3.3. Signatures are r and s in full length (RFC 7518, section 3.4).
            (Algorithm::Es256, PublicKey::Ec { x, y, .. }) => {
                raw(&signature::ECDSA_P256_SHA256_FIXED, &[&[4], &**x, y].concat())
            }
            (Algorithm::Es384, PublicKey::Ec { x, y, .. }) => {
                raw(&signature::ECDSA_P384_SHA384_FIXED, &[&[4], &**x, y].concat())
            }
            (algorithm, PublicKey::Rsa { n, e }) => {
                let parameters = match algorithm {
                    Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
                    Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
                    Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
                    Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
                    Algorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
                    Algorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
                    Algorithm::EdDsa
                    | Algorithm::Es256
                    | Algorithm::Es384
                    | Algorithm::Hs256
                    | Algorithm::Hs384
                    | Algorithm::Hs512 => return Err(KeyError::Malformed),
                };
                RsaPublicKeyComponents { n, e }.to_parsed_public_key(parameters)
            }
            (
                Algorithm::EdDsa
                | Algorithm::Es256
                | Algorithm::Es384
                | Algorithm::Rs256
                | Algorithm::Rs384
                | Algorithm::Rs512
                | Algorithm::Ps256
                | Algorithm::Ps384
                | Algorithm::Ps512
                | Algorithm::Hs256
                | Algorithm::Hs384
                | Algorithm::Hs512,
                PublicKey::Ed { .. } | PublicKey::Ec { .. },
            ) => return Err(KeyError::Malformed),
        };
        parsed.map(Self::Public).map_err(|_| KeyError::Malformed)
    }

    /// A shared secret.
    pub(super) fn shared(algorithm: hmac::Algorithm, secret: &[u8]) -> Self {
        Self::Shared(Box::new(hmac::Key::new(algorithm, secret)))
    }

    /// Whether the key made this signature of the message. The time that it takes says nothing about a secret.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Public(key) => key.verify_sig(message, signature).is_ok(),
            Self::Shared(key) => hmac::verify(key, message, signature).is_ok(),
        }
    }
}
