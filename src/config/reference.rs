//! The reference of all keys, for the README and for people who ask.

use super::keys::{self, Default, Key};

/// One key, explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyDoc {
    /// The key: `server.listen`, `upstreams.NAME.servers`, `routes[].path`.
    pub key: &'static str,
    /// What it takes, in full, as errors say it.
    pub allowed: String,
    /// What it takes, in short, in Markdown.
    pub brief: String,
    /// Its default in Markdown; `required` where it has to be there, empty where it is not set.
    pub default: String,
    /// What it means, in Markdown.
    pub doc: &'static str,
    /// The environment variable that sets it; `None` within `[[routes]]`, which are set as a whole.
    pub variable: Option<String>,
    /// Whether its value is never shown.
    pub secret: bool,
}

/// Every key, in the order of the sections.
#[must_use]
pub fn reference() -> Vec<KeyDoc> {
    keys::all().map(explain).collect()
}

fn explain(key: &Key) -> KeyDoc {
    KeyDoc {
        key: key.path,
        allowed: key.kind.allowed(),
        brief: key.kind.brief(),
        default: match key.default {
            Default::Required => "required".to_owned(),
            Default::Unset => String::new(),
            Default::Value(text) => format!("`{text}`"),
            Default::Derived(words) => words.to_owned(),
        },
        doc: key.doc,
        variable: key.variable(),
        secret: key.secret,
    }
}

/// The reference as Markdown: a table for each section.
#[must_use]
pub fn reference_markdown() -> String {
    let mut lines = Vec::new();
    let mut current = String::new();
    for key in reference() {
        let (section, name) = key.key.rsplit_once('.').unwrap_or(("", key.key));
        let header = match section.strip_suffix("[]") {
            Some(list) => format!("[[{list}]]"),
            None => format!("[{}]", section.replace("[]", "")),
        };
        if header != current {
            let gap = if lines.is_empty() { "" } else { "\n" };
            lines.push(format!("{gap}#### `{header}`\n"));
            lines.push("| key | takes | default | meaning |\n|---|---|---|---|".to_owned());
            current = header;
        }
        let cells = [&key.brief, &key.default, key.doc].map(|cell| cell.replace('|', "\\|"));
        lines.push(format!("| `{name}` | {} |", cells.join(" | ")));
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_holds_every_key_with_its_default() {
        let markdown = reference_markdown();
        for key in reference() {
            let name = key.key.rsplit('.').next().unwrap();
            assert!(markdown.contains(&format!("| `{name}` |")), "{}", key.key);
            assert!(markdown.contains(&key.default.replace('|', "\\|")), "{}", key.key);
        }
        assert!(markdown.contains("#### `[server]`") && markdown.contains("#### `[[routes]]`"));
        assert!(markdown.lines().filter(|line| line.starts_with("| `")).count() == reference().len());
    }

    #[test]
    fn a_key_outside_of_routes_has_a_variable() {
        let of = |key| reference().into_iter().find(|doc| doc.key == key).unwrap().variable;
        assert_eq!(of("server.listen").as_deref(), Some("DOORWARD_SERVER__LISTEN"));
        assert_eq!(
            of("upstreams.NAME.servers").as_deref(),
            Some("DOORWARD_UPSTREAMS__NAME__SERVERS")
        );
        assert_eq!(of("routes[].path"), None);
    }
}
