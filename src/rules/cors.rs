//! Which pages of other origins may read answers: cross-origin resource sharing, as the Fetch standard has it
//! (<https://fetch.spec.whatwg.org/#http-cors-protocol>).
//!
//! It protects users from pages, not the gateway from clients: who may pass is the policy's matter, and what is not a browser
//! ignores all of this.

use std::time::Duration;

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD,
    ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::host::normalise_host;

/// What pages may do with the answers of a route.
#[derive(Clone, Debug)]
pub struct Cors {
    origins: Origins,
    methods: HeaderValue,
    headers: Option<HeaderValue>,
    expose: Option<HeaderValue>,
    credentials: bool,
    max_age: HeaderValue,
}

/// Whose pages.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Origins {
    /// Everybody's.
    Any,
    /// Those of any of these.
    Listed(Vec<Origin>),
}

/// An origin, or those of all subdomains of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Origin {
    /// This text, as browsers send it.
    Exact(String),
    /// `https://`, one or more labels, and then `.example.com` or `.example.com:8443`.
    Subdomains { scheme: String, parent: String },
}

/// What makes up a [`Cors`], as the operator says it.
#[derive(Clone, Copy, Debug)]
pub struct Said<'a> {
    /// `https://app.example.com`, `https://*.example.com`, `null`, or `*` alone.
    pub origins: &'a [String],
    /// What pages may send.
    pub methods: &'a [Method],
    /// The headers that pages may send.
    pub headers: &'a [HeaderName],
    /// The headers of answers that pages may read.
    pub expose: &'a [HeaderName],
    /// Whether browsers may send cookies and the like.
    pub credentials: bool,
    /// How long a browser may remember the answer to a preflight.
    pub max_age: Duration,
}

/// Why origins are not usable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOrigins {
    /// One is not an origin.
    #[error("not an origin as browsers send it: scheme, host, a port that is not the scheme's own, and nothing else")]
    NotOne(usize),
    /// `*` beside others.
    #[error("`*` is every origin: it stands alone")]
    AnyBesideOthers(usize),
    /// Everybody's pages, or those without an origin of their own, could act as the user.
    #[error("every page could act as its visitor")]
    CredentialsForAnybody(usize),
}

impl Cors {
    /// Reads what the operator says.
    pub fn new(said: Said<'_>) -> Result<Self, InvalidOrigins> {
        let mut listed = Vec::new();
        for (index, text) in said.origins.iter().enumerate() {
            // A sandboxed frame of any page has the origin `null`.
            if said.credentials && matches!(text.as_str(), "*" | "null") {
                return Err(InvalidOrigins::CredentialsForAnybody(index));
            }
            if text == "*" {
                if said.origins.len() > 1 {
                    return Err(InvalidOrigins::AnyBesideOthers(index));
                }
            } else {
                listed.push(Origin::parse(text).ok_or(InvalidOrigins::NotOne(index))?);
            }
        }
        let methods: Vec<&str> = said.methods.iter().map(Method::as_str).collect();
        Ok(Self {
            origins: if listed.is_empty() {
                Origins::Any
            } else {
                Origins::Listed(listed)
            },
            methods: list(&methods).unwrap_or(HeaderValue::from_static("GET, HEAD")),
            headers: list(&said.headers.iter().map(HeaderName::as_str).collect::<Vec<_>>()),
            expose: list(&said.expose.iter().map(HeaderName::as_str).collect::<Vec<_>>()),
            credentials: said.credentials,
            max_age: HeaderValue::from(said.max_age.as_secs()),
        })
    }

    /// Whether pages of this origin may read answers.
    #[must_use]
    pub fn allows(&self, origin: &HeaderValue) -> bool {
        match &self.origins {
            Origins::Any => true,
            Origins::Listed(origins) => origin
                .to_str()
                .is_ok_and(|sent| origins.iter().any(|origin| origin.is(sent))),
        }
    }

    /// Makes the headers of an answer say what pages may do with it, in place of what the upstream says. `origin` is what the
    /// request said; without one it comes from no page, but a cache must know that others might.
    pub fn dress(&self, headers: &mut HeaderMap, origin: Option<&HeaderValue>) {
        for name in ANSWER {
            headers.remove(name);
        }
        let Some(origin) = self.vary(headers, origin) else {
            return;
        };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if self.credentials {
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        if let Some(expose) = &self.expose {
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, expose.clone());
        }
    }

    /// Answers a preflight. One of an origin that is not allowed learns nothing.
    pub fn answer_preflight(&self, headers: &mut HeaderMap, origin: Option<&HeaderValue>) {
        self.dress(headers, origin);
        headers.remove(ACCESS_CONTROL_EXPOSE_HEADERS);
        if !headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) {
            return;
        }
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, self.methods.clone());
        if let Some(allowed) = &self.headers {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed.clone());
        }
        headers.insert(ACCESS_CONTROL_MAX_AGE, self.max_age.clone());
    }

    /// What is said to be allowed: the origin that asks, or everybody. Where it depends on who asks, caches are told so.
    fn vary(&self, headers: &mut HeaderMap, origin: Option<&HeaderValue>) -> Option<HeaderValue> {
        if self.origins == Origins::Any {
            return origin.map(|_| HeaderValue::from_static("*"));
        }
        let said = |value: &HeaderValue| {
            let mut names = value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
            names.any(|name| name.eq_ignore_ascii_case(b"origin") || name == b"*")
        };
        if !headers.get_all(VARY).iter().any(said) {
            headers.append(VARY, HeaderValue::from_static("Origin"));
        }
        origin.filter(|origin| self.allows(origin)).cloned()
    }
}

/// The headers by which answers say what pages may do with them.
const ANSWER: [HeaderName; 6] = [
    ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_ALLOW_CREDENTIALS,
    ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_HEADERS,
    ACCESS_CONTROL_EXPOSE_HEADERS,
    ACCESS_CONTROL_MAX_AGE,
];

/// What a browser asks before it sends the request itself: that request's method, if this is a real preflight.
#[must_use]
pub fn preflight_for(method: &Method, headers: &HeaderMap) -> Option<Method> {
    if *method != Method::OPTIONS || !headers.contains_key(ORIGIN) {
        return None;
    }
    let mut wanted = headers.get_all(ACCESS_CONTROL_REQUEST_METHOD).iter();
    let method = Method::from_bytes(wanted.next()?.as_bytes()).ok()?;
    wanted.next().is_none().then_some(method)
}

impl Origin {
    /// Reads an origin as browsers send it (RFC 6454, section 6.2), or one with `*.` in front of its host.
    fn parse(text: &str) -> Option<Self> {
        if text == "null" {
            return Some(Self::Exact(text.to_owned()));
        }
        let (scheme, rest) = text.split_once("://")?;
        let default_port = match scheme {
            "https" => ":443",
            "http" => ":80",
            _ => return None,
        };
        let (subdomains, authority) = rest.strip_prefix("*.").map_or((false, rest), |rest| (true, rest));
        let host = normalise_host(authority)?;
        // As browsers send it: nothing that normalising would change, and no port that goes without saying.
        let port = authority.strip_prefix(&*host)?;
        if port == default_port || port.starts_with(":0") || !(port.is_empty() || port.starts_with(':')) {
            return None;
        }
        if !subdomains {
            return Some(Self::Exact(text.to_owned()));
        }
        (!host.starts_with('[') && host.contains('.')).then(|| Self::Subdomains {
            scheme: format!("{scheme}://"),
            parent: format!(".{authority}"),
        })
    }

    fn is(&self, sent: &str) -> bool {
        match self {
            Self::Exact(origin) => origin == sent,
            Self::Subdomains { scheme, parent } => sent
                .strip_prefix(scheme.as_str())
                .and_then(|rest| rest.strip_suffix(parent.as_str()))
                .is_some_and(|labels| {
                    normalise_host(labels).is_some_and(|host| host == labels && !labels.contains('['))
                }),
        }
    }
}

fn list(names: &[&str]) -> Option<HeaderValue> {
    HeaderValue::try_from(names.join(", "))
        .ok()
        .filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests;
