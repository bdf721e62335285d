//! Where a request came from, for the upstream: `X-Forwarded-*` and `Forwarded` (RFC 7239).

use std::net::IpAddr;

use bytes::BytesMut;
use http::Version;
use http::header::{FORWARDED, HeaderMap, HeaderName, HeaderValue};

use super::value::{set_written, write_plain};

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// What the gateway knows of where a request came from.
#[derive(Clone, Copy, Debug)]
pub struct Forwarding<'a> {
    /// The other end of the connection.
    pub peer: IpAddr,
    /// Whether what the peer says of earlier hops is believed (`server.trusted_proxies`).
    pub peer_is_trusted: bool,
    /// `http` or `https`, as the request reached us.
    pub scheme: &'static str,
    /// The host that the request was for, as it was sent.
    pub host: Option<&'a HeaderValue>,
    /// The version of HTTP in which the request reached us.
    pub version: Version,
    /// The id by which the request is found in logs.
    pub request_id: &'a HeaderValue,
}

impl Forwarding<'_> {
    /// Sets the headers. From a trusted peer, `X-Forwarded-For` and `Forwarded` grow by one element, and `-Proto` and
    /// `-Host` stay where they are there: the first proxy knows what the client asked for. A trusted proxy must replace
    /// both kinds itself, as it vouches for both. From anybody else, they have been removed before and say what we saw.
    pub(super) fn set(&self, headers: &mut HeaderMap, buffer: &mut BytesMut) {
        let peer = self.peer.to_canonical();
        write_chain(headers, &FOR, buffer);
        write_address(buffer, peer);
        set_written(headers, &FOR, buffer);
        write_chain(headers, &FORWARDED, buffer);
        self.write_element(peer, buffer);
        set_written(headers, &FORWARDED, buffer);
        if !headers.contains_key(PROTO) {
            headers.insert(PROTO, HeaderValue::from_static(self.scheme));
        }
        if let Some(host) = self.host
            && !headers.contains_key(HOST)
        {
            headers.insert(HOST, host.clone());
        }
    }

    fn write_element(&self, peer: IpAddr, buffer: &mut BytesMut) {
        match peer {
            IpAddr::V4(_) => {
                buffer.extend_from_slice(b"for=");
                write_address(buffer, peer);
            }
            IpAddr::V6(peer) => write_plain(buffer, format_args!("for=\"[{peer}]\"")),
        }
        if let Some(host) = self.host.map(HeaderValue::as_bytes)
            && host.iter().all(|byte| needs_no_escape(*byte))
        {
            buffer.extend_from_slice(b";host=\"");
            buffer.extend_from_slice(host);
            buffer.extend_from_slice(b"\"");
        }
        buffer.extend_from_slice(b";proto=");
        buffer.extend_from_slice(self.scheme.as_bytes());
    }
}

/// Writes an address. One of version 4, as most are, without the machinery that can pad and align.
fn write_address(buffer: &mut BytesMut, address: IpAddr) {
    let IpAddr::V4(address) = address else {
        return write_plain(buffer, address);
    };
    for (index, octet) in address.octets().into_iter().enumerate() {
        if index > 0 {
            buffer.extend_from_slice(b".");
        }
        let digits = [b'0' + octet / 100, b'0' + octet / 10 % 10, b'0' + octet % 10];
        let leading = usize::from(octet < 100) + usize::from(octet < 10);
        buffer.extend_from_slice(&digits[leading..]);
    }
}

/// What a host is made of. All of it may stand in a quoted string as it is.
const fn needs_no_escape(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'[' | b']')
}

/// Writes all that a list header says so far, ready for another element.
fn write_chain(headers: &HeaderMap, name: &HeaderName, buffer: &mut BytesMut) {
    for line in headers.get_all(name) {
        if !line.is_empty() {
            buffer.extend_from_slice(line.as_bytes());
            buffer.extend_from_slice(b", ");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_address_is_written_as_it_is_shown(address: IpAddr) {
            let mut buffer = BytesMut::new();
            write_address(&mut buffer, address);
            prop_assert_eq!(std::str::from_utf8(&buffer).unwrap(), address.to_string());
        }
    }
}
