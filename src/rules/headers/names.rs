//! What a header name means to the gateway, in whatever spelling.

/// Why a name is not simply passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// For this connection alone, or answered by the gateway: never passed on.
    HopByHop,
    /// Passed on or set by us, only in its own spelling; `Connection` can't remove it.
    Protected,
    /// Says where a request came from or was for: believed from trusted peers alone, and `Connection` can't remove it.
    Forwarding,
    /// Makes some upstream see another user, path or method than the one that was checked.
    Spoof,
}

/// Sorted by name, for a binary search. Names are in the form that [`fold`] makes.
const NAMES: &[(&str, Kind)] = &[
    ("authorization", Kind::Protected),
    ("cf-access-authenticated-user-email", Kind::Spoof),
    ("cf-access-jwt-assertion", Kind::Spoof),
    ("cf-connecting-ip", Kind::Forwarding),
    ("client-ip", Kind::Forwarding),
    ("connection", Kind::HopByHop),
    ("content-encoding", Kind::Protected),
    ("content-length", Kind::Protected),
    ("content-type", Kind::Protected),
    ("expect", Kind::HopByHop),
    ("fastly-client-ip", Kind::Forwarding),
    ("forwarded", Kind::Forwarding),
    ("front-end-https", Kind::Forwarding),
    ("host", Kind::Protected),
    ("http2-settings", Kind::HopByHop),
    ("keep-alive", Kind::HopByHop),
    ("proxy", Kind::Spoof),
    ("proxy-authenticate", Kind::HopByHop),
    ("proxy-authentication-info", Kind::HopByHop),
    ("proxy-authorization", Kind::HopByHop),
    ("proxy-connection", Kind::HopByHop),
    ("remote-addr", Kind::Spoof),
    ("remote-email", Kind::Spoof),
    ("remote-groups", Kind::Spoof),
    ("remote-name", Kind::Spoof),
    ("remote-user", Kind::Spoof),
    ("te", Kind::HopByHop),
    ("transfer-encoding", Kind::HopByHop),
    ("true-client-ip", Kind::Forwarding),
    ("upgrade", Kind::HopByHop),
    ("via", Kind::Protected),
    ("x-authenticated-email", Kind::Spoof),
    ("x-authenticated-groups", Kind::Spoof),
    ("x-authenticated-user", Kind::Spoof),
    ("x-authenticated-userid", Kind::Spoof),
    ("x-client-ip", Kind::Forwarding),
    ("x-cluster-client-ip", Kind::Forwarding),
    ("x-consumer-custom-id", Kind::Spoof),
    ("x-consumer-groups", Kind::Spoof),
    ("x-consumer-id", Kind::Spoof),
    ("x-consumer-username", Kind::Spoof),
    ("x-credential-identifier", Kind::Spoof),
    ("x-forwarded-access-token", Kind::Spoof),
    ("x-forwarded-email", Kind::Spoof),
    ("x-forwarded-groups", Kind::Spoof),
    ("x-forwarded-preferred-username", Kind::Spoof),
    ("x-forwarded-user", Kind::Spoof),
    ("x-goog-authenticated-user-email", Kind::Spoof),
    ("x-goog-authenticated-user-id", Kind::Spoof),
    ("x-goog-iap-jwt-assertion", Kind::Spoof),
    ("x-host", Kind::Forwarding),
    ("x-http-host-override", Kind::Forwarding),
    ("x-http-method", Kind::Spoof),
    ("x-http-method-override", Kind::Spoof),
    ("x-method-override", Kind::Spoof),
    ("x-original-forwarded-for", Kind::Forwarding),
    ("x-original-host", Kind::Forwarding),
    ("x-original-method", Kind::Spoof),
    ("x-original-uri", Kind::Spoof),
    ("x-original-url", Kind::Spoof),
    ("x-override-url", Kind::Spoof),
    ("x-real-ip", Kind::Forwarding),
    ("x-remote-email", Kind::Spoof),
    ("x-remote-groups", Kind::Spoof),
    ("x-remote-user", Kind::Spoof),
    ("x-request-id", Kind::Protected),
    ("x-rewrite-url", Kind::Spoof),
    ("x-scheme", Kind::Forwarding),
    ("x-url-scheme", Kind::Forwarding),
    ("x-user", Kind::Spoof),
    ("x-user-admin", Kind::Spoof),
    ("x-user-email", Kind::Spoof),
    ("x-user-groups", Kind::Spoof),
    ("x-user-id", Kind::Spoof),
    ("x-user-name", Kind::Spoof),
    ("x-user-role", Kind::Spoof),
    ("x-user-roles", Kind::Spoof),
    ("x-webauth-email", Kind::Spoof),
    ("x-webauth-groups", Kind::Spoof),
    ("x-webauth-user", Kind::Spoof),
];

/// Families of names: what is not in [`NAMES`] but begins like this.
const FAMILIES: &[(&str, Kind)] = &[
    ("tailscale-user-", Kind::Spoof),
    ("x-amzn-oidc-", Kind::Spoof),
    ("x-auth-request-", Kind::Spoof),
    ("x-authentik-", Kind::Spoof),
    ("x-envoy-", Kind::Forwarding),
    ("x-forwarded-", Kind::Forwarding),
    ("x-ms-client-principal", Kind::Spoof),
];

/// The longest name in [`NAMES`].
const LONGEST: usize = 40;

/// One byte of a name as servers see it that turn a header into a variable: they upper-case letters (we lower-case) and
/// turn all but letters and digits into one separator.
pub(super) const fn fold(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() {
        byte.to_ascii_lowercase()
    } else {
        b'-'
    }
}

/// For each first byte of a name that means something, which lengths such names have: a bit each. Most names are told apart
/// by this alone.
const LENGTHS: [u64; 128] = {
    let mut lengths = [0; 128];
    let mut at = 0;
    while at < NAMES.len() {
        let name = NAMES[at].0.as_bytes();
        lengths[name[0] as usize] |= 1 << name.len();
        at += 1;
    }
    at = 0;
    while at < FAMILIES.len() {
        // And all that are longer.
        let name = FAMILIES[at].0.as_bytes();
        lengths[name[0] as usize] |= u64::MAX << name.len();
        at += 1;
    }
    lengths
};

/// Whether a name may mean something, by its first byte and its length.
fn may_mean_something(name: &str) -> bool {
    let first = name.as_bytes().first().map_or(0, |byte| fold(*byte));
    LENGTHS[usize::from(first & 0x7f)] >> name.len().min(63) & 1 == 1
}

/// What `name` means, in any spelling; `None`: nothing to the gateway.
pub(super) fn kind_of(name: &str) -> Option<Kind> {
    if !may_mean_something(name) {
        return None;
    }
    // Longer names are cut: they can only be of a family.
    let mut buffer = [0; LONGEST + 1];
    let folded = &mut buffer[..name.len().min(LONGEST + 1)];
    for (to, from) in folded.iter_mut().zip(name.bytes()) {
        *to = fold(from);
    }
    let folded = &*folded;
    match NAMES.binary_search_by(|(name, _)| name.as_bytes().cmp(folded)) {
        Ok(at) => Some(NAMES[at].1),
        Err(_) => FAMILIES
            .iter()
            .find(|(family, _)| folded.starts_with(family.as_bytes()))
            .map(|(_, kind)| *kind),
    }
}

/// Whether a (lower-case) name is in the spelling that [`fold`] makes.
pub(super) fn is_plain(name: &str) -> bool {
    name.bytes().all(|byte| fold(byte) == byte)
}

/// Whether headers that mean something else to the gateway, or to everybody, begin with `prefix`.
pub(super) fn is_taken(prefix: &str) -> bool {
    let ours = NAMES.iter().chain(FAMILIES).any(|(name, kind)| {
        // A prefix may reach into a family, too: `x-forwarded-user-`.
        let overlaps = name.starts_with(prefix) || (name.ends_with('-') && prefix.starts_with(name));
        // The names of other gateways' users may well be the ones that an upstream knows: they become ours.
        overlaps && *kind != Kind::Spoof
    });
    ours || STANDARD.iter().any(|name| name.starts_with(prefix))
}

/// Names that any client may send, one for each beginning.
const STANDARD: &[&str] = &[
    "accept-encoding",
    "access-control-request-method",
    "cache-control",
    "content-type",
    "if-match",
    "last-event-id",
    "last-modified",
    "max-forwards",
    "sec-fetch-mode",
    "sec-websocket-key",
    "set-cookie",
    "upgrade-insecure-requests",
    "user-agent",
    "www-authenticate",
    "x-requested-with",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_folded_and_fits() {
        assert!(NAMES.is_sorted_by(|(one, _), (other, _)| one < other));
        for (name, _) in NAMES.iter().chain(FAMILIES) {
            assert!(is_plain(name) && name.len() <= LONGEST, "{name}");
        }
    }

    #[test]
    fn the_first_look_lets_every_name_pass_that_means_something() {
        for (name, _) in NAMES {
            assert!(
                may_mean_something(name) && may_mean_something(&name.to_uppercase()),
                "{name}"
            );
        }
        for (family, _) in FAMILIES {
            for more in [0, 1, 20, 30, 100, 1000] {
                let name = format!("{family}{}", "a".repeat(more));
                assert!(may_mean_something(&name), "{name}");
            }
        }
        for name in ["accept", "user-agent", "cookie", ""] {
            assert!(!may_mean_something(name), "{name}");
        }
    }

    #[test]
    fn a_name_is_known_in_every_spelling() {
        for name in ["content-length", "Content_Length", "CONTENT.LENGTH", "content~length"] {
            assert_eq!(kind_of(name), Some(Kind::Protected), "{name}");
        }
        assert_eq!(kind_of("x_forwarded.anything"), Some(Kind::Forwarding));
        assert_eq!(
            kind_of(&format!("x-forwarded-{}", "a".repeat(300))),
            Some(Kind::Forwarding)
        );
        for name in [
            "contentlength",
            "x-forwarded",
            "hosts",
            "x-users",
            "",
            &"te".repeat(100),
        ] {
            assert_eq!(kind_of(name), None, "{name}");
        }
        let long = format!("cf-access-authenticated-user-email{}", "-".repeat(7));
        assert_eq!(kind_of(&long), None);
    }
}
