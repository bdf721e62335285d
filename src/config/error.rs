//! What is wrong with a configuration: everything at once, each with its place.

use std::fmt;

/// All that is wrong with a configuration. `Display` shows every error, and never a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(Vec<ConfigError>);

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    pub(super) place: Shown,
    pub(super) key: String,
    pub(super) complaint: Complaint,
    pub(super) also: Vec<Shown>,
}

/// A place as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Shown {
    /// The file, variable or option.
    pub(super) source: String,
    /// The line of the file, from 1.
    pub(super) line: Option<usize>,
    /// The line itself, with secrets masked.
    pub(super) text: String,
}

/// What is wrong, apart from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Complaint {
    message: String,
    found: Option<String>,
    allowed: Option<String>,
    suggestion: Option<String>,
}

impl Complaint {
    /// What is wrong, in a few words.
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            found: None,
            allowed: None,
            suggestion: None,
        }
    }

    /// Adds what was found: never a secret.
    pub(super) fn found(mut self, found: impl Into<String>) -> Self {
        self.found = Some(found.into());
        self
    }

    /// Adds what is allowed.
    pub(super) fn allowed(mut self, allowed: impl Into<String>) -> Self {
        self.allowed = Some(allowed.into());
        self
    }

    /// Adds what was probably meant.
    pub(super) fn suggest(mut self, suggestion: Option<impl Into<String>>) -> Self {
        self.suggestion = suggestion.map(Into::into);
        self
    }
}

impl ConfigErrors {
    pub(super) fn new(errors: Vec<ConfigError>) -> Self {
        Self(errors)
    }

    /// Each error: those of the file by line, then those of the environment and the command line. At least one.
    #[must_use]
    pub fn errors(&self) -> &[ConfigError] {
        &self.0
    }
}

impl ConfigError {
    /// The file, `DOORWARD_` variable or `--set` option that the error is in.
    #[must_use]
    pub fn source_name(&self) -> &str {
        &self.place.source
    }

    /// The line of the file, from 1; `None` where the error is not in one.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.place.line
    }

    /// The line itself, with secrets masked.
    #[must_use]
    pub fn line_text(&self) -> &str {
        &self.place.text
    }

    /// The key, such as `server.listen` or `routes[0].path`; empty where the error is about no single key.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What is wrong, in a few words.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.complaint.message
    }

    /// What was found, unless it is a secret.
    #[must_use]
    pub fn found(&self) -> Option<&str> {
        self.complaint.found.as_deref()
    }

    /// What is allowed.
    #[must_use]
    pub fn allowed(&self) -> Option<&str> {
        self.complaint.allowed.as_deref()
    }

    /// What was probably meant.
    #[must_use]
    pub fn suggestion(&self) -> Option<&str> {
        self.complaint.suggestion.as_deref()
    }
}

impl Shown {
    fn margin(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "\n  {line:>5} | {}", self.text),
            None if self.text.is_empty() => Ok(()),
            None => write!(f, "\n        | {}", self.text),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place.source)?;
        if let Some(line) = self.place.line {
            write!(f, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.complaint.message)?;
        self.place.margin(f)?;
        for place in &self.also {
            place.margin(f)?;
        }
        for (label, text) in [
            ("found:", &self.complaint.found),
            ("allowed:", &self.complaint.allowed),
            ("did you mean:", &self.complaint.suggestion),
        ] {
            if let Some(text) = text {
                write!(f, "\n        {label} {text}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
impl std::error::Error for ConfigError {}
