//! One reading of a request path. A [`RequestPath`] is matched by what it decodes to and forwarded as it was sent, which
//! is safe because a path that an upstream could read in another way never becomes one.
//!
//! Refused are: empty segments, dot segments in any spelling (encoded, with blanks, with full-width dots), separators
//! that are encoded, backslashes or look-alikes, path parameters (`;`, sent or encoded, as some servers cut them off and
//! others do not), control characters, escapes that are invalid or not UTF-8, and a text that would decode a second
//! time. An encoded plain letter (`/%61dmin`) matches as what it is.
//!
//! A route is for the text that it spells: letter case is not folded, Unicode is not normalised, and blanks or dots at the
//! end of a name count. An upstream that does not tell such names apart (a Windows file system) wants routes that guard
//! the whole of what it serves.

use std::borrow::Cow;

/// A request path with one meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestPath<'a> {
    raw: &'a str,
    decoded: Cow<'a, str>,
}

/// Why a path or query could be read in two ways. The text is fit for a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmbiguousPath {
    /// It does not begin with `/`.
    #[error("the path does not begin with a slash")]
    NotAbsolute,
    /// `//`, anywhere.
    #[error("the path holds an empty segment")]
    EmptySegment,
    /// A segment of dots and blanks alone.
    #[error("the path holds a dot segment")]
    DotSegment,
    /// A backslash, an encoded slash or backslash, or a character that some servers read as one.
    #[error("the path holds a separator other than a plain slash")]
    Separator,
    /// `;`, sent or encoded.
    #[error("the path holds a semicolon")]
    Semicolon,
    /// A control character, sent or encoded.
    #[error("the request target holds a control character")]
    Control,
    /// A blank, `#`, or a character beyond ASCII that is not percent-encoded.
    #[error("the request target holds a character that must be percent-encoded")]
    NotEncoded,
    /// `%` without two hexadecimal digits.
    #[error("the path holds an invalid percent-escape")]
    InvalidEscape,
    /// Escapes that are not UTF-8, overlong forms included.
    #[error("the path does not decode to UTF-8")]
    NotUtf8,
    /// Once decoded, it holds another escape.
    #[error("the path is percent-encoded twice")]
    DoubleEscape,
}

impl<'a> RequestPath<'a> {
    /// Reads a path as it was sent, without the query. Allocates only when it holds an escape.
    pub fn parse(path: &'a str) -> Result<Self, AmbiguousPath> {
        if !path.starts_with('/') {
            return Err(AmbiguousPath::NotAbsolute);
        }
        let mut escaped = false;
        for byte in path.bytes() {
            match byte {
                b'%' => escaped = true,
                0..=0x1f | 0x7f => return Err(AmbiguousPath::Control),
                // `?` can't come from a request target, where it begins the query: it is here for other callers.
                b' ' | b'#' | b'?' | 0x80.. => return Err(AmbiguousPath::NotEncoded),
                b'\\' => return Err(AmbiguousPath::Separator),
                b';' => return Err(AmbiguousPath::Semicolon),
                _ => {}
            }
        }
        let decoded = if escaped {
            Cow::Owned(decode(path)?)
        } else {
            Cow::Borrowed(path)
        };
        check_decoded(&decoded)?;
        Ok(Self { raw: path, decoded })
    }

    /// The path as it was sent, byte for byte: what is forwarded.
    #[must_use]
    pub const fn as_str(&self) -> &'a str {
        self.raw
    }

    /// The path percent-decoded once: what is matched.
    #[must_use]
    pub fn decoded(&self) -> &str {
        &self.decoded
    }

    /// The decoded segments, none of them empty: `/orders/7` and `/orders/7/` have the same two, `/` has none.
    pub fn segments(&self) -> impl Iterator<Item = &str> + Clone {
        self.decoded.split('/').filter(|segment| !segment.is_empty())
    }

    /// The segments as they were sent, none of them empty: as many as there are decoded ones, in the same order.
    pub fn raw_segments(&self) -> impl Iterator<Item = &'a str> + Clone {
        // No escape decodes to a slash.
        self.raw.split('/').filter(|segment| !segment.is_empty())
    }

    /// What was sent behind the first `count` segments: empty, or a text that begins with a slash.
    #[must_use]
    pub fn below(&self, count: usize) -> &'a str {
        let mut slashes = self.raw.match_indices('/').map(|(at, _)| at);
        match slashes.nth(count) {
            Some(at) if self.raw.len() > 1 => &self.raw[at..],
            Some(_) | None => "",
        }
    }

    /// Whether the path is more than `/` and ends in a slash.
    #[must_use]
    pub fn has_trailing_slash(&self) -> bool {
        self.raw.len() > 1 && self.raw.ends_with('/')
    }

    /// The path as it was sent without the segments of `prefix`, a path in decoded form, or `None` where it does not
    /// begin with those. `/api` off `/api/x` is `/x` and off `/api` is `/`; `/apix` does not begin with it.
    ///
    /// What is left begins with one slash and is a path that [`RequestPath::parse`] accepts.
    #[must_use]
    pub fn without_prefix(&self, prefix: &str) -> Option<&'a str> {
        // No escape decodes to a slash, so the n-th segment is the same one in the raw and in the decoded text.
        let mut segments = self.segments();
        let mut rest = self.raw;
        for wanted in prefix.split('/').filter(|segment| !segment.is_empty()) {
            if segments.next()? != wanted {
                return None;
            }
            rest = rest[1..].find('/').map_or("/", |end| &rest[end + 1..]);
        }
        Some(rest)
    }
}

/// Checks a query as it was sent, without its `?`. A query never decides anything, so its escapes are not looked at.
pub fn check_query(query: &str) -> Result<(), AmbiguousPath> {
    query.bytes().try_for_each(|byte| match byte {
        0..=0x1f | 0x7f => Err(AmbiguousPath::Control),
        b' ' | b'#' | 0x80.. => Err(AmbiguousPath::NotEncoded),
        _ => Ok(()),
    })
}

/// Percent-decodes once. The text holds no byte that [`RequestPath::parse`] refuses.
fn decode(path: &str) -> Result<String, AmbiguousPath> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let (Some(high), Some(low)) = (bytes.next().and_then(hex_digit), bytes.next().and_then(hex_digit)) else {
            return Err(AmbiguousPath::InvalidEscape);
        };
        let byte = high << 4 | low;
        // A slash from an escape must be caught here: afterwards nothing tells it from one that was sent.
        if byte == b'/' {
            return Err(AmbiguousPath::Separator);
        }
        decoded.push(byte);
    }
    String::from_utf8(decoded).map_err(|_| AmbiguousPath::NotUtf8)
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// What must hold of every path in decoded form, of a request or in the configuration.
pub(super) fn check_decoded(path: &str) -> Result<(), AmbiguousPath> {
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        // A trailing slash ends the path with an empty segment, which is no ambiguity.
        if segment.is_empty() && segments.peek().is_some() {
            return Err(AmbiguousPath::EmptySegment);
        }
        check_segment(segment)?;
    }
    Ok(())
}

fn check_segment(segment: &str) -> Result<(), AmbiguousPath> {
    let mut only_dots = !segment.is_empty();
    let mut any_dot = false;
    for (at, character) in segment.char_indices() {
        match character {
            '.' | '\u{2024}'..='\u{2026}' | '\u{fe52}' | '\u{ff0e}' => any_dot = true,
            // Windows drops blanks at the end of a name: `.. ` is `..` there.
            ' ' => {}
            '\\' | '\u{2044}' | '\u{2215}' | '\u{29f5}' | '\u{29f8}' | '\u{fe68}' | '\u{ff0f}' | '\u{ff3c}' => {
                return Err(AmbiguousPath::Separator);
            }
            ';' | '\u{ff1b}' => return Err(AmbiguousPath::Semicolon),
            '%' | '\u{ff05}' => {
                let mut next = segment[at + character.len_utf8()..].bytes();
                if next.next().and_then(hex_digit).is_some() && next.next().and_then(hex_digit).is_some() {
                    return Err(AmbiguousPath::DoubleEscape);
                }
                only_dots = false;
            }
            character if character.is_control() => return Err(AmbiguousPath::Control),
            _ => only_dots = false,
        }
    }
    if only_dots && any_dot {
        Err(AmbiguousPath::DotSegment)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
