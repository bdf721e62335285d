//! A body in chunks, read to its end or to where it breaks, for the fuzz targets.

use bytes::BytesMut;
use http::HeaderMap;

use super::{Broken, Decoder, Step};
use crate::server::head::{Framing, Limits};

/// What came of a body, and what follows it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Chunks {
    /// Its data.
    pub data: Vec<u8>,
    /// Its trailers, where there are any.
    pub trailers: HeaderMap,
    /// Whether it came to its end.
    pub ended: bool,
    /// Whether it is refused.
    pub broken: bool,
    /// What was not read of it, or follows it.
    pub left: Vec<u8>,
}

/// Reads a body in chunks out of parts as they arrive. It may have trailers of so many bytes and lines.
pub fn read_chunks<'a>(parts: impl Iterator<Item = &'a [u8]>, bytes: usize, lines: usize) -> Chunks {
    let limits = Limits {
        bytes,
        lines,
        target: 0,
    };
    let (mut decoder, mut input, mut read) = (Decoder::new(Framing::Chunked), BytesMut::new(), Chunks::default());
    for part in parts {
        input.extend_from_slice(part);
        while !read.ended && !read.broken {
            match decoder.step(&mut input, &limits) {
                Ok(Step::Frame(frame)) => match frame.into_data() {
                    Ok(data) => read.data.extend_from_slice(&data),
                    Err(frame) => read.trailers = frame.into_trailers().unwrap_or_default(),
                },
                Ok(Step::Ended) => read.ended = true,
                Ok(Step::More) => break,
                Err(Broken) => read.broken = true,
            }
        }
    }
    read.left = input.to_vec();
    read
}
