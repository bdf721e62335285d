//! `doorward users`, and where passwords may come from.

use std::process::Command;

use super::{Folder, PASSWORD, assert_holds, finish, is_private};

#[test]
fn an_account_is_added_listed_and_shown() {
    let folder = Folder::new();
    let id = folder.add("Ann@Example.com", "--role support --role admin --role admin");
    assert!(is_private(&folder.path("data/doorward.db")));
    folder.add("bob@example.com", "");

    let all = folder.json("users list --json");
    assert_eq!(all.as_array().unwrap().len(), 2);
    assert_eq!(all[0]["id"], id.as_str());
    assert_eq!(all[0]["email"], "ann@example.com");
    assert_eq!(all[0]["roles"], serde_json::json!(["admin", "support"]));
    assert!(all[0]["disabled_at"].is_null());
    assert!(!all.to_string().contains("$2b$"), "a password hash was shown");

    assert_holds(
        &folder.run("users list").good(),
        &["ID", "ann@example.com", "admin,support", "active"],
    );
    assert_holds(&folder.run("users show ann@example.com").good(), &[&id, "sessions  0"]);
    let shown = folder.json(&format!("users show {id} --json"));
    assert_eq!(
        (&shown["name"], &shown["sessions"]),
        (&"Ann".into(), &serde_json::json!([]))
    );
}

#[test]
fn one_address_is_one_account() {
    let folder = Folder::new();
    folder.add("ann@example.com", "");
    let args = "users add --email ANN@example.com --name Other --password-stdin";
    assert_holds(&folder.run_with(args, PASSWORD).bad(1), &["ann@example.com", "already"]);
}

#[test]
fn a_password_comes_from_a_file_too() {
    let folder = Folder::new();
    folder.write("password", &format!("{PASSWORD}\n"));
    folder
        .run("users add --email ann@example.com --name Ann --password-file password")
        .good();
    let args = "users add --email bob@example.com --name Bob --password-file nowhere";
    assert_holds(&folder.run(args).bad(1), &["nowhere"]);
}

#[test]
fn a_password_is_judged_as_sign_up_does_and_never_repeated() {
    let folder = Folder::new();
    let args = "users add --email annabel@example.com --name Ann --password-stdin";
    let long = "x7#".repeat(25);
    for (password, why) in [
        ("short", "at least 8"),
        ("password1", "easy to guess"),
        ("annabel@example.com", "too much like"),
        (long.as_str(), "72 bytes"),
        ("wistful\0otter-47", "NUL"),
        ("\n", "empty"),
    ] {
        let err = folder.run_with(args, password).bad(1);
        assert_holds(&err, &[why]);
        assert!(password.trim().len() < 9 || !err.contains(password), "{err}");
    }
    assert_eq!(folder.json("users list --json"), serde_json::json!([]));
}

#[test]
fn without_a_terminal_a_password_must_be_said_to_come() {
    let folder = Folder::new();
    folder.add("ann@example.com", "");
    for args in [
        "users add --email bob@example.com --name Bob",
        "users password ann@example.com",
    ] {
        assert_holds(&folder.run(args).bad(2), &["--password-stdin", "--password-file"]);
        assert_holds(&folder.run_with(args, PASSWORD).bad(2), &["--password-stdin"]);
    }
}

#[test]
fn at_a_terminal_the_password_is_asked_for_twice_and_not_echoed() {
    let folder = Folder::new();
    let ask = |email: &str, typed: &str| {
        // `script` (bsdutils, on every Debian) gives the command a terminal of its own.
        let line = format!(
            "{} users add --email {email} --name Ann",
            env!("CARGO_BIN_EXE_doorward")
        );
        let mut command = Command::new("script");
        command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
        command
            .current_dir(folder.path("."))
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        finish(command, typed)
    };
    let done = ask("ann@example.com", &format!("{PASSWORD}\n{PASSWORD}\n"));
    assert_eq!(done.code, Some(0), "{done:#?}");
    assert_holds(&done.out, &["Password: ", "The same again: ", "added ann@example.com"]);
    let done = ask("bob@example.com", &format!("{PASSWORD}\n{PASSWORD}x\n"));
    assert_eq!(done.code, Some(1), "{done:#?}");
    assert_holds(&done.out, &["the two passwords differ"]);
    assert_eq!(folder.json("users list --json").as_array().unwrap().len(), 1);
}

#[test]
fn roles_are_shown_given_and_taken_away() {
    let folder = Folder::new();
    folder.add("ann@example.com", "--role a");
    for (change, roles) in [
        ("", "a\n"),
        ("--add b --add c", "a\nb\nc\n"),
        ("--remove a --add d", "b\nc\nd\n"),
        ("--clear --add z", "z\n"),
        ("--clear", ""),
    ] {
        assert_eq!(
            folder.run(&format!("users roles ann@example.com {change}")).good(),
            roles
        );
        assert_eq!(folder.run("users roles ann@example.com").good(), roles);
    }
}

#[test]
fn an_account_has_no_more_roles_than_a_token_has_room_for() {
    let folder = Folder::new();
    let roles = |option: &str, numbers: std::ops::Range<u8>| -> String {
        let given: Vec<_> = numbers.map(|number| format!(" {option} {number:064}")).collect();
        given.concat()
    };
    let add = "users add --email ann@example.com --name Ann --password-stdin";
    let refused = folder.run_with(&format!("{add}{}", roles("--role", 0..33)), PASSWORD);
    assert_holds(&refused.bad(2), &["33 roles are too many", "at most 32"]);
    folder.add("ann@example.com", &roles("--role", 0..32));
    let refused = folder.run(&format!("users roles ann@example.com{}", roles("--add", 40..41)));
    assert_holds(&refused.bad(2), &["33 roles are too many", "at most 32"]);
    let swapped = "users roles ann@example.com --remove".to_owned() + &roles("", 0..1) + &roles("--add", 40..41);
    assert_eq!(folder.run(&swapped).good().lines().count(), 32);
}

#[test]
fn an_account_is_disabled_and_enabled_again() {
    let folder = Folder::new();
    folder.add("ann@example.com", "");
    folder.run("users disable ann@example.com").good();
    assert_holds(&folder.run("users list").good(), &["disabled"]);
    assert!(folder.json("users show ann@example.com --json")["disabled_at"].is_string());
    folder.run("users enable ann@example.com").good();
    assert!(folder.json("users show ann@example.com --json")["disabled_at"].is_null());
}

#[test]
fn a_password_is_replaced() {
    let folder = Folder::new();
    folder.add("ann@example.com", "");
    let set = "users password ann@example.com --password-stdin";
    assert_holds(&folder.run_with(set, "password1").bad(1), &["easy to guess"]);
    let done = folder.run_with(set, "another-plausible-walrus-12");
    assert_holds(&done.err, &["set a new password for ann@example.com"]);
    assert_eq!(done.good(), "");
}

#[test]
fn an_account_is_removed() {
    let folder = Folder::new();
    let id = folder.add("ann@example.com", "");
    folder.run(&format!("users remove {id}")).good();
    assert_eq!(folder.json("users list --json"), serde_json::json!([]));
}

#[test]
fn an_account_that_is_not_there_is_named() {
    let folder = Folder::new();
    for command in ["show", "roles", "disable", "enable", "remove"] {
        let err = folder.run(&format!("users {command} nobody@example.com")).bad(1);
        assert_holds(&err, &["there is no account nobody@example.com"]);
    }
    let set = "users password nobody@example.com --password-stdin";
    assert_holds(&folder.run_with(set, PASSWORD).bad(1), &["there is no account"]);
}
