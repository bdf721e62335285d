//! The table and the patterns, case by case; [`model`] holds the table against a plainer one.

mod model;

use http::Method;

use super::*;
use crate::rules::path::RequestPath;

/// `GET,POST api.example.com /orders/{id}`; methods and host may be `-`, `=/orders` is exact.
fn rule(text: &str) -> Rule {
    let parts: Vec<&str> = text.split(' ').collect();
    let [methods, host, path] = parts[..] else {
        panic!("not a rule: {text}")
    };
    let (exact, path) = path.strip_prefix('=').map_or((false, path), |path| (true, path));
    Rule {
        line: 0,
        host: if host == "-" {
            HostPattern::Any
        } else {
            HostPattern::parse(host).unwrap()
        },
        path: PathPattern::parse(path).unwrap(),
        exact,
        methods: methods
            .split(',')
            .filter(|method| *method != "-")
            .map(|method| method.parse().unwrap())
            .collect(),
    }
}

fn rules(texts: &[&str]) -> Vec<Rule> {
    texts.iter().map(|text| rule(text)).collect()
}

/// What `GET example.com /path` finds.
fn find(table: &RouteTable, request: &str) -> Found {
    let parts: Vec<&str> = request.split(' ').collect();
    let [method, host, path] = parts[..] else {
        panic!("not a request: {request}")
    };
    let host = (host != "-").then_some(host);
    table.find(host, &RequestPath::parse(path).unwrap(), &method.parse().unwrap())
}

fn assert_finds(texts: &[&str], cases: &[(&str, Option<usize>)]) {
    let table = RouteTable::new(&rules(texts)).unwrap();
    for (request, index) in cases {
        assert_eq!(
            find(&table, request),
            index.map_or(Found::None, Found::Route),
            "{request}"
        );
    }
}

#[test]
fn a_path_is_for_itself_and_all_below_it_by_whole_segments() {
    assert_finds(
        &["- - /orders"],
        &[
            ("GET - /orders", Some(0)),
            ("GET - /orders/", Some(0)),
            ("GET - /orders/7/x", Some(0)),
            ("GET - /%6frders", Some(0)),
            ("GET - /ordersX", None),
            ("GET - /orders.json", None),
            ("GET - /Orders", None),
            ("GET - /", None),
        ],
    );
}

#[test]
fn the_root_is_for_every_path() {
    assert_finds(&["- - /"], &[("GET - /", Some(0)), ("GET h /a/b/", Some(0))]);
}

#[test]
fn an_exact_path_is_for_itself_alone() {
    assert_finds(
        &["- - =/orders", "- - =/"],
        &[
            ("GET - /orders", Some(0)),
            ("GET - /orders/", None),
            ("GET - /orders/7", None),
            ("GET - /", Some(1)),
            ("GET - /x", None),
        ],
    );
    assert_finds(
        &["- - /orders", "- - =/orders"],
        &[
            ("GET - /orders", Some(1)),
            ("GET - /orders/", Some(0)),
            ("GET - /orders/7", Some(0)),
        ],
    );
}

#[test]
fn a_parameter_is_one_segment_that_is_there() {
    assert_finds(
        &["- - /orders/{id}/refunds"],
        &[
            ("GET - /orders/7/refunds", Some(0)),
            ("GET - /orders/7/refunds/1", Some(0)),
            ("GET - /orders/refunds", None),
            ("GET - /orders/7/8/refunds", None),
        ],
    );
    assert_finds(
        &["- - /orders/{id}"],
        &[("GET - /orders", None), ("GET - /orders/", None)],
    );
}

#[test]
fn the_most_specific_path_wins_whatever_the_order() {
    let mut texts = [
        "- - /",
        "- - /a",
        "- - /a/{x}",
        "- - /a/b",
        "- - /a/{x}/c",
        "- - /{y}/b/c",
    ];
    let cases = [
        ("GET - /z", "- - /"),
        ("GET - /a", "- - /a"),
        ("GET - /a/z", "- - /a/{x}"),
        ("GET - /a/b", "- - /a/b"),
        ("GET - /a/z/c", "- - /a/{x}/c"),
        // Segment by segment: `b` is a literal where the longer rule has a parameter.
        ("GET - /a/b/c", "- - /a/b"),
        ("GET - /z/b/c/d", "- - /{y}/b/c"),
        ("GET - /z/b/d", "- - /"),
    ];
    for _ in 0..2 {
        let table = RouteTable::new(&rules(&texts)).unwrap();
        for (request, wanted) in cases {
            let wanted = texts.iter().position(|text| *text == wanted).unwrap();
            assert_eq!(find(&table, request), Found::Route(wanted), "{request}");
        }
        texts.reverse();
    }
}

#[test]
fn a_literal_that_leads_nowhere_gives_way_to_a_parameter() {
    assert_finds(
        &["- - =/a/b", "- - /{x}/b/c"],
        &[
            ("GET - /a/b", Some(0)),
            ("GET - /a/b/c", Some(1)),
            ("GET - /a/b/d", None),
        ],
    );
}

#[test]
fn hosts_go_before_paths() {
    assert_finds(
        &[
            "- - /a/b",
            "- *.example.com /a",
            "- *.eu.example.com /",
            "- api.example.com /",
            "- [::1] /a",
        ],
        &[
            ("GET api.example.com /a/b", Some(3)),
            ("GET www.example.com /a/b", Some(1)),
            ("GET x.eu.example.com /a/b", Some(2)),
            ("GET eu.example.com /a/b", Some(1)),
            ("GET example.com /a/b", Some(0)),
            ("GET badexample.com /a/b", Some(0)),
            ("GET [::1] /a/b", Some(4)),
            ("GET - /a/b", Some(0)),
            // No rule of the host is for this path: the next best host counts.
            ("GET www.example.com /b", None),
        ],
    );
}

#[test]
fn a_rule_with_methods_goes_before_one_without() {
    assert_finds(
        &["- - /a", "POST,PUT - /a"],
        &[
            ("POST - /a", Some(1)),
            ("PUT - /a/x", Some(1)),
            ("GET - /a", Some(0)),
            ("ODD - /a", Some(0)),
        ],
    );
}

#[test]
fn head_goes_where_get_does_unless_it_is_listed() {
    assert_finds(
        &["GET - /a", "- - /a"],
        &[("HEAD - /a", Some(0)), ("POST - /a", Some(1))],
    );
    assert_finds(
        &["GET - /a", "HEAD - /a"],
        &[("HEAD - /a", Some(1)), ("GET - /a", Some(0))],
    );
}

#[test]
fn a_method_that_the_most_specific_path_does_not_take_never_reaches_a_wider_rule() {
    let table = RouteTable::new(&rules(&["- - /", "POST - /admin", "GET - =/admin"])).unwrap();
    assert_eq!(
        find(&table, "DELETE - /admin/x"),
        Found::MethodNotAllowed(vec![Method::POST])
    );
    assert_eq!(
        find(&table, "POST - /admin"),
        Found::MethodNotAllowed(vec![Method::GET, Method::HEAD])
    );
}

#[test]
fn a_listed_method_in_other_case_is_not_any_method() {
    let table = RouteTable::new(&rules(&["- - /a", "GET,DELETE - /a"])).unwrap();
    for request in ["get - /a", "Delete - /a", "head - /a"] {
        assert!(matches!(find(&table, request), Found::MethodNotAllowed(_)), "{request}");
    }
    assert_eq!(find(&table, "post - /a"), Found::Route(0));
}

#[test]
fn rules_that_could_tie_are_refused() {
    let conflicts = |texts: &[&str]| -> Vec<(usize, usize)> {
        let found = RouteTable::new(&rules(texts)).err().unwrap_or_default();
        found.iter().map(|conflict| (conflict.first, conflict.second)).collect()
    };
    assert_eq!(conflicts(&["- - /a/{x}", "- - /b", "- - /a/{y}"]), [(0, 2)]);
    assert_eq!(conflicts(&["GET,POST - /a", "POST,PUT - /a"]), [(0, 1)]);
    assert_eq!(
        conflicts(&["GET,POST - /a", "POST,GET - /a", "GET - /a"]),
        [(0, 1), (0, 2)]
    );
    assert_eq!(conflicts(&["- a.b /", "- A.B /"]), [(0, 1)]);
    assert_eq!(
        conflicts(&["- a.b /", "- *.b /", "- - /", "- - =/", "GET - /", "PUT,PUT - /"]),
        []
    );
}

#[test]
fn every_rule_is_told_why_it_lost() {
    let table = RouteTable::new(&rules(&[
        "- - /",
        "- other.example /a",
        "- - /b",
        "GET - /a",
        "POST - /a",
        "- - /a",
    ]))
    .unwrap();
    let explain = |method: Method, path| -> Vec<String> {
        let verdicts = table.explain(Some("x.example"), &RequestPath::parse(path).unwrap(), &method);
        verdicts.iter().map(ToString::to_string).collect()
    };
    assert_eq!(
        explain(Method::GET, "/a/x"),
        [
            "is less specific than route 4",
            "is for another host",
            "is for other paths",
            "wins",
            "does not take this method",
            "is less specific than route 4",
        ]
    );
    assert_eq!(
        explain(Method::PUT, "/a")[3..],
        ["does not take this method", "does not take this method", "wins"]
    );

    let narrow = RouteTable::new(&rules(&["- - /", "POST - /a"])).unwrap();
    assert_eq!(
        narrow.explain(None, &RequestPath::parse("/a").unwrap(), &Method::GET),
        [Verdict::LessSpecific { than: 1 }, Verdict::OtherMethod]
    );
}

#[test]
fn a_path_pattern_prints_as_it_was_written() {
    for text in ["/", "/orders", "/orders/{id}/refunds", "/café/a b"] {
        assert_eq!(PathPattern::parse(text).unwrap().to_string(), text);
    }
}

#[test]
fn a_path_pattern_that_could_mislead_is_refused() {
    use InvalidPattern::*;
    for (text, why) in [
        ("", NotAbsolute),
        ("orders", NotAbsolute),
        ("/orders/", TrailingSlash("/orders".into())),
        ("/orders/*", Glob),
        ("/caf%C3%A9", Escape),
        ("/a?b", Query),
        ("/a#b", Query),
        ("/{}", Parameter),
        ("/{1a}", Parameter),
        ("/{a-b}", Parameter),
        ("/x{a}", Parameter),
        ("/{a}.json", Parameter),
        ("/{{a}}", Parameter),
        ("/{a}/{a}", DuplicateParameter("a".into())),
    ] {
        assert_eq!(PathPattern::parse(text), Err(why), "{text}");
    }
    for text in ["//", "/a//b", "/../a", "/a;b", "/a\\b", "/a\u{0}", "/%2e"] {
        assert!(PathPattern::parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn a_host_pattern_is_one_name_without_port() {
    for (text, printed) in [
        ("API.example.com", "api.example.com"),
        ("*.example.com.", "*.example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("*.BÜCHER.example", "*.xn--bcher-kva.example"),
        ("[::1]", "[::1]"),
        ("localhost", "localhost"),
    ] {
        assert_eq!(HostPattern::parse(text).unwrap().to_string(), printed);
    }
    assert_eq!(HostPattern::Any.to_string(), "*");
    for text in [
        "", "*", "*.", "**.a", "a.*.b", "a:80", "[::1]:80", "*.[::1]", "http://a", "a/b", "a b",
    ] {
        assert_eq!(HostPattern::parse(text), Err(InvalidHost), "{text}");
    }
}
