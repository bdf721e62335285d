//! What holds of every header section.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

use super::{USER, identity, request};
use crate::rules::headers::{IdentityHeaders, clean_trailers, rewrite_response};

/// A name that servers fold to `name`, and perhaps goes on.
fn respelled(name: &'static str) -> impl Strategy<Value = HeaderName> {
    let separators = prop::collection::vec(prop::sample::select(b"-_.~!#$%&'*+^`|".to_vec()), name.len());
    (separators, "[-_.a-z]{0,3}").prop_map(move |(separators, rest)| {
        let separate = |(byte, separator)| if byte == b'-' { separator } else { byte };
        let mut name: Vec<u8> = name.bytes().zip(separators).map(separate).collect();
        name.extend_from_slice(rest.as_bytes());
        HeaderName::from_bytes(&name).unwrap()
    })
}

fn any_name() -> impl Strategy<Value = HeaderName> {
    prop_oneof![
        respelled("x-auth-user-id"),
        respelled("x-auth-roles"),
        respelled("x-auth-"),
        respelled("x-forwarded-for"),
        prop::sample::select(vec![
            "connection",
            "te",
            "upgrade",
            "keep-alive",
            "transfer-encoding",
            "proxy-connection",
            "forwarded",
            "host",
            "content-length",
            "x-request-id",
            "authorization",
            "cookie",
            "x-private",
        ])
        .prop_map(HeaderName::from_static),
    ]
}

fn any_headers() -> impl Strategy<Value = HeaderMap> {
    let named = any_name().prop_map(|name| name.as_str().as_bytes().to_vec());
    let list = prop::collection::vec(
        prop_oneof![named, prop::sample::select(vec![b"close".to_vec(), vec![0xff]])],
        0..4,
    );
    let value = list.prop_map(|elements| HeaderValue::from_bytes(&elements.join(&b", "[..])).unwrap());
    prop::collection::vec((any_name(), value), 0..12).prop_map(|lines| lines.into_iter().collect())
}

fn folded(name: &HeaderName) -> String {
    let fold = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '-'
        }
    };
    name.as_str().chars().map(fold).collect()
}

proptest! {
    #[test]
    fn whatever_is_sent_the_upstream_sees_one_identity_and_one_hop(
        headers in any_headers(),
        known in any::<bool>(),
        trusted in any::<bool>(),
        forward_token in any::<bool>(),
    ) {
        let mut request = request(&[]);
        let host = headers.get_all("host").iter().count();
        let length = headers.get_all("content-length").iter().count();
        request.headers = headers;
        request.who = known.then(|| identity("Ann", &["user"]));
        (request.trusted, request.forward_token) = (trusted, forward_token);
        let seen = request.rewritten();

        let identity: Vec<(&str, &[u8])> = seen
            .iter()
            .filter(|(name, _)| folded(name).starts_with("x-auth-"))
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect();
        prop_assert_eq!(identity.len(), if known { 6 } else { 0 });
        prop_assert!(!known || identity.contains(&("x-auth-issuer", b"self")));
        prop_assert!(!known || identity.contains(&("x-auth-user-id", USER.as_bytes())));
        prop_assert!(!known || identity.contains(&("x-auth-roles", b"user")));

        for name in ["connection", "te", "upgrade", "keep-alive", "transfer-encoding", "proxy-connection"] {
            prop_assert!(seen.keys().all(|key| folded(key) != name), "{}", name);
        }
        for name in ["x-forwarded-for", "forwarded", "x-request-id", "x-forwarded-proto", "x-forwarded-host"] {
            let lines: Vec<&HeaderName> =
                seen.iter().map(|(key, _)| key).filter(|key| folded(key) == name).collect();
            prop_assert_eq!(lines, [name], "{}", name);
        }
        let hops = seen["x-forwarded-for"].as_bytes();
        prop_assert!(hops == b"192.0.2.1" || (trusted && hops.ends_with(b", 192.0.2.1")));
        prop_assert_eq!(seen.get_all("host").iter().count(), host);
        prop_assert_eq!(seen.get_all("content-length").iter().count(), length);
        prop_assert!(forward_token || !seen.contains_key("authorization"));
    }

    #[test]
    fn whatever_an_upstream_answers_hop_by_hop_headers_are_gone(mut headers in any_headers()) {
        let length = headers.get_all("content-length").iter().count();
        rewrite_response(&mut headers);
        for name in ["connection", "te", "upgrade", "keep-alive", "transfer-encoding", "proxy-connection"] {
            prop_assert!(!headers.contains_key(name), "{}", name);
        }
        prop_assert_eq!(headers.get_all("content-length").iter().count(), length);
    }

    #[test]
    fn no_trailer_carries_an_identity(mut headers in any_headers()) {
        clean_trailers(&mut headers, &IdentityHeaders::new("x-auth-").unwrap());
        for name in headers.keys().map(folded) {
            let is_ours = ["x-auth-", "x-forwarded-", "authorization"].iter().any(|ours| name.starts_with(ours));
            prop_assert!(!is_ours, "{}", name);
        }
    }
}
