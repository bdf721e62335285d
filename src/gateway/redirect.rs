//! Where to ask over TLS: the one answer of a listener that serves nothing else.

use http::header::LOCATION;
use http::{HeaderValue, Response, StatusCode, Uri};

use super::body::Kind;
use crate::problem::{Code, Problem};
use crate::proxy::Target;

/// The port of HTTPS, which no URL has to say.
const HTTPS: u16 = 443;

/// The same host, path and query with `https://`, at this port. 308: the method and the body stay what they are (RFC 9110,
/// section 15.4.9). The host has been read, so what is in the answer is a host.
pub(super) fn to_https(target: &Target<'_>, uri: &Uri, port: u16) -> Result<Response<Kind>, Problem> {
    let Some(host) = target.host() else {
        return Err(Problem::new(Code::BadRequest, "the request names no host"));
    };
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let port = if port == HTTPS {
        String::new()
    } else {
        format!(":{port}")
    };
    let location = HeaderValue::try_from(format!("https://{host}{port}{path}"))
        .map_err(|_| Problem::new(Code::BadRequest, "the request target is not a path"))?;
    let mut response = Response::new(Kind::whole(bytes::Bytes::new()));
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn location(host: Option<&str>, target: &str, port: u16) -> Option<String> {
        let uri: Uri = target.parse().ok()?;
        let host = match host {
            Some(host) => Some(HeaderValue::try_from(host).ok()?),
            None => None,
        };
        let target = Target::read(&uri, host.as_ref()).ok()?;
        let answer = to_https(&target, &uri, port).ok()?;
        Some(answer.headers()[LOCATION].to_str().ok()?.to_owned())
    }

    #[test]
    fn host_path_and_query_stay_what_they_are() {
        for (host, target, port, expected) in [
            ("A.example:80", "/x/%7Ey?q=1%2F", 443, "https://a.example/x/%7Ey?q=1%2F"),
            ("a.example", "/", 8443, "https://a.example:8443/"),
            ("[::1]:80", "/", 443, "https://[::1]/"),
        ] {
            assert_eq!(location(Some(host), target, port).as_deref(), Some(expected));
        }
        assert_eq!(location(None, "/", 443), None);
        for host in ["evil@a", "a/b", "a b", "a,b", "", "a?b", "a#b"] {
            assert_eq!(location(Some(host), "/", 443), None, "{host}");
        }
    }

    proptest! {
        #[test]
        fn nobody_is_sent_elsewhere(host in "[a-zA-Z0-9.:@/_\\-\\[\\]]{1,12}", path in "/[!-~]{0,12}") {
            if let Some(location) = location(Some(&host), &path, 443) {
                let uri: Uri = location.parse().unwrap();
                let sent = crate::rules::host::normalise_host(&host).unwrap();
                prop_assert_eq!(uri.host(), Some(&*sent));
                prop_assert_eq!(uri.scheme_str(), Some("https"));
                prop_assert!(!uri.authority().unwrap().as_str().contains('@'));
            }
        }
    }
}
