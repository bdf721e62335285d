//! One signing key: made, read from its private form, and used. `jsonwebtoken` signs; signatures are verified by the same
//! library with a key that was read once ([`verifying`]).

mod verifying;

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::{self, SystemRandom};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, KeyPair as _, RsaKeyPair,
};
use jsonwebtoken::{EncodingKey, crypto};
use serde_json::json;
use zeroize::Zeroizing;

use super::KeyError;
use super::compact::{Compact, encode};
use super::jwk::PublicKey;
use crate::config::Algorithm;
use crate::id::{KeyDigest, KeyId};
use crate::time::Timestamp;
use verifying::Verifying;

/// Good for 128 bits of security (NIST SP 800-57, part 1, table 2), as the other algorithms are.
const RSA_KEY_SIZE: KeySize = KeySize::Rsa3072;

/// A key that signs and verifies with one algorithm.
#[derive(Clone)]
pub(super) struct Key {
    kid: Option<KeyId>,
    /// By which the key may be revoked; a shared secret never is.
    digest: Option<KeyDigest>,
    algorithm: Algorithm,
    signing: EncodingKey,
    verifying: Verifying,
    /// Bytes of each signature.
    signature_len: usize,
    public: Option<PublicKey>,
    /// SHA-256 of the private form: whether two loads of a key are the same key.
    fingerprint: [u8; 32],
    /// The encoded JOSE header of tokens that this key signs.
    header: String,
    not_before: Timestamp,
    retires_at: Option<Timestamp>,
}

/// Makes the private form of a key: PKCS #8 (RFC 5208), or the secret itself for HS*.
pub(super) fn generate(algorithm: Algorithm) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let rng = SystemRandom::new();
    let ec = |curve| EcdsaKeyPair::generate_pkcs8(curve, &rng).map(|key| key.as_ref().to_vec());
    let secret = |bytes| {
        let mut secret = vec![0; bytes];
        rand::fill(&mut secret).map(|()| secret)
    };
    let private = match algorithm {
        Algorithm::EdDsa => Ed25519KeyPair::generate_pkcs8(&rng).map(|key| key.as_ref().to_vec()),
        Algorithm::Es256 => ec(&ECDSA_P256_SHA256_FIXED_SIGNING),
        Algorithm::Es384 => ec(&ECDSA_P384_SHA384_FIXED_SIGNING),
        Algorithm::Rs256
        | Algorithm::Rs384
        | Algorithm::Rs512
        | Algorithm::Ps256
        | Algorithm::Ps384
        | Algorithm::Ps512 => {
            let key = RsaKeyPair::generate(RSA_KEY_SIZE).map_err(|_| KeyError::Generate)?;
            key.as_der().map(|key: Pkcs8V1Der<'_>| key.as_ref().to_vec())
        }
        // As long as the hash (RFC 7518, section 3.2).
        Algorithm::Hs256 => secret(32),
        Algorithm::Hs384 => secret(48),
        Algorithm::Hs512 => secret(64),
    };
    private.map(Zeroizing::new).map_err(|_| KeyError::Generate)
}

/// What an algorithm makes of a private form.
struct Parts {
    signing: EncodingKey,
    verifying: Verifying,
    signature_len: usize,
    public: Option<PublicKey>,
}

impl Parts {
    /// Of a key with a public half.
    fn new(
        signing: EncodingKey,
        algorithm: Algorithm,
        public: PublicKey,
        signature_len: usize,
    ) -> Result<Self, KeyError> {
        Ok(Self {
            signing,
            verifying: Verifying::public(algorithm, &public)?,
            signature_len,
            public: Some(public),
        })
    }
}

impl Key {
    /// Reads the private form. The public half is worked out from it: what else is stored beside it is not believed.
    pub(super) fn from_private(kid: Option<KeyId>, algorithm: Algorithm, private: &[u8]) -> Result<Self, KeyError> {
        let Parts {
            signing,
            verifying,
            signature_len,
            public,
        } = match algorithm {
            Algorithm::EdDsa => eddsa(private)?,
            Algorithm::Es256 => ecdsa(private, (algorithm, &ECDSA_P256_SHA256_FIXED_SIGNING), "P-256", 32)?,
            Algorithm::Es384 => ecdsa(private, (algorithm, &ECDSA_P384_SHA384_FIXED_SIGNING), "P-384", 48)?,
            Algorithm::Rs256
            | Algorithm::Rs384
            | Algorithm::Rs512
            | Algorithm::Ps256
            | Algorithm::Ps384
            | Algorithm::Ps512 => rsa(private, algorithm)?,
            Algorithm::Hs256 => shared(private, hmac::HMAC_SHA256)?,
            Algorithm::Hs384 => shared(private, hmac::HMAC_SHA384)?,
            Algorithm::Hs512 => shared(private, hmac::HMAC_SHA512)?,
        };
        let mut header = json!({ "alg": algorithm.as_str(), "typ": "at+jwt" });
        if let Some(kid) = &kid {
            header["kid"] = kid.as_str().into();
        }
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest(&SHA256, private).as_ref());
        Ok(Self {
            digest: kid.as_ref().map(KeyId::digest),
            kid,
            algorithm,
            signing,
            verifying,
            signature_len,
            public,
            fingerprint,
            header: encode(header.to_string()),
            not_before: Timestamp::from_unix_ms(0),
            retires_at: None,
        })
    }

    /// The same key, which signs from `not_before` on and is of no use from `retires_at` on.
    pub(super) fn within(self, not_before: Timestamp, retires_at: Option<Timestamp>) -> Self {
        Self {
            not_before,
            retires_at,
            ..self
        }
    }

    /// The name that a new key of this private form gets: its thumbprint, or random for a shared secret, about which
    /// its name must say nothing.
    pub(super) fn name_for(algorithm: Algorithm, private: &[u8]) -> Result<KeyId, KeyError> {
        let nameless = Self::from_private(None, algorithm, private)?;
        let name = if let Some(public) = &nameless.public {
            public.thumbprint()
        } else {
            let mut bytes = [0; 16];
            rand::fill(&mut bytes).map_err(|_| KeyError::Generate)?;
            encode(bytes).parse().ok()
        };
        name.ok_or(KeyError::Generate)
    }

    pub(super) fn kid(&self) -> Option<&KeyId> {
        self.kid.as_ref()
    }

    /// What a revocation of this key names; `None` for one that has no name.
    pub(super) const fn digest(&self) -> Option<KeyDigest> {
        self.digest
    }

    pub(super) const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The encoded header of tokens that this key signs.
    pub(super) fn header(&self) -> &str {
        &self.header
    }

    /// The public key as a JWK; `None` for a shared secret, or for a key without a name.
    pub(super) fn jwk(&self) -> Option<serde_json::Value> {
        self.public
            .as_ref()
            .zip(self.kid())
            .map(|(public, kid)| public.to_jwk(kid, self.algorithm))
    }

    /// Whether [`Self::jwk`] has something to publish.
    pub(super) const fn is_published(&self) -> bool {
        self.public.is_some() && self.kid.is_some()
    }

    /// From when it signs.
    pub(super) const fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// Whether its time is over: it signs and verifies no more.
    pub(super) fn is_retired(&self, now: Timestamp) -> bool {
        self.retires_at.is_some_and(|retired| retired <= now)
    }

    /// Whether it may sign now.
    pub(super) fn is_in_force(&self, now: Timestamp) -> bool {
        self.not_before <= now && !self.is_retired(now)
    }

    /// Whether it verifies all the time until then.
    pub(super) fn outlives(&self, until: Timestamp) -> bool {
        self.retires_at.is_none_or(|retired| retired >= until)
    }

    /// Whether both are the same key for the same use, in the same time.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.kid == other.kid
            && self.algorithm == other.algorithm
            && self.fingerprint == other.fingerprint
            && self.not_before == other.not_before
            && self.retires_at == other.retires_at
    }

    /// The encoded signature of `message`.
    pub(super) fn sign(&self, message: &[u8]) -> Result<String, KeyError> {
        crypto::sign(message, &self.signing, jws(self.algorithm)).map_err(|_| KeyError::Signing)
    }

    /// Whether this key signed the token.
    pub(super) fn verifies(&self, token: &Compact<'_>) -> bool {
        // A signature of any other length is of another algorithm or form (DER in place of r and s, for example).
        token.signature.len() == self.signature_len
            && self.verifying.verifies(token.signed.as_bytes(), &token.signature)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("kid", &self.kid)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

const fn jws(algorithm: Algorithm) -> jsonwebtoken::Algorithm {
    match algorithm {
        Algorithm::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
        Algorithm::Es384 => jsonwebtoken::Algorithm::ES384,
        Algorithm::Rs256 => jsonwebtoken::Algorithm::RS256,
        Algorithm::Rs384 => jsonwebtoken::Algorithm::RS384,
        Algorithm::Rs512 => jsonwebtoken::Algorithm::RS512,
        Algorithm::Ps256 => jsonwebtoken::Algorithm::PS256,
        Algorithm::Ps384 => jsonwebtoken::Algorithm::PS384,
        Algorithm::Ps512 => jsonwebtoken::Algorithm::PS512,
        Algorithm::Hs256 => jsonwebtoken::Algorithm::HS256,
        Algorithm::Hs384 => jsonwebtoken::Algorithm::HS384,
        Algorithm::Hs512 => jsonwebtoken::Algorithm::HS512,
    }
}

fn eddsa(private: &[u8]) -> Result<Parts, KeyError> {
    let pair = Ed25519KeyPair::from_pkcs8(private).map_err(|_| KeyError::Malformed)?;
    let public = PublicKey::Ed {
        x: pair.public_key().as_ref().to_vec(),
    };
    Parts::new(EncodingKey::from_ed_der(private), Algorithm::EdDsa, public, 64)
}

fn ecdsa(
    private: &[u8],
    (algorithm, signing): (Algorithm, &'static EcdsaSigningAlgorithm),
    curve: &'static str,
    coordinate: usize,
) -> Result<Parts, KeyError> {
    let pair = EcdsaKeyPair::from_pkcs8(signing, private).map_err(|_| KeyError::Malformed)?;
    let point = pair.public_key().as_ref();
    // The uncompressed form of SEC 1, section 2.3.3: 04, then both coordinates.
    let [4, coordinates @ ..] = point else {
        return Err(KeyError::Malformed);
    };
    let (x, y) = coordinates.split_at_checked(coordinate).ok_or(KeyError::Malformed)?;
    let public = PublicKey::Ec {
        curve,
        x: x.to_vec(),
        y: y.to_vec(),
    };
    Parts::new(EncodingKey::from_ec_der(private), algorithm, public, 2 * coordinate)
}

fn rsa(private: &[u8], algorithm: Algorithm) -> Result<Parts, KeyError> {
    let pair = RsaKeyPair::from_pkcs8(private).map_err(|_| KeyError::Malformed)?;
    let n = pair.public_key().modulus().big_endian_without_leading_zero().to_vec();
    let e = pair.public_key().exponent().big_endian_without_leading_zero().to_vec();
    let signing = EncodingKey::from_rsa_der(rsa_private_key(private).ok_or(KeyError::Malformed)?);
    Parts::new(signing, algorithm, PublicKey::Rsa { n, e }, pair.public_modulus_len())
}

/// A secret shorter than the hash is refused (RFC 7518, section 3.2), an empty one above all.
fn shared(secret: &[u8], algorithm: hmac::Algorithm) -> Result<Parts, KeyError> {
    let hash_len = algorithm.tag_len();
    if secret.len() < hash_len {
        return Err(KeyError::Malformed);
    }
    Ok(Parts {
        signing: EncodingKey::from_secret(secret),
        verifying: Verifying::shared(algorithm, secret),
        signature_len: hash_len,
        public: None,
    })
}

/// The `RSAPrivateKey` (RFC 8017, appendix A.1.2) within a PKCS #8 `PrivateKeyInfo` that has been parsed before:
/// jsonwebtoken signs with that.
fn rsa_private_key(pkcs8: &[u8]) -> Option<&[u8]> {
    let (info, _) = der(0x30, pkcs8)?;
    let (_version, info) = der(0x02, info)?;
    let (_algorithm, info) = der(0x30, info)?;
    der(0x04, info).map(|(private, _)| private)
}

/// The content of a DER value with this tag, and what follows it.
fn der(tag: u8, input: &[u8]) -> Option<(&[u8], &[u8])> {
    let [found, first, rest @ ..] = input else { return None };
    let (len, rest) = match *first {
        short @ 0..=0x7f => (usize::from(short), rest),
        long @ (0x81 | 0x82) => {
            let (len, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
            (len.iter().fold(0, |len, byte| len << 8 | usize::from(*byte)), rest)
        }
        0x80 | 0x83..=0xff => return None,
    };
    if *found == tag {
        rest.split_at_checked(len)
    } else {
        None
    }
}
