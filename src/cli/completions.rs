//! `doorward completions SHELL`: a completion script on standard output.

use std::io::Write;

use clap_complete::Shell;

use super::failure::Failure;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The shell to print it for
    shell: Shell,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    // Into memory first: the generator panics when its writer fails, as a closed pipe would make it.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "doorward", &mut script);
    Ok(out.write_all(&script)?)
}
