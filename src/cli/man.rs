//! `doorward man`: the manual page on standard output, or one page per command in a directory.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::builder::ValueHint;
use clap_mangen::Man;

use super::failure::Failure;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Write one page per command into this directory instead (doorward.1, doorward-users-add.1, ...)
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    dir: Option<PathBuf>,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let command = super::command();
    let Some(dir) = &args.dir else {
        return Ok(Man::new(command).render(out)?);
    };
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    clap_mangen::generate_to(command, dir).with_context(|| format!("cannot write to {}", dir.display()))?;
    Ok(())
}
