//! Trailer fields: what may follow a body (RFC 9110, section 6.5.1).

use http::header::{HeaderMap, HeaderName};

use super::IdentityHeaders;
use super::names::{fold, kind_of};
use crate::problem::GATEWAY_ERROR;

/// Fields that must be known before the body, beside those that mean something to the gateway. Sorted.
const NOT_IN_TRAILERS: &[&str] = &[
    "accept-ranges",
    "age",
    "allow",
    "cache-control",
    "content-range",
    "cookie",
    "date",
    "expires",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "location",
    "max-forwards",
    "pragma",
    "range",
    "retry-after",
    "set-cookie",
    "strict-transport-security",
    "trailer",
    "vary",
    "warning",
    "www-authenticate",
];

/// Removes from trailers, of a request or an answer, what a recipient that merges them into the headers could be misled
/// by: framing, routing, authentication, identity, control and hop-by-hop fields, in any spelling.
pub fn clean_trailers(trailers: &mut HeaderMap, names: &IdentityHeaders) {
    let dropped: Vec<HeaderName> = trailers
        .keys()
        .filter(|name| names.claims(name) || **name == GATEWAY_ERROR || must_come_first(name.as_str()))
        .cloned()
        .collect();
    for name in dropped {
        trailers.remove(name);
    }
}

fn must_come_first(name: &str) -> bool {
    kind_of(name).is_some()
        || NOT_IN_TRAILERS
            .binary_search_by(|listed| listed.bytes().cmp(name.bytes().map(fold)))
            .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn the_list_is_sorted() {
        assert!(NOT_IN_TRAILERS.is_sorted());
    }

    #[test]
    fn only_fields_that_may_follow_a_body_are_left() {
        let mut trailers = HeaderMap::new();
        for name in [
            "grpc-status",
            "server-timing",
            "etag",
            "x-checksum",
            "x-auth-user-id",
            "x_auth_roles",
            "x.auth.anything",
            "authorization",
            "content-length",
            "content_length",
            "transfer-encoding",
            "host",
            "cookie",
            "set-cookie",
            "set_cookie",
            "trailer",
            "connection",
            "te",
            "x-forwarded-for",
            "x-request-id",
            "x-doorward-error",
            "cache-control",
            "if-none-match",
        ] {
            trailers.insert(HeaderName::from_static(name), HeaderValue::from_static("1"));
        }
        clean_trailers(&mut trailers, &IdentityHeaders::new("X-Auth-").unwrap());
        let mut left: Vec<&str> = trailers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["etag", "grpc-status", "server-timing", "x-checksum"]);
    }
}
