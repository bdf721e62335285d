//! What the README says of keys, codes and endpoints is what the code has.

use std::fs;
use std::path::Path;

use doorward::config::{reference, reference_markdown};
use doorward::problem::Code;

use crate::support::tools::root;

fn readme() -> String {
    fs::read_to_string(root().join("README.md")).unwrap()
}

#[test]
fn the_configuration_reference_is_the_one_of_the_code() {
    let expected = reference_markdown();
    let readme = readme();
    assert!(
        readme.contains(expected.trim()),
        "the README's configuration reference should read:\n\n{expected}"
    );
    for key in reference() {
        let name = key.key.rsplit('.').next().unwrap().to_owned();
        assert!(readme.contains(&format!("`{name}`")), "{}", key.key);
    }
}

#[test]
fn every_error_code_is_explained_with_its_status() {
    let readme = readme();
    for code in Code::ALL {
        let row = format!("| `{code}` | {} |", code.status().as_u16());
        assert!(readme.contains(&row), "no row {row}");
    }
}

#[test]
fn every_endpoint_has_a_row() {
    let readme = readme();
    for (path, item) in doorward::auth::openapi("/auth").paths.paths {
        let methods = [
            ("GET", item.get),
            ("POST", item.post),
            ("PATCH", item.patch),
            ("DELETE", item.delete),
        ];
        for (method, _) in methods.iter().filter(|(_, operation)| operation.is_some()) {
            let row = format!("| `{method} {path}` |");
            assert!(readme.contains(&row), "no row {row}");
        }
    }
}

#[test]
fn every_test_that_is_named_is_there() {
    let readme = readme();
    let mut named = Vec::new();
    for (head, least) in [
        ("\n| fault | promise | test |\n", 10),
        ("\n| promise | last figure | test |\n", 40),
        ("\n| cause | guarded | `/auth` | what tells | over | test |\n", 20),
    ] {
        let table = readme.split(head).nth(1).unwrap();
        let rows = table.lines().take_while(|line| line.starts_with('|')).skip(1);
        let before = named.len();
        named.extend(rows.flat_map(|row| row.rsplit('|').nth(1).unwrap().split('`').skip(1).step_by(2)));
        assert!(named.len() > before + least, "{named:?}");
    }
    let sources = ["tests/it", "src"].map(|folder| sources(&root().join(folder)));
    for name in named {
        // Some are made by a macro, of what follows their name.
        let there = [format!("fn {name}()"), format!(" {name}: \""), format!("fn {name}(")];
        let found = |text: &String| there.iter().any(|there| text.contains(there));
        assert!(sources.iter().any(found), "no test {name}");
    }
}

/// All the tests' sources, one after the other.
fn sources(folder: &Path) -> String {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| match path.extension() {
            _ if path.is_dir() => sources(&path),
            Some(extension) if extension == "rs" => fs::read_to_string(path).unwrap(),
            Some(_) | None => String::new(),
        })
        .collect()
}
