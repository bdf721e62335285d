//! The headers that an upstream and a client see. Everything that a client may not say is removed first, then what the
//! gateway vouches for is set, so that no spelling and no `Connection` option gets in between.

mod certificate;
mod client;
mod forwarded;
mod hop;
mod identity;
mod names;
mod operations;
mod trailers;
mod value;

use bytes::BytesMut;
use http::Version;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TE, TRAILER, VIA};

pub use certificate::CertificateHeaders;
pub use client::client_address;
pub use forwarded::Forwarding;
pub use identity::{IdentityHeaders, InvalidPrefix};
pub use operations::{InvalidOperation, Operations, Side};
pub use trailers::clean_trailers;
pub use value::encode_value;

use self::names::{Kind, kind_of};
use super::policy::Permit;

/// What this gateway adds to `Via` of what it received as HTTP/1.1 (RFC 9110, section 7.6.3).
const VIA_DOORWARD: HeaderValue = HeaderValue::from_static("1.1 doorward");

/// What this gateway adds to `Via` of what it received in this version.
fn via(version: Version) -> HeaderValue {
    match version {
        Version::HTTP_2 => HeaderValue::from_static("2 doorward"),
        Version::HTTP_10 => HeaderValue::from_static("1.0 doorward"),
        _ => VIA_DOORWARD,
    }
}

/// The name of the header that carries the id by which a request is found in logs.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Makes the headers of a request those that its upstream may see.
///
/// Removed, in this order, and by any spelling that a CGI-like server would read as the same name:
/// * hop-by-hop headers and what `Connection` names (RFC 9110, section 7.6.1); `TE` is kept as far as it says `trailers`
///   (an HTTP/1.1 client then adds `Connection: TE`), `Trailer` and `Content-Length` are kept;
/// * `Expect`, which the gateway answers itself, and `Proxy`, which CGI turns into `HTTP_PROXY`;
/// * every header that begins with the identity prefix, and those by which other gateways name a user;
/// * headers that make some servers act on another path or method than the one that was matched
///   (`X-Original-URL`, `X-Rewrite-URL`, `X-HTTP-Method-Override`, …);
/// * `X-Forwarded-*`, `Forwarded`, `X-Real-IP` and the like, unless the peer is trusted;
/// * `Authorization`, unless `forward_token`.
///
/// Set: identity headers if the permit names somebody, `X-Forwarded-For`, `-Proto`, `-Host`, `Forwarded`, `X-Request-Id`,
/// and one more `Via`.
pub fn rewrite_request(
    headers: &mut HeaderMap,
    names: &IdentityHeaders,
    permit: &Permit,
    forwarding: &Forwarding<'_>,
    forward_token: bool,
) {
    let wants_trailers = hop::accepts_trailers(headers);
    hop::remove_connection(headers);
    // Usually there is nothing to drop, and then this vector does not allocate.
    let dropped: Vec<HeaderName> = headers
        .keys()
        .filter(|name| names.claims(name) || is_dropped(name, forwarding.peer_is_trusted))
        .cloned()
        .collect();
    for name in dropped {
        headers.remove(name);
    }
    if !forward_token {
        headers.remove(AUTHORIZATION);
    }
    if wants_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    // All that is set below, so that the map grows once if at all.
    headers.reserve(if permit.identity().is_some() { 14 } else { 8 });
    let mut buffer = BytesMut::with_capacity(384);
    forwarding.set(headers, &mut buffer);
    headers.insert(REQUEST_ID, forwarding.request_id.clone());
    headers.append(VIA, via(forwarding.version));
    if let Some(identity) = permit.identity() {
        names.set(headers, identity);
    }
}

/// Whether a request header goes, whoever the user is. What is merely misspelled goes too: `Content_Length` has no
/// meaning to us, but is `Content-Length` to a server that hands headers on as `CONTENT_LENGTH`.
fn is_dropped(name: &HeaderName, peer_is_trusted: bool) -> bool {
    let name = name.as_str();
    match kind_of(name) {
        None => false,
        Some(Kind::HopByHop | Kind::Spoof) => true,
        Some(Kind::Protected) => !names::is_plain(name),
        Some(Kind::Forwarding) => !peer_is_trusted || !names::is_plain(name),
    }
}

/// Makes the headers of an upstream's answer those that the client may see: hop-by-hop headers and what `Connection` names
/// are removed (`Trailer` is kept), and [`GATEWAY_ERROR`](crate::problem::GATEWAY_ERROR), which only the gateway says; `Via` is added.
///
/// With an `Upgrade` that is relayed (101), its headers are set again afterwards by whoever relays it.
pub fn rewrite_response(headers: &mut HeaderMap) {
    hop::remove_connection(headers);
    hop::remove_fixed(headers);
    headers.append(VIA, VIA_DOORWARD);
}

/// Makes the headers of an upstream's interim answer (1xx) those that the client may see: as in a final one, without what is
/// about content, which it has none of, without identity headers, which are for upstreams alone, without what a route removes or
/// sets in final answers, and without what lets pages of other origins read one, which is the route's to say.
pub fn rewrite_interim(headers: &mut HeaderMap, names: &IdentityHeaders, changes: &Operations) {
    rewrite_response(headers);
    headers.remove(CONTENT_LENGTH);
    headers.remove(TRAILER);
    let of_pages = |name: &HeaderName| name.as_str().starts_with("access-control-");
    let dropped = headers.keys().filter(|name| names.claims(name) || of_pages(name));
    let dropped: Vec<HeaderName> = dropped.cloned().collect();
    let set = changes.written().0.iter().map(|(name, _)| name);
    for name in dropped.iter().chain(changes.removed()).chain(set) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests;
