//! Headers that are for one connection (RFC 9110, section 7.6.1).

use http::header::{CONNECTION, Entry, HeaderMap, HeaderName, HeaderValue, TE};

use super::names::{Kind, kind_of};
use crate::problem::GATEWAY_ERROR;

/// What goes besides `Connection` and what it names. `Trailer` stays, so that trailers can be relayed.
const FIXED: &[&str] = &[
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// Removes from an answer the headers that are hop-by-hop by definition, and what only the gateway says.
pub(super) fn remove_fixed(headers: &mut HeaderMap) {
    // Usually there are none, and then this vector does not allocate: one look at each of a few names costs less than
    // asking for each that may not be there.
    let removed: Vec<HeaderName> = headers
        .keys()
        .filter(|name| FIXED.contains(&name.as_str()) || **name == GATEWAY_ERROR)
        .cloned()
        .collect();
    for name in removed {
        headers.remove(name);
    }
}

/// Removes `Connection` and the headers that it names, but none that the gateway or the framing rests on: no sender may
/// declare `Host`, `Content-Length` or `X-Forwarded-For` a matter of one connection.
pub(super) fn remove_connection(headers: &mut HeaderMap) {
    let Entry::Occupied(entry) = headers.entry(CONNECTION) else {
        return;
    };
    let (_, mut lines) = entry.remove_entry_mult();
    let first = lines.next();
    // One line is usual, and then this vector does not allocate.
    let others: Vec<HeaderValue> = lines.collect();
    for line in first.iter().chain(&others) {
        for option in elements(line) {
            remove_option(headers, option);
        }
    }
}

fn remove_option(headers: &mut HeaderMap, option: &str) {
    match kind_of(option) {
        Some(Kind::Protected | Kind::Forwarding) => {}
        // `remove` takes a name of any case, and finds nothing by a text that is not a name.
        Some(Kind::HopByHop | Kind::Spoof) | None => {
            headers.remove(option);
        }
    }
}

/// Whether a request says that it takes trailers (RFC 9110, section 10.1.4).
pub(super) fn accepts_trailers(headers: &HeaderMap) -> bool {
    headers
        .get_all(TE)
        .iter()
        .flat_map(elements)
        .any(|coding| coding.eq_ignore_ascii_case("trailers"))
}

/// The elements of a comma-separated list. One that is not text is skipped: no name is beyond ASCII.
fn elements(line: &HeaderValue) -> impl Iterator<Item = &str> {
    line.as_bytes()
        .split(|byte| *byte == b',')
        .filter_map(|element| std::str::from_utf8(element.trim_ascii()).ok())
        .filter(|element| !element.is_empty())
}
