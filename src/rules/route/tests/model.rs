//! The table against a model that looks at every rule.

use proptest::prelude::*;

use super::{super::*, rule};
use crate::rules::path::RequestPath;

fn any_rule() -> impl Strategy<Value = Rule> {
    let host = prop::sample::select(vec!["-", "-", "x", "a.x", "b.a.x", "*.x", "*.a.x"]);
    let segments = prop::collection::vec(prop::sample::select(vec!["a", "b", "{}"]), 0..4);
    let methods = prop::sample::select(vec!["-", "-", "GET", "POST", "HEAD", "GET,POST", "PUT,HEAD"]);
    (host, segments, any::<bool>(), methods).prop_map(|(host, segments, exact, methods)| {
        let named: Vec<String> = segments
            .iter()
            .enumerate()
            .map(|(index, segment)| segment.replace("{}", &format!("{{p{index}}}")))
            .collect();
        let exact = if exact { "=" } else { "" };
        rule(&format!("{methods} {host} {exact}/{}", named.join("/")))
    })
}

/// A path pattern without the names of its parameters.
fn shape(rule: &Rule) -> Vec<Option<&str>> {
    let segments = rule.path.segments().iter();
    segments
        .map(|segment| match segment {
            Segment::Literal(text) => Some(text.as_str()),
            Segment::Any(_) => None,
        })
        .collect()
}

fn host_rank(pattern: &HostPattern) -> (u8, usize) {
    match pattern {
        HostPattern::Any => (0, 0),
        HostPattern::Subdomains(name) => (1, name.len()),
        HostPattern::Exact(_) => (2, 0),
    }
}

/// What the table promises, by looking at every rule.
fn expected(rules: &[Rule], host: Option<&str>, path: &str, method: &str) -> Found {
    let sent: Vec<&str> = path.split('/').skip(1).filter(|segment| !segment.is_empty()).collect();
    let slash = path.len() > 1 && path.ends_with('/');
    let matches = |rule: &Rule| {
        let takes_host = match &rule.host {
            HostPattern::Any => true,
            HostPattern::Exact(name) => host == Some(name),
            HostPattern::Subdomains(name) => host.is_some_and(|host| host.ends_with(&format!(".{name}"))),
        };
        let shape = shape(rule);
        let fits = if rule.exact {
            shape.len() == sent.len() && !slash
        } else {
            shape.len() <= sent.len()
        };
        takes_host
            && fits
            && shape
                .iter()
                .zip(&sent)
                .all(|(wanted, sent)| wanted.is_none_or(|text| text == *sent))
    };
    // `true` is greater than `false`: a literal goes before a parameter. Lists compare segment by segment, and one that
    // goes on where the other ends is the greater one.
    let rank = |rule: &Rule| {
        let literals: Vec<bool> = shape(rule).iter().map(Option::is_some).collect();
        (host_rank(&rule.host), literals, rule.exact)
    };
    let Some(best) = rules.iter().filter(|rule| matches(rule)).map(rank).max() else {
        return Found::None;
    };
    let candidates: Vec<usize> = (0..rules.len())
        .filter(|index| matches(&rules[*index]) && rank(&rules[*index]) == best)
        .collect();
    let listing = |wanted: &str| {
        candidates
            .iter()
            .find(|index| rules[**index].methods.iter().any(|method| method == wanted))
    };
    let choice = listing(method)
        .or_else(|| if method == "HEAD" { listing("GET") } else { None })
        .or_else(|| candidates.iter().find(|index| rules[**index].methods.is_empty()));
    choice.map_or(Found::MethodNotAllowed(Vec::new()), |index| Found::Route(*index))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn the_table_finds_what_looking_at_every_rule_finds(
        rules in prop::collection::vec(any_rule(), 1..12),
        requests in prop::collection::vec(
            (
                prop::sample::select(vec!["-", "x", "a.x", "b.a.x", "c.b.a.x", "ax", "y"]),
                "(/[abc]){0,4}/?",
                prop::sample::select(vec!["GET", "HEAD", "POST", "PUT", "ODD"]),
            ),
            1..12,
        ),
    ) {
        // Rules that tie are left out, as no configuration with them is accepted.
        let mut kept: Vec<Rule> = Vec::new();
        for rule in rules {
            kept.push(rule);
            if RouteTable::new(&kept).is_err() {
                kept.pop();
            }
        }
        let table = RouteTable::new(&kept).unwrap();
        for (host, path, method) in requests {
            let host = (host != "-").then_some(host);
            let path = if path.is_empty() { "/" } else { &path };
            let (read, verb) = (RequestPath::parse(path).unwrap(), method.parse().unwrap());
            let found = table.find(host, &read, &verb);
            let verdicts = table.explain(host, &read, &verb);
            let winners: Vec<usize> = (0..kept.len()).filter(|index| verdicts[*index] == Verdict::Wins).collect();
            match (expected(&kept, host, path, method), &found) {
                (Found::MethodNotAllowed(_), Found::MethodNotAllowed(allowed)) => {
                    prop_assert!(!allowed.is_empty() && !allowed.contains(&verb));
                    prop_assert!(winners.is_empty());
                }
                (expected, found) => {
                    prop_assert_eq!(&expected, found);
                    prop_assert_eq!(winners, if let Found::Route(index) = found { vec![*index] } else { vec![] });
                }
            }
        }
    }

    #[test]
    fn a_tie_is_refused_exactly_where_two_rules_have_one_rank(rules in prop::collection::vec(any_rule(), 1..8)) {
        let ties = |one: &Rule, other: &Rule| {
            let both_any = one.methods.is_empty() && other.methods.is_empty();
            one.host == other.host
                && shape(one) == shape(other)
                && one.exact == other.exact
                && (both_any || one.methods.iter().any(|method| other.methods.contains(method)))
        };
        let conflicts = RouteTable::new(&rules).err().unwrap_or_default();
        for conflict in &conflicts {
            prop_assert!(conflict.first < conflict.second);
            prop_assert!(ties(&rules[conflict.first], &rules[conflict.second]));
        }
        for second in 0..rules.len() {
            let tied = (0..second).any(|first| ties(&rules[first], &rules[second]));
            prop_assert_eq!(tied, conflicts.iter().any(|conflict| conflict.second == second));
        }
    }
}
