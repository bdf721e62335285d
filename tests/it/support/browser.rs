//! Headless Chromium.

use std::path::Path;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::tools::{output, program};

/// The page at this URL as the browser built it, and what the browser logged.
pub(crate) async fn browse(url: &str) -> (String, String) {
    let profile = tempfile::tempdir().unwrap();
    let mut chromium = chromium(profile.path());
    chromium
        .args(["--virtual-time-budget=5000", "--enable-logging=stderr", "--dump-dom"])
        .arg(url);
    let output = output(chromium).await;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// Opens the page at this URL, until what is returned is dropped.
pub(crate) fn open(url: &str) -> (Child, TempDir) {
    let profile = tempfile::tempdir().unwrap();
    let mut chromium = chromium(profile.path());
    chromium.arg("--remote-debugging-port=0").arg(url);
    chromium.stdout(Stdio::null()).stderr(Stdio::null());
    (chromium.spawn().expect("it runs"), profile)
}

fn chromium(profile: &Path) -> Command {
    let mut chromium = program("chromium");
    chromium
        .args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
        ])
        // Nothing but the gateway can be reached: a page that needed more would be seen to.
        .args([
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            "--disable-component-update",
        ])
        .arg(format!("--user-data-dir={}", profile.display()));
    chromium
}
