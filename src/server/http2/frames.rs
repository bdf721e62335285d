//! [`Frames`]: where one frame ends and the next begins in the bytes of a connection (RFC 9113, section 4.1).

/// Kinds of frames that mean something to the guard (RFC 9113, section 6).
pub(super) mod kind {
    pub(in super::super) const DATA: u8 = 0;
    pub(in super::super) const HEADERS: u8 = 1;
    pub(in super::super) const RST_STREAM: u8 = 3;
    pub(in super::super) const SETTINGS: u8 = 4;
    pub(in super::super) const GOAWAY: u8 = 7;
    pub(in super::super) const CONTINUATION: u8 = 9;
}

/// Flags of frames.
pub(super) mod flag {
    pub(in super::super) const END_STREAM: u8 = 0x1;
    pub(in super::super) const ACK: u8 = 0x1;
    pub(in super::super) const END_HEADERS: u8 = 0x4;
    pub(in super::super) const PADDED: u8 = 0x8;
    pub(in super::super) const PRIORITY: u8 = 0x20;
}

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Bytes of the payload.
    pub(super) length: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
}

impl Header {
    const SIZE: usize = 9;

    fn read(bytes: [u8; Self::SIZE]) -> Self {
        let [high, middle, low, kind, flags, stream @ ..] = bytes;
        Self {
            length: usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low),
            kind,
            flags,
            // The highest bit is reserved, and to be ignored.
            stream: u32::from_be_bytes(stream) & 0x7fff_ffff,
        }
    }

    pub(super) const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// Who is told of frames.
pub(super) trait Reader {
    /// Why the bytes are not to be read on.
    type Stop;

    /// A frame begins.
    fn begins(&mut self, header: Header) -> Result<(), Self::Stop>;

    /// Some of its payload. All of it may come in pieces; an empty one does not come.
    fn payload(&mut self, header: Header, piece: &[u8]) -> Result<(), Self::Stop>;
}

/// How far the bytes of one direction have been followed.
#[derive(Debug)]
pub(super) struct Frames {
    /// Bytes of the preface that are still to come.
    preface: usize,
    partial: [u8; Header::SIZE],
    /// How much of `partial` is there.
    have: usize,
    /// The frame whose payload is being followed, and how much of that is still to come.
    current: Option<(Header, usize)>,
}

impl Frames {
    /// Follows bytes that begin with a preface of this length.
    pub(super) const fn after(preface: usize) -> Self {
        Self {
            preface,
            partial: [0; Header::SIZE],
            have: 0,
            current: None,
        }
    }

    /// Whether a frame has just ended, or none has begun.
    pub(super) const fn is_between(&self) -> bool {
        self.preface == 0 && self.have == 0 && self.current.is_none()
    }

    /// Follows the next bytes.
    pub(super) fn advance<R: Reader>(&mut self, mut bytes: &[u8], reader: &mut R) -> Result<(), R::Stop> {
        let skipped = self.preface.min(bytes.len());
        self.preface -= skipped;
        bytes = &bytes[skipped..];
        while !bytes.is_empty() {
            if let Some((header, left)) = self.current {
                let (piece, rest) = bytes.split_at(left.min(bytes.len()));
                bytes = rest;
                self.current = Some((header, left - piece.len())).filter(|(_, left)| *left > 0);
                reader.payload(header, piece)?;
                continue;
            }
            let (piece, rest) = bytes.split_at((Header::SIZE - self.have).min(bytes.len()));
            bytes = rest;
            self.partial[self.have..self.have + piece.len()].copy_from_slice(piece);
            self.have += piece.len();
            if self.have == Header::SIZE {
                self.have = 0;
                let header = Header::read(self.partial);
                self.current = Some((header, header.length)).filter(|(_, left)| *left > 0);
                reader.begins(header)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
