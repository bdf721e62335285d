//! The layers above the file: `DOORWARD_` environment variables and `--set key=value` options.
//!
//! Both say values as plain text, which is read as what the key takes: for a string key `0123` is the string `0123`.

use toml::de::DeValue;

use super::error::Complaint;
use super::keys::{self, Key, Kind, Shape};
use super::report::{Place, Report};
use super::schema::{self, Layer};
use super::tree::{self, Data, Node};
use super::{document, mask, suggest};

/// What every variable of ours begins with.
const PREFIX: &str = "DOORWARD_";
/// Where the config file is: read by the command line, before there is a configuration.
const CONFIG_FILE: &str = "DOORWARD_CONFIG";

/// The layer of the environment. `upstreams` are the names in the file: a variable can't spell `-` or lower case.
pub(super) fn environment(variables: &[(String, String)], upstreams: &[&str], report: &mut Report) -> Layer {
    let mut root = Vec::new();
    for (variable, value) in variables {
        let Some(rest) = variable.strip_prefix(PREFIX).filter(|_| variable != CONFIG_FILE) else {
            continue;
        };
        let Some((pattern, path)) = resolve(rest, upstreams) else {
            let place = Place::Environment {
                variable: document::printable(variable),
                shown: String::new(),
            };
            let names: Vec<String> = keys::all().filter_map(Key::variable).collect();
            // The prefix, which is alike in all, would make far ones look near.
            let ends = names.iter().filter_map(|name| name.strip_prefix(PREFIX));
            let nearest = suggest::nearest(rest, ends).map(|end| format!("{PREFIX}{end}"));
            let complaint = Complaint::new("unknown variable").suggest(nearest).allowed(
                "DOORWARD_, the section, two underscores, and the key, all in upper case: DOORWARD_SERVER__LISTEN",
            );
            report.add(&place, "", complaint);
            continue;
        };
        let place = Place::Environment {
            variable: variable.clone(),
            shown: format!("{variable}={}", show(&pattern, value)),
        };
        if value.contains('\u{fffd}') {
            report.add(&place, &path.join("."), Complaint::new("not UTF-8"));
            continue;
        }
        if let Some(node) = read(&pattern, &path.join("."), value, &place, report) {
            tree::insert(&mut root, &path, node);
        }
    }
    schema::check("environment", &Node::root(root), report)
}

/// The layer of the `--set` options.
pub(super) fn command_line(options: &[String], report: &mut Report) -> Layer {
    let mut root = Vec::new();
    for option in options {
        let Some((path, value)) = option.split_once('=') else {
            // What stands there may be a secret that lost its key: it is not shown.
            let place = Place::CommandLine { shown: String::new() };
            report.add(&place, "", Complaint::new("no `=` in it").allowed("--set KEY=VALUE"));
            continue;
        };
        let segments: Vec<String> = path.split('.').map(|segment| segment.trim().to_owned()).collect();
        let pattern = segments
            .iter()
            .fold(String::new(), |pattern, segment| keys::child(&pattern, segment));
        let shown = match keys::shape(&pattern) {
            Shape::Leaf(_) | Shape::Tables => show(&pattern, value),
            Shape::Table | Shape::Unknown => "…".to_owned(),
        };
        let place = Place::CommandLine {
            shown: document::printable(&format!("--set {path}={shown}")),
        };
        match keys::shape(&pattern) {
            Shape::Leaf(_) | Shape::Tables => {
                if let Some(node) = read(&pattern, path, value, &place, report) {
                    tree::insert(&mut root, &segments, node);
                }
            }
            Shape::Table | Shape::Unknown => {
                let names: Vec<&str> = keys::all()
                    .map(|key| key.path)
                    .filter(|path| !path.contains("[]"))
                    .collect();
                let nearest = suggest::nearest(path, names.iter().copied());
                report.add(
                    &place,
                    path,
                    Complaint::new("not a key that can be set").suggest(nearest),
                );
            }
        }
    }
    schema::check("command line", &Node::root(root), report)
}

/// The pattern and the path of the key that the variable sets; `rest` is its name without the prefix.
fn resolve(rest: &str, upstreams: &[&str]) -> Option<(String, Vec<String>)> {
    if rest.contains(|c: char| c.is_ascii_lowercase()) {
        return None;
    }
    let mut path = Vec::new();
    let mut pattern = String::new();
    for part in rest.split("__") {
        let mut name = part.to_lowercase();
        if pattern == keys::NAMED {
            let fold = |name: &str| name.to_lowercase().replace('-', "_");
            let mut known = upstreams.iter().filter(|known| fold(known) == name);
            name = match (known.next(), known.next()) {
                (Some(known), None) => (*known).to_owned(),
                _ => name,
            };
        }
        pattern = keys::child(&pattern, &name);
        path.push(name);
    }
    match keys::shape(&pattern) {
        Shape::Leaf(_) | Shape::Tables => Some((pattern, path)),
        Shape::Table | Shape::Unknown => None,
    }
}

/// The value as it may be shown.
fn show(pattern: &str, value: &str) -> String {
    match keys::find(pattern) {
        Some(key) if key.secret => mask::MASK.to_owned(),
        Some(key) if key.is_url() => document::printable(&mask::mask_url(value)),
        None if keys::holds_secret(pattern) => mask::MASK.to_owned(),
        Some(_) | None => document::printable(&mask::mask_userinfo(value)),
    }
}

/// Reads the text as the key wants it.
fn read(pattern: &str, path: &str, text: &str, place: &Place, report: &mut Report) -> Option<Node> {
    let key = keys::find(pattern);
    let node = |data| Node {
        place: place.clone(),
        span: None,
        data,
    };
    let toml = |report: &mut Report, allowed: String| match DeValue::parse(text) {
        Ok(value) => Some(Node::at(place, value.get_ref())),
        Err(error) => {
            let complaint = Complaint::new(format!("not TOML: {}", error.message())).allowed(allowed);
            report.add(place, path, complaint);
            None
        }
    };
    match key.map(|key| key.kind) {
        Some(Kind::Bool) => Some(match text {
            "true" => node(Data::Bool(true)),
            "false" => node(Data::Bool(false)),
            _ => Node::text(place, text),
        }),
        Some(Kind::Integer(..)) => Some(match text.parse() {
            Ok(number) => node(Data::Integer(number)),
            Err(_) => Node::text(place, text),
        }),
        Some(Kind::List(what)) if text.trim_start().starts_with('[') && !is_address(text) => toml(
            report,
            format!("{what}; one, a TOML list, or a list separated by commas"),
        ),
        Some(Kind::List(_)) => {
            let items = text.split(',').map(|item| Node::text(place, item.trim()));
            let items = if text.trim().is_empty() {
                Vec::new()
            } else {
                items.collect()
            };
            Some(node(Data::Array(items)))
        }
        Some(kind @ (Kind::Claims | Kind::Headers)) => toml(report, kind.allowed()),
        Some(Kind::Text(_) | Kind::OneOf(_) | Kind::Duration(..) | Kind::Size(..) | Kind::Limit) => {
            Some(Node::text(place, text))
        }
        None => toml(
            report,
            format!("a TOML list of tables, as the [[{pattern}]] of a file would be"),
        ),
    }
}

/// Whether the text begins as an IPv6 address in brackets does, and not as a list.
fn is_address(text: &str) -> bool {
    let inner = text.trim_start().strip_prefix('[').unwrap_or_default();
    inner.starts_with(|c: char| c.is_ascii_hexdigit() || c == ':')
}
