//! Puts tokens together as a table says.

use std::fmt::Write as _;

use aws_lc_rs::aead::{AES_256_GCM, Aad, RandomizedNonceKey};
use aws_lc_rs::cipher::{AES_128, DecryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

use super::Kind;
use crate::attacks::book::repeated;
use crate::attacks::place::Place;
use crate::support::idp::{Signer, encode, now};

/// The gateway's secret.
pub(super) const SECRET: &str = "a shared secret of 48 bytes, for tests of attacks";

const HEADER: &str = r#"{"alg":"HS256","typ":"at+jwt"}"#;

/// What tokens are made of.
pub(super) struct Mint {
    claims: Map<String, Value>,
    user: String,
    issuer: String,
    canary: u16,
    stranger: Signer,
}

impl Mint {
    /// Makes tokens of a gateway's user, some of which name an address where nobody should ask.
    pub(super) fn of(place: &Place, canary: u16) -> Self {
        let user = &place.user;
        let issuer = place.gateway.config().tokens.issuer;
        let claims = json!({
            "iss": issuer,
            "aud": "doorward",
            "sub": user.id,
            "jti": "0190a000-0000-7000-8000-000000000001",
            "sid": "0190a000-0000-7000-8000-000000000002",
            "gen": 1,
            "iat": now(),
            "exp": now() + 600,
            "email": user.email,
            "name": user.name,
            "roles": [],
        });
        let Value::Object(claims) = claims else { unreachable!() };
        Self {
            claims,
            user: user.id.clone(),
            issuer,
            canary,
            stranger: Signer::new("1", "RS256"),
        }
    }

    /// The token of this kind.
    pub(super) fn token(&self, kind: &Kind) -> String {
        let fill = |text: &Option<String>| text.as_deref().map(|text| self.filled(text, kind.case.as_deref()));
        let header = latin1(&fill(&kind.header).unwrap_or_else(|| HEADER.to_owned()));
        let payload = fill(&kind.payload).unwrap_or_else(|| self.payload(fill(&kind.claim), fill(&kind.value)));
        let payload = latin1(&payload);
        let key = latin1(&fill(&kind.key).unwrap_or_else(|| SECRET.to_owned()));
        let message = format!("{}.{}", encode(&header), encode(&payload));
        let sign = fill(&kind.sign).unwrap_or_else(|| "HS256".to_owned());
        let right = mac(hmac::HMAC_SHA256, &key, &message);
        let signature = match sign.split_once(' ').unwrap_or((&sign, "")) {
            ("HS256", _) => right,
            ("HS384", _) => mac(hmac::HMAC_SHA384, &key, &message),
            ("HS512", _) => mac(hmac::HMAC_SHA512, &key, &message),
            ("nothing", _) => Vec::new(),
            ("kept", _) => self.good().1,
            ("zeros", count) => vec![0; number(count)],
            // r = s = n.
            ("order", _) => N.repeat(2),
            // The identity of edwards25519, and zero.
            ("identity", _) => [&[1][..], &[0; 63]].concat(),
            ("flip", at) => {
                let mut changed = right;
                changed[number(at)] ^= 1;
                changed
            }
            ("first", count) => right[..number(count)].to_vec(),
            ("doubled", _) => right.repeat(2),
            ("respelled", bits) => return format!("{message}.{}", respelled(&encode(right), number(bits))),
            ("stranger", _) => {
                let token = self.stranger.sign_over(&message);
                return format!("{message}.{}", encode(token));
            }
            ("A256GCM", nested) => return self.gcm(if nested.is_empty() { &payload } else { b"" }),
            ("A128CBC-HS256", _) => return cbc(&payload),
            other => panic!("{}: {other:?} is no way to sign", kind.name),
        };
        let Some(token) = &kind.token else {
            return format!("{message}.{}", encode(signature));
        };
        let token = token.replace("{case}", kind.case.as_deref().unwrap_or_default());
        let hex = signature.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        let token = token
            .replace("{h}", &encode(header))
            .replace("{p}", &encode(payload))
            .replace("{s+}", &format!("+{}", &STANDARD.encode(&signature)[1..43]))
            .replace("{s16}", &hex)
            .replace("{s}", &encode(signature));
        match token.strip_prefix("{64 ").and_then(|token| token.strip_suffix('}')) {
            Some(inner) => encode(inner),
            None => repeated(&token),
        }
    }

    /// The good claims as JSON, but for one.
    fn payload(&self, claim: Option<String>, value: Option<String>) -> String {
        let Some(claim) = claim else {
            return Value::Object(self.claims.clone()).to_string();
        };
        let mut claims = self.claims.clone();
        match value {
            None => {
                assert!(claims.remove(&claim).is_some(), "{claim} is no claim of ours");
                Value::Object(claims).to_string()
            }
            Some(value) => {
                claims.insert(claim, json!("@@"));
                Value::Object(claims).to_string().replace("\"@@\"", &value)
            }
        }
    }

    /// A good token, and the bytes of its signature.
    fn good(&self) -> (String, Vec<u8>) {
        let message = format!("{}.{}", encode(HEADER), encode(self.payload(None, None)));
        let signature = mac(hmac::HMAC_SHA256, SECRET.as_bytes(), &message);
        (format!("{message}.{}", encode(&signature)), signature)
    }

    /// A text with what stands between braces in it.
    fn filled(&self, text: &str, case: Option<&str>) -> String {
        let whole = self.payload(None, None);
        let mut text = text.replace("{case}", case.unwrap_or_default());
        let hash: String = digest(&SHA256, SECRET.as_bytes())
            .as_ref()
            .iter()
            .copied()
            .map(char::from)
            .collect();
        for (word, value) in [
            ("{members}", &whole[1..whole.len() - 1]),
            ("{token}", &self.good().0),
            ("{utf16}", &whole.chars().flat_map(|c| [c, '\0']).collect::<String>()),
            ("{user}", &self.user),
            ("{issuer}", &self.issuer),
            ("{canary}", &self.canary.to_string()),
            ("{secret}", SECRET),
            ("{sha256}", &hash),
            ("{base64}", &STANDARD.encode(SECRET)),
            ("{stranger}", &self.stranger.jwk().to_string()),
        ] {
            text = text.replace(word, value);
        }
        for (sign, ahead) in [("+", 1), ("-", -1)] {
            for seconds in [3, 30, 60, 61, 600, 3600, 86_400] {
                let word = format!("{{now{sign}{seconds}}}");
                text = text.replace(&word, &(now() + ahead * seconds).to_string());
            }
        }
        repeated(&text)
    }

    /// A token encrypted with the secret's first bytes: the payload or, without one, a good token.
    fn gcm(&self, payload: &[u8]) -> String {
        let good = self.good().0;
        let (header, text) = match payload {
            [] => (r#"{"alg":"dir","enc":"A256GCM","cty":"JWT"}"#, good.as_bytes()),
            _ => (r#"{"alg":"dir","enc":"A256GCM"}"#, payload),
        };
        let header = encode(header);
        let key = RandomizedNonceKey::new(&AES_256_GCM, &SECRET.as_bytes()[..32]).expect("32 bytes");
        let mut text = text.to_vec();
        let sealed = key.seal_in_place_separate_tag(Aad::from(header.as_bytes()), &mut text);
        let (nonce, tag) = sealed.expect("it can be sealed");
        let (nonce, text, tag) = (encode(nonce.as_ref()), encode(text), encode(tag.as_ref()));
        format!("{header}..{nonce}.{text}.{tag}")
    }
}

/// The order of P-256.
pub(super) const N: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7,
    0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// A payload encrypted with the secret's first bytes (RFC 7518, section 5.2).
fn cbc(payload: &[u8]) -> String {
    let header = encode(r#"{"alg":"dir","enc":"A128CBC-HS256"}"#);
    let (mac_key, key) = SECRET.as_bytes()[..32].split_at(16);
    let key = UnboundCipherKey::new(&AES_128, key).and_then(PaddedBlockEncryptingKey::cbc_pkcs7);
    let mut text = payload.to_vec();
    let context = key.and_then(|key| key.encrypt(&mut text)).expect("it can be encrypted");
    let DecryptionContext::Iv128(iv) = context else {
        unreachable!("CBC has an IV of 128 bits")
    };
    let bits = u64::try_from(header.len() * 8).expect("it is short").to_be_bytes();
    let tagged = [header.as_bytes(), iv.as_ref(), &text, &bits].concat();
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, mac_key), &tagged);
    let (iv, text, tag) = (encode(iv.as_ref()), encode(text), encode(&tag.as_ref()[..16]));
    format!("{header}..{iv}.{text}.{tag}")
}

fn mac(algorithm: hmac::Algorithm, key: &[u8], message: &str) -> Vec<u8> {
    let key = hmac::Key::new(algorithm, key);
    hmac::sign(&key, message.as_bytes()).as_ref().to_vec()
}

/// The same bytes in other letters: the last one has bits that say nothing.
pub(super) fn respelled(text: &str, bits: usize) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (rest, last) = text.split_at(text.len() - 1);
    let at = LETTERS.iter().position(|letter| [*letter] == last.as_bytes());
    let other = char::from(LETTERS[at.expect("it is base64url") ^ bits]);
    let other = format!("{rest}{other}");
    let lenient = base64::engine::GeneralPurpose::new(
        &base64::alphabet::URL_SAFE,
        base64::engine::general_purpose::NO_PAD.with_decode_allow_trailing_bits(true),
    );
    assert_eq!(
        lenient.decode(&other).ok(),
        URL_SAFE_NO_PAD.decode(text).ok(),
        "the same bytes"
    );
    other
}

fn number(text: &str) -> usize {
    text.parse().unwrap_or_else(|_| panic!("{text:?} is no number"))
}

/// A byte for each character, as far as that goes.
fn latin1(text: &str) -> Vec<u8> {
    let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(c).ok()).collect();
    bytes.unwrap_or_else(|| text.as_bytes().to_vec())
}
