//! Where the configuration comes from, what `config show` and `check` say of it, and what bad ones do.

use super::{CONFIG, Folder, assert_holds};

#[test]
fn a_configuration_that_is_not_valid_is_exit_code_78_for_every_command() {
    let folder = Folder::with_config(&format!("{CONFIG}\n[tokenz]\nleeway = 1\n"));
    for args in [
        "",
        "serve",
        "check",
        "config show",
        "users list",
        "explain GET /",
        "try --url http://127.0.0.1:9",
    ] {
        let err = folder.run(args).bad(78);
        assert_holds(&err, &["gateway.toml", "tokenz", "tokens"]);
    }
    assert!(!folder.path("data").exists());
}

#[test]
fn a_configuration_file_that_is_not_there_is_named() {
    let err = Folder::new().run("check --config nowhere.toml").bad(78);
    assert_holds(&err, &["nowhere.toml"]);
}

#[test]
fn the_file_is_taken_from_the_variable_and_the_option_comes_first() {
    let folder = Folder::with_config("nonsense");
    folder.write("other.toml", CONFIG);
    let with_variable = |file: &str, args: &[&str]| {
        let mut command = folder.command(args);
        command.env("DOORWARD_CONFIG", file);
        super::finish(command, "")
    };
    with_variable("other.toml", &["config", "show"]).good();
    with_variable("gateway.toml", &["--config", "other.toml", "config", "show"]).good();
    with_variable("gateway.toml", &["config", "show", "--config", "other.toml"]).good();
    with_variable("gateway.toml", &["config", "show"]).bad(78);
}

#[test]
fn each_value_is_shown_with_where_it_came_from() {
    let folder = Folder::new();
    let mut command = folder.command([
        "--set",
        "tokens.leeway=7s",
        "config",
        "show",
        "--set",
        "tokens.audience=shop",
    ]);
    command.env("DOORWARD_SERVER__DRAIN", "11s");
    let out = super::finish(command, "").good();
    let line = |key: &str| {
        let found = out.lines().find(|line| line.starts_with(&format!("{key} =")));
        found.unwrap_or_else(|| panic!("{key} is not in:\n{out}")).to_owned()
    };
    assert_holds(&line("tokens.leeway"), &["7s", "--set"]);
    assert_holds(&line("tokens.audience"), &["shop", "--set"]);
    assert_holds(&line("server.drain"), &["11s", "DOORWARD_SERVER__DRAIN"]);
    assert_holds(&line("passwords.bcrypt_cost"), &["4", "gateway.toml"]);
    assert_holds(&line("passwords.min_length"), &["8", "default"]);

    let rows = folder.json("config show --json");
    let cost = rows
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["key"] == "passwords.bcrypt_cost")
        .unwrap();
    assert_eq!(cost["value"], "4");
    assert_holds(cost["origin"].as_str().unwrap(), &["gateway.toml"]);
}

#[test]
fn no_secret_is_ever_shown() {
    const SECRETS: [&str; 2] = ["hunter2-hunter2", "correct-horse-battery-staple-correct"];
    let folder = Folder::new();
    let base = [
        "--set",
        "store.url=mysql://ann:hunter2-hunter2@127.0.0.1:9/doorward?tls=disabled",
        "--set",
        "tokens.algorithm=HS256",
        "--set",
        "tokens.secret=correct-horse-battery-staple-correct",
    ];
    for (args, code) in [
        (&["config", "show"][..], 0),
        (&["config", "show", "--json"], 0),
        (&["check"], 1),
        (&["users", "list"], 1),
        (&["check", "--set", "tokens.algorithm=EdDSA"], 78),
        (&["check", "--set", "store.password=hunter2-hunter2"], 78),
    ] {
        let done = super::finish(folder.command(base.iter().chain(args)), "");
        assert_eq!(done.code, Some(code), "{args:?}: {done:#?}");
        for secret in SECRETS {
            assert!(
                !done.out.contains(secret) && !done.err.contains(secret),
                "{args:?}: {done:#?}"
            );
        }
    }
}

#[test]
fn check_changes_nothing_and_passes_on_a_fresh_folder() {
    let folder = Folder::new();
    let out = folder.run("check").good();
    assert_holds(&out, &["3 routes", "2 upstreams", "serve makes it"]);
    assert!(!folder.path("data").exists());
}

#[test]
fn check_passes_once_everything_is_there() {
    let folder = Folder::new();
    folder.run("keys create").good();
    assert_holds(
        &folder.run("check").good(),
        &["the schema is current", "1 signing key with master key"],
    );
}

#[test]
fn check_names_every_problem_in_one_go() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new();
    folder.run("keys create").good();
    let master = folder.path("data/master.key");
    std::fs::set_permissions(&master, std::fs::Permissions::from_mode(0o644)).unwrap();
    let done =
        folder.run("check --set store.url=sqlite://gateway.toml/x.db --set keys.master_key_file=data/master.key");
    assert_eq!(done.code, Some(1), "{done:#?}");
    let problems = done.out.lines().filter(|line| line.starts_with("problem")).count();
    assert_eq!(problems, 2, "{done:#?}");
    assert_holds(&done.out, &["below a file", "chmod 600"]);
}

#[test]
fn check_finds_a_master_key_that_is_not_the_one() {
    let folder = Folder::new();
    folder.run("keys create").good();
    folder.write("other.key", &"ab".repeat(32));
    std::fs::set_permissions(
        folder.path("other.key"),
        std::os::unix::fs::PermissionsExt::from_mode(0o600),
    )
    .unwrap();
    let done = folder.run("check --set keys.master_key_file=other.key");
    assert_eq!(done.code, Some(1), "{done:#?}");
    assert_holds(&done.out, &["problem  keys"]);
    let done = folder.run("check --set keys.master_key_file=nowhere.key");
    assert_eq!(done.code, Some(1), "{done:#?}");
    assert_holds(&done.out, &["problem  keys", "nowhere.key"]);
}
