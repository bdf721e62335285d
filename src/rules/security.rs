//! Headers that make browsers careful with an answer. What the upstream says itself stays as it is.

use http::header::{HeaderMap, HeaderName, HeaderValue};

/// No guessing at types, no frames on other sites' pages, no paths in what other sites learn of where visitors come from.
const HEADERS: [(HeaderName, HeaderValue); 4] = [
    (
        http::header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (http::header::X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN")),
    (
        http::header::REFERRER_POLICY,
        HeaderValue::from_static("strict-origin-when-cross-origin"),
    ),
    (
        HeaderName::from_static("x-permitted-cross-domain-policies"),
        HeaderValue::from_static("none"),
    ),
];

/// Adds those that are not there.
pub fn add_security_headers(headers: &mut HeaderMap) {
    for (name, value) in &HEADERS {
        headers.entry(name).or_insert_with(|| value.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_upstream_says_stays() {
        let mut headers = HeaderMap::new();
        headers.insert("x-frame-options", HeaderValue::from_static("DENY"));
        add_security_headers(&mut headers);
        assert_eq!(
            (headers["x-frame-options"].as_bytes(), headers.len()),
            (&b"DENY"[..], 4)
        );
    }
}
