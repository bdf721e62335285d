//! Events as rows of `audit_events`.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::LazyLock;

use super::Event;
use super::detail::to_text;
use crate::store::connection::Connection;
use crate::store::error::Failure;
use crate::store::sql::Value;

/// How many rows one statement writes, from the most to one: whatever there is takes few statements, and few are prepared.
const SIZES: [usize; 5] = [100, 30, 10, 3, 1];

/// The statement for each of [`SIZES`].
static INSERT: LazyLock<[String; SIZES.len()]> = LazyLock::new(|| {
    let rows = |size| vec!["(?, ?, ?, ?, ?, ?, ?, ?, ?)"; size].join(", ");
    SIZES.map(|size| {
        format!(
            "INSERT INTO audit_events (at, kind, user_id, session_id, actor, actor_name, address, request_id, details) \
             VALUES {}",
            rows(size)
        )
    })
});

/// What a row holds that an event does not hold as such.
struct Encoded<'e> {
    event: &'e Event,
    address: Option<[u8; 16]>,
    details: String,
}

impl<'e> Encoded<'e> {
    fn new(event: &'e Event) -> Self {
        Self {
            event,
            address: event.address.map(octets),
            details: to_text(&event.details),
        }
    }

    fn values(&self) -> [Value<'_>; 9] {
        let event = self.event;
        [
            event.at.into(),
            event.kind.as_str().into(),
            event.user.as_ref().into(),
            event.session.as_ref().into(),
            event.actor.as_str().into(),
            event.actor.name().into(),
            Value::Bytes(self.address.as_ref().map(<[u8; 16]>::as_slice)),
            event.request_id.as_deref().into(),
            self.details.as_str().into(),
        ]
    }
}

/// Writes events, in their order.
pub(in crate::store) async fn insert(connection: &mut Connection, events: &[&Event]) -> Result<(), Failure> {
    let encoded: Vec<Encoded<'_>> = events.iter().map(|event| Encoded::new(event)).collect();
    let mut rest = encoded.as_slice();
    for (size, insert) in SIZES.into_iter().zip(&*INSERT) {
        let mut chunks = rest.chunks_exact(size);
        for chunk in chunks.by_ref() {
            let values: Vec<Value<'_>> = chunk.iter().flat_map(Encoded::values).collect();
            connection.execute(insert.as_str(), &values).await?;
        }
        rest = chunks.remainder();
    }
    Ok(())
}

/// An address as 16 bytes: IPv4 as mapped into IPv6 (RFC 4291, section 2.5.5.2).
pub(super) fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// The address of these 16 bytes.
pub(super) fn address(octets: [u8; 16]) -> IpAddr {
    Ipv6Addr::from(octets).to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_back_as_it_was() {
        for text in ["192.0.2.1", "2001:db8::1", "::1", "127.0.0.1"] {
            let ip: IpAddr = text.parse().unwrap();
            assert_eq!(address(octets(ip)), ip);
        }
    }
}
