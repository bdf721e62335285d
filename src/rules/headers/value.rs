//! Values that can't break a header: printable ASCII, whatever the text.

use std::fmt::{Display, Write};

use bytes::BytesMut;
use http::header::{HeaderMap, HeaderName, HeaderValue};

/// The text as a header value: printable ASCII as it is, blanks inside included; `%`, blanks at either end, and every
/// byte of other characters in UTF-8 as `%XX` (upper-case). Percent-decoding gives the text back.
///
/// It is how names and e-mail addresses reach an upstream: `Jörg` is `J%C3%B6rg`.
#[must_use]
pub fn encode_value(text: &str) -> HeaderValue {
    let mut buffer = BytesMut::with_capacity(text.len());
    write_encoded(&mut buffer, text);
    // There always is a value, as what was written is printable ASCII.
    take_value(&mut buffer).unwrap_or(HeaderValue::from_static(""))
}

/// Writes what [`encode_value`] says.
pub(super) fn write_encoded(buffer: &mut BytesMut, text: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    // The usual text is as it is.
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'%';
    let ends = [text.as_bytes().first(), text.as_bytes().last()];
    if !ends.contains(&Some(&b' ')) && text.bytes().fold(true, |plain, byte| plain & is_plain(byte)) {
        buffer.extend_from_slice(text.as_bytes());
        return;
    }
    let inner = text.trim_matches(' ');
    let lead = text.len() - text.trim_start_matches(' ').len();
    for (at, byte) in text.bytes().enumerate() {
        let is_inner = (lead..lead + inner.len()).contains(&at);
        if matches!(byte, b'!'..=b'$' | b'&'..=b'~') || (byte == b' ' && is_inner) {
            buffer.extend_from_slice(&[byte]);
        } else {
            buffer.extend_from_slice(&[b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 0xf)]]);
        }
    }
}

/// Writes a text that is printable ASCII.
pub(super) fn write_plain(buffer: &mut BytesMut, text: impl Display) {
    // A buffer that grows does not fail.
    let _ = write!(buffer, "{text}");
}

/// Sets a header to what was written, in place of all that it said.
pub(super) fn set_written(headers: &mut HeaderMap, name: &HeaderName, buffer: &mut BytesMut) {
    // All that is written here is encoded, an address, or comes from header values: there always is a value.
    if let Some(value) = take_value(buffer) {
        headers.insert(name, value);
    }
}

/// What was written, as a value.
pub(super) fn take_value(buffer: &mut BytesMut) -> Option<HeaderValue> {
    HeaderValue::from_maybe_shared(buffer.split().freeze()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(value: &HeaderValue) -> String {
        let mut bytes = value.as_bytes().iter().copied();
        let mut text = Vec::new();
        while let Some(byte) = bytes.next() {
            if byte == b'%' {
                let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
                text.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
            } else {
                text.push(byte);
            }
        }
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn plain_text_stays_readable_and_the_rest_is_encoded() {
        for (text, value) in [
            ("Ann Lee", "Ann Lee"),
            ("ann+tag@example.com", "ann+tag@example.com"),
            ("Jörg", "J%C3%B6rg"),
            ("100%", "100%25"),
            (" a ", "%20a%20"),
            ("  ", "%20%20"),
            ("", ""),
            ("a\r\nX-Auth-Roles: admin", "a%0D%0AX-Auth-Roles: admin"),
            ("a\0\t\u{7f}", "a%00%09%7F"),
        ] {
            assert_eq!(encode_value(text), value, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_becomes_printable_ascii_and_can_be_read_back(text in any::<String>()) {
            let value = encode_value(&text);
            prop_assert!(value.as_bytes().iter().all(|byte| (0x20..0x7f).contains(byte)));
            prop_assert_eq!(value.as_bytes().trim_ascii(), value.as_bytes());
            prop_assert_eq!(decode(&value), text);
        }
    }
}
