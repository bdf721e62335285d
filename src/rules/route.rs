//! Which route a request takes: [`RouteTable::find`] answers by the most specific rule, whatever their order.
//!
//! The order: an exact host before `*.` (the longer suffix first) before any host; then the paths segment by segment, a
//! literal before `{name}`, a longer path before a shorter one, `exact` before a prefix; then a rule with `methods` before
//! one without. Host and path choose first and for good: where the most specific path does not take the method, the
//! answer is "method not allowed" and never a less specific rule, so that a rule can only narrow what a shorter one opens.

mod pattern;
mod table;
mod verdict;

use http::Method;

pub use pattern::{HostPattern, InvalidHost, InvalidPattern, PathPattern, Segment};
pub use table::{Conflict, Found, RouteTable};
pub use verdict::Verdict;

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
    /// Which methods; empty means any. `GET` allows `HEAD` too.
    pub methods: Vec<Method>,
}

#[cfg(test)]
mod tests;
