//! Where a command gets a password from: a prompt, standard input or a file; never an argument, which `ps` shows to all.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::PathBuf;

use anyhow::Context;
use clap::builder::ValueHint;
use zeroize::Zeroizing;

use super::failure::Failure;
use crate::secret::Secret;

/// More than any password: what is longer is a mistake, such as the wrong file.
const MOST_BYTES: usize = 4096;

/// The options that say where the password is. Without one, it is asked for twice at the terminal.
#[derive(clap::Args, Debug)]
#[group(multiple = false)]
pub(super) struct PasswordSource {
    /// Read the password from standard input (one trailing line end is taken off)
    #[arg(long)]
    password_stdin: bool,
    /// Read the password from a file (one trailing line end is taken off)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    password_file: Option<PathBuf>,
}

impl PasswordSource {
    /// `Usage` when there is neither an option nor a terminal to ask at.
    pub(super) fn check(&self) -> Result<(), Failure> {
        if self.password_stdin || self.password_file.is_some() || io::stdin().is_terminal() {
            return Ok(());
        }
        Err(Failure::Usage(
            "standard input is no terminal: give the password with --password-stdin or --password-file FILE".to_owned(),
        ))
    }

    /// Reads the password, or asks for it.
    pub(super) fn read(&self) -> Result<Secret<String>, Failure> {
        if let Some(path) = &self.password_file {
            let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
            return Ok(read_all(file).with_context(|| format!("no password in {}", path.display()))?);
        }
        if self.password_stdin {
            return Ok(read_all(io::stdin().lock()).context("no password on standard input")?);
        }
        self.check()?;
        Ok(ask_twice(|prompt| rpassword::prompt_password(prompt))?)
    }
}

/// Asks for the password and once more, since nobody sees what they type.
fn ask_twice(mut ask: impl FnMut(&str) -> io::Result<String>) -> anyhow::Result<Secret<String>> {
    let first = Secret::new(ask("Password: ").context("cannot ask for the password")?);
    let second = Secret::new(ask("The same again: ").context("cannot ask for the password")?);
    anyhow::ensure!(first.expose() == second.expose(), "the two passwords differ");
    Ok(first)
}

fn read_all(source: impl Read) -> anyhow::Result<Secret<String>> {
    // The capacity is fixed before, so that growing leaves no copies behind in freed memory.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MOST_BYTES + 1));
    source.take(MOST_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    anyhow::ensure!(bytes.len() <= MOST_BYTES, "it is longer than {MOST_BYTES} bytes");
    let text = std::str::from_utf8(&bytes).ok().context("it is not UTF-8")?;
    let text = text
        .strip_suffix('\n')
        .map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
    anyhow::ensure!(!text.is_empty(), "it is empty");
    Ok(Secret::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_end_is_taken_off_and_nothing_else() {
        for (given, password) in [
            ("pass word\n", "pass word"),
            ("pass\r\n", "pass"),
            (" pass \n\n", " pass \n"),
            ("pass\r", "pass\r"),
            ("pass", "pass"),
        ] {
            assert_eq!(read_all(given.as_bytes()).unwrap().expose(), password);
        }
    }

    #[test]
    fn what_cannot_be_a_password_is_refused() {
        assert!(read_all("".as_bytes()).is_err());
        assert!(read_all("\n".as_bytes()).is_err());
        assert!(read_all(&b"\xff\xfe"[..]).is_err());
        assert!(read_all(io::repeat(b'a')).is_err());
    }

    #[test]
    fn a_password_that_was_mistyped_once_is_refused() {
        let ask = |answers: [&'static str; 2]| {
            let mut answers = answers.into_iter();
            ask_twice(move |_| Ok(answers.next().unwrap().to_owned()))
        };
        assert_eq!(ask(["a b", "a b"]).unwrap().expose(), "a b");
        let error = ask(["hunter2", "hunter3"]).unwrap_err().to_string();
        assert!(!error.contains("hunter"), "{error}");
    }
}
