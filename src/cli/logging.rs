//! Logs: text on a terminal, one JSON object a line otherwise, always on standard error.

use std::io::{self, IsTerminal};

use tracing::Level;
use tracing_subscriber::EnvFilter;

use super::failure::Failure;
use crate::config::{Log, LogFormat};
use crate::log::{self, Shape, Way};

/// How log lines are written in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// For people, with colours if `ansi`.
    Text { ansi: bool },
    /// For machines.
    Json,
}

/// Decides by the configuration, and where it leaves that open, by whether standard error is a terminal.
pub(super) fn style(format: LogFormat) -> Style {
    let terminal = io::stderr().is_terminal();
    // https://no-color.org: any value but the empty one.
    let wants_colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    choose(format, terminal, terminal && wants_colour)
}

const fn choose(format: LogFormat, terminal: bool, ansi: bool) -> Style {
    match (format, terminal) {
        (LogFormat::Text, _) | (LogFormat::Auto, true) => Style::Text { ansi },
        (LogFormat::Json, _) | (LogFormat::Auto, false) => Style::Json,
    }
}

/// Reads the directives of `log.filter`.
pub(super) fn parse_filter(filter: &str) -> Result<EnvFilter, String> {
    EnvFilter::try_new(filter).map_err(|error| {
        format!(
            "log.filter: {error}; found {filter:?}, expected a level (error, warn, info, debug, trace, off) or \
             directives such as \"info,doorward::proxy=debug\""
        )
    })
}

/// Starts logging for the rest of the process. What it says before it ends is written by [`crate::log::flush`].
pub(super) fn start(config: &Log) -> Result<Style, Failure> {
    let style = style(config.format);
    let filter = parse_filter(&config.filter).map_err(Failure::Setting)?;
    if install(style, filter) {
        settle(style, &config.filter);
        log::tell_of_panics();
        if let Err(error) = log::write_behind() {
            tracing::warn!(%error, "each line of the log is written by itself");
        }
    }
    Ok(style)
}

/// Starts logging of warnings alone, as text: for commands that end by themselves.
pub(super) fn start_quiet() {
    let Style::Text { ansi } = style(LogFormat::Auto) else {
        install(Style::Text { ansi: false }, EnvFilter::new("warn"));
        return;
    };
    install(Style::Text { ansi }, EnvFilter::new("warn"));
}

/// Whether that was done: if not, somebody started logging before us, which then goes on.
fn install(style: Style, filter: EnvFilter) -> bool {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(log::sink())
        // By default a line that can't be written is reported with `eprintln!`, which panics when that can't be either.
        .log_internal_errors(false);
    let installed = match style {
        Style::Text { ansi } => builder.with_ansi(ansi).try_init(),
        Style::Json => builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .try_init(),
    };
    installed.is_ok()
}

/// Decides what becomes of requests' lines, once: a filter holds until the process ends.
fn settle(style: Style, filter: &str) {
    let wanted = tracing::event_enabled!(target: "doorward::access", Level::INFO);
    log::settle(match style {
        // Whether such a line is wanted depends on the line, or on what surrounds it.
        _ if filter.contains('[') => Way::Tracing,
        Style::Text { .. } | Style::Json if !wanted => Way::Off,
        Style::Text { ansi: true } => Way::Tracing,
        Style::Text { ansi: false } => Way::Ours(Shape::Text),
        Style::Json => Way::Ours(Shape::Json),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_are_text_on_a_terminal_and_json_otherwise() {
        assert_eq!(choose(LogFormat::Auto, true, true), Style::Text { ansi: true });
        assert_eq!(choose(LogFormat::Auto, false, false), Style::Json);
        assert_eq!(choose(LogFormat::Text, false, false), Style::Text { ansi: false });
        assert_eq!(choose(LogFormat::Json, true, true), Style::Json);
    }

    /// What is written to standard error by this test's own program, run again for the sake of its child alone.
    fn said_by_a_child() -> String {
        let name = "cli::logging::tests::a_panic_is_a_line_of_the_log_without_what_it_was_about";
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        child
            .args(["--exact", name, "--nocapture"])
            .env(CHILD, "1")
            .env_remove("RUST_BACKTRACE");
        let output = child.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    const CHILD: &str = "DOORWARD_TEST_PANICS";

    fn panic_in_tasks() {
        let toml = "[log]\nformat = \"json\"\n[upstreams.me]\nservers = [\"builtin:whoami\"]\n\
                    [[routes]]\npath = \"/\"\nupstream = \"me\"\n";
        let config = crate::config::parse(toml, std::path::Path::new("/")).unwrap();
        start(&config.log).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let sent = String::from("what-a-client-sent");
            let index = sent.len();
            tokio::spawn(async move { panic!("about {sent}") }).await.unwrap_err();
            tokio::spawn(async move { assert!(index == 0, "word for word") })
                .await
                .unwrap_err();
        });
        assert_eq!(log::panics(), 2);
        log::flush();
    }

    #[test]
    fn a_panic_is_a_line_of_the_log_without_what_it_was_about() {
        if std::env::var_os(CHILD).is_some() {
            return panic_in_tasks();
        }
        let said = said_by_a_child();
        assert!(!said.contains("what-a-client-sent"), "{said}");
        let lines: Vec<serde_json::Value> = said
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        let panics: Vec<_> = lines.iter().filter(|line| line["message"] == "a panic").collect();
        assert_eq!(panics.len(), 2, "{said}");
        for panic in &panics {
            let at = panic["at"].as_str().unwrap();
            assert!(at.starts_with("src/cli/logging.rs:"), "{said}");
            assert_eq!(panic["level"], "ERROR");
        }
        assert_eq!(
            (&panics[0]["said"], &panics[1]["said"]),
            (&serde_json::Value::Null, &"word for word".into())
        );
    }

    #[test]
    fn a_filter_that_is_none_is_told_with_its_key() {
        assert!(parse_filter("info,doorward::proxy=debug").is_ok());
        let error = parse_filter("info,doorward=loud").unwrap_err();
        assert!(
            error.contains("log.filter") && error.contains("info,doorward=loud"),
            "{error}"
        );
    }
}
