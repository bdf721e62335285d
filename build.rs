//! Tells the crate which commit it is built from, as `BUILD_COMMIT`: the short hash, or `unknown` where there is no git or
//! no repository (a source archive). Asks the local repository only, never the network.
//!
//! The name does not begin with `DOORWARD_`: `cargo run` hands it on to the gateway, which refuses variables of its own
//! prefix that it does not know.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let commit = commit(&root).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=BUILD_COMMIT={commit}");
}

/// The commit of the repository whose top is `root`.
fn commit(root: &Path) -> Option<String> {
    // An archive that was unpacked inside somebody's repository is not of that repository's commit.
    let top = PathBuf::from(git(root, &["rev-parse", "--show-toplevel"])?);
    if top.canonicalize().ok()? != root.canonicalize().ok()? {
        return None;
    }
    // The reflog changes with every commit and checkout, also where the branch itself lies in `packed-refs`.
    for name in ["HEAD", "logs/HEAD", "packed-refs"] {
        watch(root, name);
    }
    if let Some(branch) = git(root, &["symbolic-ref", "--quiet", "HEAD"]) {
        watch(root, &branch);
    }
    git(root, &["rev-parse", "--short=12", "HEAD"])
}

/// Runs this script again when a file of the repository changes. A file that is not there would run it every time.
fn watch(root: &Path, name: &str) {
    // In a worktree `.git` is a file; git knows where each of its files really lies.
    let path = git(root, &["rev-parse", "--git-path", name]).map(|path| root.join(path));
    if let Some(path) = path.filter(|path| path.exists()) {
        println!("cargo::rerun-if-changed={}", path.display());
    }
}

/// The first line that `git` prints, if it succeeds and prints one.
fn git(root: &Path, args: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(root).args(args).output().ok()?;
    let line = String::from_utf8(output.stdout).ok()?.lines().next()?.to_owned();
    (output.status.success() && !line.is_empty()).then_some(line)
}
