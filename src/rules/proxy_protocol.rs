//! The PROXY protocol, versions 1 and 2 (HAProxy's `proxy-protocol.txt`): what a load balancer that forwards bytes says of the
//! client, before the client's own first byte. Reading it is strict: whoever may say it is trusted, but not sloppy.

mod checksum;
mod version1;
mod version2;

use std::net::SocketAddr;

/// The longest header that is read, in bytes. Version 1 has at most 107; addresses and the usual TLVs of version 2 take some
/// hundreds.
pub const MAX_HEADER: usize = 4096;

/// What the first bytes of a connection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// No header: they belong to the client's protocol.
    Absent,
    /// They could be the beginning of a header.
    Incomplete,
    /// A header of so many bytes.
    Header {
        /// Its length in bytes.
        length: usize,
        /// Who the client is; `None` where the proxy speaks for itself (`LOCAL`), or does not know (`UNKNOWN`).
        client: Option<SocketAddr>,
    },
}

/// Why bytes that began like a header are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHeader {
    /// Version 1 is one line of at most 107 bytes, written in one way.
    #[error("the line of version 1 is not as it should be")]
    Line,
    /// Another version, command, family or transport than those that a TCP connection has.
    #[error("its version, command, family or transport is not one of a TCP connection")]
    Kind,
    /// The announced length is more than [`MAX_HEADER`].
    #[error("it is longer than {MAX_HEADER} bytes")]
    TooLong,
    /// Its parts do not fill it.
    #[error("its parts and its length contradict each other")]
    Length,
    /// The checksum that it holds is another.
    #[error("its checksum is wrong")]
    Checksum,
}

/// Reads the header at the beginning of `bytes`.
pub fn parse(bytes: &[u8]) -> Result<Parsed, InvalidHeader> {
    if starts_alike(bytes, version2::SIGNATURE) {
        version2::parse(bytes)
    } else if starts_alike(bytes, version1::SIGNATURE) {
        version1::parse(bytes)
    } else {
        Ok(Parsed::Absent)
    }
}

/// Whether one is the beginning of the other. No byte at all is the beginning of anything.
fn starts_alike(bytes: &[u8], signature: &[u8]) -> bool {
    let common = bytes.len().min(signature.len());
    bytes[..common] == signature[..common]
}

#[cfg(test)]
mod tests;
