//! What a rule says of hosts and paths, as parsed from the configuration.

use std::fmt;

use crate::rules::host::normalise_host;
use crate::rules::path::{AmbiguousPath, check_decoded};

/// Which hosts a route is for. Names are lower-case ASCII without port or trailing dot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// Every host.
    Any,
    /// This one.
    Exact(String),
    /// Every subdomain of this one, at any depth, but not itself: `*.example.com` holds `example.com`.
    Subdomains(String),
}

/// A text that is not a host pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a host name without port (`api.example.com`), or `*.` and one (`*.example.com`)")]
pub struct InvalidHost;

impl HostPattern {
    /// Reads `api.example.com`, `*.example.com` or `[::1]`. Letters beyond ASCII are turned into their IDNA form, in
    /// which clients send them. There is no text for [`HostPattern::Any`]: a rule says so by naming no host.
    pub fn parse(text: &str) -> Result<Self, InvalidHost> {
        let (subdomains, name) = text.strip_prefix("*.").map_or((false, text), |name| (true, name));
        let name = if name.is_ascii() {
            name.to_owned()
        } else {
            idna::domain_to_ascii(name).map_err(|_| InvalidHost)?
        };
        let host = normalise_host(&name).ok_or(InvalidHost)?;
        let is_address = host.starts_with('[');
        let has_port = if is_address {
            !name.ends_with(']')
        } else {
            name.contains(':')
        };
        if has_port || (subdomains && is_address) {
            return Err(InvalidHost);
        }
        let host = host.into_owned();
        Ok(if subdomains {
            Self::Subdomains(host)
        } else {
            Self::Exact(host)
        })
    }
}

/// The text that [`HostPattern::parse`] reads; `*` for any host.
impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Exact(host) => f.write_str(host),
            Self::Subdomains(host) => write!(f, "*.{host}"),
        }
    }
}

/// Which paths a route is for: `/orders/{id}/refunds`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PathPattern {
    segments: Vec<Segment>,
}

/// One segment of a [`PathPattern`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Segment {
    /// This text, in decoded form.
    Literal(String),
    /// Any one segment that is not empty. The name is for people.
    Any(String),
}

/// Why a text is not a path pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPattern {
    /// It does not begin with `/`.
    #[error("expected a path that begins with `/`")]
    NotAbsolute,
    /// It ends with `/`.
    #[error("ends with `/`: write `{0}`, which is for this path and all below it")]
    TrailingSlash(String),
    /// It holds `*`.
    #[error("holds `*`: a path is for all below it already, and `{{name}}` stands for one segment")]
    Glob,
    /// It holds `%`.
    #[error("holds `%`: write the path as it reads once decoded")]
    Escape,
    /// It holds `?` or `#`.
    #[error("holds `?` or `#`: routes are for paths alone")]
    Query,
    /// A brace that is not around a whole segment, or a name that is not one.
    #[error("`{{name}}` must be a whole segment, its name of letters, digits and `_`")]
    Parameter,
    /// Two parameters have one name.
    #[error("names `{{{0}}}` twice")]
    DuplicateParameter(String),
    /// No request with such a path would be let in.
    #[error("could match no request: {0}")]
    Unreachable(#[source] AmbiguousPath),
}

impl PathPattern {
    /// Reads a pattern, written in decoded form (`/café`, not `/caf%C3%A9`). `/` is for every path.
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> {
        let Some(path) = text.strip_prefix('/') else {
            return Err(InvalidPattern::NotAbsolute);
        };
        if path.is_empty() {
            return Ok(Self { segments: Vec::new() });
        }
        for character in path.chars() {
            match character {
                '*' => return Err(InvalidPattern::Glob),
                '%' => return Err(InvalidPattern::Escape),
                '?' | '#' => return Err(InvalidPattern::Query),
                _ => {}
            }
        }
        check_decoded(text).map_err(InvalidPattern::Unreachable)?;
        if let Some(shorter) = text.strip_suffix('/') {
            return Err(InvalidPattern::TrailingSlash(shorter.to_owned()));
        }
        let mut segments = Vec::new();
        for text in path.split('/') {
            let segment = Segment::parse(text)?;
            if let Segment::Any(name) = &segment
                && segments.contains(&segment)
            {
                return Err(InvalidPattern::DuplicateParameter(name.clone()));
            }
            segments.push(segment);
        }
        Ok(Self { segments })
    }

    /// The segments; none for `/`.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }
}

impl Segment {
    fn parse(text: &str) -> Result<Self, InvalidPattern> {
        if let Some(name) = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
            let valid = !name.is_empty()
                && !name.starts_with(|c: char| c.is_ascii_digit())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            return if valid {
                Ok(Self::Any(name.to_owned()))
            } else {
                Err(InvalidPattern::Parameter)
            };
        }
        if text.contains(['{', '}']) {
            return Err(InvalidPattern::Parameter);
        }
        Ok(Self::Literal(text.to_owned()))
    }
}

/// The text that [`PathPattern::parse`] reads.
impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.segments.is_empty() {
            return f.write_str("/");
        }
        self.segments.iter().try_for_each(|segment| match segment {
            Segment::Literal(text) => write!(f, "/{text}"),
            Segment::Any(name) => write!(f, "/{{{name}}}"),
        })
    }
}
