//! What the command line does otherwise on MySQL and MariaDB: nothing is made unless it is asked for.

use super::trying::Served;
use super::{CONFIG, Folder, PASSWORD, assert_holds, is_private};
use crate::support::mariadb::{self, Database};

/// A folder whose configuration names a database with nothing in it.
async fn folder() -> (Folder, Database) {
    let database = Database::create().await;
    let store = format!("{CONFIG}\n[store]\nurl = \"{}\"\n", database.url());
    (Folder::with_config(&store), database)
}

#[tokio::test]
async fn schema_and_keys_are_made_by_command_and_each_refusal_names_it() {
    let (folder, _database) = folder().await;
    for args in ["serve", "users list", "keys create"] {
        assert_holds(&folder.run(args).bad(1), &["doorward migrate up"]);
    }
    let done = folder.run("check");
    assert_eq!(done.code, Some(1), "{done:#?}");
    assert_holds(
        &done.out,
        &[
            "problem  store",
            "doorward migrate up",
            "problem  keys",
            "doorward keys create",
        ],
    );

    folder.run("migrate up").good();
    assert_eq!(folder.run("serve").code, Some(1));
    assert!(!folder.path("data").exists(), "serve made a master key of its own");
    assert_holds(&folder.run("keys create").err, &["made the master key"]);
    assert!(is_private(&folder.path("data/master.key")));
    assert_holds(&folder.run("check").good(), &["the schema is current", "1 signing key"]);
}

#[tokio::test]
async fn accounts_are_kept_there_and_the_password_of_the_database_is_never_said() {
    let (folder, _database) = folder().await;
    folder.run("migrate up").good();
    let args = "users add --email ann@example.com --name Ann --role admin --password-stdin";
    let id = folder.run_with(args, PASSWORD).good();
    assert_eq!(folder.json("users show ann@example.com --json")["id"], id.trim());
    folder.run("users disable ann@example.com").good();
    assert_holds(&folder.run("users list").good(), &["disabled"]);
    for args in [
        "config show",
        "check",
        "migrate status",
        "users list --set store.url=mysql://x:p4ss-of-the-database@127.0.0.1:9/x",
    ] {
        let done = folder.run(args);
        assert!(
            !done.out.contains(mariadb::PASSWORD) && !done.err.contains(mariadb::PASSWORD),
            "{done:#?}"
        );
    }
    folder.run("migrate drop --yes").good();
    assert_holds(&folder.run("users list").bad(1), &["doorward migrate up"]);
}

#[tokio::test]
async fn the_walk_through_a_gateway_on_mariadb_ends_green() {
    let (folder, _database) = folder().await;
    folder.run("migrate up").good();
    folder.run("keys create").good();
    let gateway = Served::start(&folder);
    let out = folder.run(&format!("try --url {}", gateway.url)).good();
    assert_holds(&out, &["All 9 steps are as they should be."]);
    assert_eq!(folder.json("users list --json"), serde_json::json!([]));
}
