//! [`CounterId`]: what is counted, in 32 bytes. The first half says of what, the second from where, so that all of one account
//! stands together.

use std::net::IpAddr;

use aws_lc_rs::digest::{SHA256, digest};

use crate::id::Email;
use crate::rules::throttle::Kind;

/// An e-mail address that somebody tried, whether or not there is such an account: the first half of its SHA-256. It is no
/// secret to whoever has the database, where the addresses of accounts stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountDigest([u8; 16]);

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CounterId([u8; 32]);

/// How many share what there is for those that find no room, of each kind.
const SHARED: u8 = 16;

impl AccountDigest {
    /// That of an address; `None`: of a text that is none, which has no account. Those are counted as one.
    #[must_use]
    pub fn of(email: Option<&Email>) -> Self {
        let text = email.map_or("", Email::as_str);
        Self(half_digest(&[b"account\0", text.as_bytes()]))
    }
}

impl CounterId {
    /// The account, from this very address: of IPv6, from its network of /64, which is what one subscriber has at the least
    /// (RFC 6177, section 2).
    #[must_use]
    pub fn account_at_address(account: AccountDigest, from: IpAddr) -> Self {
        Self::new(account.0, Kind::KnownAddress, &address(from))
    }

    /// The account, from this network: /24 of IPv4, /48 of IPv6.
    #[must_use]
    pub fn account_from_network(account: AccountDigest, from: IpAddr) -> Self {
        Self::new(account.0, Kind::AccountFromNetwork, &network(from))
    }

    /// The account, from wherever.
    #[must_use]
    pub fn account(account: AccountDigest) -> Self {
        Self::new(account.0, Kind::Account, &[])
    }

    /// Logins from this address.
    #[must_use]
    pub fn address(from: IpAddr) -> Self {
        Self::new(half_digest(&[b"login"]), Kind::Address, &address(from))
    }

    /// Logins from this network.
    #[must_use]
    pub fn network(from: IpAddr) -> Self {
        Self::new(half_digest(&[b"login"]), Kind::Network, &network(from))
    }

    /// New accounts from this address.
    #[must_use]
    pub fn signup_address(from: IpAddr) -> Self {
        Self::new(half_digest(&[b"signup"]), Kind::SignupAddress, &address(from))
    }

    /// New accounts from this network.
    #[must_use]
    pub fn signup_network(from: IpAddr) -> Self {
        Self::new(half_digest(&[b"signup"]), Kind::SignupNetwork, &network(from))
    }

    /// All that is counted by a place alone.
    pub(super) fn of_place(from: IpAddr) -> [Self; 4] {
        [
            Self::address(from),
            Self::network(from),
            Self::signup_address(from),
            Self::signup_network(from),
        ]
    }

    /// What it is counted by where it finds no room: one of a few, by chance.
    pub(super) fn shared(self, kind: Kind) -> Self {
        let slot = half_digest(&[&self.0])[0] % SHARED;
        Self::new(half_digest(&[b"shared"]), kind, &[slot])
    }

    /// The first and the last that an account can have.
    pub(super) fn range(account: AccountDigest) -> (Self, Self) {
        let (mut first, mut last) = ([0; 32], [u8::MAX; 32]);
        first[..16].copy_from_slice(&account.0);
        last[..16].copy_from_slice(&account.0);
        (Self(first), Self(last))
    }

    pub(super) const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Of which kind it is, if it is of an account.
    pub(super) fn kind_of_account(self) -> Option<Kind> {
        let kinds = [Kind::KnownAddress, Kind::AccountFromNetwork, Kind::Account];
        kinds.into_iter().find(|kind| tag(*kind) == self.0[16])
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// `place` is at most 15 bytes.
    fn new(subject: [u8; 16], kind: Kind, place: &[u8]) -> Self {
        let mut id = [0; 32];
        id[..16].copy_from_slice(&subject);
        id[16] = tag(kind);
        for (to, from) in id[17..].iter_mut().zip(place) {
            *to = *from;
        }
        Self(id)
    }
}

/// These are stored: a number is never given to another kind.
const fn tag(kind: Kind) -> u8 {
    match kind {
        Kind::KnownAddress => 1,
        Kind::AccountFromNetwork => 2,
        Kind::Account => 3,
        Kind::Address => 4,
        Kind::Network => 5,
        Kind::SignupAddress => 6,
        Kind::SignupNetwork => 7,
    }
}

fn half_digest(parts: &[&[u8]]) -> [u8; 16] {
    let whole = digest(&SHA256, &parts.concat());
    let mut half = [0; 16];
    half.copy_from_slice(&whole.as_ref()[..16]);
    half
}

/// The family, then the address: all of IPv4, the first 64 bits of IPv6.
fn address(from: IpAddr) -> [u8; 9] {
    leading(from, 4, 8)
}

/// The family, then the network: 24 bits of IPv4, 48 of IPv6.
fn network(from: IpAddr) -> [u8; 9] {
    leading(from, 3, 6)
}

fn leading(from: IpAddr, of_v4: usize, of_v6: usize) -> [u8; 9] {
    let mut bytes = [0; 9];
    match from.to_canonical() {
        IpAddr::V4(v4) => {
            bytes[0] = 4;
            bytes[1..=of_v4].copy_from_slice(&v4.octets()[..of_v4]);
        }
        IpAddr::V6(v6) => {
            bytes[0] = 6;
            bytes[1..=of_v6].copy_from_slice(&v6.octets()[..of_v6]);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_a_subscriber_and_a_network_is_its_neighbourhood() {
        let same = |make: fn(IpAddr) -> CounterId, a: &str, b: &str| make(ip(a)) == make(ip(b));
        assert!(!same(CounterId::address, "192.0.2.1", "192.0.2.2"));
        assert!(same(CounterId::address, "192.0.2.1", "::ffff:192.0.2.1"));
        assert!(same(CounterId::address, "2001:db8::1", "2001:db8::ffff:2"));
        assert!(!same(CounterId::address, "2001:db8::1", "2001:db8:0:1::1"));
        assert!(same(CounterId::network, "192.0.2.1", "192.0.2.255"));
        assert!(!same(CounterId::network, "192.0.2.1", "192.0.3.1"));
        assert!(same(CounterId::network, "2001:db8:1:2::1", "2001:db8:1:ffff::1"));
        assert!(!same(CounterId::network, "2001:db8:1::1", "2001:db8:2::1"));
        assert!(!same(CounterId::network, "0.0.0.0", "::"));
    }

    #[test]
    fn what_is_counted_apart_has_ids_of_its_own() {
        let account = |text: &str| AccountDigest::of(text.parse().ok().as_ref());
        let (ann, bob) = (account("ann@example.com"), account("bob@example.com"));
        let from = ip("192.0.2.0");
        let mut all = vec![
            CounterId::account_at_address(ann, from),
            CounterId::account_from_network(ann, from),
            CounterId::account(ann),
            CounterId::account_at_address(bob, from),
            CounterId::account(bob),
            CounterId::account(account("no address")),
            CounterId::address(from),
            CounterId::network(from),
            CounterId::signup_address(from),
            CounterId::signup_network(from),
        ];
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
        let (first, last) = CounterId::range(ann);
        let of_ann = all.iter().filter(|id| (first..=last).contains(id));
        assert_eq!(of_ann.filter_map(|id| id.kind_of_account()).count(), 3);
        assert_eq!(account("ANN@example.com"), ann, "however it is written");
    }

    #[test]
    fn those_that_share_are_few() {
        let from = |index: u32| IpAddr::V4(index.into());
        let mut shared: Vec<_> = (0..5000)
            .map(|index| CounterId::address(from(index)).shared(Kind::Address))
            .collect();
        shared.sort_unstable();
        shared.dedup();
        assert_eq!(shared.len(), usize::from(SHARED));
    }
}
