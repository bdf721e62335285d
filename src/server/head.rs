//! The strict reading of an HTTP/1 request head.
//!
//! Some heads can be read differently by two programs: a Content-Length beside a Transfer-Encoding, bare LF line ends, folded
//! lines, a fragment in the target. A gateway must refuse those (RFC 9112, sections 2.2, 5.2 and 6.3) before anything acts on
//! them; what [`read`] lets pass can be read in one way alone.

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderName, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::{Method, Request, Uri, Version};

use crate::problem::{Code, Problem};

/// How the body after a head is framed (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// No body.
    None,
    /// This many bytes.
    Length(u64),
    /// Chunks.
    Chunked,
}

/// Why a request was refused by its head alone.
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

/// A request head that was read.
#[derive(Debug)]
pub(super) struct Head {
    /// Its target and its values are parts of what was read: no copies.
    pub(super) parts: Parts,
    pub(super) framing: Framing,
    /// Whether it asks for another protocol.
    pub(super) upgrade: bool,
    /// Whether the client waits to be told to go on before it sends the body (RFC 9110, section 10.1.1).
    pub(super) expects: bool,
    pub(super) wishes: Wishes,
}

/// What a client wants of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wishes {
    /// Whether the connection is to go on after it (RFC 9112, section 9.3).
    pub(super) keep_alive: bool,
    /// Whether it may have trailers (RFC 9110, section 10.1.4).
    pub(super) trailers: bool,
}

/// Reads a whole head: `head` ends with the empty line.
pub(super) fn read(head: &Bytes, limits: &Limits) -> Result<Head, Refusal> {
    if head.len() > limits.bytes {
        return Err(Refusal::TooLarge);
    }
    let mut lines = Lines(head);
    let mut parts = request_line(head, lines.next().ok_or(BAD_LINE_END)??, limits)?;
    let mut fields = Fields::new(parts.version);
    // Room for what is added on the way, too.
    parts
        .headers
        .reserve(memchr::memchr_iter(b'\n', head).count().min(limits.lines) + ADDED);
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if parts.headers.len() >= limits.lines {
            return Err(Refusal::TooLarge);
        }
        let (name, value) = field(line)?;
        let name = HeaderName::from_bytes(name).map_err(|_| BAD_NAME)?;
        fields.note(&name, value)?;
        let value = HeaderValue::from_maybe_shared(head.slice_ref(value)).map_err(|_| BAD_VALUE)?;
        parts.headers.try_append(name, value).map_err(|_| Refusal::TooLarge)?;
    }
    let framing = fields.framing()?;
    Ok(Head {
        parts,
        framing,
        upgrade: fields.upgrade && fields.is_http11,
        expects: fields.expects && fields.is_http11 && framing != Framing::None,
        wishes: fields.wishes(),
    })
}

/// For how many header lines more than the client's there is room at once.
const ADDED: usize = 8;
const BAD_NAME: Refusal = Refusal::Bad("a header name is not a token");
const BAD_VALUE: Refusal = Refusal::Bad("a header value has a control character");
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

/// `method SP request-target SP HTTP-version` (RFC 9112, section 3), single spaces only.
fn request_line(head: &Bytes, line: &[u8], limits: &Limits) -> Result<Parts, Refusal> {
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Refusal::Bad(
            "the request line is not a method, a target and a version with one space between",
        ));
    };
    let version = match version {
        b"HTTP/1.1" => Version::HTTP_11,
        b"HTTP/1.0" => Version::HTTP_10,
        _ => return Err(Refusal::Bad("the version is not HTTP/1.1 or HTTP/1.0")),
    };
    let method = Method::from_bytes(method).map_err(|_| Refusal::Bad("the method is not a token"))?;
    // A tunnel (CONNECT) or an echo of the caller's own credentials (TRACE, RFC 9110, section 9.3.8) is never served.
    if method == Method::CONNECT || method == Method::TRACE {
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
    // No part of a URL may hold these (RFC 3986, appendix A), and the type that holds one refuses them without a word.
    if memchr::memchr3(b'"', b'<', b'>', target).is_some() || path_of(target).contains(&b'`') {
        return Err(Refusal::Bad("the target has a character that no URL may have"));
    }
    let form = match target {
        [b'/', ..] => true,
        b"*" => method == Method::OPTIONS,
        _ => is_absolute(target),
    };
    let uri = Uri::from_maybe_shared(head.slice_ref(target)).ok().filter(|_| form);
    let uri = uri.ok_or(Refusal::Bad("the target is neither a path nor an absolute http URL"))?;
    let (mut parts, ()) = Request::new(()).into_parts();
    (parts.method, parts.uri, parts.version) = (method, uri, version);
    Ok(parts)
}

/// Absolute form (RFC 9112, section 3.2.2), which clients send to a proxy that they know of.
fn is_absolute(target: &[u8]) -> bool {
    let begins = |scheme: &[u8]| {
        target
            .get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    begins(b"http://") || begins(b"https://")
}

fn path_of(target: &[u8]) -> &[u8] {
    memchr::memchr(b'?', target).map_or(target, |query| &target[..query])
}

/// `field-name ":" OWS field-value OWS` (RFC 9112, section 5), no folding. What stands before the colon, and what after it, is
/// still to be looked at.
fn field(line: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
    if matches!(line, [b' ' | b'\t', ..]) {
        return Err(Refusal::Bad("a header line is folded"));
    }
    let colon = memchr::memchr(b':', line).ok_or(Refusal::Bad("a header line has no colon"))?;
    let (name, value) = (&line[..colon], trim_blanks(&line[colon + 1..]));
    Ok((name, value))
}

/// What of the header lines decides about framing, and about the connection.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is something that was said or was not"
)]
struct Fields {
    is_http11: bool,
    hosts: usize,
    length: Option<u64>,
    chunked: bool,
    upgrade: bool,
    expects: bool,
    takes_trailers: bool,
    closes: bool,
    keeps: bool,
}

impl Fields {
    fn new(version: Version) -> Self {
        Self {
            is_http11: version == Version::HTTP_11,
            hosts: 0,
            length: None,
            chunked: false,
            upgrade: false,
            expects: false,
            takes_trailers: false,
            closes: false,
            keeps: false,
        }
    }

    fn note(&mut self, name: &HeaderName, value: &[u8]) -> Result<(), Refusal> {
        if name == HOST {
            self.hosts += 1;
        } else if name == CONTENT_LENGTH {
            let length = content_length(value).ok_or(Refusal::Bad("the Content-Length is not a number of bytes"))?;
            if self.length.replace(length).is_some() {
                return Err(Refusal::Bad("there is more than one Content-Length"));
            }
        } else if name == TRANSFER_ENCODING {
            if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Refusal::Bad("the Transfer-Encoding is not exactly \"chunked\""));
            }
            self.chunked = true;
        } else if name == UPGRADE {
            self.upgrade = true;
        } else if name == CONNECTION {
            self.closes |= names(value, b"close");
            self.keeps |= names(value, b"keep-alive");
        } else if name == EXPECT {
            self.expects |= value.eq_ignore_ascii_case(b"100-continue");
        } else if name == TE {
            self.takes_trailers |= names(value, b"trailers");
        }
        Ok(())
    }

    const fn wishes(&self) -> Wishes {
        Wishes {
            // Whatever else is said: close wins.
            keep_alive: !self.closes && (self.is_http11 || self.keeps),
            trailers: self.takes_trailers,
        }
    }

    fn framing(&self) -> Result<Framing, Refusal> {
        match (self.is_http11, self.hosts) {
            (false, 0) | (_, 1) => {}
            (true, 0) => return Err(Refusal::Bad("there is no Host header")),
            _ => return Err(Refusal::Bad("there is more than one Host header")),
        }
        match (self.chunked, self.length) {
            (true, Some(_)) => Err(Refusal::Bad("there is a Content-Length beside a Transfer-Encoding")),
            (true, None) if !self.is_http11 => Err(Refusal::Bad("HTTP/1.0 has no Transfer-Encoding")),
            (true, None) => Ok(Framing::Chunked),
            (false, None | Some(0)) => Ok(Framing::None),
            (false, Some(length)) => Ok(Framing::Length(length)),
        }
    }
}

/// Whether a comma-separated list has this element, which is in lower case.
fn names(list: &[u8], element: &[u8]) -> bool {
    let mut elements = list.split(|byte| *byte == b',');
    elements.any(|one| trim_blanks(one).eq_ignore_ascii_case(element))
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

/// Reads one line of a trailer section, without its line end.
pub(super) fn trailer(line: &[u8]) -> Result<(HeaderName, HeaderValue), Refusal> {
    let (name, value) = field(line)?;
    let name = HeaderName::from_bytes(name).map_err(|_| BAD_NAME)?;
    Ok((name, HeaderValue::from_bytes(value).map_err(|_| BAD_VALUE)?))
}

#[cfg(test)]
mod tests;
