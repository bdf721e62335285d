//! Writing the head of an answer of HTTP/1 (RFC 9112, section 4), and so how its body is framed (section 6).

use std::cell::RefCell;
use std::io::Write as _;

use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING};
use http::{Method, StatusCode, Version, response};

use crate::server::head::Wishes;
use crate::time::{Timestamp, http_date, recent_wall_micros};
use crate::upstream::{body_length, write_header_line};

/// What of a request decides about the form of its answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) is_head: bool,
    pub(super) is_http11: bool,
    pub(super) wishes: Wishes,
}

impl Asked {
    pub(super) fn new(method: &Method, version: Version, wishes: Wishes) -> Self {
        Self {
            is_head: *method == Method::HEAD,
            is_http11: version == Version::HTTP_11,
            wishes,
        }
    }
}

/// How the body of an answer is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    None,
    /// This many bytes are left.
    Length(u64),
    Chunked,
    /// It lasts until the connection closes.
    Close,
}

/// Writes a head for a body of `exact` bytes, where that is known. How the body has to follow, and whether another answer may.
pub(super) fn write(
    parts: &response::Parts,
    exact: Option<u64>,
    asked: Asked,
    is_last: bool,
    out: &mut Vec<u8>,
) -> (Framing, bool) {
    let status = parts.status;
    out.reserve(512);
    // Who speaks HTTP/1.0 may not know more (RFC 9110, section 6.2, leaves it to us).
    out.extend_from_slice(if asked.is_http11 { b"HTTP/1.1 " } else { b"HTTP/1.0 " });
    for piece in [
        status.as_str(),
        " ",
        status.canonical_reason().unwrap_or_default(),
        "\r\n",
    ] {
        out.extend_from_slice(piece.as_bytes());
    }
    let (mut dated, mut closes, mut switches) = (false, false, status == StatusCode::SWITCHING_PROTOCOLS);
    for (name, value) in &parts.headers {
        // How the body is framed is said once, below, and nowhere else.
        if name == TRANSFER_ENCODING || name == CONTENT_LENGTH {
            continue;
        }
        dated |= name == DATE;
        if name == CONNECTION && !switches {
            closes |= value.as_bytes().eq_ignore_ascii_case(b"close");
            continue;
        }
        write_header_line(name, value, out);
    }
    if !dated {
        date(out);
    }
    switches |= status.is_informational();
    let said = body_length(&parts.headers);
    let (framing, told) = if switches || status == StatusCode::NO_CONTENT {
        (Framing::None, None)
    } else if asked.is_head || status == StatusCode::NOT_MODIFIED {
        // What is said of a body that does not come (RFC 9110, section 8.6).
        (Framing::None, said.or(exact.filter(|bytes| *bytes > 0)))
    } else if let Some(bytes) = exact.or(said) {
        (Framing::Length(bytes), Some(bytes))
    } else if asked.is_http11 {
        out.extend_from_slice(b"transfer-encoding: chunked\r\n");
        (Framing::Chunked, None)
    } else {
        (Framing::Close, None)
    };
    if let Some(bytes) = told {
        let _ = write!(out, "content-length: {bytes}\r\n");
    }
    let keeps = asked.wishes.keep_alive && !is_last && !closes && framing != Framing::Close;
    match (keeps || switches, asked.is_http11) {
        (false, _) => out.extend_from_slice(b"connection: close\r\n"),
        (true, false) => out.extend_from_slice(b"connection: keep-alive\r\n"),
        (true, true) => {}
    }
    out.extend_from_slice(b"\r\n");
    (framing, keeps)
}

/// Says when the answer was made (RFC 9110, section 6.6.1), for upstreams that do not.
fn date(out: &mut Vec<u8>) {
    thread_local! {
        /// The second that was told last, and its line.
        static LAST: RefCell<(i64, String)> = const { RefCell::new((i64::MIN, String::new())) };
    }
    let second = recent_wall_micros().div_euclid(1_000_000);
    LAST.with_borrow_mut(|(last, line)| {
        if *last != second {
            *last = second;
            *line = http_date(Timestamp::from_unix_seconds(second))
                .map_or_else(String::new, |date| format!("date: {date}\r\n"));
        }
        out.extend_from_slice(line.as_bytes());
    });
}

#[cfg(test)]
mod tests;
