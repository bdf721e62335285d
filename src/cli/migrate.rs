//! `doorward migrate`: brings the database's schema up or down.

use std::io::Write;

use anyhow::Context;
use clap::Subcommand;
use serde_json::json;

use super::failure::Failure;
use super::globals::Globals;
use super::resources::{self, with_store};
use super::{say, table};

#[derive(Subcommand, Debug)]
pub(super) enum Action {
    /// Apply every migration that is not applied
    Up,
    /// Undo the last migrations; the data in what they made is lost
    Down {
        /// How many
        #[arg(default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        steps: u32,
    },
    /// Show which migrations are applied
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Drop every table of Doorward's, with all accounts, sessions and keys
    Drop {
        /// Yes, delete everything
        #[arg(long)]
        yes: bool,
    },
}

pub(super) fn run(action: &Action, globals: &Globals, out: &mut dyn Write) -> Result<(), Failure> {
    // Before anything is opened: an SQLite file that is not there would be made.
    if let Action::Drop { yes: false } = action {
        return Err(Failure::Usage(
            "this deletes every account, session and key: say --yes if that is meant".to_owned(),
        ));
    }
    with_store(globals, async |opened| {
        let store = &opened.store;
        match action {
            Action::Up => {
                let names = store.migrate_up(opened.now).await.context("cannot migrate up")?;
                names_or(out, &names, "applied", "nothing to apply: the schema is current")
            }
            Action::Down { steps } => {
                let names = store.migrate_down(*steps).await.context("cannot migrate down")?;
                names_or(out, &names, "undone", "nothing to undo: no migration is applied")
            }
            Action::Status { json } => {
                let states = store.migration_status().await.context("cannot read the migrations")?;
                let at = |state: &crate::store::MigrationState| state.applied_at.map(|at| at.to_string());
                if *json {
                    let rows: Vec<_> = states
                        .iter()
                        .map(|s| json!({"version": s.version, "name": s.name, "applied_at": at(s), "known": s.known}))
                        .collect();
                    return Ok(writeln!(out, "{:#}", json!(rows))?);
                }
                let rows: Vec<_> = states
                    .iter()
                    .map(|state| {
                        let note = if state.known { "" } else { "not known to this version" };
                        [
                            state.name.clone(),
                            at(state).unwrap_or_else(|| "pending".to_owned()),
                            note.to_owned(),
                        ]
                    })
                    .collect();
                table::print(out, ["MIGRATION", "APPLIED", ""], &rows)
            }
            Action::Drop { yes: _ } => {
                store.drop_everything().await.context("cannot drop the tables")?;
                say(format_args!(
                    "dropped everything in the {}",
                    resources::place(&opened.config.store.backend)
                ));
                Ok(())
            }
        }
    })
}

/// The names as data; what they are, or that there are none, as a message.
fn names_or(out: &mut dyn Write, names: &[String], done: &str, none: &str) -> Result<(), Failure> {
    if names.is_empty() {
        say(none);
    } else {
        say(format_args!("{done}:"));
    }
    for name in names {
        writeln!(out, "{name}")?;
    }
    Ok(())
}
