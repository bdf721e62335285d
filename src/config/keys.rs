//! Every key of the configuration, once: what it is called, what it takes, its default, its meaning, whether it is
//! secret.
//!
//! Type checks, bounds, the reading of environment variables, suggestions for unknown keys, `config show` and the
//! reference in the README all come from this table.

mod acme;
mod audit;
mod edges;
mod gateway;
mod http2;
mod issuers;
mod limits;
mod resilience;
mod routes;
mod state;
mod streams;
mod throttle;
mod tls;
mod upstreams;

use std::time::Duration;

use super::units;

/// One key.
#[derive(Debug)]
pub(super) struct Key {
    /// Where it stands: `server.listen`, `upstreams.NAME.servers`, `routes[].path`.
    pub(super) path: &'static str,
    /// What it takes.
    pub(super) kind: Kind,
    /// What it is when nobody says.
    pub(super) default: Default,
    /// What it means, as one or two sentences of Markdown.
    pub(super) doc: &'static str,
    /// Whether its value is never shown.
    pub(super) secret: bool,
}

/// What a key takes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// `true` or `false`.
    Bool,
    /// A string, described in words.
    Text(&'static str),
    /// One of these strings.
    OneOf(&'static [&'static str]),
    /// A whole number within these bounds.
    Integer(i64, i64),
    /// A duration within these bounds.
    Duration(Duration, Duration),
    /// A size within these bounds, in bytes.
    Size(u64, u64),
    /// A size, or no limit.
    Limit,
    /// A list of strings, or one string; described in words.
    List(&'static str),
    /// A table of strings, whole numbers and booleans.
    Claims,
    /// A table of strings: header names and their values.
    Headers,
}

/// What a key is when nobody says.
#[derive(Clone, Copy, Debug)]
pub(super) enum Default {
    /// It has to be there.
    Required,
    /// Not set.
    Unset,
    /// This TOML value.
    Value(&'static str),
    /// It follows from other keys or from the machine; in words.
    Derived(&'static str),
}

/// Every key, in the order of the reference.
pub(super) fn all() -> impl Iterator<Item = &'static Key> {
    let state = state::KEYS.iter().chain(throttle::KEYS);
    let state = state.chain(audit::KEYS).chain(issuers::KEYS);
    let traffic = upstreams::KEYS
        .iter()
        .chain(resilience::KEYS)
        .chain(routes::KEYS)
        .chain(edges::ROUTE)
        .chain(streams::KEYS);
    gateway::SERVER
        .iter()
        .chain(limits::SERVER)
        .chain(http2::KEYS)
        .chain(tls::KEYS)
        .chain(acme::KEYS)
        .chain(gateway::ADMIN)
        .chain(state)
        .chain(gateway::AUTH)
        .chain(limits::AUTH)
        .chain(gateway::ENDPOINTS)
        .chain(limits::LIMITS)
        .chain(traffic)
        .chain(edges::TABLES)
}

/// What stands at a place of the configuration.
pub(super) enum Shape {
    /// A value.
    Leaf(&'static Key),
    /// A table of known keys, or of names.
    Table,
    /// A list of tables.
    Tables,
    /// Nothing that is known.
    Unknown,
}

/// The table whose keys are names that the operator chooses.
pub(super) const NAMED: &str = "upstreams";
/// The lists of tables.
pub(super) const LISTED: &[&str] = &["clients", "issuers", "limits", "routes", "certificates"];

/// The list of tables that the key at this place stands in.
pub(super) fn list_of(pattern: &str) -> Option<&'static str> {
    let of = |list: &&&str| pattern.strip_prefix(**list).is_some_and(|rest| rest.starts_with("[]"));
    LISTED.iter().find(of).copied()
}

/// What stands at this place; a name is written `NAME`, an element of a list `[]`.
pub(super) fn shape(pattern: &str) -> Shape {
    if LISTED.contains(&pattern) {
        return Shape::Tables;
    }
    if let Some(key) = find(pattern) {
        return Shape::Leaf(key);
    }
    let is_parent = |key: &Key| {
        key.path
            .strip_prefix(pattern)
            .is_some_and(|rest| pattern.is_empty() || rest.starts_with('.'))
    };
    if all().any(is_parent) {
        Shape::Table
    } else {
        Shape::Unknown
    }
}

/// Whether a secret may stand at or within this place.
pub(super) fn holds_secret(pattern: &str) -> bool {
    all().any(|key| key.secret && key.path.starts_with(pattern))
}

/// The key at exactly this place.
pub(super) fn find(pattern: &str) -> Option<&'static Key> {
    all().find(|key| key.path == pattern)
}

/// The place of `name` within the table at `pattern`.
pub(super) fn child(pattern: &str, name: &str) -> String {
    match pattern {
        // A quoted key may be empty or hold dots: it is not the path that it looks like.
        _ if name.is_empty() || name.contains(['.', '[']) => "?".to_owned(),
        "" => name.to_owned(),
        NAMED => format!("{NAMED}.NAME"),
        _ => format!("{pattern}.{name}"),
    }
}

/// The names that the table at `pattern` knows.
pub(super) fn children(pattern: &str) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = Vec::new();
    for key in all() {
        let rest = if pattern.is_empty() {
            Some(key.path)
        } else {
            below(key.path, pattern)
        };
        let Some(name) = rest.and_then(|rest| rest.split(['.', '[']).next()) else {
            continue;
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn below(path: &'static str, pattern: &str) -> Option<&'static str> {
    path.strip_prefix(pattern)?.strip_prefix('.')
}

impl Key {
    /// Whether its value is a URL that may hold a password.
    pub(super) fn is_url(&self) -> bool {
        matches!(self.path, "store.url" | "revocation.url" | "limiter.url")
    }

    /// The environment variable that sets the key, where one does.
    pub(super) fn variable(&self) -> Option<String> {
        list_of(self.path)
            .is_none()
            .then(|| format!("DOORWARD_{}", self.path.replace('.', "__").to_uppercase()))
    }

    /// The last part of the path.
    pub(super) fn name(&self) -> &'static str {
        self.path.rsplit('.').next().unwrap_or(self.path)
    }
}

impl Kind {
    /// What the key takes, as short as a table wants it, in Markdown.
    pub(super) fn brief(&self) -> String {
        match self {
            Self::Bool => "`true`, `false`".to_owned(),
            Self::OneOf(words) => {
                let quoted: Vec<_> = words.iter().map(|word| format!("`\"{word}\"`")).collect();
                quoted.join(", ")
            }
            Self::Integer(min, max) => format!("number, {min} to {max}"),
            Self::Duration(min, max) => {
                format!(
                    "duration, {} to {}",
                    units::show_duration(*min),
                    units::show_duration(*max)
                )
            }
            Self::Size(min, max) => format!("size, {} to {}", units::show_size(*min), units::show_size(*max)),
            Self::Limit => format!("size, or `\"{}\"`", units::UNLIMITED),
            Self::Text(_) | Self::List(_) | Self::Claims | Self::Headers => self.allowed(),
        }
    }

    /// What the key takes, in words: after "allowed:".
    pub(super) fn allowed(&self) -> String {
        match self {
            Self::Bool => "true or false".to_owned(),
            Self::Text(what) => (*what).to_owned(),
            Self::OneOf(words) => {
                let quoted: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
                format!("one of {}", quoted.join(", "))
            }
            Self::Integer(min, max) => format!("a whole number from {min} to {max}"),
            Self::Duration(min, max) => format!(
                "a duration from {} to {}, such as \"500ms\", \"30s\" or \"1h30m\" (units: ms s m h d)",
                units::show_duration(*min),
                units::show_duration(*max)
            ),
            Self::Size(min, max) => format!(
                "a size from {} to {}, such as \"64KiB\" (units: B KB KiB MB MiB GB GiB), or a number of bytes",
                units::show_size(*min),
                units::show_size(*max)
            ),
            Self::Limit => {
                "a size such as \"1MiB\" (units: B KB KiB MB MiB GB GiB), a number of bytes, or \"unlimited\""
                    .to_owned()
            }
            Self::List(what) => format!("{what}; one, or a list of them"),
            Self::Headers => "a table of header names and their values, such as { X-Env = \"prod\" }".to_owned(),
            Self::Claims => "a table of strings, whole numbers and booleans, such as { tenant = \"acme\" }".to_owned(),
        }
    }
}

pub(super) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const MINUTE: Duration = Duration::from_mins(1);
pub(super) const HOUR: Duration = Duration::from_hours(1);
pub(super) const DAY: Duration = Duration::from_hours(24);
pub(super) const YEAR: Duration = Duration::from_hours(365 * 24);
pub(super) const KIB: u64 = 1024;
pub(super) const MIB: u64 = 1024 * KIB;

/// A key that is no secret.
const fn key(path: &'static str, kind: Kind, default: Default, doc: &'static str) -> Key {
    Key {
        path,
        kind,
        default,
        doc,
        secret: false,
    }
}

/// A key whose value is never shown.
const fn secret(path: &'static str, what: &'static str, doc: &'static str) -> Key {
    Key {
        path,
        kind: Kind::Text(what),
        default: Default::Unset,
        doc,
        secret: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_stands_once_and_its_default_is_of_its_kind() {
        let mut seen = std::collections::BTreeSet::new();
        for key in all() {
            assert!(seen.insert(key.path), "{} stands twice", key.path);
            assert!(!key.doc.is_empty(), "{} is not explained", key.path);
            if let Default::Value(text) = key.default {
                assert!(toml::de::DeValue::parse(text).is_ok(), "{}: {text}", key.path);
            }
        }
    }

    #[test]
    fn the_shape_of_a_place_follows_from_the_table() {
        assert!(matches!(shape(""), Shape::Table));
        assert!(matches!(shape("server"), Shape::Table));
        assert!(matches!(shape("server.listen"), Shape::Leaf(_)));
        assert!(matches!(shape("server.liste"), Shape::Unknown));
        assert!(matches!(shape("serve"), Shape::Unknown));
        assert!(matches!(shape("upstreams"), Shape::Table));
        assert!(matches!(shape("upstreams.NAME"), Shape::Table));
        assert!(matches!(shape("routes"), Shape::Tables));
        assert!(matches!(shape("routes[]"), Shape::Table));
        assert!(matches!(shape("routes[].path"), Shape::Leaf(_)));
        assert_eq!(children("admin"), ["listen"]);
        assert!(children("").contains(&"routes"));
        assert!(children("routes[]").contains(&"strip_prefix"));
    }
}
