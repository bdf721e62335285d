//! Private Redis servers, each in a folder and on a port of its own. They end with the test process, however it ends.

use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Client, Cmd, FromRedisValue};
use tempfile::TempDir;

use super::tools;

/// A Redis that a test has for itself, running or stopped.
pub(crate) struct Redis {
    pub(crate) port: u16,
    tls: bool,
    dir: TempDir,
    arguments: Vec<String>,
    /// The shell that ends the server once its standard input does.
    guard: Option<Child>,
}

impl Redis {
    /// Starts one that keeps its data in memory alone.
    pub(crate) async fn start() -> Self {
        Self::start_with(&["--save", "", "--appendonly", "no"]).await
    }

    /// The same, in which an epoch began so long ago that no gateway waits for others to write back what they know.
    pub(crate) async fn start_settled() -> Self {
        let redis = Self::start().await;
        let info: redis::InfoDict = redis.run("INFO server").await;
        let run: String = info.get("run_id").expect("Redis names its run");
        let mut set = redis::cmd("SET");
        set.arg("{doorward}:epoch").arg(format!("settled {run} 1"));
        let _: String = redis.ask(&set).await;
        redis
    }

    /// Starts one with these arguments, and waits until it takes connections.
    pub(crate) async fn start_with(arguments: &[&str]) -> Self {
        Self::start_either(arguments, false).await
    }

    /// Starts one that talks TLS alone: the test's own [`Self::run`] can't reach it.
    pub(crate) async fn start_tls(arguments: &[&str]) -> Self {
        Self::start_either(arguments, true).await
    }

    async fn start_either(arguments: &[&str], tls: bool) -> Self {
        let mut redis = Self {
            port: 0,
            tls,
            dir: tempfile::Builder::new()
                .prefix("doorward-redis")
                .tempdir()
                .expect("a folder"),
            arguments: arguments.iter().map(ToString::to_string).collect(),
            guard: None,
        };
        for _ in 0..3 {
            redis.port = free_port();
            redis.spawn();
            if redis.is_up().await {
                return redis;
            }
        }
        panic!("Redis does not start: {}", redis.log());
    }

    /// Starts it again on the same port, with what it has on disk.
    pub(crate) async fn start_again(&mut self) {
        self.spawn();
        assert!(self.is_up().await, "Redis does not start again: {}", self.log());
    }

    /// Ends it at once, as a power cut would.
    pub(crate) fn kill(&mut self) {
        self.signal("KILL");
        let mut guard = self.guard.take().expect("it runs");
        guard.wait().expect("a child can be waited for");
    }

    /// Stops its clock: connections stay open and nothing answers, until [`Self::thaw`].
    pub(crate) fn freeze(&self) {
        self.signal("STOP");
        let pid = self.pid().and_then(|pid| pid.parse().ok());
        super::mariadb::stands_still(pid.expect("a running server has a process id"));
    }

    /// Lets a frozen server go on.
    pub(crate) fn thaw(&self) {
        self.signal("CONT");
    }

    /// What `revocation.url` says for it.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> T {
        self.try_ask(command).await.expect("Redis answers")
    }

    /// Asks it what these words say, over a connection of the test's own.
    pub(crate) async fn run<T: FromRedisValue>(&self, text: &str) -> T {
        let mut words = text.split(' ');
        let mut command = redis::cmd(words.next().expect("a command"));
        for word in words {
            command.arg(word);
        }
        self.ask(&command).await
    }

    /// A connection of the test's own that stays.
    pub(crate) async fn connection(&self) -> MultiplexedConnection {
        let client = Client::open(self.url()).expect("a URL");
        let connected = client.get_multiplexed_async_connection().await;
        connected.expect("Redis takes a connection")
    }

    async fn try_ask<T: FromRedisValue>(&self, command: &Cmd) -> redis::RedisResult<T> {
        let client = Client::open(self.url()).expect("a URL");
        let mut connection = client.get_multiplexed_async_connection().await?;
        command.query_async(&mut connection).await
    }

    async fn is_up(&mut self) -> bool {
        for _ in 0..400 {
            let address = ("127.0.0.1", self.port);
            if tokio::net::TcpStream::connect(address).await.is_ok() && self.pid().is_some() {
                return true;
            }
            let guard = self.guard.as_mut().expect("it was started");
            if guard.try_wait().expect("a child can be asked").is_some() {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        false
    }

    fn pid(&self) -> Option<String> {
        let text = std::fs::read_to_string(self.dir.path().join("pid")).ok()?;
        Some(text.trim().to_owned()).filter(|pid| !pid.is_empty())
    }

    fn signal(&self, name: &str) {
        let pid = self.pid().expect("a running server has a pid file");
        let sent = Command::new("kill").args([&format!("-{name}"), &pid]).status();
        assert!(sent.expect("kill runs").success(), "no signal to {pid}");
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// The server under a shell that kills it once nobody holds the other end of its input: that is when the test process is
    /// gone, also when it was killed.
    fn spawn(&mut self) {
        // A shell gives what it runs in the background an empty input: 3 is the real one.
        const GUARD: &str = r#"dir=$1; shift; trap '' INT TERM HUP; exec 3<&0
            "$@" </dev/null 3<&- >>"$dir/log" 2>&1 & server=$!; echo $server >"$dir/pid"
            (cat <&3; kill -KILL $server) 2>/dev/null & guard=$!
            wait $server 2>/dev/null; kill -KILL $guard 2>/dev/null"#;
        let server = tools::program("redis-server");
        drop(std::fs::remove_file(self.dir.path().join("pid")));
        let guard = Command::new("sh")
            .args(["-c", GUARD, "sh"])
            .arg(self.dir.path())
            .arg(server.as_std().get_program())
            .args(["--bind", "127.0.0.1"])
            .args(if self.tls {
                ["--port", "0", "--tls-port"].as_slice()
            } else {
                &["--port"]
            })
            .arg(self.port.to_string())
            .arg("--dir")
            .arg(self.dir.path())
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("a shell runs");
        self.guard = Some(guard);
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(mut guard) = self.guard.take() {
            drop(guard.stdin.take());
            drop(guard.wait());
        }
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound address").port()
}
