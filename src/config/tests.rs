//! What holds of loading as a whole: the layers, the errors, the secrets.

mod cut_short;
mod errors;
mod every_key;
mod layering;
mod rules;
mod secrets;
mod streams;

use std::path::{Path, PathBuf};

use super::{ConfigError, ConfigErrors, Loaded, Sources, load, parse};

/// What every configuration needs.
const ROUTES: &str = "
[upstreams.whoami]
servers = [\"builtin:whoami\"]

[[routes]]
path = \"/whoami\"
upstream = \"whoami\"
";

/// The errors of this text alone.
fn errors(toml: &str) -> Vec<ConfigError> {
    match parse(toml, Path::new("/etc/doorward")) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.errors().to_vec(),
    }
}

/// The errors of this text with an upstream and a route behind it.
fn errors_with_routes(toml: &str) -> Vec<ConfigError> {
    errors(&format!("{toml}{ROUTES}"))
}

/// The one error of this text with an upstream and a route behind it.
fn only_error(toml: &str) -> ConfigError {
    let errors = errors_with_routes(toml);
    assert_eq!(errors.len(), 1, "{toml}\n{errors:#?}");
    errors.into_iter().next().unwrap()
}

/// A directory with a file in it, and what it takes to load that.
struct Case {
    directory: tempfile::TempDir,
    sources: Sources,
}

impl Case {
    fn new(toml: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("gateway.toml");
        std::fs::write(&file, toml).unwrap();
        let sources = Sources {
            file,
            environment: Vec::new(),
            set: Vec::new(),
        };
        Self { directory, sources }
    }

    fn with_routes(toml: &str) -> Self {
        Self::new(&format!("{toml}{ROUTES}"))
    }

    fn env(mut self, variable: &str, value: &str) -> Self {
        self.sources.environment.push((variable.to_owned(), value.to_owned()));
        self
    }

    fn set(mut self, option: &str) -> Self {
        self.sources.set.push(option.to_owned());
        self
    }

    fn file(self, name: &str, content: &[u8]) -> Self {
        std::fs::write(self.path(name), content).unwrap();
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn load(&self) -> Result<Loaded, ConfigErrors> {
        load(&self.sources)
    }

    fn only_error(&self) -> ConfigError {
        let errors = self.load().unwrap_err();
        assert_eq!(errors.errors().len(), 1, "{errors}");
        errors.errors()[0].clone()
    }
}
