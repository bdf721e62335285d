//! Version 1: `PROXY TCP4 192.0.2.1 198.51.100.1 4711 443` and CR LF.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{InvalidHeader, Parsed};

pub(super) const SIGNATURE: &[u8] = b"PROXY ";

/// The longest line, CR LF included.
const MAX_LINE: usize = 107;

pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, InvalidHeader> {
    let head = &bytes[..bytes.len().min(MAX_LINE)];
    let Some(end) = head.iter().position(|byte| *byte == b'\n') else {
        return if head.len() < MAX_LINE {
            Ok(Parsed::Incomplete)
        } else {
            Err(InvalidHeader::Line)
        };
    };
    let line = head[..end]
        .strip_suffix(b"\r")
        .and_then(|line| line.strip_prefix(SIGNATURE));
    let text = line.and_then(|line| std::str::from_utf8(line).ok());
    let text = text.ok_or(InvalidHeader::Line)?;
    let length = end + 1;
    // "The receiver must ignore anything presented before the CRLF is found."
    let client = if text == "UNKNOWN" || text.starts_with("UNKNOWN ") {
        None
    } else {
        Some(source(text).ok_or(InvalidHeader::Line)?)
    };
    Ok(Parsed::Header { length, client })
}

/// The first of the two addresses that stand between the signature and the end of the line.
fn source(text: &str) -> Option<SocketAddr> {
    let mut fields = text.split(' ');
    let family = fields.next()?;
    let mut address = || match family {
        "TCP4" => fields.next()?.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        "TCP6" => fields.next()?.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        _ => None,
    };
    let (source, _destination) = (address()?, address()?);
    let (source_port, _destination_port) = (port(fields.next()?)?, port(fields.next()?)?);
    fields.next().is_none().then_some(SocketAddr::new(source, source_port))
}

/// A port in decimal, without a sign and without leading zeros.
fn port(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text.len() == 1 || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}
