//! [`Decoder`]: where in what a server sends the body of its answer is, and where it ends (RFC 9112, section 6).

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::Frame;

use crate::upstream::Fault;

/// The longest line between chunks: a size and what a server may add to it.
const MAX_LINE: usize = 4096;
/// The largest trailer section, in bytes, and the most lines of one.
const MAX_TRAILERS: usize = 16 * 1024;
const MAX_TRAILER_LINES: usize = 64;

/// Reads one body.
#[derive(Debug)]
pub(in crate::upstream) enum Decoder {
    /// It has ended, or there is none.
    Done,
    /// This many bytes are to come: at least one.
    Length(u64),
    Chunked(Chunk),
    /// It lasts until the server closes the connection.
    Close,
}

/// Where in a chunked body.
#[derive(Clone, Copy, Debug)]
pub(in crate::upstream) enum Chunk {
    Size,
    /// This many bytes of the chunk are to come: at least one.
    Data(u64),
    /// The line end after the data.
    End,
    Trailers,
}

/// What can be had from what was read.
#[derive(Debug)]
pub(super) enum Step {
    Frame(Frame<Bytes>),
    /// The body has ended.
    Ended,
    /// More must be read first.
    More,
}

impl Decoder {
    pub(super) const fn chunked() -> Self {
        Self::Chunked(Chunk::Size)
    }

    pub(super) const fn length(bytes: u64) -> Self {
        if bytes == 0 { Self::Done } else { Self::Length(bytes) }
    }

    /// How many bytes it would be good to have room for, of those that are sure to come.
    pub(super) const fn expected(&self) -> u64 {
        match self {
            Self::Length(left) | Self::Chunked(Chunk::Data(left)) => *left,
            Self::Done | Self::Close | Self::Chunked(Chunk::Size | Chunk::End | Chunk::Trailers) => 0,
        }
    }

    /// The next part of the body, out of what was read.
    pub(super) fn step(&mut self, input: &mut BytesMut) -> Result<Step, Fault> {
        loop {
            match self {
                Self::Done => return Ok(Step::Ended),
                _ if input.is_empty() => return Ok(Step::More),
                Self::Close => return Ok(Step::Frame(Frame::data(input.split().freeze()))),
                Self::Length(left) => {
                    let data = up_to(input, *left);
                    *self = Self::length(*left - data.len() as u64);
                    return Ok(Step::Frame(Frame::data(data)));
                }
                Self::Chunked(Chunk::Data(left)) => {
                    let data = up_to(input, *left);
                    let left = *left - data.len() as u64;
                    *self = Self::Chunked(if left == 0 { Chunk::End } else { Chunk::Data(left) });
                    self.end_early(input);
                    return Ok(Step::Frame(Frame::data(data)));
                }
                Self::Chunked(Chunk::End) => {
                    if input.len() < 2 && input.first() == Some(&b'\r') {
                        return Ok(Step::More);
                    }
                    if !input.starts_with(b"\r\n") {
                        return Err(Fault::NotHttp("a chunk of the answer is longer than it says"));
                    }
                    input.advance(2);
                    *self = Self::Chunked(Chunk::Size);
                }
                Self::Chunked(Chunk::Size) => {
                    let Some(end) = line_end(input)? else {
                        return Ok(Step::More);
                    };
                    let size = size(&input[..end])?;
                    input.advance(end + 2);
                    *self = Self::Chunked(if size == 0 { Chunk::Trailers } else { Chunk::Data(size) });
                }
                Self::Chunked(Chunk::Trailers) => {
                    let Some(trailers) = trailers(input)? else {
                        return Ok(Step::More);
                    };
                    *self = Self::Done;
                    if !trailers.is_empty() {
                        return Ok(Step::Frame(Frame::trailers(trailers)));
                    }
                }
            }
        }
    }

    /// The usual end is taken with the last of the data, so that whoever asks for the body knows at once that it has ended.
    fn end_early(&mut self, input: &mut BytesMut) {
        const END: &[u8] = b"\r\n0\r\n\r\n";
        if matches!(self, Self::Chunked(Chunk::End)) && input.starts_with(END) {
            input.advance(END.len());
            *self = Self::Done;
        }
    }

    /// The server has closed the connection.
    pub(super) fn close(&mut self) -> Result<(), Fault> {
        match self {
            Self::Done | Self::Close => {
                *self = Self::Done;
                Ok(())
            }
            Self::Length(_) | Self::Chunked(_) => Err(Fault::Closed),
        }
    }
}

fn up_to(input: &mut BytesMut, most: u64) -> Bytes {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    input.split_to(input.len().min(most)).freeze()
}

/// Where the line that was read first ends, if all of it was.
fn line_end(input: &[u8]) -> Result<Option<usize>, Fault> {
    match memchr::memchr(b'\n', input) {
        Some(at) if at > 0 && at <= MAX_LINE && input[at - 1] == b'\r' => Ok(Some(at - 1)),
        None if input.len() <= MAX_LINE => Ok(None),
        Some(_) | None => Err(Fault::NotHttp("a chunk of the answer does not begin with its size")),
    }
}

/// `chunk-size [ chunk-ext ]` (RFC 9112, section 7.1). Extensions are dropped.
fn size(line: &[u8]) -> Result<u64, Fault> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let rest = line[digits..].trim_ascii_start();
    // Sixteen digits would fit 64 bits; fifteen are more than any chunk, and no program's integer overflows.
    let fits = (1..=15).contains(&digits);
    let clean = !line
        .iter()
        .any(|byte| (*byte < b' ' && *byte != b'\t') || *byte == 0x7f);
    if !fits || !clean || !(rest.is_empty() || rest.starts_with(b";")) {
        return Err(Fault::NotHttp("a chunk of the answer does not begin with its size"));
    }
    let digit = |sum: u64, byte: &u8| sum * 16 + u64::from(char::from(*byte).to_digit(16).unwrap_or(0));
    Ok(line[..digits].iter().fold(0, digit))
}

/// The trailer section, if all of it was read.
fn trailers(input: &mut BytesMut) -> Result<Option<HeaderMap>, Fault> {
    let wrong = || Fault::NotHttp("the trailers of the answer are not header lines, or too many");
    let mut space = [httparse::EMPTY_HEADER; MAX_TRAILER_LINES];
    let (size, lines) = match httparse::parse_headers(input, &mut space) {
        Ok(httparse::Status::Complete(read)) => read,
        Ok(httparse::Status::Partial) if input.len() <= MAX_TRAILERS => return Ok(None),
        Ok(httparse::Status::Partial) | Err(_) => return Err(wrong()),
    };
    let mut trailers = HeaderMap::new();
    for line in lines {
        let name = HeaderName::from_bytes(line.name.as_bytes()).map_err(|_| wrong())?;
        trailers.append(name, HeaderValue::from_bytes(line.value).map_err(|_| wrong())?);
    }
    input.advance(size);
    Ok(Some(trailers))
}
