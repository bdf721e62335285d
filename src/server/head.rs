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
    match target {
        [b'/', ..] => {}
        b"*" if method == b"OPTIONS" => {}
        _ if target
            .get(..7)
            .is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"http://")) => {}
        _ if target
            .get(..8)
            .is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"https://")) => {}
        _ => return Err(Refusal::Bad("the target is neither a path nor an absolute http URL")),
    }
    Ok(version)
}

/// `field-name ":" OWS field-value OWS` (RFC 9112, section 5), no folding, no space before the colon.
fn field(line: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
    if matches!(line, [b' ' | b'\t', ..]) {
        return Err(Refusal::Bad("a header line is folded"));
    }
    let colon = memchr::memchr(b':', line).ok_or(Refusal::Bad("a header line has no colon"))?;
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    if !is_token(name) {
        return Err(Refusal::Bad("a header name is not a token"));
    }
    if value
        .iter()
        .any(|byte| (*byte < 0x20 && *byte != b'\t') || *byte == 0x7f)
    {
        return Err(Refusal::Bad("a header value has a control character"));
    }
    Ok((name, value))
}

/// What of the header lines decides about framing.
struct Fields {
    version: Version,
    hosts: usize,
    length: Option<u64>,
    chunked: bool,
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
            (false, None | Some(0)) => Ok(Framing::None),
            (false, Some(length)) => Ok(Framing::Length(length)),
        }
    }
}

/// `1*DIGIT` (RFC 9110, section 8.6), at most 18 of them: more than any body, and no program's integer overflows.
fn content_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 18 || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(value.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits {
        bytes: 4096,
        lines: 10,
        target: 64,
    };

    fn read(head: &str) -> Result<Framing, Refusal> {
        check(head.as_bytes(), &LIMITS)
    }

    #[test]
    fn a_plain_head_is_framed_as_it_says() {
        assert_eq!(read("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Ok(Framing::None));
        assert_eq!(read("GET / HTTP/1.0\r\n\r\n"), Ok(Framing::None));
        assert_eq!(
            read("POST / HTTP/1.1\r\nHost: a\r\ncontent-length:  7 \r\n\r\n"),
            Ok(Framing::Length(7))
        );
        assert_eq!(
            read("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n"),
            Ok(Framing::Chunked)
        );
        assert_eq!(read("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"), Ok(Framing::None));
        assert_eq!(read("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"), Ok(Framing::None));
    }

    #[test]
    fn a_head_that_two_programs_could_read_differently_is_refused() {
        for bad in [
            "GET / HTTP/1.1\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: y\rZ: w\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX[1]: y\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n: y\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: \x07\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\n",
            "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.2\r\nHost: a\r\n\r\n",
            "GET / http/1.1\r\nHost: a\r\n\r\n",
            "GET /\r\nHost: a\r\n\r\n",
            "G=T / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET x HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET * HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /#x HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /\\x HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /é HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n",
            "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        ] {
            assert!(
                matches!(read(bad), Err(Refusal::Bad(_))),
                "{bad:?} gave {:?}",
                read(bad)
            );
        }
    }

    #[test]
    fn tunnels_and_echoes_are_never_served() {
        assert_eq!(read("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n"), Err(Refusal::Method));
        assert_eq!(read("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n"), Err(Refusal::Method));
    }

    #[test]
    fn limits_hold_to_the_byte_and_the_line() {
        let target = format!("/{}", "x".repeat(63));
        assert_eq!(
            read(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")),
            Ok(Framing::None)
        );
        assert_eq!(
            read(&format!("GET {target}x HTTP/1.1\r\nHost: a\r\n\r\n")),
            Err(Refusal::TargetTooLong)
        );
        let lines = |n: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(n - 1));
        assert_eq!(read(&lines(10)), Ok(Framing::None));
        assert_eq!(read(&lines(11)), Err(Refusal::TooLarge));
        let padded = |n: usize| format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(n - 32));
        assert_eq!(padded(4096).len(), 4096);
        assert_eq!(read(&padded(4096)), Ok(Framing::None));
        assert_eq!(read(&padded(4097)), Err(Refusal::TooLarge));
    }

    proptest! {
        /// Whatever passes, httparse (which hyper uses) reads too, with the same number of lines.
        #[test]
        fn what_passes_is_read_alike_by_httparse(
            method in "[A-Z]{1,7}", target in "/[ -~]{0,12}",
            fields in proptest::collection::vec("[a-zA-Z0-9_:\\- \t\r\n]{0,24}", 0..6),
        ) {
            let head = format!("{method} {target} HTTP/1.1\r\nHost: a\r\n{}\r\n\r\n", fields.join("\r\n"));
            // Only the bytes up to the first empty line are a head.
            let end = head.find("\r\n\r\n").unwrap() + 4;
            let head = &head.as_bytes()[..end];
            if check(head, &LIMITS).is_ok() {
                let mut space = [httparse::EMPTY_HEADER; 32];
                let mut parsed = httparse::Request::new(&mut space);
                prop_assert_eq!(parsed.parse(head), Ok(httparse::Status::Complete(head.len())));
                prop_assert_eq!(parsed.path, Some(target.as_str()));
                let lines = head.split(|byte| *byte == b'\n').count() - 3;
                prop_assert_eq!(parsed.headers.len(), lines);
            }
        }
    }
}
