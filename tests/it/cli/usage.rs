//! Exit codes, help, version, completions, the manual page, closed pipes.

use super::{Folder, assert_holds};

#[test]
fn the_version_names_the_commit() {
    let out = Folder::new().run("--version").good();
    let commit = out
        .trim()
        .strip_prefix("doorward 0.1.0 (")
        .and_then(|rest| rest.strip_suffix(')'));
    let commit = commit.unwrap_or_else(|| panic!("{out}"));
    assert!(
        commit == "unknown" || (commit.len() >= 7 && commit.bytes().all(|b| b.is_ascii_hexdigit())),
        "{out}"
    );
}

#[test]
fn help_names_every_command_and_the_exit_codes() {
    let out = Folder::new().run("--help").good();
    assert_holds(
        &out,
        &[
            "serve", "try", "check", "explain", "migrate", "users", "keys", "tokens", "audit", "config", "man",
        ],
    );
    assert_holds(&out, &["--config", "--set", "DOORWARD_CONFIG", "78"]);
}

#[test]
fn a_command_line_that_makes_no_sense_is_exit_code_2() {
    let folder = Folder::new();
    for args in [
        "frobnicate",
        "--frobnicate",
        "users",
        "users show",
        "users show not-an-address",
        "users add --email ann --name Ann --password-stdin",
        "users add --email ann@example.com --name Ann --password-stdin --password-file x",
        "users add --email ann@example.com --name Ann --password hunter2",
        "users roles ann@example.com --add a,b",
        "migrate down 0",
        "migrate drop",
        "keys create --algorithm none",
        "explain GET",
        "explain GET orders",
        "explain GET /orders --anonymous --role admin",
        "explain GET /orders --claim tenant",
        "check --set server.listen",
        "try",
        "try --url https://127.0.0.1",
        "completions tcl",
    ] {
        let done = folder.run(args);
        assert_eq!(done.code, Some(2), "{args}: {done:#?}");
        assert!(!done.err.is_empty() && done.out.is_empty(), "{args}: {done:#?}");
    }
    assert!(
        !folder.path("data").exists(),
        "a command that was refused left something behind"
    );
}

#[test]
fn completions_come_for_every_shell() {
    let folder = Folder::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let out = folder.run(&format!("completions {shell}")).good();
        assert_holds(&out, &["doorward", "explain", "migrate"]);
    }
}

#[test]
fn the_manual_is_one_page_or_one_per_command() {
    let folder = Folder::new();
    let page = folder.run("man").good();
    assert_holds(&page, &[".TH doorward 1", ".SH SYNOPSIS", "doorward\\-explain(1)"]);
    assert_eq!(folder.run("man --dir pages").good(), "");
    let page = std::fs::read_to_string(folder.path("pages/doorward-users-add.1")).unwrap();
    assert_holds(&page, &["\\-\\-password\\-stdin"]);
}

#[test]
fn a_verdict_that_nobody_reads_is_still_the_exit_code() {
    let folder = Folder::new();
    folder.run("keys create").good();
    // A gateway that is not there, a database that can't be made, a token that is none.
    for args in [
        vec!["try", "--url", "http://127.0.0.1:9"],
        vec!["check", "--set", "store.url=sqlite://gateway.toml/below.db"],
        vec!["tokens", "inspect", "gateway.toml"],
    ] {
        // A pipe whose other end is closed before anything runs: the first write fails.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = folder.command(&args);
        let status = command.stdout(writer).status().unwrap();
        assert_eq!(status.code(), Some(1), "{args:?}");
    }
}

#[test]
fn a_reader_that_stops_reading_ends_the_command_quietly() {
    let folder = Folder::new();
    for args in [vec!["completions", "zsh"], vec!["man"], vec!["config", "show"]] {
        let mut child = folder.command(&args).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{args:?}");
    }
}
