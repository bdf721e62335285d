//! Config files: whatever is in one, it is loaded, the same each time, or each thing that is wrong with it is named by a line
//! of the file, in a text that can be shown.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use doorward::config::parse;
use libfuzzer_sys::fuzz_target;

static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));

fuzz_target!(|text: &str| {
    // A path is the operator's word: what a device has to say may have no end.
    if text.contains("/dev") || text.contains("/proc") || text.contains("\\") {
        return;
    }
    let base: &Path = FOLDER.path();
    match parse(text, base) {
        Ok(config) => {
            let again = parse(text, base).expect("as before");
            assert_eq!(format!("{config:?}"), format!("{again:?}"));
            assert!(!config.routes.is_empty());
        }
        Err(errors) => {
            let again = parse(text, base).expect_err("as before");
            assert_eq!(errors, again);
            assert!(!errors.errors().is_empty());
            let lines = text.split('\n').count();
            for error in errors.errors() {
                assert!(
                    !error.message().is_empty() && !error.message().contains("a bug in Doorward"),
                    "{error}"
                );
                assert!(error.line().is_none_or(|line| (1..=lines).contains(&line)), "{error}");
                let shown = error.to_string();
                assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
            }
        }
    }
});
