//! The compiled rules: one trie of path segments for each host pattern.

use std::collections::BTreeMap;

use http::Method;

use super::verdict::{self, Verdict};
use super::{HostPattern, Rule, Segment};
use crate::rules::path::RequestPath;

/// All rules, compiled. A look-up allocates nothing unless it ends in [`Found::MethodNotAllowed`].
#[derive(Clone, Debug)]
pub struct RouteTable {
    rules: Vec<Rule>,
    exact: BTreeMap<String, Trie>,
    subdomains: BTreeMap<String, Trie>,
    any: Trie,
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// To the rule of this index.
    Route(usize),
    /// Nowhere: rules for this path exist, but take these methods only (for `Allow`).
    MethodNotAllowed(Vec<Method>),
    /// Nowhere: no rule is for this host and path.
    None,
}

/// Two rules, by index, of which neither is more specific for some request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("routes {} and {} are for the same requests", .first + 1, .second + 1)]
pub struct Conflict {
    /// The one that comes first.
    pub first: usize,
    /// The other.
    pub second: usize,
}

impl RouteTable {
    /// Compiles the rules; or names each that could tie with an earlier one, and that one: they have the same host, path
    /// (whatever its parameters are called) and `exact`, and both are without `methods` or have a method in common.
    pub fn new(rules: &[Rule]) -> Result<Self, Vec<Conflict>> {
        let mut table = Self {
            rules: rules.to_vec(),
            exact: BTreeMap::new(),
            subdomains: BTreeMap::new(),
            any: Trie::default(),
        };
        let mut conflicts = Vec::new();
        for (index, rule) in rules.iter().enumerate() {
            let trie = match &rule.host {
                HostPattern::Exact(host) => table.exact.entry(host.clone()).or_default(),
                HostPattern::Subdomains(host) => table.subdomains.entry(host.clone()).or_default(),
                HostPattern::Any => &mut table.any,
            };
            let rivals = trie.slot_mut(rule).insert(index, rule);
            conflicts.extend(rivals.into_iter().map(|first| Conflict { first, second: index }));
        }
        if conflicts.is_empty() {
            Ok(table)
        } else {
            Err(conflicts)
        }
    }

    /// The rule that a request takes. `host` is normalised (see [`normalise_host`](crate::rules::host::normalise_host));
    /// a request without one matches rules for any host only.
    ///
    /// Methods compare by letter case (RFC 9110, section 9.1), but a spelling of a listed method in other case is refused
    /// and not passed to a rule without `methods`: an upstream might fold it. `HEAD` goes where `GET` does unless a rule
    /// lists it.
    #[must_use]
    pub fn find(&self, host: Option<&str>, path: &RequestPath<'_>, method: &Method) -> Found {
        match self.slot(host, path) {
            None => Found::None,
            Some(slot) => match slot.choose(method) {
                Some(rule) => Found::Route(rule),
                None => Found::MethodNotAllowed(slot.methods()),
            },
        }
    }

    /// What became of each rule for this request, in the order of the rules.
    #[must_use]
    pub fn explain(&self, host: Option<&str>, path: &RequestPath<'_>, method: &Method) -> Vec<Verdict> {
        let slot = self.slot(host, path);
        let winner = slot.and_then(|slot| slot.choose(method));
        verdict::of_each(&self.rules, host, path, slot.map_or(&[], |slot| &slot.rules), winner)
    }

    /// What is most specific of all that is for this host and path, whatever its methods.
    fn slot(&self, host: Option<&str>, path: &RequestPath<'_>) -> Option<&Slot> {
        if let Some(host) = host {
            if let Some(slot) = self.exact.get(host).and_then(|trie| trie.find(path)) {
                return Some(slot);
            }
            let mut name = host;
            while !self.subdomains.is_empty()
                && let Some((_, parent)) = name.split_once('.')
            {
                if let Some(slot) = self.subdomains.get(parent).and_then(|trie| trie.find(path)) {
                    return Some(slot);
                }
                name = parent;
            }
        }
        self.any.find(path)
    }
}

/// Path segments as a tree. A look-up visits a node at most once: literal children first, then the parameter.
#[derive(Clone, Debug, Default)]
struct Trie {
    literal: BTreeMap<String, Trie>,
    parameter: Option<Box<Trie>>,
    /// Rules with `exact` whose path ends here.
    exact: Slot,
    /// Rules for the path that ends here and all below it.
    below: Slot,
}

impl Trie {
    fn slot_mut(&mut self, rule: &Rule) -> &mut Slot {
        let node = rule.path.segments().iter().fold(self, |node, segment| match segment {
            Segment::Literal(text) => node.literal.entry(text.clone()).or_default(),
            Segment::Any(_) => node.parameter.get_or_insert_default(),
        });
        if rule.exact { &mut node.exact } else { &mut node.below }
    }

    fn find(&self, path: &RequestPath<'_>) -> Option<&Slot> {
        self.walk(path.segments(), path.has_trailing_slash())
    }

    fn walk<'p>(&self, mut rest: impl Iterator<Item = &'p str> + Clone, trailing_slash: bool) -> Option<&Slot> {
        match rest.next() {
            Some(segment) => {
                let literal = self.literal.get(segment);
                if let Some(slot) = literal.and_then(|node| node.walk(rest.clone(), trailing_slash)) {
                    return Some(slot);
                }
                if let Some(slot) = self.parameter.as_ref().and_then(|node| node.walk(rest, trailing_slash)) {
                    return Some(slot);
                }
            }
            None if !trailing_slash && !self.exact.rules.is_empty() => return Some(&self.exact),
            None => {}
        }
        (!self.below.rules.is_empty()).then_some(&self.below)
    }
}

/// The rules of one host, path and `exact`: they differ in their methods alone.
#[derive(Clone, Debug, Default)]
struct Slot {
    /// All of them.
    rules: Vec<usize>,
    by_method: Vec<(Method, usize)>,
    /// The one without `methods`.
    rest: Option<usize>,
}

impl Slot {
    /// Adds a rule. Those that it ties with are returned, each once.
    fn insert(&mut self, index: usize, rule: &Rule) -> Vec<usize> {
        let mut rivals = Vec::new();
        if rule.methods.is_empty() {
            rivals.extend(self.rest);
            self.rest.get_or_insert(index);
        }
        for method in &rule.methods {
            match self.by_method.iter().find(|(listed, _)| listed == method) {
                Some((_, rival)) => rivals.push(*rival),
                None => self.by_method.push((method.clone(), index)),
            }
        }
        self.rules.push(index);
        // A method that one rule lists twice is not a tie.
        rivals.retain(|rival| *rival != index);
        rivals.sort_unstable();
        rivals.dedup();
        rivals
    }

    fn choose(&self, method: &Method) -> Option<usize> {
        let listed = |wanted: &Method| self.by_method.iter().find(|(method, _)| method == wanted);
        let head = || (method == Method::HEAD).then(|| listed(&Method::GET)).flatten();
        if let Some((_, rule)) = listed(method).or_else(head) {
            return Some(*rule);
        }
        if self.by_method.iter().any(|(listed, _)| is_respelled(method, listed)) {
            return None;
        }
        self.rest
    }

    /// Every method that a rule takes, when none takes all.
    fn methods(&self) -> Vec<Method> {
        let mut methods: Vec<Method> = self.by_method.iter().map(|(method, _)| method.clone()).collect();
        if methods.contains(&Method::GET) && !methods.contains(&Method::HEAD) {
            methods.push(Method::HEAD);
        }
        methods
    }
}

/// Whether a method is not the listed one, but would be (or be `HEAD` beside `GET`) if letter case did not count.
fn is_respelled(method: &Method, listed: &Method) -> bool {
    let folds_to = |name: &Method| method != name && method.as_str().eq_ignore_ascii_case(name.as_str());
    folds_to(listed) || (listed == Method::GET && folds_to(&Method::HEAD))
}
