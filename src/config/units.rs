//! Durations (`"15m"`, `"1h30m"`) and sizes (`"1MiB"`) as people write them, read and written back.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de::Error};

/// The units of a duration in milliseconds, from the largest to the smallest.
const TIME: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// The units of a size in bytes: the decimal ones of SI and the binary ones of IEC 80000-13.
const SIZE: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1000),
    ("B", 1),
];

/// The word for a size without a limit.
pub(super) const UNLIMITED: &str = "unlimited";

/// Reads a duration: whole numbers, each with a unit, the larger unit first, no unit twice.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total: u64 = 0;
    let mut units = TIME.as_slice();
    while !rest.is_empty() {
        let (number, after) = split_number(rest)?;
        let end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, next) = after.split_at(end);
        let index = units.iter().position(|(name, _)| *name == unit)?;
        total = total.checked_add(number.checked_mul(units[index].1)?)?;
        units = &units[index + 1..];
        rest = next;
    }
    (!text.is_empty()).then(|| Duration::from_millis(total))
}

/// Reads a size: a whole number and a unit; a number alone is bytes.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    let (number, unit) = split_number(text)?;
    if unit.is_empty() {
        return Some(number);
    }
    let (_, factor) = SIZE.iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(*factor)
}

fn split_number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((digits.parse().ok()?, rest))
}

/// Writes a duration so that [`parse_duration`] reads it back.
pub(super) fn show_duration(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut parts = Vec::new();
    for (unit, factor) in TIME {
        let count = rest / factor;
        rest %= factor;
        if count > 0 {
            parts.push(format!("{count}{unit}"));
        }
    }
    if parts.is_empty() {
        "0s".to_owned()
    } else {
        parts.concat()
    }
}

/// Writes a size with the largest binary unit that divides it, so that [`parse_size`] reads it back.
pub(super) fn show_size(bytes: u64) -> String {
    let unit = SIZE
        .iter()
        .filter(|(name, _)| name.len() == 3)
        .find(|(_, factor)| bytes > 0 && bytes.is_multiple_of(*factor));
    match unit {
        Some((name, factor)) => format!("{}{name}", bytes / factor),
        None => format!("{bytes}B"),
    }
}

/// serde: a duration.
pub(super) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    parse_duration(&String::deserialize(deserializer)?).ok_or_else(|| D::Error::custom("not a duration"))
}

/// serde: a duration that need not be there.
pub(super) fn optional_duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    duration(deserializer).map(Some)
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Bytes(u64),
    Text(String),
}

/// A size, or no limit.
#[derive(Clone, Copy)]
pub(super) struct Limit(pub(super) Option<u64>);

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Written::deserialize(deserializer)? {
            Written::Bytes(bytes) => Ok(Self(Some(bytes))),
            Written::Text(text) if text == UNLIMITED => Ok(Self(None)),
            Written::Text(text) => match parse_size(&text) {
                Some(bytes) => Ok(Self(Some(bytes))),
                None => Err(D::Error::custom("not a size")),
            },
        }
    }
}

/// serde: a size, as a string or as a number of bytes.
pub(super) fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let Limit(bytes) = Limit::deserialize(deserializer)?;
    bytes.ok_or_else(|| D::Error::custom("not a size"))
}

/// serde: a size that need not be there.
pub(super) fn optional_size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    size(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_duration_has_units() {
        for (text, ms) in [
            ("0s", 0),
            ("500ms", 500),
            ("15m", 900_000),
            ("1h30m", 5_400_000),
            ("7d", 604_800_000),
            ("1d2h3m4s5ms", 93_784_005),
        ] {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(ms)), "{text}");
        }
        for bad in [
            "",
            "0",
            "15",
            "m",
            "15 m",
            "1.5h",
            "-1s",
            "30m1h",
            "1h1h",
            "1w",
            "1S",
            "s1",
            "99999999999999999999s",
            "18446744073709551615d",
            "1h ",
            "１s",
        ] {
            assert_eq!(parse_duration(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_size_has_a_unit_or_is_bytes() {
        for (text, bytes) in [
            ("0", 0),
            ("10B", 10),
            ("1KB", 1000),
            ("1KiB", 1024),
            ("2MB", 2_000_000),
            ("1MiB", 1 << 20),
            ("3GB", 3_000_000_000),
            ("4GiB", 4 << 30),
        ] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for bad in [
            "",
            "MiB",
            "1 MiB",
            "1mib",
            "1.5MiB",
            "-1",
            "1M",
            "1K",
            "99999999999GiB",
            "1MiB1KiB",
        ] {
            assert_eq!(parse_size(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(ms in 0..1_000_000_000_000_u64, bytes: u64) {
            let duration = Duration::from_millis(ms);
            prop_assert_eq!(parse_duration(&show_duration(duration)), Some(duration));
            prop_assert_eq!(parse_size(&show_size(bytes)), Some(bytes));
        }

        #[test]
        fn no_text_makes_the_readers_panic(text in ".{0,40}|[0-9dhms]{0,30}|[0-9KMGiB]{0,30}") {
            let _ = (parse_duration(&text), parse_size(&text));
        }
    }
}
