//! The command line, as the real binary in a folder of its own, on SQLite.

mod accounts;
mod configuration;
mod explaining;
mod issuers;
mod keys_and_tokens;
mod on_mariadb;
mod on_redis;
mod schema;
mod trying;
mod usage;

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A password that no strength check minds.
const PASSWORD: &str = "wistful-otter-47-lantern";

/// A small configuration with cheap hashes: one guarded route, one public one, one for the few.
const CONFIG: &str = r#"
[server]
listen = "127.0.0.1:0"

[admin]
listen = ""

[passwords]
bcrypt_cost = 4

[upstreams.whoami]
servers = ["builtin:whoami"]

[upstreams.orders]
servers = ["http://127.0.0.1:9"]

[[routes]]
path = "/whoami"
upstream = "whoami"

[[routes]]
path = "/public"
upstream = "whoami"
auth = "none"

[[routes]]
host = "api.example.com"
path = "/orders/{id}"
methods = ["POST"]
upstream = "orders"
roles = ["admin", "support"]
claims = { tenant = "acme" }
strip_prefix = "/orders"
"#;

/// A folder with a `gateway.toml`, in which commands are run.
struct Folder(TempDir);

/// How a command ended.
#[derive(Debug)]
struct Done {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Folder {
    fn new() -> Self {
        Self::with_config(CONFIG)
    }

    fn with_config(toml: &str) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("gateway.toml", toml);
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// The binary, about to run here: no environment, nothing to read.
    fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_doorward"));
        command.args(args).current_dir(self.0.path()).env_clear();
        // Where the process says which lines it ran, when coverage is measured.
        command.envs(std::env::vars().filter(|(name, _)| name == "LLVM_PROFILE_FILE"));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs it with these arguments, separated by blanks.
    fn run(&self, args: &str) -> Done {
        finish(self.command(args.split_whitespace()), "")
    }

    /// The same, with `input` on its standard input.
    fn run_with(&self, args: &str, input: &str) -> Done {
        finish(self.command(args.split_whitespace()), input)
    }

    /// Adds an account and gives its id.
    fn add(&self, email: &str, more: &str) -> String {
        let args = format!("users add --email {email} --name Ann --password-stdin {more}");
        self.run_with(&args, PASSWORD).good().trim().to_owned()
    }

    fn json(&self, args: &str) -> serde_json::Value {
        serde_json::from_str(&self.run(args).good()).unwrap()
    }
}

fn finish(mut command: Command, input: &str) -> Done {
    if !input.is_empty() {
        command.stdin(Stdio::piped());
    }
    let mut child = command.spawn().unwrap();
    if let Some(mut stdin) = child.stdin.take() {
        // A command that refuses its arguments does not read: that shows in how it ends.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().unwrap();
    Done {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Done {
    /// What it printed, if it ended well.
    #[track_caller]
    fn good(self) -> String {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self.out
    }

    /// What it said, if it ended with this code and printed nothing.
    #[track_caller]
    fn bad(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{self:#?}");
        assert_eq!(self.out, "", "{self:#?}");
        self.err
    }
}

/// Whether the file is there for its owner alone.
fn is_private(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777 == 0o600
}

/// Fails with both texts unless each part is in the text.
#[track_caller]
fn assert_holds(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
}
