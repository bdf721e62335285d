//! The two ways in which a request says where it goes: HTTP/1.1 in its headers, HTTP/2 in pseudo-headers.

use http::header::{CONNECTION, HOST, TRANSFER_ENCODING};
use http::uri::{Authority, Scheme};
use http::{Request, Uri, Version};

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
}
