//! The lines that `doorward try` prints: one per step, with a mark, the request, the status, the time, and why.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use http::StatusCode;

use crate::cli::failure::Failure;

/// Prints steps as they happen and counts those that are not as they should be.
pub(super) struct Report<'a> {
    out: &'a mut dyn Write,
    colour: bool,
    steps: usize,
    failed: usize,
}

/// What came of one request: status and time if there was an answer.
pub(super) type Outcome = Option<(StatusCode, Duration)>;

impl<'a> Report<'a> {
    /// A report on standard output, coloured where that is a terminal.
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
        let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self {
            out,
            colour,
            steps: 0,
            failed: 0,
        }
    }

    /// One step: `request` is method and target, `verdict` what was as it should be, or what was not.
    pub(super) fn step(
        &mut self,
        request: &str,
        outcome: Outcome,
        verdict: Result<impl Display, impl Display>,
    ) -> Result<(), Failure> {
        self.steps += 1;
        let (status, took) = match outcome {
            Some((status, took)) => (status.as_str().to_owned(), milliseconds(took)),
            None => ("---".to_owned(), String::new()),
        };
        let (mark, text) = match verdict {
            Ok(text) => (self.paint("32", "✓"), text.to_string()),
            Err(text) => {
                self.failed += 1;
                (self.paint("31", "✗"), text.to_string())
            }
        };
        Ok(writeln!(self.out, "{mark} {request:<24} {status} {took:>9}  {text}")?)
    }

    /// More about the step before.
    pub(super) fn detail(&mut self, text: impl Display) -> Result<(), Failure> {
        Ok(writeln!(self.out, "{:42}{text}", "")?)
    }

    /// Prints the sum; `Reported` when a step was not as it should be.
    pub(super) fn finish(self) -> Result<(), Failure> {
        if self.failed == 0 {
            writeln!(self.out, "\nAll {} steps are as they should be.", self.steps)?;
            return Ok(());
        }
        writeln!(
            self.out,
            "\n{} of {} steps are not as they should be.",
            self.failed, self.steps
        )?;
        Err(Failure::Reported)
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colour {
            format!("\x1b[{colour}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

fn milliseconds(took: Duration) -> String {
    format!("{:.1} ms", took.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(print: impl FnOnce(Report<'_>) -> Result<(), Failure>) -> (String, Result<(), Failure>) {
        let mut out = Vec::new();
        let result = print(Report {
            out: &mut out,
            colour: false,
            steps: 0,
            failed: 0,
        });
        (String::from_utf8(out).unwrap(), result)
    }

    #[test]
    fn one_bad_step_fails_the_whole_walk() {
        let answer = Some((StatusCode::OK, Duration::from_micros(1500)));
        let (text, result) = printed(|mut report| {
            report.step("GET /", answer, Ok::<_, &str>("fine"))?;
            report.step("GET /x", None, Err::<&str, _>("no answer"))?;
            report.finish()
        });
        assert!(matches!(result, Err(Failure::Reported)));
        assert!(text.contains("✓ GET /"), "{text}");
        assert!(text.contains("200    1.5 ms  fine"), "{text}");
        assert!(text.contains("✗ GET /x"), "{text}");
        assert!(text.contains("1 of 2 steps"), "{text}");
    }

    #[test]
    fn a_walk_without_a_bad_step_succeeds() {
        let (text, result) = printed(|mut report| {
            report.step("GET /", None, Ok::<_, &str>("fine"))?;
            report.finish()
        });
        assert!(
            result.is_ok() && text.contains("All 1 steps are as they should be"),
            "{text}"
        );
    }
}
