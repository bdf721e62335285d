//! Reading a path in the one way that all rely on.

use std::hint::black_box;

use criterion::Criterion;
use doorward::rules::path::{AmbiguousPath, RequestPath};

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("path");
    for (what, path, read) in [
        ("plain", "/api/orders/4711/items", Ok("/api/orders/4711/items")),
        (
            "encoded",
            "/api/caf%C3%A9/4711/caf%C3%A9%20noir",
            Ok("/api/café/4711/café noir"),
        ),
        ("refused", "/api/orders/%2e%2e/admin", Err(AmbiguousPath::DotSegment)),
    ] {
        let parsed = RequestPath::parse(path);
        assert_eq!(
            parsed.as_ref().map(RequestPath::decoded),
            read.as_ref().copied(),
            "{what}"
        );
        group.bench_function(what, |bencher| bencher.iter(|| RequestPath::parse(black_box(path))));
    }
    group.finish();
}
