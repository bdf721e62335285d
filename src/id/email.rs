//! [`Email`]: an address in the one spelling by which a user is known.

use std::fmt;
use std::str::FromStr;

use icu_normalizer::ComposingNormalizerBorrowed;
use serde::{Serialize, Serializer};

/// The longest text that is looked at, in bytes: 64 for the local part, the `@`, 255 for the domain (RFC 5321, section
/// 4.5.3.1). What IDNA does with a domain takes time that grows faster than its length.
const MAX_RAW: usize = 320;

/// An e-mail address, normalised: trimmed, the local part composed (NFC) and lower-cased, the domain in lower-case ASCII
/// (IDNA, UTS 46).
///
/// At most 254 bytes (RFC 5321, section 4.5.3.1.3), the local part at most 64. Quoted local parts and address literals
/// are not accepted: no sign-up form takes them, and they open doors to header tricks.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Email(Box<str>);

/// A text that is not an e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an e-mail address")]
pub struct InvalidEmail;

impl Email {
    /// The normalised address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the `@`.
    #[must_use]
    pub fn local(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(local, _)| local)
    }
}

impl FromStr for Email {
    type Err = InvalidEmail;

    fn from_str(raw: &str) -> Result<Self, InvalidEmail> {
        let raw = raw.trim();
        if raw.len() > MAX_RAW {
            return Err(InvalidEmail);
        }
        let (local, domain) = raw.rsplit_once('@').ok_or(InvalidEmail)?;
        let local = fold(local);
        let domain = idna::domain_to_ascii_strict(domain).map_err(|_| InvalidEmail)?;
        if !is_dot_atom(&local) || local.len() > 64 || !is_domain(&domain) {
            return Err(InvalidEmail);
        }
        let address = format!("{local}@{domain}");
        if address.len() > 254 {
            Err(InvalidEmail)
        } else {
            Ok(Self(address.into()))
        }
    }
}

/// One spelling for all that people take for the same: composed, and without case. Each character by itself: as a text,
/// a capital sigma would become one of two, by what stands around it.
fn fold(local: &str) -> String {
    let nfc = ComposingNormalizerBorrowed::new_nfc();
    let lower: String = nfc
        .normalize(local)
        .chars()
        .flat_map(char::to_lowercase)
        .map(|c| if c == 'ς' { 'σ' } else { c })
        .collect();
    // A lower-case letter may compose with a mark where its capital did not.
    nfc.normalize(&lower).into_owned()
}

/// `dot-atom-text` of RFC 5322, section 3.2.3, and the letters and digits beyond ASCII of RFC 6531, section 3.3.
fn is_dot_atom(local: &str) -> bool {
    local.split('.').all(|atom| {
        !atom.is_empty()
            && atom
                .chars()
                .all(|c| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c))
    })
}

/// A domain with at least two labels, the last of which is not a number (that would be an IPv4 address).
fn is_domain(domain: &str) -> bool {
    let labels: Vec<&str> = domain.split('.').collect();
    labels.len() >= 2
        && labels.iter().all(|label| {
            (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        })
        && labels
            .last()
            .is_some_and(|top| !top.bytes().all(|b| b.is_ascii_digit()))
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Email {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_address_is_normalised() {
        for (raw, normal) in [
            ("  Ann@Example.COM ", "ann@example.com"),
            ("ann+tag@example.com", "ann+tag@example.com"),
            ("jörg@BÜCHER.example", "jörg@xn--bcher-kva.example"),
            ("O'Neil@mail.example", "o'neil@mail.example"),
            ("jo\u{308}rg@example.com", "j\u{f6}rg@example.com"),
            ("JO\u{308}RG@example.com", "j\u{f6}rg@example.com"),
            ("ΟΔΥΣΣΕΥΣ@example.com", "οδυσσευσ@example.com"),
            ("οδυσσευς@example.com", "οδυσσευσ@example.com"),
        ] {
            assert_eq!(raw.parse::<Email>().unwrap().as_str(), normal);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long = format!("{}@example.com", "a".repeat(65));
        for bad in [
            "",
            "@",
            "ann",
            "ann@",
            "@example.com",
            "ann@example",
            "ann@@example.com",
            "a b@example.com",
            "a..b@example.com",
            ".a@example.com",
            "a.@example.com",
            "ann@exa mple.com",
            "ann@example..com",
            "ann@-example.com",
            "ann@127.0.0.1",
            "ann@[127.0.0.1]",
            "\"a b\"@example.com",
            "ann@example.com\r\nX: y",
            "a\0b@example.com",
            "ann@exam_ple.com",
            "ann,bob@example.com",
            "<ann@example.com>",
            &long,
        ] {
            assert_eq!(bad.parse::<Email>(), Err(InvalidEmail), "{bad:?}");
        }
    }

    #[test]
    fn a_text_longer_than_any_address_is_refused_before_its_domain_is_looked_at() {
        // IDNA ignores soft hyphens: these are short addresses, written at length.
        let padded = |hyphens: usize| format!("ann@example{}.com", "\u{ad}".repeat(hyphens));
        assert_eq!(padded(152).len(), 319);
        assert_eq!(padded(152).parse::<Email>().unwrap().as_str(), "ann@example.com");
        assert_eq!(padded(153).parse::<Email>(), Err(InvalidEmail));
    }

    proptest! {
        #[test]
        fn normalising_twice_changes_nothing(raw in "([a-zA-Zäß.+]{1,12}|[\\pL\u{300}-\u{345}]{1,8})@[a-zA-Zü]{1,8}\\.(com|DE|example)") {
            if let Ok(email) = raw.parse::<Email>() {
                prop_assert_eq!(email.as_str().parse::<Email>().unwrap(), email);
            }
        }

        #[test]
        fn no_accepted_address_holds_a_control_character_or_space(raw in "\\PC{0,20}@\\PC{0,20}|.{0,30}") {
            if let Ok(email) = raw.parse::<Email>() {
                prop_assert!(!email.as_str().chars().any(|c| c.is_control() || c.is_whitespace()));
            }
        }
    }
}
