//! The effective configuration, for `doorward config show`: every setting and where it came from, secrets masked.

use std::fmt;
use std::path::{Path, PathBuf};

use figment::value::Value;

use super::document::Document;
use super::keys::{self, Default, Key};
use super::layers::Merged;
use super::report::Place;
use super::{mask, typed, units};

/// One key as it is in effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The key, such as `server.listen` or `routes[0].path`.
    pub key: String,
    /// The value as TOML; `"[secret]"` where it is one.
    pub value: String,
    /// Where the value came from.
    pub origin: Origin,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said it.
    Default,
    /// The config file.
    File {
        /// The file, as it was named.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// The environment variable of this name.
    Environment(String),
    /// A `--set` option.
    CommandLine,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment(variable) => write!(f, "environment {variable}"),
            Self::CommandLine => f.write_str("--set"),
        }
    }
}

/// Every setting, in the order of the reference; upstreams by name, routes in the order of the file.
pub(super) fn effective(merged: &Merged, config: &typed::Config, document: &Document) -> Vec<Setting> {
    let mut settings = Vec::new();
    for key in keys::all().filter(|key| !is_repeated(key)) {
        settings.extend(setting(key, key.path, merged, config, document));
    }
    for upstream in &config.upstreams {
        for key in keys::all().filter(|key| key.path.starts_with(keys::NAMED)) {
            let path = key.path.replace("NAME", &upstream.name);
            settings.extend(setting(key, &path, merged, config, document));
        }
    }
    for list in keys::LISTED {
        let count = merged.find(list).and_then(Value::as_array).map_or(0, <[Value]>::len);
        for index in 0..count {
            for key in keys::all().filter(|key| keys::list_of(key.path) == Some(list)) {
                let path = key.path.replace("[]", &format!("[{index}]"));
                settings.extend(setting(key, &path, merged, config, document));
            }
        }
    }
    settings
}

fn is_repeated(key: &Key) -> bool {
    key.path.starts_with(keys::NAMED) || keys::list_of(key.path).is_some()
}

fn setting(key: &Key, path: &str, merged: &Merged, config: &typed::Config, document: &Document) -> Option<Setting> {
    let value = match (merged.find(path), key.default) {
        (Some(_), _) if key.secret => format!("\"{}\"", mask::MASK),
        (Some(Value::String(_, url)), _) if key.is_url() => string(&mask::mask_url(url)),
        (Some(value), _) => literal(value),
        (None, Default::Derived(_)) => derived(key, path, config)?,
        (None, Default::Required | Default::Unset | Default::Value(_)) => return None,
    };
    let origin = match merged.said(path) {
        Some(Place::File(at)) => Origin::File {
            path: PathBuf::from(&document.name),
            line: document.line_number(*at),
        },
        Some(Place::Environment { variable, .. }) => Origin::Environment(variable.clone()),
        Some(Place::CommandLine { .. }) => Origin::CommandLine,
        Some(Place::Nowhere) | None => Origin::Default,
    };
    Some(Setting {
        key: path.to_owned(),
        value,
        origin,
    })
}

/// The value of a key whose default follows from others.
fn derived(key: &Key, path: &str, config: &typed::Config) -> Option<String> {
    Some(match key.path {
        "server.listen" => {
            let listen: Vec<String> = config.server.listen.iter().map(|a| string(&a.to_string())).collect();
            match listen.as_slice() {
                [only] => only.clone(),
                _ => format!("[{}]", listen.join(", ")),
            }
        }
        "tls.redirect_port" if config.tls.redirect_listen.is_empty() => return None,
        "tls.redirect_port" => config.tls.redirect_port.to_string(),
        "server.workers" => config.server.workers.to_string(),
        "server.max_target_bytes" => size(u64::try_from(config.server.max_target_bytes).ok()),
        "store.migrate_on_start" => config.store.migrate_on_start.to_string(),
        "keys.master_key_file" => file(&config.keys.master_key_file),
        "keys.create" => config.keys.create.to_string(),
        "tokens.issuer" => string(&config.tokens.issuer),
        "passwords.concurrency" => config.passwords.concurrency.to_string(),
        "passwords.queue_per_address" => config.passwords.queue_per_address.to_string(),
        "limits[].burst" => {
            let index: usize = path.strip_prefix("limits[")?.split(']').next()?.parse().ok()?;
            config.limits.get(index)?.quota.burst().to_string()
        }
        "routes[].max_body" => {
            let index: usize = path.strip_prefix("routes[")?.split(']').next()?.parse().ok()?;
            size(config.routes.get(index)?.max_body)
        }
        "routes[].security_headers" => {
            let index: usize = path.strip_prefix("routes[")?.split(']').next()?.parse().ok()?;
            config.routes.get(index)?.edge.security_headers.to_string()
        }
        "routes[].assertion" => {
            let index: usize = path.strip_prefix("routes[")?.split(']').next()?.parse().ok()?;
            config.routes.get(index)?.assertion.to_string()
        }
        _ => return None,
    })
}

fn size(bytes: Option<u64>) -> String {
    string(&bytes.map_or_else(|| units::UNLIMITED.to_owned(), units::show_size))
}

fn file(path: &Path) -> String {
    string(&path.display().to_string())
}

fn string(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn literal(value: &Value) -> String {
    match value {
        Value::String(_, text) => string(text),
        Value::Char(_, text) => string(&text.to_string()),
        Value::Bool(_, value) => value.to_string(),
        Value::Num(_, number) => match number.to_i128() {
            Some(number) => number.to_string(),
            None => number.to_u128().map(|number| number.to_string()).unwrap_or_default(),
        },
        Value::Empty(..) => String::new(),
        Value::Array(_, items) => {
            let items: Vec<String> = items.iter().map(literal).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Dict(_, entries) => {
            let entry = |(name, value): (&String, &Value)| format!("{} = {}", entry_name(name), literal(value));
            let entries: Vec<String> = entries.iter().map(entry).collect();
            format!("{{ {} }}", entries.join(", "))
        }
    }
}

fn entry_name(name: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !name.is_empty() && name.bytes().all(is_bare) {
        name.to_owned()
    } else {
        string(name)
    }
}
