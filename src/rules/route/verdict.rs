//! Why a rule won or lost: for `doorward explain`, not for the way of a request.

use std::fmt;

use super::{HostPattern, PathPattern, Rule, Segment};
use crate::rules::path::RequestPath;

/// What became of one rule for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the route.
    Wins,
    /// It is for another host.
    OtherHost,
    /// It is for other paths.
    OtherPath,
    /// It is as specific as the route, or would be it, but does not take this method.
    OtherMethod,
    /// It matches, but the rule of index `than` is more specific.
    LessSpecific {
        /// Index of the rule that is preferred. Where that one does not take the method, no rule does.
        than: usize,
    },
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wins => f.write_str("wins"),
            Self::OtherHost => f.write_str("is for another host"),
            Self::OtherPath => f.write_str("is for other paths"),
            Self::OtherMethod => f.write_str("does not take this method"),
            Self::LessSpecific { than } => write!(f, "is less specific than route {}", than + 1),
        }
    }
}

/// The verdict on each rule, given those of the most specific host and path, and the winner if there is one.
pub(super) fn of_each(
    rules: &[Rule],
    host: Option<&str>,
    path: &RequestPath<'_>,
    most_specific: &[usize],
    winner: Option<usize>,
) -> Vec<Verdict> {
    let preferred = winner.or_else(|| most_specific.first().copied());
    let verdict = |(index, rule): (usize, &Rule)| {
        if winner == Some(index) {
            Verdict::Wins
        } else if !takes_host(&rule.host, host) {
            Verdict::OtherHost
        } else if !takes_path(&rule.path, rule.exact, path) {
            Verdict::OtherPath
        } else if most_specific.contains(&index) && (!rule.methods.is_empty() || winner.is_none()) {
            Verdict::OtherMethod
        } else {
            preferred.map_or(Verdict::OtherPath, |than| Verdict::LessSpecific { than })
        }
    };
    rules.iter().enumerate().map(verdict).collect()
}

fn takes_host(pattern: &HostPattern, host: Option<&str>) -> bool {
    match pattern {
        HostPattern::Any => true,
        HostPattern::Exact(name) => host == Some(name),
        HostPattern::Subdomains(name) => host
            .and_then(|host| host.strip_suffix(name.as_str()))
            .is_some_and(|rest| rest.ends_with('.')),
    }
}

fn takes_path(pattern: &PathPattern, exact: bool, path: &RequestPath<'_>) -> bool {
    let mut sent = path.segments();
    let begins = pattern.segments().iter().all(|segment| match (segment, sent.next()) {
        (Segment::Literal(text), Some(sent)) => text == sent,
        (Segment::Any(_), Some(_)) => true,
        (Segment::Literal(_) | Segment::Any(_), None) => false,
    });
    begins && (!exact || (sent.next().is_none() && !path.has_trailing_slash()))
}
