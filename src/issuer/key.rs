//! [`IssuerKey`]: one public key of an issuer, with the one algorithm that it is used with.

use std::fmt;

use aws_lc_rs::signature::{self, EcdsaVerificationAlgorithm, ParsedPublicKey, RsaParameters, RsaPublicKeyComponents};

use crate::config::Algorithm;

/// The sizes of a modulus that are taken, in bits: less can be factored (NIST SP 800-131A), more costs too much to verify.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The least public exponent that FIPS 186-5, section A.1.1, allows: a power of two more than 16, plus one.
const LEAST_RSA_EXPONENT: u64 = 65_537;

/// A public key, and the one algorithm that it verifies here.
pub struct IssuerKey {
    kid: Option<Box<str>>,
    algorithm: Algorithm,
    material: Material,
    parsed: ParsedPublicKey,
}

/// What a public key consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Material {
    /// Ed25519: 32 bytes.
    Ed25519(Vec<u8>),
    /// A point on the curve of this name.
    Ec {
        curve: Curve,
        /// Both coordinates, in full length.
        x: Vec<u8>,
        y: Vec<u8>,
    },
    /// Modulus and exponent, big-endian.
    Rsa { n: Vec<u8>, e: Vec<u8> },
}

/// The curves of ES256 and ES384.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
}

impl Curve {
    const fn coordinate_bytes(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
        }
    }
}

/// Why a key is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WeakKey {
    /// It is of another kind than the algorithm's.
    #[error("not a key for this algorithm")]
    Kind,
    /// The modulus is not one of 2048 to 8192 bits.
    #[error("an RSA modulus of {0} bits; 2048 to 8192 are accepted")]
    Modulus(usize),
    /// The exponent is even, less than 65537, or longer than any is.
    #[error("an RSA exponent that is even, less than 65537 or too long")]
    Exponent,
    /// It is not a point on its curve, or not a number of its length.
    #[error("not a valid public key")]
    Malformed,
}

impl IssuerKey {
    /// A key for this algorithm, once it is known to be good for it.
    pub(super) fn new(kid: Option<&str>, algorithm: Algorithm, material: Material) -> Result<Self, WeakKey> {
        Ok(Self {
            kid: kid.map(Into::into),
            algorithm,
            parsed: parse(algorithm, &material)?,
            material,
        })
    }

    /// Its `kid`.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The one algorithm that it is used with.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether both are the same key for the same use.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.kid == other.kid && self.algorithm == other.algorithm && self.material == other.material
    }

    /// Whether this key made the signature of the message.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.parsed.verify_sig(message, signature).is_ok()
    }
}

impl fmt::Debug for IssuerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuerKey")
            .field("kid", &self.kid)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

fn parse(algorithm: Algorithm, material: &Material) -> Result<ParsedPublicKey, WeakKey> {
    use Algorithm as A;
    match (algorithm, material) {
        (A::EdDsa, Material::Ed25519(x)) if x.len() == 32 => {
            ParsedPublicKey::new(&signature::ED25519, x).map_err(|_| WeakKey::Malformed)
        }
        (A::EdDsa, Material::Ed25519(_)) => Err(WeakKey::Malformed),
        (
            A::Es256,
            Material::Ec {
                curve: curve @ Curve::P256,
                x,
                y,
            },
        ) => point(&signature::ECDSA_P256_SHA256_FIXED, *curve, x, y),
        (
            A::Es384,
            Material::Ec {
                curve: curve @ Curve::P384,
                x,
                y,
            },
        ) => point(&signature::ECDSA_P384_SHA384_FIXED, *curve, x, y),
        (A::Rs256, Material::Rsa { n, e }) => rsa(&signature::RSA_PKCS1_2048_8192_SHA256, n, e),
        (A::Rs384, Material::Rsa { n, e }) => rsa(&signature::RSA_PKCS1_2048_8192_SHA384, n, e),
        (A::Rs512, Material::Rsa { n, e }) => rsa(&signature::RSA_PKCS1_2048_8192_SHA512, n, e),
        (A::Ps256, Material::Rsa { n, e }) => rsa(&signature::RSA_PSS_2048_8192_SHA256, n, e),
        (A::Ps384, Material::Rsa { n, e }) => rsa(&signature::RSA_PSS_2048_8192_SHA384, n, e),
        (A::Ps512, Material::Rsa { n, e }) => rsa(&signature::RSA_PSS_2048_8192_SHA512, n, e),
        (
            A::EdDsa
            | A::Es256
            | A::Es384
            | A::Rs256
            | A::Rs384
            | A::Rs512
            | A::Ps256
            | A::Ps384
            | A::Ps512
            | A::Hs256
            | A::Hs384
            | A::Hs512,
            Material::Ed25519(_) | Material::Ec { .. } | Material::Rsa { .. },
        ) => Err(WeakKey::Kind),
    }
}

/// The library refuses what is not on the curve.
fn point(
    algorithm: &'static EcdsaVerificationAlgorithm,
    curve: Curve,
    x: &[u8],
    y: &[u8],
) -> Result<ParsedPublicKey, WeakKey> {
    let length = curve.coordinate_bytes();
    if x.len() != length || y.len() != length {
        return Err(WeakKey::Malformed);
    }
    // The uncompressed form of SEC 1, section 2.3.3.
    let point = [&[4], x, y].concat();
    ParsedPublicKey::new(algorithm, point).map_err(|_| WeakKey::Malformed)
}

fn rsa(parameters: &'static RsaParameters, n: &[u8], e: &[u8]) -> Result<ParsedPublicKey, WeakKey> {
    let strip = |number: &[u8]| -> Vec<u8> { number.iter().copied().skip_while(|byte| *byte == 0).collect() };
    // RFC 7518, section 6.3.1.1, forbids leading zeros, and some issuers write one all the same: the number is what counts.
    let (n, e) = (strip(n), strip(e));
    let bits = n
        .first()
        .map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
    if !RSA_BITS.contains(&bits) {
        return Err(WeakKey::Modulus(bits));
    }
    if n.last().is_none_or(|last| last % 2 == 0) {
        return Err(WeakKey::Malformed);
    }
    // The library takes exponents of at most 33 bits.
    let exponent = e.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    if e.len() > 5 || exponent < LEAST_RSA_EXPONENT || exponent % 2 == 0 {
        return Err(WeakKey::Exponent);
    }
    let components = RsaPublicKeyComponents { n, e };
    components
        .to_parsed_public_key(parameters)
        .map_err(|_| WeakKey::Malformed)
}
