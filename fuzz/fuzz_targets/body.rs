//! Bodies in chunks, in any cut: what is read is what the standard says, to the byte, or nothing; and the cut changes nothing.
#![no_main]

use doorward::server::fuzzed::{Chunks, read_chunks};
use doorward_fuzz::naive::{self, Chunked};
use doorward_fuzz::parts;
use libfuzzer_sys::fuzz_target;

const TRAILER_BYTES: usize = 512;
const TRAILER_LINES: usize = 8;

fuzz_target!(|input: &[u8]| {
    let whole = read_chunks([input].into_iter(), TRAILER_BYTES, TRAILER_LINES);
    let mut others = [
        read_chunks(parts(input), TRAILER_BYTES, TRAILER_LINES),
        read_chunks(input.chunks(1), TRAILER_BYTES, TRAILER_LINES),
    ];
    for other in &mut others {
        if whole.broken {
            // Where it is noticed depends on how much was there.
            assert!(other.broken);
            other.left.clone_from(&whole.left);
        }
        assert_eq!(whole, *other);
    }
    assert!(!(whole.ended && whole.broken));
    match naive::chunks(input) {
        Chunked::Whole { data, trailers, length } if whole.ended => {
            assert_eq!((&whole.data, &whole.left[..]), (&data, &input[length..]));
            let mut read: Vec<(String, Vec<u8>)> = whole
                .trailers
                .iter()
                .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
                .collect();
            let mut meant = trailers;
            read.sort();
            meant.sort();
            assert_eq!(read, meant);
        }
        Chunked::Whole { length, .. } => {
            assert!(
                whole.broken && is_beyond_a_bound(&input[..length]),
                "a good body is refused"
            );
        }
        Chunked::Open { data } => {
            assert!(!whole.ended && data.starts_with(&whole.data));
            assert!(!whole.broken || is_beyond_a_bound(input), "a good beginning is refused");
        }
        Chunked::Broken { data } => {
            assert!(!whole.ended && data.starts_with(&whole.data), "what is broken is taken");
            assert!(whole.broken || waits(&whole), "what nothing can mend is waited for");
        }
    }
});

/// Whether something of this is larger than the gateway takes: sizes of 15 digits, lines of 256 bytes, 4096 bytes of extensions,
/// trailers.
fn is_beyond_a_bound(input: &[u8]) -> bool {
    let many_digits = input.windows(16).any(|some| some.iter().all(u8::is_ascii_hexdigit));
    let extended = input.contains(&b';') && input.len() > 256;
    let line_ends = input.windows(2).filter(|two| two == b"\r\n").count();
    many_digits || extended || line_ends > TRAILER_LINES || input.len() > TRAILER_BYTES
}

/// A trailer is looked at when all of its line is there.
fn waits(read: &Chunks) -> bool {
    !read.left.is_empty()
}
