//! The real binary as a process, for what only a process has: signals, exit codes, standard output, memory.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::{Child, Command};
use toml::Table;

use super::gateway::complete;
use super::{DEADLINE, eventually, when, within};

/// A command that runs the binary with this soft limit on open files.
pub(crate) fn doorward_with_open_files(limit: u32) -> Command {
    with_open_files(Path::new(env!("CARGO_BIN_EXE_doorward")), limit)
}

/// The same for another build of it.
pub(crate) fn with_open_files(binary: &Path, limit: u32) -> Command {
    let mut command = Command::new("sh");
    // A write beyond the largest file that is allowed fails, as on a full disk, and does not end the process.
    let script = format!("trap '' XFSZ; ulimit -Sn {limit} && exec \"$0\" \"$@\"");
    command.args(["-c", &script]).arg(binary);
    // Settings of whoever runs the tests are not part of them.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("DOORWARD_")) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// A running `doorward serve`.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    dir: Arc<TempDir>,
    log: String,
}

impl Process {
    /// Starts the binary with this configuration, the rest filled in, and waits until it is ready.
    pub(crate) async fn serve(toml: &str) -> Self {
        // The usual limit is about what a test uses at the most: with less, one sees whether it is raised.
        Self::serve_by(toml, doorward_with_open_files(128)).await
    }

    /// The same, started by a command that runs the binary with the arguments that it is given.
    pub(crate) async fn serve_by(toml: &str, command: Command) -> Self {
        let mut started = Self::begin(toml, command);
        started.until_ready().await;
        started
    }

    /// The same, but waits for nothing.
    pub(crate) fn begin(toml: &str, command: Command) -> Self {
        let dir = Arc::new(tempfile::tempdir().expect("a folder for the test"));
        let (address, admin) = (free_address(), free_address());
        let file = dir.path().join("gateway.toml");
        std::fs::write(&file, text(toml, address, admin)).expect("the folder takes a file");
        Self {
            child: spawn(command, dir.path(), "log"),
            address,
            admin,
            dir,
            log: "log".to_owned(),
        }
    }

    /// Waits until it is ready, which it must become.
    pub(crate) async fn until_ready(&mut self) {
        eventually(DEADLINE, "the gateway is ready", || {
            let status = self.has_ended();
            assert!(status.is_none(), "the gateway ended with {status:?}: {}", self.log());
            self.is_ready()
        })
        .await;
    }

    /// Ends it as a power cut would (SIGKILL): it has no say in it.
    pub(crate) async fn kill(&mut self) {
        within("the gateway is killed", self.child.kill())
            .await
            .expect("a child can be killed");
    }

    /// Starts it again in the same folder, with a log of its own. Waits for nothing.
    pub(crate) fn start_again(&mut self, log: &str) {
        self.child = spawn(doorward_with_open_files(128), self.dir.path(), log);
        log.clone_into(&mut self.log);
    }

    /// Whether it ended by itself, and how.
    pub(crate) fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be asked")
    }

    /// Another process with the same configuration in the same folder.
    pub(crate) fn beside(&self, log: &str) -> Self {
        Self {
            child: spawn(doorward_with_open_files(128), self.dir.path(), log),
            address: self.address,
            admin: self.admin,
            dir: Arc::clone(&self.dir),
            log: log.to_owned(),
        }
    }

    fn is_ready(&self) -> impl Future<Output = Option<()>> + use<> {
        let probe = reqwest::Client::builder().no_proxy().build().expect("a client");
        let request = probe.get(format!("http://{}/readyz", self.admin)).send();
        async move { when(request.await.is_ok_and(|answer| answer.status() == 200)) }
    }

    /// Writes this configuration in place of the one before, in one step.
    pub(crate) fn rewrite(&self, toml: &str) {
        let text = text(toml, self.address, self.admin);
        let next = self.dir.path().join("gateway.toml.next");
        std::fs::write(&next, text).expect("the folder takes a file");
        std::fs::rename(&next, self.config_file()).expect("a file can be replaced");
    }

    /// A file or folder in its folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Where its configuration is.
    pub(crate) fn config_file(&self) -> PathBuf {
        self.path("gateway.toml")
    }

    /// Writes this configuration, has it read, and waits until it is in force.
    pub(crate) async fn reload(&self, toml: &str) {
        let before = self.generation().await;
        self.rewrite(toml);
        self.signal("HUP").await;
        eventually(DEADLINE, "the configuration is in force", || async {
            when(self.generation().await > before)
        })
        .await;
    }

    /// Which configuration is in force.
    pub(crate) async fn generation(&self) -> u64 {
        self.ready().await["config"]["generation"].as_u64().expect("a number")
    }

    /// What `/readyz` says.
    pub(crate) async fn ready(&self) -> serde_json::Value {
        let probe = reqwest::Client::builder().no_proxy().build().expect("a client");
        let answer = probe.get(format!("http://{}/readyz", self.admin)).send().await;
        answer.expect("an answer").json().await.expect("JSON")
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id().expect("the process runs")
    }

    /// Sends a signal by its name, such as `TERM`.
    pub(crate) async fn signal(&self, name: &str) {
        let mut kill = super::tools::program("kill");
        kill.arg(format!("-{name}")).arg(self.id().to_string());
        super::tools::stdout_of(kill).await;
    }

    /// From now on no file of this process grows beyond so many bytes; `None`: as it was.
    pub(crate) async fn limit_files(&self, bytes: Option<u64>) {
        limit_files(self.id(), bytes).await;
    }

    /// Waits for the end of the process.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        within("the gateway ends", self.child.wait())
            .await
            .expect("a child can be waited for")
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join(&self.log)).unwrap_or_default()
    }

    /// The memory that it holds now, in bytes (`VmRSS`).
    pub(crate) fn resident_bytes(&self) -> u64 {
        let kilobytes = self.status("VmRSS");
        let kilobytes = kilobytes
            .strip_suffix(" kB")
            .and_then(|number| number.parse::<u64>().ok());
        kilobytes.expect("Linux says how much memory a process holds") * 1024
    }

    /// How many threads it has now.
    pub(crate) fn threads(&self) -> u64 {
        self.status("Threads").parse().expect("Linux counts threads")
    }

    /// What Linux says of the process under this name.
    fn status(&self, name: &str) -> String {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).expect("the process runs");
        let mut values = status
            .lines()
            .filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        values.next().expect("Linux says it of every process").trim().to_owned()
    }
}

/// The processor time that a process has taken, to the hundredth of a second.
pub(crate) fn processor_time(process: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("the process runs");
    let (_, after_the_name) = stat.rsplit_once(')').expect("a name in parentheses");
    let fields: Vec<&str> = after_the_name.split_whitespace().collect();
    // proc(5): utime and stime are the 14th and the 15th, and the name is the 2nd.
    let hundredths = fields[11..13]
        .iter()
        .map(|ticks| ticks.parse::<u64>().expect("a number"));
    Duration::from_millis(10 * hundredths.sum::<u64>())
}

/// From now on no file of the process grows beyond so many bytes; `None`: as far as it may.
pub(crate) async fn limit_files(process: u32, bytes: Option<u64>) {
    let mut prlimit = super::tools::program("prlimit");
    let limit = bytes.map_or("unlimited".to_owned(), |bytes| bytes.to_string());
    prlimit
        .arg(format!("--pid={process}"))
        .arg(format!("--fsize={limit}:unlimited"));
    super::tools::stdout_of(prlimit).await;
}

/// The configuration with these listeners where it says nothing of them, the rest filled in.
fn text(toml: &str, address: SocketAddr, admin: SocketAddr) -> String {
    let mut config: Table = complete(toml, None).parse().expect("what was written can be parsed");
    for (section, address) in [("server", address), ("admin", admin)] {
        let listen = &mut config[section]["listen"];
        if listen.as_str() == Some("127.0.0.1:0") {
            *listen = address.to_string().into();
        }
    }
    toml::to_string(&config).expect("what was parsed can be written")
}

fn spawn(mut command: Command, dir: &Path, log: &str) -> Child {
    let log = File::create(dir.join(log)).expect("the folder takes a file");
    command.arg("--config").arg(dir.join("gateway.toml")).arg("serve");
    command.stdout(Stdio::null()).stderr(log);
    command.spawn().expect("the binary starts")
}

/// An address that nothing listens on. Its port is below those that the system hands out by itself, so that no other
/// test is given it in the meantime.
pub(crate) fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 400).expect("below 400") * 20;
    loop {
        let port = 20_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}
