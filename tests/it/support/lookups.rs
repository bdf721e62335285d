//! The system's resolver, as a program under test sees it: no test may change what the machine's own asks.

use std::path::PathBuf;

use tempfile::TempDir;
use tokio::process::Command;

use super::process::doorward_with_open_files;
use super::tools::{program, root, stdout_of};

/// The name that it knows, as one of the loopback.
pub(crate) const NAME: &str = "part.example";

/// What becomes of lookups of [`NAME`].
pub(crate) struct Lookups(TempDir);

impl Lookups {
    /// They are answered.
    pub(crate) async fn answered() -> Self {
        let lookups = Self(tempfile::tempdir().expect("a folder for the test"));
        let mut cc = program("cc");
        cc.args(["-shared", "-fPIC", "-o"]).arg(lookups.library());
        cc.arg(root().join("tests/it/support/lookups/lookups.c")).arg("-ldl");
        stdout_of(cc).await;
        lookups
    }

    /// A command that runs the binary and looks names up here.
    pub(crate) fn doorward(&self) -> Command {
        let mut command = doorward_with_open_files(128);
        command.env("LD_PRELOAD", self.library());
        command.env("LOOKUPS_SILENT", self.silent());
        command
    }

    /// From now on no name server answers.
    pub(crate) fn fall_silent(&self) {
        std::fs::write(self.silent(), "").expect("the folder takes a file");
    }

    /// From now on one answers again.
    pub(crate) fn answer(&self) {
        std::fs::remove_file(self.silent()).expect("none answered");
    }

    fn library(&self) -> PathBuf {
        self.0.path().join("lookups.so")
    }

    fn silent(&self) -> PathBuf {
        self.0.path().join("silent")
    }
}
