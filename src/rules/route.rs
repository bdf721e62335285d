//! Which route a request takes.

use http::Method;

/// Which requests a route is for.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The line of the config file that the route begins in, from 1; 0 where it came from no file.
    pub line: usize,
    /// Which hosts.
    pub host: HostPattern,
    /// Which paths.
    pub path: PathPattern,
    /// Whether only the path itself matches, and not what is below it.
    pub exact: bool,
    /// Which methods; empty means any.
    pub methods: Vec<Method>,
}

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
