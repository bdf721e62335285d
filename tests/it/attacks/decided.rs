//! What is ours to decide is decided in the README, and is what the tables hold the gateway to.

use std::collections::{BTreeMap, BTreeSet};

use super::{PLAYED, book, tokens};
use crate::support::tools::root;

/// A choice: its word, and the table where it is played.
type Choice = (String, String);

/// All choices in the tables, with what their clients see.
fn played() -> BTreeMap<Choice, BTreeSet<String>> {
    let mut choices: BTreeMap<Choice, BTreeSet<String>> = BTreeMap::new();
    let mut add = |word: &str, file: &str, answer: &str| {
        let choice = (word.to_owned(), file.to_owned());
        choices.entry(choice).or_default().insert(answer.to_owned());
    };
    for file in PLAYED {
        for case in book::read(file) {
            if let (Some(word), Some(client)) = (&case.decided, &case.client) {
                add(word, file, client);
            }
        }
    }
    for (word, status) in tokens::decisions() {
        add(&word, tokens::FILE, &status);
    }
    choices
}

/// The rows of the README's table.
fn written() -> BTreeMap<Choice, BTreeSet<String>> {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let head = "\n| choice | what Doorward does | answer | table |\n";
    let table = readme.split(head).nth(1).expect("the table is there");
    let rows = table.lines().take_while(|line| line.starts_with('|')).skip(1);
    let choice = |row: &str| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, word, meaning, answers, file, _] = cells[..] else {
            panic!("{row}")
        };
        assert!(meaning.len() > 20, "{row}");
        let text = |cell: &str| cell.trim_matches('`').to_owned();
        (
            (text(word), text(file)),
            answers.split(", ").map(str::to_owned).collect(),
        )
    };
    rows.map(choice).collect()
}

#[test]
fn each_choice_is_written_down_as_it_is_played() {
    let (played, written) = (played(), written());
    assert!(played.len() >= 20, "{played:?}");
    assert_eq!(played, written);
}
