//! Who may pass a route.

use std::hint::black_box;

use criterion::Criterion;
use doorward::rules::policy::{AuthMode, Denied, decide};
use serde_json::json;

use crate::people::{access, ann};

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("policy");
    let (required, optional) = (AuthMode::Required, AuthMode::Optional);
    let ann = Some(ann());
    for (what, access, who, passes) in [
        ("no identity", access(optional, &[], json!({})), None, Ok(None)),
        (
            "any identity",
            access(required, &[], json!({})),
            ann.as_ref(),
            Ok(ann.as_ref()),
        ),
        (
            "roles",
            access(required, &["admin", "user"], json!({})),
            ann.as_ref(),
            Ok(ann.as_ref()),
        ),
        (
            "claims",
            access(required, &[], json!({"tenant": "acme", "scopes": "write"})),
            ann.as_ref(),
            Ok(ann.as_ref()),
        ),
        (
            "refused",
            access(required, &["admin", "auditor"], json!({})),
            ann.as_ref(),
            Err(Denied::MissingRole),
        ),
    ] {
        let decided = decide(&access, who);
        assert_eq!(
            decided.as_ref().map(|permit| permit.identity()),
            passes.as_ref().copied(),
            "{what}"
        );
        group.bench_function(what, |bencher| {
            bencher.iter(|| decide(black_box(&access), black_box(who)));
        });
    }
    group.finish();
}
