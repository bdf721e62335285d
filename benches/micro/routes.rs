//! Which route a request takes, among one, ten and a thousand.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion};
use doorward::rules::path::RequestPath;
use doorward::rules::route::{Found, HostPattern, PathPattern, RouteTable, Rule};
use http::Method;

const HOST: Option<&str> = Some("shop.example.com");

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("route");
    for many in [1, 10, 1_000] {
        let literal = table(many, |number| format!("/api/service-{number}/orders"));
        let parameter = table(many, |number| format!("/api/service-{number}/orders/{{id}}/items"));
        let one = many / 2;
        for (what, table, path, found) in [
            (
                "exact",
                &literal,
                format!("/api/service-{one}/orders"),
                Found::Route(one),
            ),
            (
                "parameter",
                &parameter,
                format!("/api/service-{one}/orders/4711/items"),
                Found::Route(one),
            ),
            // As late as can be: all but the last segment are those of a route.
            (
                "miss",
                &parameter,
                format!("/api/service-{one}/orders/4711/notes"),
                Found::None,
            ),
        ] {
            let path = RequestPath::parse(&path).expect("a path");
            assert_eq!(table.find(HOST, &path, &Method::GET), found, "{what} among {many}");
            group.bench_function(BenchmarkId::new(what, many), |bencher| {
                bencher.iter(|| table.find(black_box(HOST), black_box(&path), black_box(&Method::GET)));
            });
        }
    }
    group.finish();
}

/// So many routes for any host, for nothing below their paths.
fn table(many: usize, path: impl Fn(usize) -> String) -> RouteTable {
    let rule = |number| Rule {
        line: 0,
        host: HostPattern::Any,
        path: PathPattern::parse(&path(number)).expect("a pattern"),
        exact: true,
        methods: Vec::new(),
    };
    let rules: Vec<Rule> = (0..many).map(rule).collect();
    RouteTable::new(&rules).expect("no two are for the same requests")
}
