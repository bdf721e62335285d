//! [`Failure`]: how a command ends when it does not succeed, and the exit code of each way.

use std::io;

use crate::config::ConfigErrors;

/// The exit code for a command line that makes no sense (clap's own code too).
pub(super) const USAGE: u8 = 2;

/// Why a command did not succeed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The command line asks for something that makes no sense.
    Usage(String),
    /// The configuration is not valid.
    Config(ConfigErrors),
    /// One value of the configuration turned out not to be usable; the text names its key.
    Setting(String),
    /// The command could not do its work.
    Failed(anyhow::Error),
    /// The command did its work and the result is bad, which it has said already.
    Reported,
}

impl Failure {
    /// What the process exits with.
    pub(super) const fn code(&self) -> u8 {
        match self {
            Self::Failed(_) | Self::Reported => 1,
            Self::Usage(_) => USAGE,
            Self::Config(_) | Self::Setting(_) => 78,
        }
    }

    /// What is left to say, with all causes in one line.
    pub(super) fn message(&self) -> Option<String> {
        match self {
            Self::Usage(text) => Some(text.clone()),
            Self::Config(errors) => Some(format!("the configuration is not valid\n{errors}")),
            Self::Setting(text) => Some(format!("the configuration is not valid: {text}")),
            Self::Failed(error) => Some(one_line(error)),
            Self::Reported => None,
        }
    }
}

/// An error and its causes, a cause that repeats what was just said left out.
pub(super) fn one_line(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<ConfigErrors> for Failure {
    fn from(errors: ConfigErrors) -> Self {
        Self::Config(errors)
    }
}

/// For writing to standard output alone: other I/O says what it was about, through `anyhow`.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Failed(anyhow::Error::new(error).context("cannot write to standard output"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_with_its_causes_once_each() {
        let error = anyhow::anyhow!("disk full")
            .context("cannot write: disk full")
            .context("migration 1");
        assert_eq!(one_line(&error), "migration 1: cannot write: disk full");
    }

    #[test]
    fn each_kind_of_failure_has_its_exit_code() {
        assert_eq!(Failure::Usage(String::new()).code(), 2);
        assert_eq!(Failure::Setting(String::new()).code(), 78);
        assert_eq!(Failure::Reported.code(), 1);
        assert_eq!(Failure::from(io::Error::from(io::ErrorKind::StorageFull)).code(), 1);
    }
}
