//! [`Line`]: a line as `tracing_subscriber` would write it, byte for byte, without its machinery: as JSON or as text without
//! colours.

use std::fmt::{self, Display, Write as _};
use std::io::Write as _;
use std::net::IpAddr;
use std::time::Duration;

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// For people, without colours.
    Text,
    /// One object a line.
    Json,
}

/// A line in the making. The names of fields and the message are the program's own: they need no escape.
#[derive(Debug)]
pub struct Line<'a> {
    shape: Shape,
    bytes: &'a mut Vec<u8>,
}

impl<'a> Line<'a> {
    pub(super) fn begin(shape: Shape, bytes: &'a mut Vec<u8>, time: &str, target: &str, message: &str) -> Self {
        let parts = match shape {
            Shape::Text => [time, "  INFO ", target, ": ", message, ""],
            Shape::Json => [
                "{\"timestamp\":\"",
                time,
                "\",\"level\":\"INFO\",\"message\":\"",
                message,
                "\"",
                "",
            ],
        };
        for part in parts {
            bytes.extend_from_slice(part.as_bytes());
        }
        Self { shape, bytes }
    }

    pub(super) fn end(self, target: &str) {
        match self.shape {
            Shape::Text => self.bytes.push(b'\n'),
            Shape::Json => {
                for part in [",\"target\":\"", target, "\"}\n"] {
                    self.bytes.extend_from_slice(part.as_bytes());
                }
            }
        }
    }

    fn name(&mut self, name: &str) {
        let (before, after) = match self.shape {
            Shape::Text => (" ", "="),
            Shape::Json => (",\"", "\":"),
        };
        for part in [before, name, after] {
            self.bytes.extend_from_slice(part.as_bytes());
        }
    }

    /// A text, whatever is in it: between quotes, with escapes.
    pub fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        match self.shape {
            Shape::Text
                if value
                    .bytes()
                    .all(|byte| is_plain(byte) && byte.is_ascii() && byte != 0x7F) =>
            {
                self.quoted(value);
            }
            // Into memory, which does not fail.
            Shape::Text => drop(write!(self.bytes, "{value:?}")),
            Shape::Json => {
                self.bytes.push(b'"');
                escape(self.bytes, value);
                self.bytes.push(b'"');
            }
        }
    }

    fn quoted(&mut self, value: &str) {
        self.bytes.push(b'"');
        self.bytes.extend_from_slice(value.as_bytes());
        self.bytes.push(b'"');
    }

    /// What a value shows of itself: without quotes in a text, where it has to be one word by itself.
    pub fn shown(&mut self, name: &str, value: impl Display) {
        self.name(name);
        match self.shape {
            Shape::Text => drop(write!(self.bytes, "{value}")),
            Shape::Json => {
                self.bytes.push(b'"');
                let _ = write!(Escaped(self.bytes), "{value}");
                self.bytes.push(b'"');
            }
        }
    }

    /// An address. One of version 4, as most are, without the machinery that can pad and align.
    pub fn address(&mut self, name: &str, address: IpAddr) {
        let IpAddr::V4(address) = address else {
            return self.shown(name, address);
        };
        self.name(name);
        let quote: &[u8] = if self.shape == Shape::Json { b"\"" } else { b"" };
        self.bytes.extend_from_slice(quote);
        for (index, octet) in address.octets().into_iter().enumerate() {
            if index > 0 {
                self.bytes.push(b'.');
            }
            decimal(self.bytes, u64::from(octet));
        }
        self.bytes.extend_from_slice(quote);
    }

    /// A number.
    pub fn number(&mut self, name: &str, value: u64) {
        self.name(name);
        decimal(self.bytes, value);
    }

    /// How long something took, in milliseconds with up to three decimals.
    pub fn milliseconds(&mut self, name: &str, took: Duration) {
        self.name(name);
        let micros = took.as_secs().saturating_mul(1_000_000) + u64::from((took.subsec_nanos() + 500) / 1000);
        decimal(self.bytes, micros / 1000);
        self.bytes.push(b'.');
        let rest = micros % 1000;
        match (rest % 10, rest % 100) {
            (_, 0) => decimal(self.bytes, rest / 100),
            (0, _) => self.padded(rest / 10, 10),
            (_, _) => self.padded(rest, 100),
        }
    }

    /// A number below ten times `first`, with as many digits as that.
    fn padded(&mut self, number: u64, first: u64) {
        let mut digit = first;
        while digit > number.max(1) {
            self.bytes.push(b'0');
            digit /= 10;
        }
        decimal(self.bytes, number);
    }

    /// Yes or no.
    pub fn truth(&mut self, name: &str, value: bool) {
        self.name(name);
        self.bytes.extend_from_slice(if value { b"true" } else { b"false" });
    }
}

/// Escapes what is written, as between the quotes of a JSON string.
struct Escaped<'a>(&'a mut Vec<u8>);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escape(self.0, text);
        Ok(())
    }
}

/// Whether a byte stands for itself between quotes.
const fn is_plain(byte: u8) -> bool {
    byte >= 0x20 && byte != b'"' && byte != b'\\'
}

/// RFC 8259, section 7: quotes, backslashes and control characters, the short escapes where there are any.
fn escape(bytes: &mut Vec<u8>, text: &str) {
    let mut rest = text.as_bytes();
    // The usual text needs none: looked at without a way out in the middle, which takes many bytes at a time.
    if rest.iter().fold(true, |plain, byte| plain & is_plain(*byte)) {
        return bytes.extend_from_slice(rest);
    }
    while let Some(at) = rest.iter().position(|byte| !is_plain(*byte)) {
        let (plain, others) = rest.split_at(at);
        bytes.extend_from_slice(plain);
        let Some((byte, others)) = others.split_first() else {
            break;
        };
        let short = match byte {
            b'"' | b'\\' => *byte,
            0x08 => b'b',
            b'\t' => b't',
            b'\n' => b'n',
            0x0C => b'f',
            b'\r' => b'r',
            _ => b'u',
        };
        bytes.extend_from_slice(&[b'\\', short]);
        if short == b'u' {
            // Below 0x20.
            let digit = |value: u8| b"0123456789abcdef"[usize::from(value & 15)];
            bytes.extend_from_slice(&[b'0', b'0', digit(byte >> 4), digit(*byte)]);
        }
        rest = others;
    }
    bytes.extend_from_slice(rest);
}

fn decimal(bytes: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b"0123456789"[usize::try_from(number % 10).unwrap_or(0)];
        number /= 10;
        if number == 0 {
            break;
        }
    }
    bytes.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(shape: Shape, fields: impl FnOnce(&mut Line<'_>)) -> String {
        let mut bytes = Vec::new();
        let mut line = Line::begin(shape, &mut bytes, "T", "a::b", "it was");
        fields(&mut line);
        line.end("a::b");
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_line_begins_with_its_time_and_ends_with_its_end() {
        let fields = |line: &mut Line<'_>| {
            line.text("t", "a \"b\"\n");
            line.shown("s", "x=y");
            line.number("n", 1027);
            line.truth("b", true);
            line.milliseconds("ms", Duration::from_nanos(12_340_499));
        };
        assert_eq!(
            line(Shape::Json, fields),
            "{\"timestamp\":\"T\",\"level\":\"INFO\",\"message\":\"it was\",\"t\":\"a \\\"b\\\"\\n\",\"s\":\"x=y\",\"n\":1027,\
             \"b\":true,\"ms\":12.34,\"target\":\"a::b\"}\n"
        );
        assert_eq!(
            line(Shape::Text, fields),
            "T  INFO a::b: it was t=\"a \\\"b\\\"\\n\" s=x=y n=1027 b=true ms=12.34\n"
        );
    }

    proptest! {
        #[test]
        fn json_says_what_was_said(text in any::<String>(), shown in any::<String>(), number: u64) {
            let line = line(Shape::Json, |line| {
                line.text("text", &text);
                line.shown("shown", &shown);
                line.number("number", number);
            });
            prop_assert_eq!(line.matches('\n').count(), 1);
            let read: serde_json::Value = serde_json::from_str(&line).unwrap();
            prop_assert_eq!(read["text"].as_str(), Some(&*text));
            prop_assert_eq!(read["shown"].as_str(), Some(&*shown));
            prop_assert_eq!(read["number"].as_u64(), Some(number));
            prop_assert!(line.contains(&serde_json::to_string(&text).unwrap()), "{}", line);
        }

        #[test]
        fn an_address_is_written_as_it_is_shown(address: IpAddr, json: bool) {
            let shape = if json { Shape::Json } else { Shape::Text };
            let written = line(shape, |line| line.address("a", address));
            prop_assert_eq!(written, line(shape, |line| line.shown("a", address)));
        }

        #[test]
        fn a_duration_is_the_number_that_it_was(micros in 0_u64..1_000_000_000_000) {
            let took = Duration::from_micros(micros);
            let line = line(Shape::Text, |line| line.milliseconds("ms", took));
            #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
            let expected = format!(" ms={:?}\n", micros as f64 / 1e3);
            prop_assert!(line.ends_with(&expected), "{}{}", line, expected);
        }

        #[test]
        fn a_text_between_quotes_is_as_rust_shows_it(text in any::<String>()) {
            let line = line(Shape::Text, |line| line.text("t", &text));
            prop_assert!(line.ends_with(&format!(" t={text:?}\n")), "{}", line);
            prop_assert_eq!(line.matches('\n').count(), 1);
        }
    }
}
