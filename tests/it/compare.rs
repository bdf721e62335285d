//! `benches/compare`, as far as it can be shown without measuring anything.

use tokio::process::Command;

use crate::support::tools::{program, root, stdout_of};

fn python(words: &[&str]) -> Command {
    let mut python = program("python3");
    // -B: no compiled files beside the sources.
    python.arg("-B").args(words).current_dir(root());
    python
}

#[tokio::test]
async fn the_comparison_lists_what_it_would_measure() {
    let said = stdout_of(python(&["benches/compare/run", "--list"])).await;
    for row in [
        "core: direct",
        "core: HAProxy",
        "core: nginx",
        "core: Doorward public",
        "core: Doorward EdDSA, one token",
        "core: HAProxy ES256, new tokens",
        "http2-out: HAProxy",
        "accounts: MariaDB, refreshes",
    ] {
        assert!(said.lines().any(|line| line == row), "no row {row} in\n{said}");
    }
    let said = stdout_of(python(&["benches/compare/run", "--list", "--only", "Doorward public$"])).await;
    assert!(
        said.lines().count() > 0 && said.lines().all(|line| line.ends_with("Doorward public")),
        "{said}"
    );
}

#[tokio::test]
async fn the_comparison_reports_what_its_rows_say() {
    stdout_of(python(&[
        "-m",
        "unittest",
        "discover",
        "--start-directory",
        "benches/compare",
    ]))
    .await;
}
