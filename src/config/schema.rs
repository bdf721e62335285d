//! Holds one layer of the configuration against the table of keys: unknown keys, wrong types, values out of bounds.
//!
//! What is wrong is reported and left out, so that the rest of the configuration can be judged as well.

use std::collections::BTreeMap;

use figment::value::{Dict, Value};

use super::error::Complaint;
use super::keys::{self, Default, Shape};
use super::report::{Place, Report};
use super::tree::{self, Data, Node};
use super::{leaf, mask, suggest};

/// One layer: its values, and where each was said.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    /// What the layer is called: unique among the layers.
    pub(super) name: &'static str,
    /// The values, all of the kinds that their keys take.
    pub(super) values: Dict,
    /// Where each value and each table was said, by its path.
    pub(super) places: BTreeMap<String, Place>,
}

/// Checks the layer whose root is `root`.
pub(super) fn check(name: &'static str, root: &Node, report: &mut Report) -> Layer {
    let mut walk = Walk {
        report,
        places: BTreeMap::new(),
    };
    let values = walk.value("", "", root).and_then(Value::into_dict).unwrap_or_default();
    Layer {
        name,
        values,
        places: walk.places,
    }
}

/// The layer below all others.
pub(super) fn defaults() -> Layer {
    let mut root = Vec::new();
    for key in keys::all() {
        if !key.path.starts_with(keys::NAMED)
            && keys::list_of(key.path).is_none()
            && let Some(node) = default(key)
        {
            let path: Vec<String> = key.path.split('.').map(str::to_owned).collect();
            tree::insert(&mut root, &path, node);
        }
    }
    // A default that its own key does not take is a slip in the table: a test finds it.
    check("default", &Node::root(root), &mut Report::default())
}

/// The default of the key, where it is a fixed value.
fn default(key: &keys::Key) -> Option<Node> {
    let Default::Value(text) = key.default else {
        return None;
    };
    let value = toml::de::DeValue::parse(text).ok()?;
    Some(Node::at(&Place::Nowhere, value.get_ref()))
}

/// Adds the defaults of tables whose names are not known beforehand: each upstream, each route.
pub(super) fn complete(values: &mut Dict) {
    let named = std::iter::once((keys::NAMED, format!("{}.NAME.", keys::NAMED)));
    let listed = keys::LISTED.iter().map(|list| (*list, format!("{list}[].")));
    for (section, pattern) in named.chain(listed) {
        let tables: Vec<&mut Value> = match values.get_mut(section) {
            Some(Value::Dict(_, tables)) => tables.values_mut().collect(),
            Some(Value::Array(_, tables)) => tables.iter_mut().collect(),
            _ => continue,
        };
        for table in tables {
            let Value::Dict(_, table) = table else {
                continue;
            };
            for key in keys::all().filter(|key| key.path.starts_with(&pattern)) {
                if let Some(node) = default(key)
                    && let Some(value) = leaf::check(key, key.path, &node, &mut Report::default())
                {
                    let within = key.path.strip_prefix(&pattern).unwrap_or(key.path);
                    insert_missing(table, within, value);
                }
            }
        }
    }
}

/// Sets the value at this path, names with dots between them, unless there is one.
fn insert_missing(table: &mut Dict, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            table.entry(path.to_owned()).or_insert(value);
        }
        Some((name, rest)) => {
            let inner = table.entry(name.to_owned()).or_insert_with(|| Value::from(Dict::new()));
            if let Value::Dict(_, inner) = inner {
                insert_missing(inner, rest, value);
            }
        }
    }
}

struct Walk<'a> {
    report: &'a mut Report,
    places: BTreeMap<String, Place>,
}

impl Walk<'_> {
    fn value(&mut self, pattern: &str, path: &str, node: &Node) -> Option<Value> {
        let value = match (keys::shape(pattern), &node.data) {
            (Shape::Leaf(key), data) => {
                self.hide(key, node);
                if let Data::Array(items) = data {
                    for (index, item) in items.iter().enumerate() {
                        self.places.insert(format!("{path}[{index}]"), item.place.clone());
                    }
                }
                if let Data::Table(entries) = data {
                    for (name, entry) in entries {
                        self.places.insert(format!("{path}.{name}"), entry.place.clone());
                    }
                }
                leaf::check(key, path, node, self.report)
            }
            (Shape::Table, Data::Table(entries)) => Some(self.table(pattern, path, entries)),
            (Shape::Tables, Data::Array(items)) => Some(self.tables(pattern, path, items)),
            (Shape::Table, _) => {
                let written = match pattern.strip_suffix("[]") {
                    Some(list) => format!("[[{list}]]"),
                    None => format!("[{path}]"),
                };
                self.wrong_type(pattern, path, node, "a table", &written);
                None
            }
            (Shape::Tables, _) => {
                self.wrong_type(pattern, path, node, "a list of tables", &format!("[[{path}]]"));
                None
            }
            (Shape::Unknown, _) => None,
        };
        if value.is_some() {
            self.places.insert(path.to_owned(), node.place.clone());
        }
        value
    }

    fn table(&mut self, pattern: &str, path: &str, entries: &[(String, Node)]) -> Value {
        let mut values = Dict::new();
        for (name, node) in entries {
            let child_pattern = keys::child(pattern, name);
            let child_path = join(path, name);
            if let Shape::Unknown = keys::shape(&child_pattern) {
                self.unknown(pattern, path, name, node);
            } else if pattern == keys::NAMED && !is_name(name) {
                let complaint = Complaint::new("not a name for an upstream")
                    .found(tree::quote(name))
                    .allowed("1 to 64 characters of a-z A-Z 0-9 _ -");
                self.report.add(&node.place, &child_path, complaint);
            } else if let Some(value) = self.value(&child_pattern, &child_path, node) {
                values.insert(name.clone(), value);
            }
        }
        Value::from(values)
    }

    fn tables(&mut self, pattern: &str, path: &str, items: &[Node]) -> Value {
        let (mut tables, pattern) = (Vec::new(), format!("{pattern}[]"));
        for (index, item) in items.iter().enumerate() {
            let path = format!("{path}[{index}]");
            // A table that is wrong as a whole keeps its place, so that the ones behind it keep their index.
            let table = self.value(&pattern, &path, item);
            tables.push(table.unwrap_or_else(|| Value::from(Dict::new())));
        }
        Value::from(tables)
    }

    fn wrong_type(&mut self, pattern: &str, path: &str, node: &Node, what: &str, written: &str) {
        if keys::holds_secret(pattern) {
            self.hide_all(node);
        } else {
            self.hide_sensitive(node);
        }
        let complaint = Complaint::new("of the wrong type")
            .found(node.data.kind())
            .allowed(format!("{what}, written {written}"));
        self.report.add(&node.place, path, complaint);
    }

    fn unknown(&mut self, pattern: &str, path: &str, name: &str, node: &Node) {
        let siblings = keys::children(pattern);
        let nearest = suggest::nearest(name, siblings.iter().copied());
        let suggestion = match nearest {
            Some(sibling) => Some(join(path, sibling)),
            None => elsewhere(name).map(str::to_owned),
        };
        let meant = nearest.and_then(|sibling| keys::find(&keys::child(pattern, sibling)));
        let may_be_secret = |key: &&'static keys::Key| key.secret || key.is_url();
        if mask::is_sensitive_name(name) || meant.is_some_and(|key| may_be_secret(&key)) {
            self.hide_all(node);
        } else {
            self.hide_sensitive(node);
        }
        if let Some(sibling) = nearest {
            // Where a misspelt key was meant to be this one, that this one is missing goes without saying.
            self.report.imply(&join(path, sibling));
        }
        let complaint = Complaint::new(if path.is_empty() {
            "unknown section"
        } else {
            "unknown key"
        })
        .allowed(siblings.join(", "))
        .suggest(suggestion);
        self.report.add(&node.place, &join(path, name), complaint);
    }

    /// Hides the value of a secret, and the password in the URL of a server.
    fn hide(&mut self, key: &keys::Key, node: &Node) {
        if key.secret {
            self.hide_all(node);
        } else if let (Some(span), Data::Text(text), true) = (&node.span, &node.data, key.is_url())
            && mask::url_secret(text).is_some()
        {
            // The text may be written with escapes: then what to hide of it can't be told by position.
            let inner = span.start + 1..span.end.saturating_sub(1);
            let hidden = mask::url_secret(text).filter(|_| inner.len() == text.len());
            let hidden = hidden.map_or(inner.clone(), |hidden| {
                inner.start + hidden.start..inner.start + hidden.end
            });
            self.report.hide(hidden);
        } else if key.is_url() && !matches!(node.data, Data::Text(_)) {
            self.hide_all(node);
        }
    }

    /// Hides every value in the node.
    fn hide_all(&mut self, node: &Node) {
        match &node.data {
            Data::Array(items) => items.iter().for_each(|item| self.hide_all(item)),
            Data::Table(entries) => entries.iter().for_each(|(_, entry)| self.hide_all(entry)),
            Data::Bool(_) | Data::Integer(_) | Data::Float | Data::Datetime | Data::Text(_) => {
                if let Some(span) = &node.span {
                    self.report.hide(span.clone());
                }
            }
        }
    }

    /// Hides the values within the node whose names say that they are secret.
    fn hide_sensitive(&mut self, node: &Node) {
        match &node.data {
            Data::Array(items) => items.iter().for_each(|item| self.hide_sensitive(item)),
            Data::Table(entries) => {
                for (name, entry) in entries {
                    if mask::is_sensitive_name(name) || name == "url" {
                        self.hide_all(entry);
                    } else {
                        self.hide_sensitive(entry);
                    }
                }
            }
            Data::Text(text) => {
                if let (true, Some(span)) = (mask::url_secret(text).is_some(), &node.span) {
                    self.report.hide(span.clone());
                }
            }
            Data::Bool(_) | Data::Integer(_) | Data::Float | Data::Datetime => {}
        }
    }
}

/// The key of exactly this name, or nearly, in another section.
fn elsewhere(name: &str) -> Option<&'static str> {
    keys::all().find(|key| key.name() == name).map(|key| key.path)
}

fn is_name(name: &str) -> bool {
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (1..=64).contains(&name.len()) && name.bytes().all(valid)
}

/// The path of `name` within `path`.
pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}
