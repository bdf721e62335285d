//! What the fuzz targets share: readers that are as simple as can be, to hold the gateway's own against, and a gateway
//! between a client and an upstream that know all that passes.
//!
//! A target is a file in `fuzz_targets`: its first lines say what it promises. `tools/fuzz` builds and runs them.

pub mod lenient;
pub mod naive;
pub mod rig;

/// The lines of an input that is text, without their ends.
pub fn lines(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    input.split(|byte| *byte == b'\n')
}

/// A number that depends on every byte, to choose by (FNV-1a).
#[must_use]
pub fn digest(input: &[u8]) -> u64 {
    input.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The input in parts, whose sizes are chosen by its bytes: one part for every other input.
pub fn parts(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut state = digest(input);
    let whole = state & 1 == 0;
    let mut rest = input;
    std::iter::from_fn(move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let size = if whole {
            rest.len()
        } else {
            1 + (state >> 33) as usize % 24
        };
        rest.split_off(..size.min(rest.len())).filter(|part| !part.is_empty())
    })
}

/// One byte of a header's name as a server sees it that turns headers into variables.
#[must_use]
pub fn fold(name: &str) -> String {
    let fold = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '-'
        }
    };
    name.chars().map(fold).collect()
}
