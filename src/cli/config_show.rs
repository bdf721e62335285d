//! `doorward config show`: the configuration as it takes effect, and where each value came from.

use std::io::Write;

use clap::Subcommand;
use serde_json::json;

use super::failure::Failure;
use super::globals::Globals;

#[derive(Subcommand, Debug)]
pub(super) enum Action {
    /// Show every key, its value (secrets masked) and where it came from
    Show {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(action: &Action, globals: &Globals, out: &mut dyn Write) -> Result<(), Failure> {
    let Action::Show { json } = action;
    let settings = globals.load()?.effective;
    if *json {
        let rows: Vec<_> = settings
            .iter()
            .map(|s| json!({"key": s.key, "value": s.value, "origin": s.origin.to_string()}))
            .collect();
        return Ok(writeln!(out, "{:#}", json!(rows))?);
    }
    let lines: Vec<String> = settings.iter().map(|s| format!("{} = {}", s.key, s.value)).collect();
    // A long value must not push every origin off the screen.
    let width = lines
        .iter()
        .map(|line| line.chars().count())
        .filter(|width| *width <= 60)
        .max();
    let width = width.unwrap_or(0);
    for (line, setting) in lines.iter().zip(&settings) {
        writeln!(out, "{line:<width$}  # {}", setting.origin)?;
    }
    Ok(())
}
