//! `doorward migrate`.

use super::{Folder, assert_holds};

#[test]
fn the_schema_goes_up_and_down_and_says_where_it_stands() {
    let folder = Folder::new();
    let applied = folder.run("migrate up").good();
    let names: Vec<&str> = applied.lines().collect();
    assert!(!names.is_empty());
    let done = folder.run("migrate up");
    assert_holds(&done.err, &["nothing to apply"]);
    assert_eq!(done.good(), "");

    let states = folder.json("migrate status --json");
    assert_eq!(states.as_array().unwrap().len(), names.len());
    assert!(
        states
            .as_array()
            .unwrap()
            .iter()
            .all(|state| state["applied_at"].is_string() && state["known"] == true)
    );

    assert_eq!(
        folder.run("migrate down").good().lines().collect::<Vec<_>>(),
        &names[names.len() - 1..]
    );
    assert_holds(&folder.run("migrate status").good(), &["pending"]);
    folder.run(&format!("migrate down {}", names.len())).good();
    assert_holds(&folder.run("migrate down").err, &["nothing to undo"]);
    assert_eq!(folder.run("migrate up").good(), applied);
}

#[test]
fn without_yes_nothing_is_dropped() {
    let folder = Folder::new();
    folder.add("ann@example.com", "");
    assert_holds(&folder.run("migrate drop").bad(2), &["--yes"]);
    assert_eq!(folder.json("users list --json").as_array().unwrap().len(), 1);
    folder.run("migrate drop --yes").good();
    assert_eq!(folder.json("users list --json"), serde_json::json!([]));
}

#[test]
fn a_schema_that_is_behind_is_refused_where_it_may_not_be_migrated() {
    let folder = Folder::new();
    let manual = "--set store.migrate_on_start=false";
    assert_holds(
        &folder.run(&format!("users list {manual}")).bad(1),
        &["doorward migrate up"],
    );
    let done = folder.run(&format!("check {manual}"));
    assert_eq!(done.code, Some(1), "{done:#?}");
    assert_holds(&done.out, &["problem  store", "doorward migrate up"]);
    folder.run(&format!("migrate up {manual}")).good();
    folder.run(&format!("users list {manual}")).good();
}
