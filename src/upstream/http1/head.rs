//! Heads of HTTP/1.1: writing that of a request, reading that of an answer.

use std::mem::MaybeUninit;

use bytes::{BufMut, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::request;
use http::{Method, Response, StatusCode, Version, response};

use super::decode::Decoder;
use crate::upstream::Fault;
use crate::upstream::connection::{MAX_HEAD, MAX_HEADERS};

/// How the body of a request is framed (RFC 9112, section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    None,
    /// This many bytes are left.
    Length(u64),
    Chunked,
}

/// Writes the head of a request; says how its body, if it `has_body`, has to follow.
pub(super) fn write(parts: &request::Parts, has_body: bool, out: &mut Vec<u8>) -> Framing {
    let target = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    for piece in [parts.method.as_str(), " ", target, " HTTP/1.1\r\n"] {
        out.extend_from_slice(piece.as_bytes());
    }
    let framing = match body_length(&parts.headers) {
        _ if !has_body => Framing::None,
        Some(length) => Framing::Length(length),
        None => Framing::Chunked,
    };
    for (name, value) in &parts.headers {
        // How the body is framed is said once, below, and nowhere else.
        if *name != TRANSFER_ENCODING && *name != CONTENT_LENGTH {
            write_header_line(name, value, out);
        }
    }
    match framing {
        Framing::None if parts.headers.contains_key(CONTENT_LENGTH) => {
            write_header_line(&CONTENT_LENGTH, &HeaderValue::from_static("0"), out);
        }
        Framing::None => {}
        Framing::Length(length) => write_header_line(&CONTENT_LENGTH, &HeaderValue::from(length), out),
        Framing::Chunked => write_header_line(&TRANSFER_ENCODING, &HeaderValue::from_static("chunked"), out),
    }
    out.extend_from_slice(b"\r\n");
    framing
}

/// Writes one header line. A [`HeaderValue`] has no line ends in it.
pub fn write_header_line(name: &HeaderName, value: &HeaderValue, out: &mut impl BufMut) {
    let pieces = [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"];
    for piece in pieces {
        out.put_slice(piece);
    }
}

/// The one length that a body is said to have, in digits; `None` where it has to be found out.
#[must_use]
pub fn body_length(headers: &HeaderMap) -> Option<u64> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let (length, None) = (lengths.next()?.to_str().ok()?, lengths.next()) else {
        return None;
    };
    let is_number = length.bytes().all(|byte| byte.is_ascii_digit()) && !headers.contains_key(TRANSFER_ENCODING);
    is_number.then(|| length.parse().ok())?
}

/// Where something is in what was read.
#[derive(Clone, Copy, Default)]
struct Span {
    from: usize,
    to: usize,
}

impl Span {
    /// Of what is a part of the whole. What is empty may lie anywhere.
    fn of(part: &[u8], whole: &[u8]) -> Self {
        let from = part.as_ptr().addr().wrapping_sub(whole.as_ptr().addr());
        match from.checked_add(part.len()) {
            Some(to) if !part.is_empty() && to <= whole.len() => Self { from, to },
            Some(_) | None => Self::default(),
        }
    }
}

/// The head of an answer.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) parts: response::Parts,
    pub(super) body: Decoder,
    /// Whether another request may follow on the connection.
    pub(super) keep: bool,
}

/// Takes the head of an answer to a request with this method from the front of what was read, if all of it is there.
pub(super) fn take(input: &mut BytesMut, method: &Method) -> Result<Option<Head>, Fault> {
    let mut space = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut read = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut read, input, &mut space);
    let size = match parsed {
        Ok(httparse::Status::Complete(size)) if size <= MAX_HEAD => size,
        Ok(httparse::Status::Partial) if input.len() <= MAX_HEAD => return Ok(None),
        Ok(_) => return Err(Fault::NotHttp("the head of the answer is too large")),
        Err(httparse::Error::TooManyHeaders) => return Err(Fault::NotHttp("the answer has too many header lines")),
        Err(_) => return Err(Fault::NotHttp("the head of the answer is not one of HTTP/1")),
    };
    let (mut parts, ()) = Response::new(()).into_parts();
    let status = read.code.and_then(|code| StatusCode::from_u16(code).ok());
    parts.status = status.ok_or(Fault::NotHttp("the answer has no status"))?;
    parts.version = match read.version {
        Some(0) => Version::HTTP_10,
        _ => Version::HTTP_11,
    };
    // Where names and values are, so that the values can share what was read.
    let spans =
        |header: &httparse::Header<'_>| (Span::of(header.name.as_bytes(), input), Span::of(header.value, input));
    let lines: Vec<_> = read.headers.iter().map(spans).collect();
    let head = input.split_to(size).freeze();
    parts.headers.reserve(lines.len());
    for (name, value) in lines {
        let name = HeaderName::from_bytes(&head[name.from..name.to]);
        let value = HeaderValue::from_maybe_shared(head.slice(value.from..value.to));
        let (Ok(name), Ok(value)) = (name, value) else {
            return Err(Fault::NotHttp("the answer has a header line that is none"));
        };
        parts.headers.append(name, value);
    }
    let (body, keep) = framing(&parts, method)?;
    Ok(Some(Head { parts, body, keep }))
}

/// How the body of an answer is framed (RFC 9112, section 6.3), and whether another answer may follow it (section 9.3).
fn framing(parts: &response::Parts, method: &Method) -> Result<(Decoder, bool), Fault> {
    let is_http11 = parts.version == Version::HTTP_11;
    let option = |wanted: &str| {
        let lines = parts.headers.get_all(CONNECTION).iter();
        lines
            .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
            .any(|option| option.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes()))
    };
    // Whatever else it says: close wins.
    let keep = !option("close") && (is_http11 || option("keep-alive"));
    if *method == Method::HEAD || parts.status == StatusCode::NO_CONTENT || parts.status == StatusCode::NOT_MODIFIED {
        return Ok((Decoder::Done, keep));
    }
    if parts.status == StatusCode::SWITCHING_PROTOCOLS {
        return Ok((Decoder::Done, false));
    }
    let mut codings = parts.headers.get_all(TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next() {
        // Any other is refused by whoever relays the answer; here it ends with the connection.
        let plain = codings.next().is_none() && coding.as_bytes().eq_ignore_ascii_case(b"chunked");
        let ends = plain && is_http11 && !parts.headers.contains_key(CONTENT_LENGTH);
        return Ok(if ends {
            (Decoder::chunked(), keep)
        } else {
            (Decoder::Close, false)
        });
    }
    let mut lengths = parts.headers.get_all(CONTENT_LENGTH).iter();
    match (lengths.next(), lengths.next()) {
        (None, _) => Ok((Decoder::Close, false)),
        (Some(length), None) => {
            let digits = length
                .to_str()
                .ok()
                .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
            let length = digits.and_then(|digits| digits.parse().ok());
            let length = length.ok_or(Fault::NotHttp("the Content-Length of the answer is not a number"))?;
            Ok((Decoder::length(length), keep))
        }
        (Some(_), Some(_)) => Err(Fault::NotHttp("the answer has more than one Content-Length")),
    }
}
