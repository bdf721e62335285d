//! Headless Chromium.

use super::tools::{output, program};

/// The page at this URL as the browser built it, and what the browser logged.
pub(crate) async fn browse(url: &str) -> (String, String) {
    let profile = tempfile::tempdir().unwrap();
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
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(["--virtual-time-budget=5000", "--enable-logging=stderr", "--dump-dom"])
        .arg(url);
    let output = output(chromium).await;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}
