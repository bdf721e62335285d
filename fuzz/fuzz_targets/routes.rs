//! Route tables: the rule that a request takes is the one that looking at every rule finds, in the order that
//! `src/rules/route.rs` promises; two rules that tie are refused; and `explain` says what `find` does.
//!
//! An input is lines: `METHODS HOST PATH` is a rule (`-` for any; `=` before the path for `exact`), `> METHOD HOST PATH` a
//! request.
#![no_main]

use std::cmp::Reverse;

use doorward::rules::host::normalise_host;
use doorward::rules::path::RequestPath;
use doorward::rules::route::{Found, HostPattern, PathPattern, RouteTable, Rule, Segment, Verdict};
use doorward_fuzz::lines;
use http::Method;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let (mut rules, mut requests) = (Vec::new(), Vec::new());
    for line in lines(input).filter_map(|line| std::str::from_utf8(line).ok()).take(64) {
        match line.strip_prefix("> ") {
            Some(line) => requests.extend(request(line)),
            None => rules.extend(rule(line)),
        }
    }
    let table = loop {
        match RouteTable::new(&rules) {
            Ok(table) => break table,
            Err(conflicts) => {
                for conflict in &conflicts {
                    assert!(conflict.first < conflict.second && ties(&rules[conflict.first], &rules[conflict.second]));
                }
                rules.remove(conflicts[0].second);
            }
        }
    };
    for (index, rule) in rules.iter().enumerate() {
        assert!(!rules[..index].iter().any(|other| ties(other, rule)), "a tie is let in");
    }
    for (method, host, path) in &requests {
        let read = RequestPath::parse(path).expect("looked at before");
        let found = table.find(host.as_deref(), &read, method);
        let verdicts = table.explain(host.as_deref(), &read, method);
        let winners: Vec<usize> = (0..rules.len())
            .filter(|index| verdicts[*index] == Verdict::Wins)
            .collect();
        match (expected(&rules, host.as_deref(), &read, method), found) {
            (Expected::Route(meant), Found::Route(index)) => {
                assert_eq!((meant, &winners[..]), (index, &[index][..]), "{rules:#?}");
            }
            (Expected::NotAllowed, Found::MethodNotAllowed(allowed)) => {
                assert!(winners.is_empty() && !allowed.is_empty() && !allowed.contains(method));
            }
            (Expected::None, Found::None) => assert!(winners.is_empty()),
            (expected, found) => {
                panic!("{expected:?}, and {found:?} was found: {method} {host:?} {path} in {rules:#?}")
            }
        }
    }
});

fn rule(line: &str) -> Option<Rule> {
    let [methods, host, path] = line.split(' ').collect::<Vec<_>>().try_into().ok()?;
    let methods = methods
        .split(',')
        .filter(|method| *method != "-")
        .map(str::parse)
        .collect::<Result<_, _>>();
    let exact = path.strip_prefix('=');
    Some(Rule {
        line: 0,
        host: if host == "-" {
            HostPattern::Any
        } else {
            HostPattern::parse(host).ok()?
        },
        path: PathPattern::parse(exact.unwrap_or(path)).ok()?,
        exact: exact.is_some(),
        methods: methods.ok()?,
    })
}

fn request(line: &str) -> Option<(Method, Option<String>, &str)> {
    let [method, host, path] = line.split(' ').collect::<Vec<_>>().try_into().ok()?;
    RequestPath::parse(path).ok()?;
    let host = if host == "-" {
        None
    } else {
        Some(normalise_host(host)?.into_owned())
    };
    Some((method.parse().ok()?, host, path))
}

#[derive(Debug)]
enum Expected {
    Route(usize),
    NotAllowed,
    None,
}

/// A path without the names of its parameters.
fn shape(rule: &Rule) -> Vec<Option<&str>> {
    let text = |segment| match segment {
        &Segment::Literal(ref text) => Some(text.as_str()),
        &Segment::Any(_) => None,
    };
    rule.path.segments().iter().map(text).collect()
}

fn ties(one: &Rule, other: &Rule) -> bool {
    let (all, any) = (one.methods.is_empty() && other.methods.is_empty(), |method| {
        other.methods.contains(method)
    });
    one.host == other.host
        && shape(one) == shape(other)
        && one.exact == other.exact
        && (all || one.methods.iter().any(any))
}

fn takes(rule: &Rule, host: Option<&str>, path: &RequestPath<'_>) -> bool {
    let takes_host = match &rule.host {
        HostPattern::Any => true,
        HostPattern::Exact(name) => host == Some(name),
        HostPattern::Subdomains(name) => host.is_some_and(|host| host.ends_with(&format!(".{name}"))),
    };
    let sent: Vec<&str> = path.segments().collect();
    let shape = shape(rule);
    let ends = sent.len() == shape.len() && !path.has_trailing_slash();
    let fits = sent.len() >= shape.len()
        && shape
            .iter()
            .zip(&sent)
            .all(|(wanted, sent)| wanted.is_none_or(|wanted| wanted == *sent));
    takes_host && fits && (ends || !rule.exact)
}

/// What decides between two rules that take a request, but for the method.
fn rank(rule: &Rule) -> (Reverse<u8>, usize, Vec<bool>, bool) {
    let (kind, length) = match &rule.host {
        HostPattern::Exact(_) => (0, 0),
        HostPattern::Subdomains(name) => (1, name.len()),
        HostPattern::Any => (2, 0),
    };
    (
        Reverse(kind),
        length,
        shape(rule).iter().map(Option::is_some).collect(),
        rule.exact,
    )
}

fn expected(rules: &[Rule], host: Option<&str>, path: &RequestPath<'_>, method: &Method) -> Expected {
    let takers = || rules.iter().enumerate().filter(|(_, rule)| takes(rule, host, path));
    let Some(best) = takers().map(|(_, rule)| rank(rule)).max() else {
        return Expected::None;
    };
    let best: Vec<(usize, &Rule)> = takers().filter(|(_, rule)| rank(rule) == best).collect();
    let listing = |method: &Method| best.iter().find(|(_, rule)| rule.methods.contains(method));
    let listed = listing(method).or_else(|| {
        if method == Method::HEAD {
            listing(&Method::GET)
        } else {
            None
        }
    });
    if let Some((index, _)) = listed {
        return Expected::Route(*index);
    }
    // A spelling of a listed method in other case is nobody's.
    let is_respelled = best.iter().flat_map(|(_, rule)| &rule.methods).any(|known| {
        let respells = |known: &str| method.as_str() != known && method.as_str().eq_ignore_ascii_case(known);
        respells(known.as_str()) || (*known == Method::GET && respells("HEAD"))
    });
    match best.iter().find(|(_, rule)| rule.methods.is_empty()) {
        Some((index, _)) if !is_respelled => Expected::Route(*index),
        _ => Expected::NotAllowed,
    }
}
