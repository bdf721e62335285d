//! Changes that a route makes to headers, as the operator says them: [`Operations`]. They never reach what the gateway rests on or
//! vouches for: identity, forwarding, framing, hop-by-hop and security of the exchange, in any spelling.

use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::IdentityHeaders;
use super::names::{Kind, fold, kind_of};

/// What is done to headers: first removed, then set, then added. The values are fixed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Operations {
    remove: Vec<HeaderName>,
    set: Vec<(HeaderName, HeaderValue)>,
    add: Vec<(HeaderName, HeaderValue)>,
}

/// Whose headers are changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Those of requests, before an upstream sees them.
    Request,
    /// Those of an upstream's answers, before a client sees them.
    Response,
}

/// Why a header can't be changed, or not like this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOperation {
    /// It is not a name.
    #[error("not the name of a header")]
    Name,
    /// It tells the upstream who a request comes from.
    #[error("an identity header, which the gateway alone sets")]
    Identity,
    /// The gateway sets or removes it itself, or the exchange rests on it.
    #[error("a header that the gateway itself sets, removes or rests on")]
    Own,
    /// The value holds what a header may not, or begins or ends with a blank.
    #[error("not the value of a header: printable ASCII, no blank at either end")]
    Value,
}

/// What is the gateway's besides what [`kind_of`] knows, in the spelling of [`fold`]. Sorted.
const OWN: &[&str] = &["trailer", "x-doorward-error"];
/// The same on requests.
const OWN_OF_REQUESTS: &[&str] = &["traceparent", "tracestate"];

impl Operations {
    /// Also removes this header.
    pub fn remove(&mut self, side: Side, name: &str, identity: &IdentityHeaders) -> Result<(), InvalidOperation> {
        self.remove.push(check_name(side, name, identity)?);
        Ok(())
    }

    /// Also sets this header, in place of all that it says.
    pub fn set(
        &mut self,
        side: Side,
        name: &str,
        value: &str,
        identity: &IdentityHeaders,
    ) -> Result<(), InvalidOperation> {
        self.set.push((check_name(side, name, identity)?, check_value(value)?));
        Ok(())
    }

    /// Also adds a line of this header.
    pub fn add(
        &mut self,
        side: Side,
        name: &str,
        value: &str,
        identity: &IdentityHeaders,
    ) -> Result<(), InvalidOperation> {
        self.add.push((check_name(side, name, identity)?, check_value(value)?));
        Ok(())
    }

    /// What is removed.
    #[must_use]
    pub fn removed(&self) -> &[HeaderName] {
        &self.remove
    }

    /// What is set, and what is added.
    #[must_use]
    #[expect(clippy::type_complexity, reason = "two lists of headers")]
    pub fn written(&self) -> (&[(HeaderName, HeaderValue)], &[(HeaderName, HeaderValue)]) {
        (&self.set, &self.add)
    }

    /// Changes the headers.
    pub fn apply(&self, headers: &mut HeaderMap) {
        for name in &self.remove {
            headers.remove(name);
        }
        for (name, value) in &self.set {
            headers.insert(name, value.clone());
        }
        for (name, value) in &self.add {
            headers.append(name, value.clone());
        }
    }
}

fn check_name(side: Side, name: &str, identity: &IdentityHeaders) -> Result<HeaderName, InvalidOperation> {
    let parsed = HeaderName::try_from(name).map_err(|_| InvalidOperation::Name)?;
    if identity.claims(&parsed) {
        return Err(InvalidOperation::Identity);
    }
    let folded: String = parsed.as_str().bytes().map(|byte| char::from(fold(byte))).collect();
    let own = match (kind_of(&folded), side) {
        // What a body is in is between client and upstream, unless it frames the body.
        (Some(Kind::Protected), Side::Request | Side::Response) => folded != "content-type",
        (Some(Kind::HopByHop | Kind::Forwarding | Kind::Spoof), _) => true,
        (None, Side::Request) => OWN_OF_REQUESTS.contains(&folded.as_str()),
        (None, Side::Response) => false,
    };
    if own || OWN.contains(&folded.as_str()) || folded.starts_with("sec-websocket-") {
        return Err(InvalidOperation::Own);
    }
    Ok(parsed)
}

fn check_value(text: &str) -> Result<HeaderValue, InvalidOperation> {
    let printable = text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if !printable || text.trim_ascii() != text {
        return Err(InvalidOperation::Value);
    }
    HeaderValue::try_from(text).map_err(|_| InvalidOperation::Value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::headers::{Forwarding, rewrite_request};
    use crate::rules::policy::{Access, AuthMode, TrustedIssuers, decide};
    use proptest::prelude::*;

    fn identity() -> IdentityHeaders {
        IdentityHeaders::new("X-Auth-").unwrap()
    }

    fn check(side: Side, name: &str) -> Result<(), InvalidOperation> {
        Operations::default().set(side, name, "x", &identity())
    }

    #[test]
    fn what_the_gateway_rests_on_is_out_of_reach_in_any_spelling() {
        for name in [
            "X-Auth-User-Id",
            "x_auth_roles",
            "X.Auth-Anything",
            "Connection",
            "Transfer-Encoding",
            "TE",
            "Upgrade",
            "Trailer",
            "Content-Length",
            "content_length",
            "Host",
            "Authorization",
            "X-Forwarded-For",
            "X-Forwarded-Anything",
            "Forwarded",
            "X-Real-IP",
            "X-Request-Id",
            "x_request_id",
            "Via",
            "X-Doorward-Error",
            "X_Doorward_Error",
            "X-Original-URL",
            "X-HTTP-Method-Override",
            "Remote-User",
            "Proxy",
            "Expect",
            "Content-Encoding",
            "Sec-WebSocket-Key",
        ] {
            for side in [Side::Request, Side::Response] {
                assert!(check(side, name).is_err(), "{name}");
            }
        }
        assert!(check(Side::Request, "traceparent").is_err());
        for name in [
            "X-Env",
            "Cookie",
            "Content-Type",
            "Accept",
            "X-Api-Version",
            "Cache-Control",
        ] {
            assert_eq!(check(Side::Request, name), Ok(()), "{name}");
        }
        for name in [
            "Set-Cookie",
            "Server",
            "Content-Security-Policy",
            "Cache-Control",
            "Content-Type",
        ] {
            assert_eq!(check(Side::Response, name), Ok(()), "{name}");
        }
    }

    #[test]
    fn a_value_can_t_break_out_of_its_header() {
        for bad in [
            "a\r\nX-Auth-Roles: admin",
            "a\n",
            "\r",
            "a\0",
            " a",
            "a ",
            "\t",
            "é",
            "a\u{7f}",
        ] {
            let done = Operations::default().set(Side::Request, "X-Env", bad, &identity());
            assert_eq!(done, Err(InvalidOperation::Value), "{bad:?}");
        }
        for bad in ["", "a b", "a:", "a\r\nb", "é", "X-Auth-Roles: admin"] {
            assert_eq!(check(Side::Request, bad), Err(InvalidOperation::Name), "{bad:?}");
        }
    }

    #[test]
    fn headers_are_removed_then_set_then_added() {
        let mut operations = Operations::default();
        let names = identity();
        operations.add(Side::Response, "X-A", "3", &names).unwrap();
        operations.set(Side::Response, "X-A", "2", &names).unwrap();
        operations.remove(Side::Response, "X-A", &names).unwrap();
        operations.remove(Side::Response, "X-B", &names).unwrap();
        let mut headers = HeaderMap::new();
        for (name, value) in [("x-a", "0"), ("x-a", "1"), ("x-b", "1"), ("x-c", "1")] {
            headers.append(name, HeaderValue::from_static(value));
        }
        operations.apply(&mut headers);
        assert_eq!(headers.get_all("x-a").iter().collect::<Vec<_>>(), ["2", "3"]);
        assert!(!headers.contains_key("x-b") && headers["x-c"] == "1");
    }

    proptest! {
        #[test]
        fn no_operation_that_is_taken_changes_what_the_gateway_sets(
            names in prop::collection::vec("(x|X)[-_.](auth|forwarded|request)[-_.](user-id|for|id|x)|[a-zA-Z_.-]{1,14}|via|host|te", 1..6),
        ) {
            let identity = identity();
            let mut operations = Operations::default();
            for name in &names {
                let _ = operations.remove(Side::Request, name, &identity);
                let _ = operations.set(Side::Request, name, "mine", &identity);
                let _ = operations.add(Side::Request, name, "mine", &identity);
            }
            let access = Access { auth: AuthMode::None, issuers: TrustedIssuers::own(), roles: Vec::new(), claims: serde_json::Map::new() };
            let permit = decide(&access, None).unwrap();
            let (host, id) = (HeaderValue::from_static("h"), HeaderValue::from_static("1"));
            let forwarding = Forwarding {
                peer: [192, 0, 2, 1].into(), peer_is_trusted: false, scheme: "https", version: http::Version::HTTP_11, host: Some(&host), request_id: &id,
            };
            let mut headers = HeaderMap::new();
            headers.insert("host", host.clone());
            rewrite_request(&mut headers, &identity, &permit, &forwarding, false);
            let before = headers.clone();
            operations.apply(&mut headers);
            for (name, value) in &before {
                prop_assert_eq!(headers.get(name), Some(value));
                prop_assert_eq!(headers.get_all(name).iter().count(), before.get_all(name).iter().count());
            }
            prop_assert!(!headers.keys().any(|name| identity.claims(name)));
        }
    }
}
