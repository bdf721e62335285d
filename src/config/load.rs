//! From the sources of a configuration to a valid one.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use figment::value::Value;
use toml::de::DeTable;

use super::document::Document;
use super::error::{Complaint, ConfigErrors};
use super::report::{Place, Report};
use super::show::Setting;
use super::tree::Node;
use super::validate::Check;
use super::{keys, layers, mask, overrides, raw, schema, show, typed, validate};

/// Where a configuration comes from; the later overrides the earlier.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The config file.
    pub file: PathBuf,
    /// All environment variables; only those that begin with `DOORWARD_` are looked at.
    pub environment: Vec<(String, String)>,
    /// The `--set` options: `KEY=VALUE`.
    pub set: Vec<String>,
}

impl Sources {
    /// The file, this process's environment, and these `--set` options.
    #[must_use]
    pub fn from_process(file: PathBuf, set: Vec<String>) -> Self {
        // A value that is not UTF-8 gets a replacement character here, and is refused for it later.
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            let name = name.into_string().ok().filter(|name| name.starts_with("DOORWARD_"))?;
            Some((name, value.to_string_lossy().into_owned()))
        };
        Self {
            file,
            environment: std::env::vars_os().filter_map(text).collect(),
            set,
        }
    }
}

/// A configuration, and what it consists of.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: typed::Config,
    /// Every setting with its origin, secrets masked.
    pub effective: Vec<Setting>,
    /// The files that were read for it, or are read by what it configures: the config file, secrets, authorities.
    pub files: Vec<PathBuf>,
}

/// Loads a configuration, or says all that is wrong with it.
pub fn load(sources: &Sources) -> Result<Loaded, ConfigErrors> {
    let name = sources.file.display().to_string();
    let base = sources.file.parent().unwrap_or_else(|| Path::new(""));
    match std::fs::read(&sources.file) {
        Ok(bytes) => {
            let mut loaded = evaluate(name, bytes, base, &sources.environment, &sources.set)?;
            loaded.files.insert(0, sources.file.clone());
            Ok(loaded)
        }
        Err(error) => {
            let mut report = Report::default();
            report.add(
                &Place::Nowhere,
                "",
                Complaint::new(format!("the file can't be read: {error}")),
            );
            Err(report.finish(&mut Document::new(name, String::new())))
        }
    }
}

/// Reads a configuration from a text instead of a file, with paths relative to `base`, without environment.
pub fn parse(toml: &str, base: &Path) -> Result<typed::Config, ConfigErrors> {
    evaluate("<text>".to_owned(), toml.as_bytes().to_vec(), base, &[], &[]).map(|loaded| loaded.config)
}

fn evaluate(
    name: String,
    bytes: Vec<u8>,
    base: &Path,
    environment: &[(String, String)],
    set: &[String],
) -> Result<Loaded, ConfigErrors> {
    let mut report = Report::default();
    let text = String::from_utf8(bytes).unwrap_or_else(|error| {
        let place = Place::File(error.utf8_error().valid_up_to());
        report.add(&place, "", Complaint::new("not UTF-8"));
        String::from_utf8_lossy(error.as_bytes()).into_owned()
    });
    let mut document = Document::new(name, text);
    let layers = if report.is_empty() {
        file(&document, &mut report).map(|(file, upstreams)| {
            let upstreams: Vec<&str> = upstreams.iter().map(String::as_str).collect();
            vec![
                schema::defaults(),
                file,
                overrides::environment(environment, &upstreams, &mut report),
                overrides::command_line(set, &mut report),
            ]
        })
    } else {
        None
    };
    let Some(layers) = layers else {
        // What is not TOML is not told apart into keys and values: what may be secret is hidden by its looks.
        document.hide(mask::suspicious(document.text()));
        return Err(report.finish(&mut document));
    };
    let merged = layers::merge(layers);
    let files = RefCell::default();
    let config = match Value::from(merged.values.clone()).deserialize::<raw::Config>() {
        Ok(raw) => validate::config(
            &raw,
            &mut Check {
                report: &mut report,
                merged: &merged,
                document: &document,
                base,
                files: &files,
            },
        ),
        Err(error) => {
            // The message would repeat the value, which may be a secret.
            let message = "the table of keys and the configuration's types disagree: this is a bug in Doorward";
            report.add(&Place::Nowhere, &error.path.join("."), Complaint::new(message));
            None
        }
    };
    match config {
        Some(config) if report.is_empty() => Ok(Loaded {
            effective: show::effective(&merged, &config, &document),
            config,
            files: files.into_inner(),
        }),
        Some(_) | None => {
            if report.is_empty() {
                let message = "refused without a reason: this is a bug in Doorward";
                report.add(&Place::Nowhere, "", Complaint::new(message));
            }
            Err(report.finish(&mut document))
        }
    }
}

/// The layer of the file, and the names of the upstreams in it; `None` where it is not TOML.
fn file(document: &Document, report: &mut Report) -> Option<(schema::Layer, Vec<String>)> {
    let (root, errors) = DeTable::parse_recoverable(document.text());
    for error in &errors {
        let place = error.span().map_or(Place::Nowhere, |span| Place::File(span.start));
        report.add(&place, "", Complaint::new(format!("not TOML: {}", error.message())));
    }
    if !errors.is_empty() {
        return None;
    }
    let root = Node::file(root.get_ref());
    let layer = schema::check("file", &root, report);
    let names = match layer.values.get(keys::NAMED) {
        Some(Value::Dict(_, upstreams)) => upstreams.keys().cloned().collect(),
        _ => Vec::new(),
    };
    Some((layer, names))
}
