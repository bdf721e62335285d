//! The compact serialisation of a JWS (RFC 7515, section 7.1), split and decoded.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{MAX_TOKEN_BYTES, Reason};

/// A token taken apart. Nothing in it is verified yet.
pub(super) struct Compact<'a> {
    /// The header as sent.
    pub(super) protected: &'a str,
    /// The header, decoded.
    pub(super) header: Vec<u8>,
    /// The payload, decoded.
    pub(super) payload: Vec<u8>,
    /// What the signature is over: the first two parts as sent.
    pub(super) signed: &'a str,
    /// The signature, decoded.
    pub(super) signature: Vec<u8>,
}

impl<'a> Compact<'a> {
    /// Takes a token apart: exactly three non-empty parts, each in the one spelling that its bytes have.
    pub(super) fn parse(token: &'a str) -> Result<Self, Reason> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Reason::TooLong);
        }
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Reason::NotThreeParts);
        };
        if header.is_empty() || payload.is_empty() || signature.is_empty() {
            return Err(Reason::NotThreeParts);
        }
        Ok(Self {
            protected: header,
            header: decode(header)?,
            payload: decode(payload)?,
            signed: &token[..header.len() + 1 + payload.len()],
            signature: decode(signature)?,
        })
    }
}

/// This engine refuses padding and trailing bits that are not zero, so no two texts decode to the same bytes.
pub(super) fn decode(part: &str) -> Result<Vec<u8>, Reason> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Reason::Base64)
}

/// base64url without padding.
pub(super) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn three_parts_are_taken_apart() {
        let compact = Compact::parse("e30.AAE.AAEC").unwrap();
        assert_eq!(compact.header, b"{}");
        assert_eq!(compact.payload, [0, 1]);
        assert_eq!((compact.protected, compact.signed), ("e30", "e30.AAE"));
        assert_eq!(compact.signature, [0, 1, 2]);
    }

    #[test]
    fn another_number_of_parts_is_refused() {
        for bad in [
            "",
            ".",
            "..",
            "...",
            "e30",
            "e30.e30",
            "e30.e30.",
            ".e30.e30",
            "e30..e30",
            "e30.e30.AA.",
            "a.b.c.d.e",
        ] {
            assert_eq!(Compact::parse(bad).err(), Some(Reason::NotThreeParts), "{bad}");
        }
    }

    #[test]
    fn a_second_spelling_of_the_same_bytes_is_refused() {
        // "AAE" is 00 01 with the two last bits zero; AAF, AAG and AAH differ only in those.
        for bad in [
            "AAF", "AAG", "AAH", "AAE=", "AA==", "AAE%3D", "AAE\n", " AAE", "A", "+/+/", "AA A", "ＡＡ",
        ] {
            assert_eq!(
                Compact::parse(&format!("e30.e30.{bad}")).err(),
                Some(Reason::Base64),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn a_token_over_the_limit_is_refused_unread() {
        let long = "A".repeat(MAX_TOKEN_BYTES + 1);
        assert_eq!(Compact::parse(&long).err(), Some(Reason::TooLong));
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in "\\PC{0,60}|[A-Za-z0-9_.=-]{0,200}") {
            let _ = Compact::parse(&text);
        }

        #[test]
        fn bytes_have_one_spelling(
            bytes in proptest::collection::vec(any::<u8>(), 1..80),
            other in "[A-Za-z0-9_-]{1,107}",
        ) {
            let text = encode(&bytes);
            prop_assert_eq!(decode(&text), Ok(bytes.clone()));
            prop_assert!(decode(&other) != Ok(bytes) || other == text);
        }
    }
}
