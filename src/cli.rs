//! The command line: what can be asked of the binary, and with which code it ends.
//!
//! Data goes to standard output, everything said to a person to standard error. Exit codes: 0 done, 1 failed, 2 the
//! command line makes no sense, 78 the configuration is not valid (`EX_CONFIG` of sysexits.h). One file per command.

mod audit;
mod check;
mod completions;
mod config_show;
mod describe;
mod explain;
mod failure;
mod globals;
mod keys;
mod logging;
mod man;
mod migrate;
mod output;
mod password_source;
mod resources;
mod serve;
mod table;
mod tokens;
mod trial;
mod users;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use failure::Failure;
use globals::Globals;
use output::UntilClosed;

use crate::log;

/// Version and commit, as `--version` prints them.
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("BUILD_COMMIT"), ")");

/// A reverse-proxy authentication gateway: sign-up and login, enforcement, and a revocation that holds.
#[derive(Parser)]
#[command(name = "doorward", version = VERSION, after_help = AFTER_HELP, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

const AFTER_HELP: &str = "\
Without a command, the gateway runs (`serve`). The configuration is `gateway.toml` in the working directory \
unless --config or DOORWARD_CONFIG names another file; environment variables (DOORWARD_SERVER__LISTEN) and --set come \
on top.

Exit codes: 0 done, 1 failed, 2 wrong usage, 78 the configuration is not valid.";

#[derive(Subcommand)]
enum Command {
    /// Run the gateway until SIGTERM or SIGINT (the default)
    Serve,
    /// Walk through sign-up, login, a guarded route and logout against a running gateway
    Try(trial::Args),
    /// Validate the configuration as `serve` would: files, database and keys included
    Check,
    /// Show which route a request takes, why, and what the upstream would see
    Explain(explain::Args),
    /// Bring the database's schema up or down
    #[command(subcommand)]
    Migrate(migrate::Action),
    /// Manage user accounts
    #[command(subcommand)]
    Users(users::Action),
    /// Manage signing keys
    #[command(subcommand)]
    Keys(keys::Action),
    /// Look into access tokens
    #[command(subcommand)]
    Tokens(tokens::Action),
    /// Read the audit trail: who did what to accounts, sessions, keys and the configuration
    Audit(audit::Args),
    /// Look into the configuration
    #[command(subcommand)]
    Config(config_show::Action),
    /// Print a completion script for a shell
    Completions(completions::Args),
    /// Print the manual page
    Man(man::Args),
}

/// Runs the command line of this process. The code is what the process ends with.
#[must_use]
pub fn main() -> ExitCode {
    let matches = match command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => {
            // Help and version come this way too, with code 0. Nobody is left to tell if this can't be written.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(failure::USAGE));
        }
    };
    let globals = Globals::from_matches(&matches, std::env::var_os("DOORWARD_CONFIG"));
    let mut out = UntilClosed::new(io::stdout().lock());
    let result = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli.run(&globals, &mut out),
        Err(error) => Err(Failure::Usage(error.to_string())),
    };
    let result = result.and_then(|()| out.flush().map_err(Failure::from));
    log::flush();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(message) = failure.message() {
                let _ = writeln!(io::stderr(), "doorward: {message}");
            }
            ExitCode::from(failure.code())
        }
    }
}

impl Cli {
    fn run(self, globals: &Globals, out: &mut dyn Write) -> Result<(), Failure> {
        match self.command.unwrap_or(Command::Serve) {
            Command::Serve => serve::run(globals),
            Command::Try(args) => trial::run(&args, globals, out),
            Command::Check => check::run(globals, out),
            Command::Explain(args) => explain::run(&args, globals, out),
            Command::Migrate(action) => migrate::run(&action, globals, out),
            Command::Users(action) => users::run(&action, globals, out),
            Command::Keys(action) => keys::run(&action, globals, out),
            Command::Tokens(action) => tokens::run(&action, globals, out),
            Command::Audit(args) => audit::run(&args, globals, out),
            Command::Config(action) => config_show::run(&action, globals, out),
            Command::Completions(args) => completions::run(&args, out),
            Command::Man(args) => man::run(&args, out),
        }
    }
}

/// The whole command line: what the derive knows, and the options that every command takes.
fn command() -> clap::Command {
    globals::add_to(Cli::command())
}

/// Tells the person at the terminal something, on standard error. Whether anybody listens is not ours to judge.
fn say(message: impl std::fmt::Display) {
    let _ = writeln!(io::stderr(), "{message}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn without_a_command_there_is_none_to_parse_and_serve_is_meant() {
        let cli = Cli::from_arg_matches(&command().get_matches_from(["doorward"])).unwrap();
        assert!(cli.command.is_none());
    }
}
