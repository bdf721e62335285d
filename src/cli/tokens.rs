//! `doorward tokens inspect`: what an access token says, and whether this gateway accepts it.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Subcommand;
use clap::builder::ValueHint;
use serde_json::{Value, json};

use super::failure::Failure;
use super::globals::Globals;
use super::resources::{self, with_current_store};
use super::say;
use crate::secret::Secret;
use crate::token::{MAX_TOKEN_BYTES, read_unverified};

#[derive(Subcommand, Debug)]
pub(super) enum Action {
    /// Show a token's header and claims (never its signature) and the verdict; fails unless the token is valid
    Inspect {
        /// The file that holds the token; `-` or nothing: standard input
        #[arg(value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(action: &Action, globals: &Globals, out: &mut dyn Write) -> Result<(), Failure> {
    let Action::Inspect { file, json } = action;
    let token = read(file.as_deref().filter(|file| *file != Path::new("-")))?;
    with_current_store(globals, async |opened| {
        let tokens = resources::verifier(opened).await?;
        let verdict = tokens.authenticate(token.expose(), opened.now);
        let said = read_unverified(token.expose()).ok();
        let (header, claims) = said.map_or((Value::Null, Value::Null), |said| {
            (said.header.into(), said.claims.into())
        });
        let (valid, verdict) = match &verdict {
            Ok(verified) => (true, format!("valid until {}", verified.expires_at)),
            Err(refusal) => (false, refusal.to_string()),
        };
        let report = if *json {
            let report = json!({"header": header, "claims": claims, "valid": valid, "verdict": verdict});
            format!("{report:#}")
        } else {
            format!("header  {header:#}\nclaims  {claims:#}\nverdict {verdict}")
        };
        writeln!(out, "{}", harmless(&report))?;
        if valid { Ok(()) } else { Err(Failure::Reported) }
    })
}

/// The text with its control characters escaped as JSON escapes them, line ends aside. JSON itself escapes only some, and
/// anybody may have written the token: a terminal takes the others for commands.
pub(super) fn harmless(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\n' {
            // Writing to a String does not fail.
            let _ = write!(escaped, "\\u{:04x}", u32::from(c));
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// Reads a token, blanks around it and a `Bearer` before it taken off.
fn read(file: Option<&Path>) -> Result<Secret<String>, Failure> {
    if let Some(path) = file {
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        return Ok(read_text(file).with_context(|| format!("no token in {}", path.display()))?);
    }
    if io::stdin().is_terminal() {
        say("Paste the token, then Ctrl-D:");
    }
    Ok(read_text(io::stdin().lock()).context("no token on standard input")?)
}

fn read_text(source: impl Read) -> anyhow::Result<Secret<String>> {
    let mut text = String::new();
    // Twice the longest token: a longer one is refused as such, a whole disk is not read for it.
    source.take(2 * MAX_TOKEN_BYTES as u64).read_to_string(&mut text)?;
    let text = Secret::new(text);
    let token = text.expose().trim();
    let token = token.strip_prefix("Bearer ").map_or(token, str::trim);
    anyhow::ensure!(!token.is_empty(), "it is empty");
    Ok(Secret::new(token.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_control_character_of_a_token_reaches_the_terminal() {
        let claims = json!({"name": "a\u{1b}[2J\u{9b}31m\u{7f}\r\nb ü"});
        let shown = harmless(&format!("{claims:#}"));
        assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
        assert!(shown.contains("\\u009b31m\\u007f"), "{shown}");
        assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), claims);
    }

    #[test]
    fn a_token_may_come_as_copied_from_a_header() {
        for given in ["a.b.c", " a.b.c\n", "Bearer a.b.c\r\n"] {
            assert_eq!(read_text(given.as_bytes()).unwrap().expose(), "a.b.c");
        }
        assert!(read_text(&b" \n"[..]).is_err());
    }
}
