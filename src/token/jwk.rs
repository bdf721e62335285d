//! Public keys as JWKs (RFC 7517, RFC 7518, RFC 8037) and their thumbprints (RFC 7638).

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Map, Value, json};

use super::compact::encode;
use crate::config::Algorithm;
use crate::id::KeyId;

/// A public key, ready to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PublicKey {
    /// Ed25519.
    Ed {
        /// The 32 bytes of the key.
        x: Vec<u8>,
    },
    /// A point on P-256 or P-384.
    Ec {
        /// `P-256` or `P-384`.
        curve: &'static str,
        /// The first coordinate, in full length.
        x: Vec<u8>,
        /// The second coordinate, in full length.
        y: Vec<u8>,
    },
    /// RSA.
    Rsa {
        /// The modulus, big-endian, without leading zeros.
        n: Vec<u8>,
        /// The exponent, big-endian, without leading zeros.
        e: Vec<u8>,
    },
}

impl PublicKey {
    /// The members that RFC 7638, section 3.2, hashes.
    fn required_members(&self) -> Map<String, Value> {
        let members = match self {
            Self::Ed { x } => json!({ "crv": "Ed25519", "kty": "OKP", "x": encode(x) }),
            Self::Ec { curve, x, y } => json!({ "crv": curve, "kty": "EC", "x": encode(x), "y": encode(y) }),
            Self::Rsa { n, e } => json!({ "e": encode(e), "kty": "RSA", "n": encode(n) }),
        };
        match members {
            Value::Object(members) => members,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
        }
    }

    /// The SHA-256 thumbprint: a name that follows from the key, so that no two keys share one.
    pub(super) fn thumbprint(&self) -> Option<KeyId> {
        let mut names: Vec<(String, Value)> = self.required_members().into_iter().collect();
        // In lexicographic order, whatever map serde_json was built with.
        names.sort_by(|(a, _), (b, _)| a.cmp(b));
        let members: Vec<String> = names
            .iter()
            .map(|(name, value)| format!("\"{name}\":{value}"))
            .collect();
        let text = format!("{{{}}}", members.join(","));
        encode(digest(&SHA256, text.as_bytes())).parse().ok()
    }

    /// The JWK, with what it is for and the one algorithm it may be used with.
    pub(super) fn to_jwk(&self, kid: &KeyId, algorithm: Algorithm) -> Value {
        let mut members = self.required_members();
        members.insert("use".into(), "sig".into());
        members.insert("alg".into(), algorithm.as_str().into());
        members.insert("kid".into(), kid.as_str().into());
        Value::Object(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    #[test]
    fn the_thumbprint_is_that_of_rfc_7638_section_3_1() {
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJE\
                 CPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2Q\
                 vzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6\
                 WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let key = PublicKey::Rsa {
            n: URL_SAFE_NO_PAD.decode(n).unwrap(),
            e: vec![1, 0, 1],
        };
        assert_eq!(
            key.thumbprint().unwrap().as_str(),
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
        );
    }

    #[test]
    fn the_thumbprint_is_that_of_rfc_8037_appendix_a_3() {
        let x = URL_SAFE_NO_PAD
            .decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
            .unwrap();
        let key = PublicKey::Ed { x };
        assert_eq!(
            key.thumbprint().unwrap().as_str(),
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
        );
    }
}
