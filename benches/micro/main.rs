//! What the steps of a guarded request cost, each by itself, in one thread. The figures mean something where the machine has
//! nothing else to do.
//!
//! `cargo bench --bench micro` measures all of them in three minutes, `-- route` those whose names have `route` in them, `-- --quick`
//! all in half a minute and less exactly; each is compared with what was measured before. Each is held to what it is called once,
//! before it is measured. Steps that the library keeps to itself, as the check of request heads, are not here;
//! `benches/compare/run` measures the whole.
#![expect(clippy::expect_used, reason = "a measurement ends at the first surprise")]

mod blocklist;
mod headers;
mod lines;
mod paths;
mod people;
mod policy;
mod routes;
mod state;
mod tokens;

use std::time::Duration;

use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");

    routes::bench(&mut criterion);
    paths::bench(&mut criterion);
    headers::bench(&mut criterion);
    policy::bench(&mut criterion);
    lines::bench(&mut criterion);
    tokens::bench(&mut criterion, &runtime);
    blocklist::bench(&mut criterion, &runtime);
    criterion.final_summary();
}
