//! One reading of a host name: lower-case, without port and without the dot that ends a fully qualified name.

use std::borrow::Cow;
use std::net::Ipv6Addr;

/// The host of a `Host` value or authority (`host[:port]`, RFC 9110, section 7.2) in the form in which routes are
/// matched: lower-case, without port, without one trailing dot; an IPv6 address in brackets in its shortest form.
///
/// `None` where it is not exactly one host: user information, lists, blanks, escapes, an empty name or label, a name
/// over 253 or a label over 63 bytes, a port over 65535. An empty port (`host:`) is refused, though RFC 3986 allows it:
/// no client sends one and programs differ in what they make of it.
///
/// Allocates only for upper-case letters and for IPv6 addresses that are not in their shortest form.
#[must_use]
pub fn normalise_host(authority: &str) -> Option<Cow<'_, str>> {
    if let Some(literal) = authority.strip_prefix('[') {
        let (address, rest) = literal.split_once(']')?;
        if !rest.is_empty() && !is_port(rest.strip_prefix(':')?) {
            return None;
        }
        let normal = format_ipv6(address)?;
        let sent = &authority[..=address.len() + 1];
        return Some(if normal == sent {
            Cow::Borrowed(sent)
        } else {
            Cow::Owned(normal)
        });
    }
    let name = match authority.split_once(':') {
        Some((name, port)) if is_port(port) => name,
        Some(_) => return None,
        None => authority,
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    if !is_name(name) {
        return None;
    }
    Some(if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    })
}

/// Dot-separated labels of letters, digits, `-` and `_` (which real names hold, though RFC 1123 does not).
fn is_name(name: &str) -> bool {
    name.len() <= 253
        && name.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        })
}

fn is_port(text: &str) -> bool {
    // `parse` alone would take `+80`.
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.len() <= 5 && text.parse::<u16>().is_ok()
}

fn format_ipv6(address: &str) -> Option<String> {
    address.parse::<Ipv6Addr>().ok().map(|address| format!("[{address}]"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_host_has_one_spelling() {
        for (authority, host) in [
            ("example.com", "example.com"),
            ("EXAMPLE.com:8080", "example.com"),
            ("example.com.", "example.com"),
            ("Example.COM.:443", "example.com"),
            ("my_service", "my_service"),
            ("127.0.0.1:80", "127.0.0.1"),
            ("[::1]", "[::1]"),
            ("[::1]:8080", "[::1]"),
            ("[0:0::1]", "[::1]"),
            ("[2001:DB8::1]", "[2001:db8::1]"),
        ] {
            assert_eq!(normalise_host(authority).as_deref(), Some(host), "{authority}");
        }
        assert!(matches!(normalise_host("example.com:80"), Some(Cow::Borrowed(_))));
        assert!(matches!(normalise_host("[::1]:80"), Some(Cow::Borrowed("[::1]"))));
    }

    #[test]
    fn what_is_not_one_host_is_refused() {
        let long_label = "a".repeat(64);
        let long_name = ["a"; 128].join(".");
        for authority in [
            "",
            ".",
            ":80",
            "..",
            "a..b",
            ".a",
            "a@example.com",
            "u:p@example.com",
            "example.com/x",
            "ev il",
            "a,b",
            "evil:99999",
            "evil:65536",
            "evil:",
            "evil:+80",
            "evil:0x50",
            "evil:80:80",
            "[::1",
            "::1",
            "[::1]x",
            "[::1]:",
            "[::1]:x",
            "[fe80::1%25eth0]",
            "[1.2.3.4]",
            "[]",
            "<b>",
            "a\\b",
            "a%2eb",
            "é.com",
            "a\0b",
            "a?b",
            "a#b",
            &long_label,
            &long_name,
        ] {
            assert_eq!(normalise_host(authority), None, "{authority:?}");
        }
    }

    proptest! {
        #[test]
        fn normalising_twice_changes_nothing(authority in "[a-zA-Z0-9._:\\[\\]-]{0,20}|\\[[0-9A-Fa-f:.]{0,20}\\]|\\PC{0,12}") {
            if let Some(host) = normalise_host(&authority) {
                let again = normalise_host(&host);
                prop_assert_eq!(again.as_deref(), Some(&*host));
                prop_assert!(host.bytes().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase()));
            }
        }
    }
}
