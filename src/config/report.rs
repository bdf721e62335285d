//! Where errors are gathered while a configuration is read: they carry places until the end, when the file's lines are
//! shown with everything masked that turned out to be secret.

use std::collections::BTreeSet;
use std::ops::Range;

use super::document::{Document, printable};
use super::error::{Complaint, ConfigError, ConfigErrors, Shown};

/// Where a value was said.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// The config file, at this byte.
    File(usize),
    /// An environment variable.
    Environment {
        /// Its name.
        variable: String,
        /// Its value as it may be shown.
        shown: String,
    },
    /// A `--set` option.
    CommandLine {
        /// The option as it may be shown.
        shown: String,
    },
    /// Nowhere: a default, or the configuration as a whole.
    Nowhere,
}

/// The errors so far.
#[derive(Default)]
pub(super) struct Report {
    entries: Vec<Entry>,
    failed: BTreeSet<String>,
    hidden: Vec<Range<usize>>,
}

struct Entry {
    place: Place,
    key: String,
    complaint: Complaint,
    also: Vec<Place>,
}

impl Report {
    /// Adds an error about the value of `key`, said at `place`.
    pub(super) fn add(&mut self, place: &Place, key: &str, complaint: Complaint) {
        self.add_with(place, key, complaint, &[]);
    }

    /// Adds an error that other places have a part in.
    pub(super) fn add_with(&mut self, place: &Place, key: &str, complaint: Complaint, also: &[Place]) {
        self.failed.insert(key.to_owned());
        self.entries.push(Entry {
            place: place.clone(),
            key: key.to_owned(),
            complaint,
            also: also.to_vec(),
        });
    }

    /// Whether an error about this key, about something within it, or about what it stands in was added: what follows
    /// from that is not worth saying.
    pub(super) fn has(&self, key: &str) -> bool {
        let is_within = |failed: &String| {
            let rest = failed.strip_prefix(key);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        let mut parents = key.rmatch_indices(['.', '[']).map(|(end, _)| &key[..end]);
        self.failed.iter().any(is_within) || parents.any(|parent| self.failed.contains(parent))
    }

    /// Counts `key` among those with an error: another error says what is wrong with it.
    pub(super) fn imply(&mut self, key: &str) {
        self.failed.insert(key.to_owned());
    }

    /// Whether there is no error yet.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Never shows these bytes of the file.
    pub(super) fn hide(&mut self, bytes: Range<usize>) {
        self.hidden.push(bytes);
    }

    /// The errors as they are shown, in the order of the file.
    pub(super) fn finish(mut self, document: &mut Document) -> ConfigErrors {
        document.hide(self.hidden);
        self.entries.sort_by(|a, b| a.place.cmp(&b.place));
        let mut errors: Vec<ConfigError> = Vec::new();
        for entry in self.entries {
            let error = ConfigError {
                place: entry.place.show(document),
                key: printable(&entry.key),
                complaint: entry.complaint,
                also: entry.also.iter().map(|place| place.show(document)).collect(),
            };
            if !errors.contains(&error) {
                errors.push(error);
            }
        }
        ConfigErrors::new(errors)
    }
}

impl Place {
    fn show(&self, document: &Document) -> Shown {
        match self {
            Self::File(at) => Shown {
                source: document.name.clone(),
                line: Some(document.line_number(*at)),
                text: document.line(*at),
            },
            Self::Environment { variable, shown } => Shown {
                source: variable.clone(),
                line: None,
                text: shown.clone(),
            },
            Self::CommandLine { shown } => Shown {
                source: "--set".to_owned(),
                line: None,
                text: shown.clone(),
            },
            Self::Nowhere => Shown {
                source: document.name.clone(),
                line: None,
                text: String::new(),
            },
        }
    }
}
