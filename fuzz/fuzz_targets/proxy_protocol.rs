//! The PROXY protocol: a header that is taken says what the specification says of its bytes, whatever follows it, and can't be
//! told by its beginning alone.
#![no_main]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use doorward::rules::proxy_protocol::{InvalidHeader, MAX_HEADER, Parsed, parse};
use libfuzzer_sys::fuzz_target;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fuzz_target!(|input: &[u8]| {
    let parsed = parse(input);
    match parsed {
        Ok(Parsed::Header { length, client }) => {
            assert!(length <= input.len() && length <= MAX_HEADER);
            let header = &input[..length];
            let meant = if header.starts_with(SIGNATURE) {
                binary(header)
            } else {
                line(header)
            };
            assert_eq!(Some(client), meant, "{header:?}");
            assert_eq!(parse(header), parsed, "what follows it does not count");
            for cut in 0..length {
                assert_eq!(parse(&input[..cut]), Ok(Parsed::Incomplete), "{cut} of {length}");
            }
        }
        Ok(Parsed::Incomplete) => {
            let begins = |signature: &[u8]| signature.starts_with(input) || input.starts_with(signature);
            assert!(input.len() < MAX_HEADER && (begins(SIGNATURE) || begins(b"PROXY ")));
        }
        Ok(Parsed::Absent) => {
            assert!(!input.starts_with(SIGNATURE) && !input.starts_with(b"PROXY ") && !input.is_empty());
            // Nothing that follows makes it one.
            assert_eq!(parse(&[input, b"\r\n"].concat()), Ok(Parsed::Absent));
        }
        Err(error) => {
            assert!(input.starts_with(SIGNATURE) || input.starts_with(b"PROXY "));
            let more = parse(&[input, b"\r\n"].concat());
            // A line that is too long, and one that is wrong, are both no line.
            assert_eq!(more, Err(error));
            assert!(error != InvalidHeader::Line || input.starts_with(b"PROXY "));
        }
    }
});

/// Who a line names: `None` for one that must not be taken.
fn line(header: &[u8]) -> Option<Option<SocketAddr>> {
    let text = std::str::from_utf8(header).ok()?.strip_suffix("\r\n")?;
    assert!(header.len() <= 107 && !text.contains(['\r', '\n']) || text.starts_with("PROXY UNKNOWN"));
    let fields: Vec<&str> = text.split(' ').collect();
    if fields.get(1) == Some(&"UNKNOWN") {
        return Some(None);
    }
    let [_, family, source, target, from, to] = fields.try_into().ok()?;
    let (source, target): (IpAddr, IpAddr) = (source.parse().ok()?, target.parse().ok()?);
    let (from, to): (u16, u16) = (from.parse().ok()?, to.parse().ok()?);
    assert_eq!(
        (source.is_ipv4(), target.is_ipv4()),
        (family == "TCP4", family == "TCP4")
    );
    assert!(text.ends_with(&format!(" {from} {to}")), "one spelling of a port");
    Some(Some(SocketAddr::new(source, from)))
}

/// Who a header of version 2 names.
fn binary(header: &[u8]) -> Option<Option<SocketAddr>> {
    let (command, family, body) = (header[12], header[13], &header[16..]);
    assert_eq!(usize::from(u16::from_be_bytes([header[14], header[15]])), body.len());
    let port = |at: usize| u16::from_be_bytes([body[at], body[at + 1]]);
    match (command, family) {
        (0x20, _) | (0x21, 0x00 | 0x31) => Some(None),
        (0x21, 0x11) => {
            let source: [u8; 4] = body[..4].try_into().ok()?;
            Some(Some(SocketAddr::new(Ipv4Addr::from(source).into(), port(8))))
        }
        (0x21, 0x21) => {
            let source: [u8; 16] = body[..16].try_into().ok()?;
            Some(Some(SocketAddr::new(Ipv6Addr::from(source).into(), port(32))))
        }
        _ => None,
    }
}
