//! CRC-32C (RFC 9260, appendix B), as version 2 of the PROXY protocol uses it.

use std::ops::Range;

/// The polynomial of Castagnoli, its bits in reverse.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// The checksum of these bytes, those at `blank` (its own place) taken as zero.
pub(super) fn crc32c(bytes: &[u8], blank: Range<usize>) -> u32 {
    let mut crc = !0;
    for (index, byte) in bytes.iter().enumerate() {
        crc ^= u32::from(if blank.contains(&index) { 0 } else { *byte });
        for _ in 0..8 {
            crc = (crc >> 1) ^ (POLYNOMIAL & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_check_value_of_crc_32c_comes_out() {
        assert_eq!(super::crc32c(b"123456789", 0..0), 0xe306_9283);
    }
}
