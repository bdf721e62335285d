//! [`Decoder`]: where in what a client sends the body of its request is, and where it ends (RFC 9112, sections 6 and 7.1).

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;
use http_body::Frame;

use crate::server::head::{self, Framing, Limits};

/// The longest line with a chunk's size and extensions, in bytes. Nobody uses extensions.
const CHUNK_LINE: usize = 256;
/// The most bytes of chunk extensions in one body.
const CHUNK_EXTENSIONS: usize = 4096;

/// Reads one body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decoder {
    /// It has ended, or there is none.
    Done,
    /// This many bytes are to come: at least one.
    Length(u64),
    /// In chunks; so many bytes of extensions have been in it.
    Chunked { at: Chunk, extensions: usize },
}

/// Where in a chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunk {
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

/// The framing of a body is not what HTTP asks: nothing that follows can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken;

impl Decoder {
    pub(super) const fn new(framing: Framing) -> Self {
        match framing {
            Framing::None | Framing::Length(0) => Self::Done,
            Framing::Length(bytes) => Self::Length(bytes),
            Framing::Chunked => Self::Chunked {
                at: Chunk::Size,
                extensions: 0,
            },
        }
    }

    /// How many bytes it would be good to have room for, of those that are sure to come.
    pub(super) const fn expected(&self) -> u64 {
        match self {
            Self::Length(left)
            | Self::Chunked {
                at: Chunk::Data(left), ..
            } => *left,
            Self::Done
            | Self::Chunked {
                at: Chunk::Size | Chunk::End | Chunk::Trailers,
                ..
            } => 0,
        }
    }

    /// The next part of the body, out of what was read.
    pub(super) fn step(&mut self, input: &mut BytesMut, limits: &Limits) -> Result<Step, Broken> {
        loop {
            let (at, extensions) = match self {
                Self::Done => return Ok(Step::Ended),
                _ if input.is_empty() => return Ok(Step::More),
                Self::Length(left) => {
                    let data = up_to(input, *left);
                    *self = Self::new(Framing::Length(*left - data.len() as u64));
                    return Ok(Step::Frame(Frame::data(data)));
                }
                Self::Chunked { at, extensions } => (at, extensions),
            };
            match at {
                Chunk::Size => {
                    let Some(line) = size_line(input, CHUNK_EXTENSIONS - *extensions)? else {
                        return Ok(Step::More);
                    };
                    input.advance(line.length);
                    *extensions += line.extensions;
                    *at = if line.size == 0 {
                        Chunk::Trailers
                    } else {
                        Chunk::Data(line.size)
                    };
                }
                Chunk::Data(left) => {
                    let data = up_to(input, *left);
                    let left = *left - data.len() as u64;
                    *at = if left == 0 { Chunk::End } else { Chunk::Data(left) };
                    self.end_early(input);
                    return Ok(Step::Frame(Frame::data(data)));
                }
                Chunk::End => match &input[..] {
                    [b'\r', b'\n', ..] => {
                        input.advance(2);
                        *at = Chunk::Size;
                    }
                    [b'\r'] => return Ok(Step::More),
                    _ => return Err(Broken),
                },
                Chunk::Trailers => {
                    let Some((trailers, length)) = trailers(input, limits)? else {
                        return Ok(Step::More);
                    };
                    input.advance(length);
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
        let at_end = matches!(self, Self::Chunked { at: Chunk::End, .. });
        if at_end && input.starts_with(END) {
            input.advance(END.len());
            *self = Self::Done;
        }
    }
}

fn up_to(input: &mut BytesMut, most: u64) -> Bytes {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    input.split_to(input.len().min(most)).freeze()
}

/// The first line of a chunk.
struct SizeLine {
    size: u64,
    extensions: usize,
    /// Of the whole line, with its end.
    length: usize,
}

/// `chunk-size [ chunk-ext ] CRLF` (RFC 9112, section 7.1), with at most `room` bytes of extensions, whatever is in them but
/// line ends and controls: they are dropped. `None`: it is good so far, and not complete. What no further byte can mend is
/// refused at once.
fn size_line(input: &[u8], room: usize) -> Result<Option<SizeLine>, Broken> {
    let digits = input.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    // Sixteen digits would fit 64 bits; fifteen are more than any chunk, and no program's integer overflows.
    if digits > 15 || (digits == 0 && !input.is_empty()) {
        return Err(Broken);
    }
    let extensions = match &input[digits..] {
        rest @ [b';', ..] => memchr::memchr(b'\r', rest).unwrap_or(rest.len()),
        _ => 0,
    };
    let end = digits + extensions;
    let is_clean = input[digits..end].iter().all(|byte| *byte >= b' ' && *byte != 0x7f);
    if extensions > room || end > CHUNK_LINE || !is_clean {
        return Err(Broken);
    }
    match &input[end..] {
        [] | [b'\r'] => Ok(None),
        [b'\r', b'\n', ..] => {
            let digit = |sum: u64, byte: &u8| sum * 16 + u64::from(char::from(*byte).to_digit(16).unwrap_or(0));
            Ok(Some(SizeLine {
                size: input[..digits].iter().fold(0, digit),
                extensions,
                length: end + 2,
            }))
        }
        _ => Err(Broken),
    }
}

/// The trailer section and its length, if all of it was read. It may be as large as a head, and have as many lines.
fn trailers(input: &[u8], limits: &Limits) -> Result<Option<(HeaderMap, usize)>, Broken> {
    let mut trailers = HeaderMap::new();
    let mut at = 0;
    loop {
        let rest = &input[at..];
        let end = memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
        match &rest[end..] {
            [b'\r', b'\n', ..] => {}
            // What is too large already is refused, wherever it was cut.
            [] | [b'\r'] if input.len() <= limits.bytes => return Ok(None),
            _ => return Err(Broken),
        }
        at += end + 2;
        if at > limits.bytes {
            return Err(Broken);
        }
        if end == 0 {
            return Ok(Some((trailers, at)));
        }
        if trailers.len() >= limits.lines {
            return Err(Broken);
        }
        let (name, value) = head::trailer(&rest[..end]).map_err(|_| Broken)?;
        trailers.try_append(name, value).map_err(|_| Broken)?;
    }
}

#[cfg(fuzzing)]
pub(in crate::server) mod fuzzed;
#[cfg(test)]
mod tests;
