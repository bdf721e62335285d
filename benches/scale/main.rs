//! Figures of revocation at scale: what a million cost in memory, how long they take to load and to look up, and how many
//! logouts a second one MariaDB commits.
//!
//! `cargo bench --bench scale -- memory|lookup|load|logouts [NUMBER]`; without a name, one after the other, each in a process
//! of its own, so that none counts the memory of another.
#![expect(clippy::expect_used, reason = "a measurement ends at the first surprise")]
#![expect(clippy::print_stdout, reason = "figures are what this is for")]

mod load;
mod logouts;
#[path = "../../tests/it/support/mariadb.rs"]
#[expect(dead_code, reason = "no server is frozen here")]
mod mariadb;
mod memory;
mod usage;

use std::process::Command;

const ALL: [&str; 4] = ["memory", "lookup", "load", "logouts"];

fn main() {
    // Cargo adds `--bench`.
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with("--"))
        .collect();
    let number = words.get(1).map(|word| word.parse().expect("a number"));
    match words.first().map(String::as_str) {
        None => each_in_its_process(),
        Some("memory") => memory::memory(number.unwrap_or(1_000_000)),
        Some("lookup") => memory::lookup(number.unwrap_or(1_000_000)),
        Some("load") => run(load::load(number.unwrap_or(1_000_000))),
        Some("logouts") => run(logouts::logouts(number.unwrap_or(100_000))),
        Some(other) => println!("{other}: expected one of {ALL:?}"),
    }
}

fn each_in_its_process() {
    let program = std::env::current_exe().expect("this program");
    for name in ALL {
        let status = Command::new(&program).arg(name).status().expect("it runs again");
        assert!(status.success(), "{name}");
    }
}

fn run(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("a runtime").block_on(work);
}
