//! Upgrades (RFC 9110, section 7.8): which are relayed, and the two handshakes of one. What follows is a
//! [`Tunnel`].
//!
//! A WebSocket is asked for by an HTTP/1.1 upgrade (RFC 6455) or by an HTTP/2 extended CONNECT (RFC 8441); the upstream is
//! always asked in HTTP/1.1. No cookie is looked at, so there is no cross-site hijacking to guard against: a page of another
//! origin has no token to send.

mod client;
mod websocket;

use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version, header};
use hyper::ext::Protocol;

use super::{Refused, ResponseBody, Tunnel};
use crate::config::Streams;
use crate::upstream::{AnswerBody, Lease, Upgraded, UpstreamError};

pub(super) use client::ClientSide;
pub use client::{ClientBytes, Switch};
pub(super) use websocket::{Frames, take_token};

/// An upgrade that a client asks for and that its route relays.
#[derive(Debug)]
pub(super) struct Upgrade {
    /// In lower case.
    protocol: String,
    /// What its upstream has to answer to the key that was sent.
    accept: Option<HeaderValue>,
    /// Whether the client asks in HTTP/2, which has another word for yes.
    extended: bool,
    /// The client's side, once it has been told.
    client: ClientSide,
}

/// The method that routes are matched with: an extended CONNECT stands for a GET.
pub(super) fn matched_method(parts: &Parts) -> &Method {
    if is_extended_connect(parts) {
        &Method::GET
    } else {
        &parts.method
    }
}

fn is_extended_connect(parts: &Parts) -> bool {
    parts.method == Method::CONNECT && parts.extensions.get::<Protocol>().is_some()
}

impl Upgrade {
    /// The upgrade that is asked for, if the route relays it. What it does not is refused where the client needs it, and
    /// left out where it is an offer that may be ignored. The request is made one that asks in HTTP/1.1, but for the headers
    /// that [`Upgrade::ask`] sets.
    pub(super) fn wanted(parts: &mut Parts, has_body: bool, streams: &Streams) -> Result<Option<Self>, Refused> {
        let extended = is_extended_connect(parts);
        if !extended && !parts.headers.contains_key(header::UPGRADE) {
            return Ok(None);
        }
        let offered: Vec<String> = match parts.extensions.get::<Protocol>().filter(|_| extended) {
            Some(protocol) => vec![protocol.as_str().to_ascii_lowercase()],
            None => elements(&parts.headers, &header::UPGRADE).collect(),
        };
        let needed = extended || offered.iter().any(|protocol| protocol == websocket::NAME);
        let asked = extended
            || (parts.version == Version::HTTP_11
                && elements(&parts.headers, &header::CONNECTION).any(|option| option == "upgrade"));
        let protocol = match &offered[..] {
            [only] if asked && streams.upgrades.contains(only) => only.clone(),
            _ if needed => return Err(Refused::Upgrade),
            _ => return Ok(None),
        };
        let client = ClientSide::take(&mut parts.extensions).ok_or(Refused::Upgrade)?;
        if has_body {
            return Err(Refused::Handshake("an upgrade is asked for without a body"));
        }
        let accept = if protocol == websocket::NAME {
            if extended {
                websocket::make_key(&mut parts.headers)?;
            }
            Some(websocket::expected(&parts.method, &parts.headers, extended)?)
        } else if extended {
            return Err(Refused::Upgrade);
        } else {
            None
        };
        if extended {
            parts.method = Method::GET;
        }
        Ok(Some(Self {
            protocol,
            accept,
            extended,
            client,
        }))
    }

    /// Asks the upstream: to be called when all that is hop-by-hop has been removed.
    pub(super) fn ask(&self, headers: &mut HeaderMap) {
        headers.remove(header::TE);
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        if let Ok(protocol) = HeaderValue::try_from(&self.protocol) {
            headers.insert(header::UPGRADE, protocol);
        }
    }

    /// Whether the upstream's 101 is the answer to what was asked.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), &'static str> {
        if !elements(headers, &header::UPGRADE).eq([self.protocol.as_str()]) {
            return Err("it switches to another protocol than the one that was asked for");
        }
        if !elements(headers, &header::CONNECTION).any(|option| option == "upgrade") {
            return Err("it switches protocols without saying so in Connection");
        }
        let mut accepts = headers.get_all(header::SEC_WEBSOCKET_ACCEPT).iter();
        match (&self.accept, accepts.next(), accepts.next()) {
            (None, _, _) => Ok(()),
            // Status, `Upgrade` and `Connection` have said that the upstream switched. The answer to the key says so to whoever
            // made the key (RFC 6455, section 4.1): over HTTP/1.1 the client, which sees that there is none and judges. We could
            // not: whoever chose the key can make its answer. One that is there and wrong belongs to another handshake.
            (Some(_), None, _) if !self.extended => Ok(()),
            (Some(expected), Some(accept), None) if accept == expected => Ok(()),
            (Some(_), _, _) => Err("its Sec-WebSocket-Accept is not the answer to the key"),
        }
    }

    /// Tells the client yes, if the upstream said so: to be called when all that is hop-by-hop has been removed. To a CONNECT,
    /// any success would be a yes (RFC 9110, section 9.3.6): one without a switch is none that can be relayed.
    pub(super) fn settle<B>(&self, response: &mut Response<B>) -> Result<(), Refused> {
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            let why = UpstreamError::Invalid("it answers a handshake with success, and does not switch protocols");
            let misread = self.extended && response.status().is_success();
            return if misread { Err(Refused::Upstream(why)) } else { Ok(()) };
        }
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_LENGTH);
        if self.extended {
            headers.remove(header::SEC_WEBSOCKET_ACCEPT);
            *response.status_mut() = StatusCode::OK;
        } else {
            self.ask(headers);
        }
        Ok(())
    }

    /// The upstream's 101, with the tunnel that follows it.
    pub(super) fn tunnel(&self, response: Response<AnswerBody>, lease: Lease) -> Response<ResponseBody> {
        let tunnel = Tunnel::new(self.client.clone(), Upgraded::new(lease), self.accept.is_some());
        response.map(|_| ResponseBody::tunnel(tunnel))
    }
}

/// The elements of a comma-separated list, in lower case. One that is not text is none that is known.
fn elements<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> impl Iterator<Item = String> + use<'a> {
    let lines = headers.get_all(name).iter();
    lines
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .map(|element| String::from_utf8_lossy(element.trim_ascii()).to_ascii_lowercase())
        .filter(|element| !element.is_empty())
}
