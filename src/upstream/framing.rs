//! The two ways in which a request says where it goes: HTTP/1.1 in its headers, HTTP/2 in pseudo-headers.

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderValue, TE, TRANSFER_ENCODING};
use http::uri::{Authority, Scheme};
use http::{Request, Uri, Version};
use http_body::Body;

/// Makes a request of HTTP/1.1 one of HTTP/2 (RFC 9113, section 8.3.1): `Host` becomes `:authority`, and what is about the
/// connection goes; `TE: trailers` stays.
pub(super) fn to_http2<B>(request: &mut Request<B>, scheme: &'static str) {
    let headers = request.headers_mut();
    headers.remove(CONNECTION);
    headers.remove(TRANSFER_ENCODING);
    let host = headers
        .get(HOST)
        .and_then(|host| Authority::try_from(host.as_bytes()).ok());
    if host.is_some() {
        headers.remove(HOST);
    }
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.authority = host;
    parts.scheme = parts
        .authority
        .is_some()
        .then_some(if scheme == "https" { Scheme::HTTPS } else { Scheme::HTTP });
    // The parts of a URI that was one fit each other; without an authority, sending it fails.
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
    *request.version_mut() = Version::HTTP_2;
}

/// Undoes [`to_http2`].
pub(super) fn to_http1<B: Body>(request: &mut Request<B>) {
    let parts = std::mem::take(request.uri_mut()).into_parts();
    let has_body = !request.body().is_end_stream();
    let headers = request.headers_mut();
    if let Some(authority) = &parts.authority
        && let Ok(host) = HeaderValue::try_from(authority.as_str())
    {
        headers.insert(HOST, host);
    }
    if headers.contains_key(TE) {
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
    }
    if has_body && !headers.contains_key(CONTENT_LENGTH) {
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    *request.uri_mut() = parts.path_and_query.map(Uri::from).unwrap_or_default();
    *request.version_mut() = Version::HTTP_11;
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{Either, Empty, Full};

    type Bytes = bytes::Bytes;

    fn request(headers: &[(&str, &str)], body: &'static str) -> Request<Either<Empty<Bytes>, Full<Bytes>>> {
        let mut request = Request::builder().method("POST").uri("/a/b?c=d");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = if body.is_empty() {
            Either::Left(Empty::new())
        } else {
            Either::Right(Full::new(Bytes::from_static(body.as_bytes())))
        };
        request.body(body).unwrap()
    }

    #[test]
    fn host_becomes_the_authority_and_nothing_about_the_connection_is_left() {
        let mut request = request(
            &[
                ("host", "a.example:81"),
                ("connection", "te"),
                ("te", "trailers"),
                ("transfer-encoding", "chunked"),
                ("x", "y"),
            ],
            "z",
        );
        to_http2(&mut request, "https");
        assert_eq!(request.uri(), "https://a.example:81/a/b?c=d");
        assert_eq!(request.version(), Version::HTTP_2);
        let left: Vec<_> = request.headers().keys().map(http::HeaderName::as_str).collect();
        assert_eq!(left, ["te", "x"]);
    }

    #[test]
    fn what_was_not_sent_is_a_request_of_http_1_again() {
        for (headers, body) in [
            (
                &[
                    ("host", "[::1]:81"),
                    ("connection", "te"),
                    ("te", "trailers"),
                    ("transfer-encoding", "chunked"),
                ][..],
                "z",
            ),
            (&[("host", "a.example"), ("content-length", "1")], "z"),
            (&[("host", "a.example")], ""),
        ] {
            let before = request(headers, body);
            let mut after = request(headers, body);
            to_http2(&mut after, "http");
            to_http1(&mut after);
            assert_eq!((after.uri(), after.headers()), (before.uri(), before.headers()));
            assert_eq!(after.version(), Version::HTTP_11);
        }
    }
}
