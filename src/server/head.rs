//! The strict reading of an HTTP/1 request head, in front of hyper.
//!
//! hyper accepts some heads that two programs can read differently: a Content-Length beside a Transfer-Encoding, bare LF
//! line ends, folded lines, a fragment in the target. A gateway must refuse those (RFC 9112, sections 2.2, 5.2 and 6.3),
//! and it must do so before anything acts on them. [`check`] says how the body of a good head is framed, so that the guard
//! knows where the next head begins; on a head that passes, hyper comes to the same framing, since it leaves only one.

use crate::problem::{Code, Problem};

/// How the body after a head is framed (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// No body.
    None,
    /// No body, and what follows may be of another protocol.
    Upgrade,
    /// This many bytes.
    Length(u64),
    /// Chunks.
    Chunked,
}

/// Why a request was refused before hyper saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The head can't be read, or can be read in two ways. The text says what is wrong with it.
    Bad(&'static str),
    /// The method is one that this gateway never serves.
    Method,
    /// The target is longer than configured.
    TargetTooLong,
    /// The head is larger, or has more lines, than configured.
    TooLarge,
    /// The head took longer to arrive than configured.
    Timeout,
}

impl Refusal {
    /// What the client is told. The connection ends with it: what follows on it can't be trusted.
    pub(super) fn problem(self) -> Problem {
        let problem = match self {
            Self::Bad(detail) => Problem::new(Code::BadRequest, detail),
            Self::Method => Problem::new(
                Code::MethodNotAllowed,
                "this gateway is no tunnel and echoes no request",
            ),
            Self::TargetTooLong => Problem::new(
                Code::TargetTooLong,
                "the request target is longer than this gateway takes",
            ),
            Self::TooLarge => Problem::new(
                Code::HeadersTooLarge,
                "the request head is larger, or has more lines, than this gateway takes",
            ),
            Self::Timeout => Problem::new(Code::RequestTimeout, "the request head took too long to arrive"),
        };
        problem.closing()
    }
}

/// The bounds of a head.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Bytes, from the method to the empty line.
    pub(super) bytes: usize,
    /// Header lines.
    pub(super) lines: usize,
    /// Bytes of the target.
    pub(super) target: usize,
}

/// Reads a whole head: `head` ends with the empty line.
pub(super) fn check(head: &[u8], limits: &Limits) -> Result<Framing, Refusal> {
    if head.len() > limits.bytes {
        return Err(Refusal::TooLarge);
    }
    let mut lines = Lines(head);
    let version = request_line(lines.next().ok_or(BAD_LINE_END)??, limits)?;
    let mut fields = Fields {
        version,
        hosts: 0,
        length: None,
        chunked: false,
        upgrade: false,
    };
    let mut count = 0;
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        count += 1;
        if count > limits.lines {
            return Err(Refusal::TooLarge);
        }
        let (name, value) = field(line)?;
        fields.note(name, value)?;
    }
    fields.framing()
}

const BAD_LINE_END: Refusal = Refusal::Bad("a line of the head does not end with CR LF");

/// Lines that end with CR LF, nothing else counting as an end and no CR within.
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = Result<&'a [u8], Refusal>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let Some(end) = memchr::memchr2(b'\r', b'\n', self.0) else {
            return Some(Err(BAD_LINE_END));
        };
        if self.0.get(end..end + 2) != Some(b"\r\n") {
            return Some(Err(BAD_LINE_END));
        }
        let line = &self.0[..end];
        self.0 = &self.0[end + 2..];
        Some(Ok(line))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    Http10,
    Http11,
}

/// `method SP request-target SP HTTP-version` (RFC 9112, section 3), single spaces only.
fn request_line(line: &[u8], limits: &Limits) -> Result<Version, Refusal> {
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Refusal::Bad(
            "the request line is not a method, a target and a version with one space between",
        ));
    };
    let version = match version {
        b"HTTP/1.1" => Version::Http11,
        b"HTTP/1.0" => Version::Http10,
        _ => return Err(Refusal::Bad("the version is not HTTP/1.1 or HTTP/1.0")),
    };
    if !is_token(method) {
        return Err(Refusal::Bad("the method is not a token"));
    }
    // A tunnel (CONNECT) or an echo of the caller's own credentials (TRACE, RFC 9110, section 9.3.8) is never served.
    if method == b"CONNECT" || method == b"TRACE" {
        return Err(Refusal::Method);
    }
    if target.len() > limits.target {
        return Err(Refusal::TargetTooLong);
    }
    if target.contains(&b'#') {
        return Err(Refusal::Bad("the target has a fragment"));
    }
    if target.is_empty() || !target.iter().all(|byte| (0x21..=0x7e).contains(byte)) {
        return Err(Refusal::Bad("the target has bytes that are not printable ASCII"));
    }
    if target.contains(&b'\\') {
        return Err(Refusal::Bad("the target has a backslash"));
    }
    // No part of a URL may hold these (RFC 3986, appendix A), and hyper would refuse them without a word.
    if memchr::memchr3(b'"', b'<', b'>', target).is_some() || path_of(target).contains(&b'`') {
        return Err(Refusal::Bad("the target has a character that no URL may have"));
    }
    match target {
        [b'/', ..] => Ok(version),
        b"*" if method == b"OPTIONS" => Ok(version),
        _ if is_absolute(target) => Ok(version),
        _ => Err(Refusal::Bad("the target is neither a path nor an absolute http URL")),
    }
}

/// Absolute form (RFC 9112, section 3.2.2), which clients send to a proxy that they know of.
fn is_absolute(target: &[u8]) -> bool {
    let begins = |scheme: &[u8]| {
        target
            .get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    (begins(b"http://") || begins(b"https://")) && http::Uri::try_from(target).is_ok()
}

fn path_of(target: &[u8]) -> &[u8] {
    memchr::memchr(b'?', target).map_or(target, |query| &target[..query])
}

/// `field-name ":" OWS field-value OWS` (RFC 9112, section 5), no folding, no space before the colon.
fn field(line: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
    if matches!(line, [b' ' | b'\t', ..]) {
        return Err(Refusal::Bad("a header line is folded"));
    }
    let colon = memchr::memchr(b':', line).ok_or(Refusal::Bad("a header line has no colon"))?;
    let (name, value) = (&line[..colon], trim_blanks(&line[colon + 1..]));
    if !is_token(name) {
        return Err(Refusal::Bad("a header name is not a token"));
    }
    // Without a way out in the middle, which no processor can take many bytes at a time with: tokens are long.
    if value.iter().fold(false, |found, byte| found | is_control(*byte)) {
        return Err(Refusal::Bad("a header value has a control character"));
    }
    Ok((name, value))
}

const fn is_control(byte: u8) -> bool {
    (byte < 0x20 && byte != b'\t') || byte == 0x7f
}

/// What of the header lines decides about framing.
struct Fields {
    version: Version,
    hosts: usize,
    length: Option<u64>,
    chunked: bool,
    upgrade: bool,
}

impl Fields {
    fn note(&mut self, name: &[u8], value: &[u8]) -> Result<(), Refusal> {
        if name.eq_ignore_ascii_case(b"host") {
            self.hosts += 1;
        } else if name.eq_ignore_ascii_case(b"content-length") {
            let length = content_length(value).ok_or(Refusal::Bad("the Content-Length is not a number of bytes"))?;
            if self.length.replace(length).is_some() {
                return Err(Refusal::Bad("there is more than one Content-Length"));
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Refusal::Bad("the Transfer-Encoding is not exactly \"chunked\""));
            }
            self.chunked = true;
        } else if name.eq_ignore_ascii_case(b"upgrade") {
            self.upgrade = true;
        }
        Ok(())
    }

    fn framing(&self) -> Result<Framing, Refusal> {
        match (self.version, self.hosts) {
            (Version::Http10, 0) | (_, 1) => {}
            (Version::Http11, 0) => return Err(Refusal::Bad("there is no Host header")),
            _ => return Err(Refusal::Bad("there is more than one Host header")),
        }
        match (self.chunked, self.length) {
            (true, Some(_)) => Err(Refusal::Bad("there is a Content-Length beside a Transfer-Encoding")),
            (true, None) if self.version == Version::Http10 => Err(Refusal::Bad("HTTP/1.0 has no Transfer-Encoding")),
            (true, None) => Ok(Framing::Chunked),
            // In HTTP/1.0 the field means nothing (RFC 9110, section 7.8).
            (false, None | Some(0)) if self.upgrade && self.version == Version::Http11 => Ok(Framing::Upgrade),
            (false, None | Some(0)) => Ok(Framing::None),
            (false, Some(length)) => Ok(Framing::Length(length)),
        }
    }
}

/// `1*DIGIT` (RFC 9110, section 8.6), at most 18 of them: more than any body, and no program's integer overflows.
pub(super) fn content_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 18 || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(value.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

/// Without the blanks (`OWS` of RFC 9110, section 5.6.3) at both ends. No other byte counts as one: not a form feed, which
/// is ASCII white space elsewhere.
fn trim_blanks(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// `token` of RFC 9110, section 5.6.2.
fn is_token(text: &[u8]) -> bool {
    !text.is_empty()
        && text
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

/// Checks one line of a trailer section, without its line end.
pub(super) fn check_trailer(line: &[u8]) -> Result<(), Refusal> {
    field(line).map(|_| ())
}

#[cfg(test)]
mod tests;
