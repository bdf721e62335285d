//! The `doorward` binary: parses the command line, runs it, exits with its code.

use std::process::ExitCode;

fn main() -> ExitCode {
    doorward::cli::main()
}
