//! Version 2: a binary header with addresses and, after them, TLVs, of which only the checksum means something to us.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::checksum::crc32c;
use super::{InvalidHeader, MAX_HEADER, Parsed};

pub(super) const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Signature, version and command, family and transport, and the length of the rest.
const FIXED: usize = 16;

/// The type of the TLV with the checksum of the whole header.
const CRC32C: u8 = 0x03;

pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, InvalidHeader> {
    let Some((fixed, rest)) = bytes.split_first_chunk::<FIXED>() else {
        return Ok(Parsed::Incomplete);
    };
    let [.., command, family, high, low] = *fixed;
    let is_local = match command {
        0x20 => true,
        0x21 => false,
        _ => return Err(InvalidHeader::Kind),
    };
    let announced = usize::from(u16::from_be_bytes([high, low]));
    let length = FIXED + announced;
    if length > MAX_HEADER {
        return Err(InvalidHeader::TooLong);
    }
    let Some(body) = rest.get(..announced) else {
        return Ok(Parsed::Incomplete);
    };
    if is_local {
        // A health check of the proxy's own: whatever else the header says is not looked at.
        return Ok(Parsed::Header { length, client: None });
    }
    let (client, tlvs) = match family {
        // Neither is an address that we could count by, or look for in a list.
        0x00 => (None, None),
        0x31 => (None, body.get(216..)),
        0x11 => (ipv4(body), body.get(12..)),
        0x21 => (ipv6(body), body.get(36..)),
        _ => return Err(InvalidHeader::Kind),
    };
    // Without a family, nobody says where the TLVs begin.
    if family != 0x00 {
        check_tlvs(&bytes[..length], tlvs.ok_or(InvalidHeader::Length)?)?;
    }
    Ok(Parsed::Header { length, client })
}

fn ipv4(body: &[u8]) -> Option<SocketAddr> {
    let (source, rest) = body.split_first_chunk::<4>()?;
    let port = rest.get(4..)?.first_chunk::<2>()?;
    Some(SocketAddr::from((Ipv4Addr::from(*source), u16::from_be_bytes(*port))))
}

fn ipv6(body: &[u8]) -> Option<SocketAddr> {
    let (source, rest) = body.split_first_chunk::<16>()?;
    let port = rest.get(16..)?.first_chunk::<2>()?;
    Some(SocketAddr::from((Ipv6Addr::from(*source), u16::from_be_bytes(*port))))
}

/// The TLVs fill the header, and a checksum among them is right.
fn check_tlvs(header: &[u8], tlvs: &[u8]) -> Result<(), InvalidHeader> {
    let mut rest = tlvs;
    while !rest.is_empty() {
        let (&[kind, high, low], after) = rest.split_first_chunk::<3>().ok_or(InvalidHeader::Length)?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let (value, next) = after.split_at_checked(length).ok_or(InvalidHeader::Length)?;
        if kind == CRC32C {
            let said: [u8; 4] = value.try_into().map_err(|_| InvalidHeader::Length)?;
            let at = header.len() - after.len();
            if u32::from_be_bytes(said) != crc32c(header, at..at + 4) {
                return Err(InvalidHeader::Checksum);
            }
        }
        rest = next;
    }
    Ok(())
}
