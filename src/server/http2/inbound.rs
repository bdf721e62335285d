//! [`Inbound`]: what a client sends, frame by frame, as far as it can be judged without reading header blocks.
//!
//! h2, below hyper, bounds header lists, CONTINUATION frames, small DATA frames and resets itself. What it has no bound for
//! is judged here: frames that cost work and ask for nothing, and a header block that is not brought to its end.

use super::budget::Budget;
use super::frames::{Frames, Header, Reader, flag, kind};
use super::interims::Interims;

/// The preface of a client (RFC 9113, section 3.4).
const PREFACE: usize = 24;

/// What frames cost (see [`Budget`]): an answer to make, or a stream to take down.
const SETTINGS_COST: u32 = 20;
const RESET_COST: u32 = 4;
const EMPTY_DATA_COST: u32 = 4;
const OTHER_COST: u32 = 2;

/// Why a connection is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The client floods.
    Flood,
    /// A header block, or the beginning of the connection, takes longer than configured.
    Slow,
    /// Trailers begin with a pseudo-header (RFC 9113, section 8.1).
    Trailers,
}

impl Fault {
    /// The error code that the client is told (RFC 9113, section 7).
    pub(super) const fn code(self) -> u32 {
        match self {
            Self::Trailers => 0x1,
            Self::Flood | Self::Slow => 0xb,
        }
    }

    /// What happened, for a log.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Flood => "the client sends too many frames that ask for nothing",
            Self::Slow => "the client takes too long to bring a header block to its end",
            Self::Trailers => "the client sends pseudo-headers as trailers",
        }
    }
}

/// The frames of a client.
#[derive(Debug)]
pub(super) struct Inbound {
    frames: Frames,
    judge: Judge,
}

#[derive(Debug)]
struct Judge {
    budget: Budget,
    /// The highest stream that a request came on.
    highest: u32,
    /// Whether the first frame is still to come.
    fresh: bool,
    /// Whether a header block has begun and not ended.
    in_block: bool,
    /// How many have begun.
    blocks: u64,
    /// The beginning of the trailers that are being read, until it is known what they begin with.
    trailers: Option<Opening>,
    /// Streams that were opened and not told of yet.
    opened: Vec<u32>,
    settings: Settings,
}

impl Inbound {
    pub(super) fn new() -> Self {
        Self {
            frames: Frames::after(PREFACE),
            judge: Judge {
                budget: Budget::new(),
                highest: 0,
                fresh: true,
                in_block: false,
                blocks: 0,
                trailers: None,
                opened: Vec::new(),
                settings: Settings::default(),
            },
        }
    }

    /// Follows what the client sent.
    pub(super) fn advance(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.frames.advance(bytes, &mut self.judge)
    }

    /// The number of what the client has begun and must bring to its end: the beginning of the connection, or a header block.
    pub(super) fn unfinished(&self) -> Option<u64> {
        (self.judge.fresh || self.judge.in_block).then_some(self.judge.blocks)
    }

    /// The highest stream that a request came on.
    pub(super) const fn highest(&self) -> u32 {
        self.judge.highest
    }

    /// Tells of what has come that interim answers depend on.
    pub(super) fn tell(&mut self, interims: &Interims) {
        if !self.judge.opened.is_empty() {
            interims.opened(self.judge.opened.drain(..));
        }
        if std::mem::take(&mut self.judge.settings.shrinks) {
            interims.stop();
        }
    }

    /// Notes that the client got some of an answer.
    pub(super) fn earn(&mut self, amount: u32) {
        self.judge.budget.earn(amount);
    }
}

impl Reader for Judge {
    type Stop = Fault;

    fn begins(&mut self, header: Header) -> Result<(), Fault> {
        self.fresh = false;
        let cost = match header.kind {
            kind::HEADERS => {
                self.blocks += 1;
                self.trailers = (header.stream <= self.highest).then(|| Opening::new(header));
                if header.stream > self.highest {
                    self.highest = header.stream;
                    self.opened.push(header.stream);
                }
                0
            }
            kind::CONTINUATION => {
                if let Some(opening) = &mut self.trailers {
                    opening.goes_on(header);
                }
                OTHER_COST
            }
            kind::DATA if header.has(flag::END_STREAM) => 0,
            // Nothing but padding counts as nothing.
            kind::DATA if header.length == 0 || (header.has(flag::PADDED) && header.length <= 256) => EMPTY_DATA_COST,
            kind::DATA => 0,
            kind::RST_STREAM => RESET_COST,
            kind::SETTINGS if !header.has(flag::ACK) => {
                self.settings.have = 0;
                SETTINGS_COST
            }
            _ => OTHER_COST,
        };
        if matches!(header.kind, kind::HEADERS | kind::CONTINUATION) {
            self.in_block = !header.has(flag::END_HEADERS);
        }
        if cost == 0 || self.budget.spend(cost) {
            Ok(())
        } else {
            Err(Fault::Flood)
        }
    }

    fn payload(&mut self, header: Header, piece: &[u8]) -> Result<(), Fault> {
        if header.kind == kind::SETTINGS {
            self.settings.read(piece);
        }
        if !matches!(header.kind, kind::HEADERS | kind::CONTINUATION) {
            return Ok(());
        }
        match self.trailers.as_mut().map(|opening| opening.read(piece)) {
            None | Some(Begins::Unknown) => Ok(()),
            Some(Begins::Well) => {
                self.trailers = None;
                Ok(())
            }
            Some(Begins::WithPseudo) => Err(Fault::Trailers),
        }
    }
}

/// What a client says of the table of HPACK that it keeps for us (RFC 9113, section 6.5.2).
#[derive(Debug)]
struct Settings {
    /// How large it may be.
    table: u32,
    /// Whether it was to become smaller.
    shrinks: bool,
    partial: [u8; 6],
    /// How much of `partial` is there.
    have: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            table: 4096,
            shrinks: false,
            partial: [0; 6],
            have: 0,
        }
    }
}

impl Settings {
    fn read(&mut self, piece: &[u8]) {
        for byte in piece {
            self.partial[self.have] = *byte;
            self.have = (self.have + 1) % self.partial.len();
            if self.have == 0
                && let [0, 1, table @ ..] = self.partial
            {
                let table = u32::from_be_bytes(table);
                self.shrinks |= table < self.table;
                self.table = table;
            }
        }
    }
}

/// What a trailer section begins with. h2 refuses a pseudo-header after another field, and overlooks one that comes first.
#[derive(Debug)]
struct Opening {
    /// Whether the first byte of the payload is the length of the padding.
    padded: bool,
    /// Bytes to skip.
    skip: usize,
    /// Bytes of this frame's part of the block that are still to come.
    left: usize,
    block: Vec<u8>,
}

#[derive(Debug, PartialEq, Eq)]
enum Begins {
    Well,
    WithPseudo,
    Unknown,
}

impl Opening {
    /// More of a block than its opening takes.
    const ENOUGH: usize = 32;

    fn new(header: Header) -> Self {
        let skip = if header.has(flag::PRIORITY) { 5 } else { 0 };
        Self {
            padded: header.has(flag::PADDED),
            skip,
            left: header.length.saturating_sub(skip),
            block: Vec::new(),
        }
    }

    fn goes_on(&mut self, header: Header) {
        (self.padded, self.skip, self.left) = (false, 0, header.length);
    }

    fn read(&mut self, mut piece: &[u8]) -> Begins {
        if self.padded
            && let [padding, rest @ ..] = piece
        {
            self.padded = false;
            self.left = self.left.saturating_sub(1 + usize::from(*padding));
            piece = rest;
        }
        let skipped = self.skip.min(piece.len());
        self.skip -= skipped;
        piece = &piece[skipped..];
        let piece = &piece[..piece.len().min(self.left)];
        self.left -= piece.len();
        let room = Self::ENOUGH - self.block.len();
        self.block.extend_from_slice(&piece[..piece.len().min(room)]);
        match first_name(&self.block) {
            // Nothing but changes of the table's size, of which there may be two.
            Begins::Unknown if self.block.len() == Self::ENOUGH => Begins::WithPseudo,
            begins @ (Begins::Unknown | Begins::Well | Begins::WithPseudo) => begins,
        }
    }
}

/// What the first field of a header block is (RFC 7541, section 6). A name from the dynamic table is not known here; h2 drops
/// it where it is a pseudo-header.
fn first_name(mut block: &[u8]) -> Begins {
    /// The static table begins with the pseudo-headers.
    const PSEUDO: std::ops::RangeInclusive<u8> = 1..=14;
    // Changes of the table's size come before the first field.
    while let [first @ 0x20..=0x3f, rest @ ..] = block {
        block = rest;
        if *first == 0x3f {
            let more = block.iter().take_while(|byte| **byte >= 0x80).count();
            block = block.get(more + 1..).unwrap_or_default();
        }
    }
    let index = match block {
        [] => return Begins::Unknown,
        [first @ 0x80..=0xff, ..] => first & 0x7f,
        [first @ 0x40..=0x7f, ..] => first & 0x3f,
        [first, ..] => first & 0x0f,
    };
    if index > 0 {
        return if PSEUDO.contains(&index) {
            Begins::WithPseudo
        } else {
            Begins::Well
        };
    }
    match block {
        [_] | [_, _] => Begins::Unknown,
        // A colon begins as 1011100 in the code of Huffman.
        [_, length @ 0x80..=0xff, name, ..] if length & 0x7f > 0 && name >> 1 == 0x5c => Begins::WithPseudo,
        [_, 1..=0x7f, b':', ..] => Begins::WithPseudo,
        _ => Begins::Well,
    }
}

#[cfg(test)]
mod tests;
