//! Holds the imports to the design: they run downward only. Reads the sources as text, so that a path in the middle of a
//! function counts as much as a `use` line.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms, and for each the rooms beside it, on its own layer, that it may import. Lower layers are always allowed,
/// higher ones never.
const ROOMS: &[(&str, u8, &[&str])] = &[
    // L4, the process: from the command line down to what one request needs.
    ("main", 4, &["cli"]),
    ("cli", 4, &["server", "gateway", "reload", "admin"]),
    ("server", 4, &["gateway", "reload", "admin"]),
    ("reload", 4, &["gateway"]),
    ("admin", 4, &["gateway", "reload"]),
    ("gateway", 4, &[]),
    // L3, requests: two rooms that never import each other.
    ("auth", 3, &[]),
    ("proxy", 3, &[]),
    // L2, resources: independent, except that tokens are kept in the store and may be of other issuers,
    // that those who keep something in Redis reach it alike, and that what goes on in the background outlives a panic.
    ("token", 2, &["store", "issuer"]),
    ("issuer", 2, &["lasting"]),
    ("store", 2, &["redis"]),
    ("upstream", 2, &["lasting"]),
    ("password", 2, &[]),
    ("limiter", 2, &["redis", "lasting"]),
    ("redis", 2, &[]),
    ("tls", 2, &[]),
    ("log", 2, &[]),
    ("lasting", 2, &[]),
    // L1, rules: a configuration is made of rules, and rules know of no configuration. Problems name themselves.
    ("config", 1, &["rules", "problem"]),
    ("rules", 1, &["problem"]),
    ("metrics", 1, &["problem"]),
    ("problem", 1, &[]),
    // L0, values: an id holds the time of its making.
    ("id", 0, &["time"]),
    ("json", 0, &[]),
    ("chain", 0, &[]),
    ("secret", 0, &[]),
    ("time", 0, &[]),
];

/// Why `from` may not import `to`, if it may not.
fn objection(from: &str, to: &str) -> Option<String> {
    let room = |name: &str| ROOMS.iter().find(|(room, _, _)| *room == name);
    let Some((_, above, beside)) = room(from) else {
        return Some(format!(
            "the room `{from}` has no layer: give it one in tests/it/layers.rs"
        ));
    };
    let Some((_, below, _)) = room(to) else {
        return Some(format!(
            "the room `{to}` has no layer: give it one in tests/it/layers.rs"
        ));
    };
    if from == to || below < above || beside.contains(&to) {
        None
    } else if below > above {
        Some(format!("{from} (L{above}) imports {to} (L{below}), which is above it"))
    } else {
        Some(format!("{from} imports {to}, which is beside it on L{above}"))
    }
}

/// The text without comments and without what stands between quotes, line by line the same.
fn code_only(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '/' if chars.peek() == Some(&'/') => {
                chars.by_ref().find(|c| *c == '\n');
                code.push('\n');
            }
            '"' => {
                while let Some(inner) = chars.next() {
                    match inner {
                        '\\' => drop(chars.next()),
                        '"' => break,
                        '\n' => code.push('\n'),
                        _ => {}
                    }
                }
                code.push(' ');
            }
            // A quote as a character is not the beginning of a text.
            '\'' if chars.peek() == Some(&'"') => drop(chars.next()),
            _ => code.push(c),
        }
    }
    code
}

/// The rooms that a source text names from the crate's root, with the line of each.
///
/// `depth` is how deep the file's module lies (1 for `src/auth.rs`): as many `super::` in a row lead to the root.
fn rooms_named(text: &str, root: &str, depth: usize) -> Vec<(usize, String)> {
    let code = code_only(text);
    let mut named = Vec::new();
    let mut found = |at: usize, rest: &str| {
        let line = code[..at].matches('\n').count() + 1;
        named.extend(first_names(rest).into_iter().map(|name| (line, name)));
    };
    let word_before = |at: usize| code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
    for (at, marker) in code.match_indices(root) {
        if !word_before(at) {
            found(at, &code[at + marker.len()..]);
        }
    }
    for (at, _) in code.match_indices("super::") {
        if word_before(at) {
            continue;
        }
        let rest = code[at..].trim_start_matches("super::");
        let steps = (code.len() - at - rest.len()) / "super::".len();
        // An indented line is in a module within the file, or in a function: one level deeper, to be on the safe side.
        let indented = code[..at].rsplit('\n').next().is_some_and(|line| line.starts_with(' '));
        if depth > 0 && steps >= depth + usize::from(indented) {
            found(at, rest);
        }
    }
    named
}

/// The first name of each path in `a::b`, or in `{a::b, c::{d, e}}`.
fn first_names(rest: &str) -> Vec<String> {
    let name = |text: &str| -> Option<String> {
        let end = text
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(text.len());
        let name = &text[..end];
        // Types and constants of the root itself are no rooms.
        name.starts_with(|c: char| c.is_ascii_lowercase())
            .then(|| name.to_owned())
            .filter(|name| name != "self")
    };
    let Some(group) = rest.strip_prefix('{') else {
        return name(rest).into_iter().collect();
    };
    let mut names = Vec::new();
    let mut nesting = 0;
    let mut expected = true;
    for (at, c) in group.char_indices() {
        match c {
            '{' => nesting += 1,
            '}' if nesting == 0 => break,
            '}' => nesting -= 1,
            ',' if nesting == 0 => expected = true,
            c if expected && !c.is_whitespace() => {
                names.extend(name(&group[at..]));
                expected = false;
            }
            _ => {}
        }
    }
    names
}

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The room that a file is of, and how deep its module lies.
fn place(relative: &Path) -> (String, usize) {
    let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
    (parts[0].trim_end_matches(".rs").to_owned(), parts.len())
}

/// Every arrow between two rooms, with the places where it stands.
fn arrows() -> BTreeMap<(String, String), Vec<String>> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut arrows: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for file in sources(&src) {
        let relative = file.strip_prefix(&src).unwrap();
        let (room, depth) = place(relative);
        if room == "lib" {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let named = if room == "main" {
            rooms_named(&text, "doorward::", 0)
        } else {
            rooms_named(&text, "crate::", depth)
        };
        for (line, target) in named {
            let place = format!("src/{}:{line}", relative.display());
            arrows.entry((room.clone(), target)).or_default().push(place);
        }
    }
    arrows
}

#[test]
fn imports_run_downward_only() {
    let arrows = arrows();
    assert!(arrows.len() > 20, "the sources were not read: {arrows:?}");
    let objections: Vec<String> = arrows
        .iter()
        .filter_map(|((from, to), places)| Some(format!("{}\n    {}", objection(from, to)?, places.join("\n    "))))
        .collect();
    assert!(objections.is_empty(), "{}", objections.join("\n"));
}

#[test]
fn every_room_of_the_module_map_has_a_layer() {
    let lib = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let missing: BTreeSet<&str> = lib
        .lines()
        .filter_map(|line| line.trim().strip_prefix("pub mod ")?.strip_suffix(';'))
        .filter(|room| !ROOMS.iter().any(|(name, _, _)| name == room))
        .collect();
    assert!(missing.is_empty(), "without a layer: {missing:?}");
}

#[test]
fn a_file_is_short_enough_to_read() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let long: Vec<String> = sources(&src)
        .into_iter()
        .map(|file| (fs::read_to_string(&file).unwrap().lines().count(), file))
        .filter(|(lines, _)| *lines > 400)
        .map(|(lines, file)| format!("{} has {lines} lines", file.display()))
        .collect();
    assert!(long.is_empty(), "over 400 lines, so two files: {long:?}");
}

#[test]
fn an_arrow_that_runs_up_or_across_is_found() {
    for (from, to) in [
        ("store", "proxy"),
        ("auth", "proxy"),
        ("proxy", "auth"),
        ("store", "token"),
        ("upstream", "store"),
        ("rules", "config"),
        ("config", "token"),
        ("time", "id"),
        ("gateway", "server"),
        ("proxy", "gateway"),
        ("utils", "id"),
        ("auth", "utils"),
    ] {
        assert!(objection(from, to).is_some(), "{from} -> {to} was let pass");
    }
    for (from, to) in [
        ("token", "store"),
        ("config", "rules"),
        ("proxy", "token"),
        ("cli", "server"),
        ("auth", "auth"),
    ] {
        assert_eq!(objection(from, to), None);
    }
}

#[test]
fn a_room_is_found_however_it_is_named() {
    let rooms = |text: &str| -> Vec<String> {
        rooms_named(text, "crate::", 2)
            .into_iter()
            .map(|(_, name)| name)
            .collect()
    };
    assert_eq!(rooms("use crate::store::Store;"), ["store"]);
    assert_eq!(
        rooms("use crate::{\n    auth::{Error, router},\n    proxy::forward,\n};"),
        ["auth", "proxy"]
    );
    assert_eq!(rooms("let x = crate::proxy::forward();"), ["proxy"]);
    assert_eq!(rooms("pub(in crate::auth) fn f() {}"), ["auth"]);
    assert_eq!(rooms("use super::super::proxy::forward;"), ["proxy"]);
    assert_eq!(rooms("use super::error::Error;"), [""; 0]);
    assert_eq!(rooms("mod tests {\n    use super::super::error::Error;\n}"), [""; 0]);
    assert_eq!(
        rooms("// crate::proxy\n/// [`crate::auth`]\n\"crate::server\" 'x' '\"' crate::id::Role"),
        ["id"]
    );
    assert_eq!(rooms("my_crate::proxy"), [""; 0]);
    let lines = rooms_named("\n\nuse crate::store::Store;", "crate::", 1);
    assert_eq!(lines, [(3, "store".to_owned())]);
}
