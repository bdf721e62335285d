//! The options that every command takes, before or after its name: `--config` and `--set`.
//!
//! They are no `global = true` arguments of clap's: there, a `--set` after the command silently drops those before it.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::builder::{TypedValueParser, ValueHint};
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, value_parser};

use super::failure::Failure;
use crate::config::{self, Loaded, Sources};

const CONFIG: &str = "config-file";
const SET: &str = "set";

/// Where the configuration comes from.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Globals {
    /// `--config`, `DOORWARD_CONFIG` or `gateway.toml`.
    pub(super) file: PathBuf,
    /// Every `--set`, in order.
    pub(super) set: Vec<String>,
}

/// Adds the options to a command and to all commands below it.
pub(super) fn add_to(command: clap::Command) -> clap::Command {
    command
        .arg(
            Arg::new(CONFIG)
                .long("config")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .value_hint(ValueHint::FilePath)
                .help("The configuration file [env: DOORWARD_CONFIG] [default: gateway.toml]")
                .help_heading("Configuration"),
        )
        .arg(
            Arg::new(SET)
                .long("set")
                .value_name("KEY=VALUE")
                .action(ArgAction::Append)
                .value_parser(Setting)
                .help("Set one key over file and environment, as in server.listen=0.0.0.0:80; repeatable")
                .help_heading("Configuration"),
        )
        .mut_subcommands(add_to)
}

/// Takes `KEY=VALUE`. The error does not repeat what was given, as clap's own would: it may be a secret whose key was
/// forgotten.
#[derive(Clone)]
struct Setting;

impl TypedValueParser for Setting {
    type Value = String;

    fn parse_ref(&self, command: &clap::Command, _: Option<&Arg>, value: &OsStr) -> Result<String, clap::Error> {
        match value.to_str().map(|text| (text, text.split_once('='))) {
            Some((text, Some((key, _)))) if !key.trim().is_empty() => Ok(text.to_owned()),
            Some(_) | None => {
                let error = clap::Error::raw(ErrorKind::ValueValidation, "--set: expected KEY=VALUE\n");
                Err(error.with_cmd(command))
            }
        }
    }
}

impl Globals {
    /// Gathers the options of every level of the command line; the last `--config` counts.
    pub(super) fn from_matches(matches: &ArgMatches, environment: Option<OsString>) -> Self {
        let mut file = environment.filter(|file| !file.is_empty()).map(PathBuf::from);
        let mut set = Vec::new();
        let mut level = Some(matches);
        while let Some(matches) = level {
            if let Some(given) = matches.get_one::<PathBuf>(CONFIG) {
                file = Some(given.clone());
            }
            set.extend(matches.get_many::<String>(SET).into_iter().flatten().cloned());
            level = matches.subcommand().map(|(_, below)| below);
        }
        Self {
            file: file.unwrap_or_else(|| PathBuf::from("gateway.toml")),
            set,
        }
    }

    /// Loads and validates the configuration.
    pub(super) fn load(&self) -> Result<Loaded, Failure> {
        config::load(&self.sources()).map_err(Failure::from)
    }

    /// What the configuration is loaded from.
    pub(super) fn sources(&self) -> Sources {
        Sources::from_process(self.file.clone(), self.set.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::command;

    fn globals(args: &[&str], environment: Option<&str>) -> Globals {
        Globals::from_matches(&command().get_matches_from(args), environment.map(OsString::from))
    }

    #[test]
    fn settings_before_and_after_the_command_all_count() {
        let given = globals(
            &[
                "doorward", "--set", "a=1", "users", "--set", "b=2", "list", "--set", "c=3",
            ],
            None,
        );
        assert_eq!(given.set, ["a=1", "b=2", "c=3"]);
    }

    #[test]
    fn the_file_is_the_option_then_the_variable_then_gateway_toml() {
        assert_eq!(globals(&["doorward"], None).file, PathBuf::from("gateway.toml"));
        assert_eq!(globals(&["doorward"], Some("")).file, PathBuf::from("gateway.toml"));
        assert_eq!(globals(&["doorward"], Some("e.toml")).file, PathBuf::from("e.toml"));
        let given = globals(&["doorward", "--config", "a.toml", "check"], Some("e.toml"));
        assert_eq!(given.file, PathBuf::from("a.toml"));
        let given = globals(&["doorward", "--config", "a.toml", "check", "--config", "b.toml"], None);
        assert_eq!(given.file, PathBuf::from("b.toml"));
    }

    #[test]
    fn a_setting_without_a_key_is_refused_without_repeating_it() {
        for bad in ["hunter2", "=hunter2", " =hunter2"] {
            let error = command()
                .try_get_matches_from(["doorward", "check", "--set", bad])
                .unwrap_err();
            assert_eq!(error.exit_code(), 2);
            let said = error.to_string();
            assert!(
                said.contains("expected KEY=VALUE") && !said.contains("hunter2"),
                "{said}"
            );
        }
        assert_eq!(globals(&["doorward", "--set", "a.b=c=d"], None).set, ["a.b=c=d"]);
    }
}
