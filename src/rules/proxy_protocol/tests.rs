//! Headers as the specification writes them, and whatever else may come.

use std::net::SocketAddr;

use proptest::prelude::*;

use super::checksum::crc32c;
use super::{InvalidHeader, MAX_HEADER, Parsed, parse, version2::SIGNATURE};

/// A header of version 2.
fn binary(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &length, body].concat()
}

/// Source, destination and ports of a header of version 2.
fn addresses(source: SocketAddr) -> (u8, Vec<u8>) {
    let port = source.port().to_be_bytes();
    match source {
        SocketAddr::V4(v4) => (
            0x11,
            [&v4.ip().octets()[..], &[198, 51, 100, 1], &port, &[1, 187]].concat(),
        ),
        SocketAddr::V6(v6) => (0x21, [&v6.ip().octets()[..], &[7; 16], &port, &[1, 187]].concat()),
    }
}

fn tlv(kind: u8, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap().to_be_bytes();
    [&[kind], &length[..], value].concat()
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn a_line_names_the_client() {
    for (line, client) in [
        (
            "PROXY TCP4 192.0.2.1 198.51.100.1 4711 443\r\n",
            Some(at("192.0.2.1:4711")),
        ),
        ("PROXY TCP6 2001:db8::1 ::1 0 65535\r\n", Some(at("[2001:db8::1]:0"))),
        ("PROXY UNKNOWN\r\n", None),
        ("PROXY UNKNOWN ffff::1 x y\tz\r\n", None),
    ] {
        let length = line.len();
        assert_eq!(parse(line.as_bytes()), Ok(Parsed::Header { length, client }), "{line}");
        let with_request = format!("{line}GET / HTTP/1.1\r\n");
        assert_eq!(parse(with_request.as_bytes()), Ok(Parsed::Header { length, client }));
    }
}

#[test]
fn a_line_that_is_not_written_in_the_one_way_is_refused() {
    for line in [
        "PROXY TCP4 192.0.2.1 198.51.100.1 4711 443\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 4711\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 4711 443 \r\n",
        "PROXY TCP4  192.0.2.1 198.51.100.1 4711 443\r\n",
        "PROXY TCP4 2001:db8::1 ::1 1 2\r\n",
        "PROXY TCP6 192.0.2.1 198.51.100.1 1 2\r\n",
        "PROXY TCP4 192.0.2.01 198.51.100.1 1 2\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 +1 2\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 01 2\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 65536 2\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1  2\r\n",
        "PROXY UDP4 192.0.2.1 198.51.100.1 1 2\r\n",
        "PROXY UNKNOWNS\r\n",
        "PROXY /x HTTP/1.1\r\n",
        "PROXY \r\n",
    ] {
        assert_eq!(parse(line.as_bytes()), Err(InvalidHeader::Line), "{line:?}");
    }
    let endless = format!("PROXY UNKNOWN {}", "x".repeat(200));
    assert_eq!(parse(endless.as_bytes()), Err(InvalidHeader::Line));
    assert_eq!(parse(&endless.as_bytes()[..106]), Ok(Parsed::Incomplete));
}

#[test]
fn what_begins_otherwise_is_no_header() {
    for other in [
        "GET / HTTP/1.1\r\n",
        "PRI * HTTP/2.0\r\n",
        "POST",
        "\r\nGET",
        "\u{16}\u{3}",
        "proxy TCP4",
    ] {
        assert_eq!(parse(other.as_bytes()), Ok(Parsed::Absent), "{other:?}");
    }
    for beginning in ["", "P", "PROXY", "\r\n\r\n\0\r"] {
        assert_eq!(parse(beginning.as_bytes()), Ok(Parsed::Incomplete), "{beginning:?}");
    }
}

#[test]
fn a_proxy_that_speaks_for_itself_names_nobody() {
    for header in [
        binary(0x20, 0x00, &[]),
        binary(0x20, 0x11, &[1; 12]),
        binary(0x20, 0x77, &[9; 5]),
        binary(0x21, 0x00, &[1, 2, 3]),
        binary(0x21, 0x31, &[b'/'; 216]),
    ] {
        let length = header.len();
        assert_eq!(parse(&header), Ok(Parsed::Header { length, client: None }));
    }
}

#[test]
fn a_binary_header_that_contradicts_itself_is_refused() {
    let (family, good) = addresses("192.0.2.1:4711".parse().unwrap());
    for (header, why) in [
        (binary(0x11, family, &good), InvalidHeader::Kind),
        (binary(0x22, family, &good), InvalidHeader::Kind),
        (binary(0x21, 0x12, &good), InvalidHeader::Kind),
        (binary(0x21, 0x22, &[0; 36]), InvalidHeader::Kind),
        (binary(0x21, 0x41, &good), InvalidHeader::Kind),
        (binary(0x21, family, &good[..11]), InvalidHeader::Length),
        (binary(0x21, 0x21, &[0; 35]), InvalidHeader::Length),
        (binary(0x21, 0x31, &[0; 215]), InvalidHeader::Length),
        (
            binary(0x21, family, &[&good[..], &[4, 0]].concat()),
            InvalidHeader::Length,
        ),
        (
            binary(0x21, family, &[&good[..], &[4, 0, 9, 1]].concat()),
            InvalidHeader::Length,
        ),
        (
            binary(0x21, family, &[&good[..], &tlv(3, &[1, 2, 3])].concat()),
            InvalidHeader::Length,
        ),
        (
            binary(0x21, family, &[&good[..], &tlv(3, &[1, 2, 3, 4])].concat()),
            InvalidHeader::Checksum,
        ),
        (binary(0x20, family, &[0; MAX_HEADER]), InvalidHeader::TooLong),
    ] {
        assert_eq!(parse(&header), Err(why), "{header:?}");
    }
}

proptest! {
    #[test]
    fn what_a_proxy_writes_is_read(source: SocketAddr, noise in proptest::collection::vec(any::<u8>(), 0..200), after: Vec<u8>) {
        let (family, mut body) = addresses(source);
        body.extend(tlv(0x04, &noise));
        body.extend(tlv(0x03, &[0; 4]));
        let at = 16 + body.len() - 4;
        let mut header = binary(0x21, family, &body);
        let sum = crc32c(&header, at..at + 4).to_be_bytes();
        header[at..].copy_from_slice(&sum);
        let expected = SocketAddr::new(source.ip(), source.port());
        let length = header.len();
        for cut in 0..length {
            prop_assert_eq!(parse(&header[..cut]), Ok(Parsed::Incomplete));
        }
        let whole = [&header[..], &after].concat();
        prop_assert_eq!(parse(&whole), Ok(Parsed::Header { length, client: Some(expected) }));
        // One bit of the addresses that fell over is noticed.
        let bit = usize::from(source.port()) % (12 * 8);
        header[16 + bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(parse(&header), Err(InvalidHeader::Checksum));
    }

    #[test]
    fn lines_are_read_as_they_are_written(source: SocketAddr, after: Vec<u8>) {
        let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
        let ip = source.ip();
        let line = format!("PROXY {family} {ip} {ip} {} 443\r\n", source.port());
        let client = Some(SocketAddr::new(ip, source.port()));
        for cut in 0..line.len() {
            prop_assert_eq!(parse(&line.as_bytes()[..cut]), Ok(Parsed::Incomplete));
        }
        let whole = [line.as_bytes(), &after].concat();
        prop_assert_eq!(parse(&whole), Ok(Parsed::Header { length: line.len(), client }));
    }

    #[test]
    fn no_bytes_make_the_reader_panic_or_read_beyond_its_bound(
        begin in prop_oneof![Just(SIGNATURE.to_vec()), Just(b"PROXY ".to_vec()), Just(b"PROXY TCP4 ".to_vec()), Just(vec![])],
        kind in any::<[u8; 2]>(),
        length in 0..64_u16,
        rest: Vec<u8>,
    ) {
        let bytes = [&begin[..], &kind, &length.to_be_bytes(), &rest].concat();
        let bytes = if begin.starts_with(b"PROXY") { [&begin[..], &rest].concat() } else { bytes };
        match parse(&bytes) {
            Ok(Parsed::Header { length, .. }) => prop_assert!(length <= bytes.len() && length <= MAX_HEADER),
            Ok(Parsed::Incomplete) => prop_assert!(bytes.len() < MAX_HEADER),
            Ok(Parsed::Absent) | Err(_) => {}
        }
    }
}
