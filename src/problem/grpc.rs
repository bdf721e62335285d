//! Problems in the words of gRPC: what its clients understand is a status in the trailers, whatever went wrong.

use std::fmt::Write as _;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version, header};

use super::{GATEWAY_ERROR, Problem};

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
/// After how long a client that may try again should (gRFC A6).
const PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");

/// Whether a request is a call of gRPC: over HTTP/2, a POST, and with its content type. gRPC-Web is not. What is not quite
/// one gets a refusal that is one to everybody: a cache would take the 200 of gRPC for an answer.
#[must_use]
pub fn is_grpc(version: Version, method: &Method, headers: &HeaderMap) -> bool {
    version == Version::HTTP_2
        && *method == Method::POST
        && headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.as_bytes().split_at_checked("application/grpc".len()))
            .is_some_and(|(kind, rest)| {
                kind.eq_ignore_ascii_case(b"application/grpc") && matches!(rest.first(), None | Some(b'+' | b';'))
            })
}

impl Problem {
    /// The answer to a call of gRPC: one without messages, whose trailers are its headers ("Trailers-Only" in gRPC's
    /// description of its protocol over HTTP/2).
    #[must_use]
    pub fn render_grpc(&self) -> Response<Bytes> {
        let mut response = Response::new(Bytes::new());
        let headers = response.headers_mut();
        *headers = self.grpc_trailers();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        response
    }

    /// What ends a call of gRPC that was being answered.
    #[must_use]
    pub fn grpc_trailers(&self) -> HeaderMap {
        let mut trailers = HeaderMap::new();
        trailers.insert(STATUS, HeaderValue::from(status(self.code.status())));
        if let Ok(message) = HeaderValue::try_from(encode(&self.detail)) {
            trailers.insert(MESSAGE, message);
        }
        trailers.insert(GATEWAY_ERROR, HeaderValue::from_static(self.code.as_str()));
        if let Some(after) = self.retry_after {
            let ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
            trailers.insert(PUSHBACK, HeaderValue::from(ms));
        }
        trailers
    }
}

/// What a status of HTTP is in gRPC. As gRPC's own list has it (`http-grpc-status-mapping`), but where that says less than is
/// known here: what took too long is `DEADLINE_EXCEEDED`, what is too large `RESOURCE_EXHAUSTED`.
fn status(status: StatusCode) -> u16 {
    match status {
        StatusCode::GATEWAY_TIMEOUT | StatusCode::REQUEST_TIMEOUT => 4,
        StatusCode::FORBIDDEN => 7,
        StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE | StatusCode::URI_TOO_LONG => 8,
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => 12,
        StatusCode::BAD_REQUEST | StatusCode::INTERNAL_SERVER_ERROR => 13,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE => 14,
        StatusCode::UNAUTHORIZED => 16,
        _ => 2,
    }
}

/// Text as `grpc-message` holds it: what is not visible ASCII, and `%`, as `%` and two digits of each byte.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if matches!(byte, b' '..=b'~') && byte != b'%' {
            encoded.push(char::from(byte));
        } else {
            // Writing to a `String` does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Code;
    use proptest::prelude::*;
    use std::time::Duration;

    #[test]
    fn a_call_is_told_by_its_version_and_content_type() {
        let is = |version, kind: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::try_from(kind).unwrap());
            is_grpc(version, &Method::POST, &headers)
        };
        for kind in ["application/grpc", "application/grpc+proto", "Application/gRPC;x=y"] {
            assert!(is(Version::HTTP_2, kind), "{kind}");
            assert!(!is(Version::HTTP_11, kind), "{kind}");
        }
        for kind in [
            "application/grpc-web",
            "application/grpcx",
            "application/json",
            "application/grp",
            "",
        ] {
            assert!(!is(Version::HTTP_2, kind), "{kind}");
        }
        let mut headers = HeaderMap::new();
        assert!(!is_grpc(Version::HTTP_2, &Method::POST, &headers));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        assert!(!is_grpc(Version::HTTP_2, &Method::GET, &headers));
    }

    #[test]
    fn a_problem_is_trailers_alone() {
        let problem = Problem::new(Code::RevocationsUnavailable, "100 % ä").retry_after(Duration::from_millis(1500));
        let response = problem.render_grpc();
        assert_eq!((response.status(), response.body().len()), (StatusCode::OK, 0));
        let headers = response.headers();
        assert_eq!(headers["content-type"], "application/grpc");
        assert_eq!(headers["grpc-status"], "14");
        assert_eq!(headers["grpc-message"], "100 %25 %C3%A4");
        assert_eq!(headers["grpc-retry-pushback-ms"], "1500");
        assert_eq!(headers[GATEWAY_ERROR], "revocations_unavailable");
    }

    #[test]
    fn every_code_has_a_status_that_is_an_error() {
        for code in Code::ALL {
            let response = Problem::new(*code, "").render_grpc();
            let status: u16 = response.headers()["grpc-status"].to_str().unwrap().parse().unwrap();
            assert!((1..=16).contains(&status), "{code}: {status}");
        }
    }

    proptest! {
        #[test]
        fn a_message_is_visible_and_can_be_read_back(text in any::<String>()) {
            let encoded = encode(&text);
            prop_assert!(encoded.bytes().all(|byte| matches!(byte, b' '..=b'~')));
            let mut decoded = Vec::new();
            let mut rest = encoded.as_bytes();
            while let Some((first, after)) = rest.split_first() {
                if *first == b'%' {
                    let (digits, after) = after.split_at(2);
                    decoded.push(u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap());
                    rest = after;
                } else {
                    decoded.push(*first);
                    rest = after;
                }
            }
            prop_assert_eq!(decoded, text.into_bytes());
        }
    }
}
