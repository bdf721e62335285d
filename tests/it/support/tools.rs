//! Programs that the tests use: real servers and real clients, installed by `tools/test`.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::Command;

/// How long a program may take.
const LIMIT: Duration = Duration::from_secs(120);

/// A command that runs `program` from the PATH or, where Debian keeps servers, from /usr/sbin.
pub(crate) fn program(name: &str) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let found = path
        .split(':')
        .chain(["/usr/sbin", "/sbin"])
        .map(|dir| Path::new(dir).join(name))
        .find(|file| file.is_file())
        .unwrap_or_else(|| panic!("{name} is not installed: run tools/test, which installs what is missing"));
    bounded(Command::new(found))
}

/// A program that `tools/test` put below target/test-tools.
pub(crate) fn installed(relative: &str) -> Command {
    let file = root().join("target/test-tools").join(relative);
    assert!(
        file.is_file(),
        "{} is missing: run tools/test, which installs it",
        file.display()
    );
    bounded(Command::new(file))
}

fn bounded(mut command: Command) -> Command {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// The top of the repository.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Runs the command to its end.
pub(crate) async fn output(mut command: Command) -> Output {
    tokio::time::timeout(LIMIT, command.output())
        .await
        .unwrap_or_else(|_| panic!("{command:?} did not end within {LIMIT:?}"))
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Runs the command, which must succeed, and gives what it printed.
pub(crate) async fn stdout_of(command: Command) -> String {
    let shown = format!("{command:?}");
    let output = output(command).await;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{shown}: {}\n{stdout}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    stdout
}

/// The library that shows a process another time.
pub(crate) fn faketime() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").expect("Linux has one");
    folders
        .filter_map(Result::ok)
        .map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"))
        .find(|file| file.is_file())
        .expect("libfaketime is not installed: run tools/test, which installs what is missing")
}

/// Removes what libfaketime keeps in memory for a process, and does not remove when that is killed.
pub(crate) fn forget_faketime(process: u32) {
    for name in ["faketime_shm", "sem.faketime_sem"] {
        drop(std::fs::remove_file(format!("/dev/shm/{name}_{process}")));
    }
}
