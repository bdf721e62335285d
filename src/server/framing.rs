//! Follows the framing of an HTTP/1 request stream, so that each head is checked before hyper sees it and each chunk line
//! before anything acts on it (RFC 9112, sections 6 and 7.1).
//!
//! [`Tracker::advance`] is given the bytes in order and says how many of them are whole and good. It holds nothing back
//! itself: a head that is not complete yet stays with the caller.

use super::head::{self, Framing, Limits, Refusal};

/// The longest line with a chunk's size and extensions, in bytes. Nobody uses extensions.
const CHUNK_LINE: usize = 256;
/// The most bytes of chunk extensions in one body.
const CHUNK_EXTENSIONS: usize = 4096;

/// Where in the stream of one connection we are.
#[derive(Debug)]
pub(super) struct Tracker {
    limits: Limits,
    state: State,
    /// Heads that have passed.
    heads: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Head,
    /// After a head that asks for an upgrade: what follows is held until it is known what it is.
    Held,
    Body {
        left: u64,
    },
    Chunks(Chunk),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chunk {
    /// In a chunk's first line: size so far, digits and bytes seen, and bytes of extensions seen in this body.
    Size {
        size: u64,
        digits: u8,
        line: usize,
        extensions: usize,
        cr: bool,
    },
    Data {
        left: u64,
        extensions: usize,
    },
    /// After the data: the CR, then the LF.
    DataEnd {
        cr: bool,
        extensions: usize,
    },
    /// The last chunk was read: trailer lines until an empty one.
    Trailers {
        bytes: usize,
    },
}

const FIRST_CHUNK: Chunk = Chunk::Size {
    size: 0,
    digits: 0,
    line: 0,
    extensions: 0,
    cr: false,
};

/// What came of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// All are good so far.
    All,
    /// The first `good` are; the rest is the beginning of a head (or of a trailer line), to be given again with what follows.
    Partial {
        /// How many bytes are good.
        good: usize,
    },
    /// The first `good` are; then comes a head that is refused.
    Refused {
        /// How many bytes are good.
        good: usize,
        /// Why.
        why: Refusal,
    },
    /// The first `good` are; then the framing of a body breaks.
    Broken {
        /// How many bytes are good.
        good: usize,
    },
}

impl Progress {
    /// How many of `all` bytes are good.
    pub(super) fn good(self, all: usize) -> usize {
        match self {
            Self::All => all,
            Self::Partial { good } | Self::Refused { good, .. } | Self::Broken { good } => good,
        }
    }
}

impl Tracker {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: State::Head,
            heads: 0,
        }
    }

    /// How many heads have passed.
    pub(super) fn heads(&self) -> u64 {
        self.heads
    }

    /// Whether the next byte begins a head.
    pub(super) fn between_requests(&self) -> bool {
        self.state == State::Head
    }

    /// Whether what follows is held, because the last head asked for an upgrade.
    pub(super) fn holds(&self) -> bool {
        self.state == State::Held
    }

    /// There was no upgrade: what follows is the next head.
    pub(super) fn resume(&mut self) {
        self.state = State::Head;
    }

    /// Follows `bytes`, which continue what was given before.
    pub(super) fn advance(&mut self, bytes: &[u8]) -> Progress {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            match self.state {
                State::Head => match self.head(rest) {
                    Ok(Some(length)) => at += length,
                    Ok(None) => return Progress::Partial { good: at },
                    Err(why) => return Progress::Refused { good: at, why },
                },
                State::Held => return Progress::Partial { good: at },
                State::Body { left } => {
                    let taken = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    let left = left - taken as u64;
                    self.state = if left == 0 { State::Head } else { State::Body { left } };
                    at += taken;
                }
                State::Chunks(chunk) => match self.chunk(chunk, rest) {
                    Ok(Some(length)) => at += length,
                    Ok(None) => return Progress::Partial { good: at },
                    Err(()) => return Progress::Broken { good: at },
                },
            }
        }
        Progress::All
    }

    /// The length of the head at the start of `bytes`; `None` when it is not complete.
    fn head(&mut self, bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        // One empty line before a request is tolerated (RFC 9112, section 2.2); hyper skips it as well.
        let skip = if bytes.starts_with(b"\r\n") { 2 } else { 0 };
        let head = &bytes[skip..];
        let Some(end) = memchr::memmem::find(head, b"\r\n\r\n") else {
            // Refuse early what no further byte can mend, so that nobody waits for the end of garbage.
            if head.len() > self.limits.bytes {
                return Err(Refusal::TooLarge);
            }
            if head.len() > 1 && memchr::memmem::find(head, b"\n\n").is_some() {
                return Err(Refusal::Bad("a line of the head does not end with CR LF"));
            }
            return Ok(None);
        };
        let length = end + 4;
        self.state = match head::check(&head[..length], &self.limits)? {
            Framing::None => State::Head,
            Framing::Upgrade => State::Held,
            Framing::Length(left) => State::Body { left },
            Framing::Chunked => State::Chunks(FIRST_CHUNK),
        };
        self.heads += 1;
        Ok(Some(skip + length))
    }

    /// Follows chunked framing; how many bytes of `bytes` (at least one) were used. `None`: a trailer line is not complete.
    fn chunk(&mut self, chunk: Chunk, bytes: &[u8]) -> Result<Option<usize>, ()> {
        let (next, used) = match chunk {
            Chunk::Size {
                size,
                digits,
                line,
                extensions,
                cr,
            } => {
                let line = line + 1;
                let next = match bytes[0] {
                    b'\n' if cr && digits > 0 && size == 0 => Chunk::Trailers { bytes: 0 },
                    b'\n' if cr && digits > 0 => Chunk::Data { left: size, extensions },
                    _ if cr || line > CHUNK_LINE => return Err(()),
                    b'\r' => Chunk::Size {
                        size,
                        digits,
                        line,
                        extensions,
                        cr: true,
                    },
                    // Extensions, whatever is in them but line ends and controls: hyper drops them.
                    byte if line > usize::from(digits) + 1 || (byte == b';' && digits > 0) => {
                        if byte < b' ' || byte == 0x7f || extensions >= CHUNK_EXTENSIONS {
                            return Err(());
                        }
                        Chunk::Size {
                            size,
                            digits,
                            line,
                            extensions: extensions + 1,
                            cr,
                        }
                    }
                    // Sixteen digits would fit 64 bits; fifteen are more than any chunk, and no program's integer overflows.
                    byte if digits < 15 => {
                        let digit = char::from(byte).to_digit(16).ok_or(())?;
                        Chunk::Size {
                            size: size * 16 + u64::from(digit),
                            digits: digits + 1,
                            line,
                            extensions,
                            cr,
                        }
                    }
                    _ => return Err(()),
                };
                (next, 1)
            }
            Chunk::Data { left, extensions } => {
                let used = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                let left = left - used as u64;
                let next = if left == 0 {
                    Chunk::DataEnd { cr: false, extensions }
                } else {
                    Chunk::Data { left, extensions }
                };
                (next, used)
            }
            Chunk::DataEnd { cr: false, extensions } if bytes[0] == b'\r' => {
                (Chunk::DataEnd { cr: true, extensions }, 1)
            }
            Chunk::DataEnd { cr: true, extensions } if bytes[0] == b'\n' => (
                Chunk::Size {
                    size: 0,
                    digits: 0,
                    line: 0,
                    extensions,
                    cr: false,
                },
                1,
            ),
            Chunk::DataEnd { .. } => return Err(()),
            Chunk::Trailers { bytes: seen } => return self.trailer(seen, bytes),
        };
        self.state = State::Chunks(next);
        Ok(Some(used))
    }

    fn trailer(&mut self, seen: usize, bytes: &[u8]) -> Result<Option<usize>, ()> {
        let Some(end) = memchr::memchr2(b'\r', b'\n', bytes) else {
            return if seen + bytes.len() > self.limits.bytes {
                Err(())
            } else {
                Ok(None)
            };
        };
        match bytes.get(end..end + 2) {
            Some(b"\r\n") => {}
            Some(_) => return Err(()),
            None if bytes[end] == b'\n' => return Err(()),
            None => return Ok(None),
        }
        let length = end + 2;
        if end == 0 {
            self.state = State::Head;
        } else {
            head::check_trailer(&bytes[..end]).map_err(|_| ())?;
            if seen + length > self.limits.bytes {
                return Err(());
            }
            self.state = State::Chunks(Chunk::Trailers { bytes: seen + length });
        }
        Ok(Some(length))
    }
}

#[cfg(test)]
mod tests;
