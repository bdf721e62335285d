//! An nginx of the test's own, which can be killed, stopped and started again where it was.

use std::net::SocketAddr;
use std::path::PathBuf;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::Child;

use super::process::free_address;
use super::tools::{program, stdout_of};
use super::{DEADLINE, eventually, when, within};

/// A running nginx of a single process: what is done to it is done to all of it.
pub(crate) struct Nginx {
    pub(crate) address: SocketAddr,
    dir: TempDir,
    child: Child,
}

impl Nginx {
    /// One that serves these locations. Its files are in [`Nginx::file`].
    pub(crate) async fn start(locations: &str) -> Self {
        let (dir, address) = (tempfile::tempdir().expect("a folder for the test"), free_address());
        let at = dir.path().display();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let temporary = temporary.map(|kind| format!("{kind}_temp_path {at}/{kind};\n"));
        let text = format!(
            "daemon off; master_process off; pid {at}/pid; error_log {at}/errors;\n\
             events {{ worker_connections 512; }}\n\
             http {{ access_log {at}/served; keepalive_requests 1000000; sendfile off;\n{}\
             limit_req_zone $server_port zone=paced:1m rate=30r/s; limit_req_log_level info;\n\
             server {{ listen {address}; root {at}/files;\n{locations}\n}} }}",
            temporary.concat(),
        );
        std::fs::create_dir(dir.path().join("files")).expect("the folder takes a folder");
        std::fs::write(dir.path().join("configuration"), text).expect("the folder takes a file");
        let child = spawn(&dir, address).await;
        Self { address, dir, child }
    }

    /// Where it has this file, which is at `/NAME` unless a location says otherwise.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join("files").join(name)
    }

    /// How many requests it has answered to their end.
    pub(crate) fn served(&self) -> usize {
        let log = std::fs::read_to_string(self.dir.path().join("served"));
        log.unwrap_or_default().lines().count()
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// SIGKILL: once this returns it has no socket any more.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.expect("it runs");
    }

    /// Starts it again, on the same port, after it was killed.
    pub(crate) async fn start_again(&mut self) {
        self.child = spawn(&self.dir, self.address).await;
    }

    /// SIGSTOP: once this returns it does nothing, and its sockets stay open.
    pub(crate) async fn stop(&self) {
        self.signal("STOP").await;
        let stat = format!("/proc/{}/stat", self.id());
        eventually(DEADLINE, "nginx is stopped", || async {
            let stat = std::fs::read_to_string(&stat).expect("it runs");
            when(stat.contains(") T "))
        })
        .await;
    }

    /// SIGCONT: it goes on where it was stopped.
    pub(crate) async fn go_on(&self) {
        self.signal("CONT").await;
    }

    async fn signal(&self, name: &str) {
        let mut kill = program("kill");
        kill.arg(format!("-{name}")).arg(self.id().to_string());
        within("kill", stdout_of(kill)).await;
    }
}

async fn spawn(dir: &TempDir, address: SocketAddr) -> Child {
    let mut nginx = program("nginx");
    nginx.arg("-c").arg(dir.path().join("configuration"));
    let mut child = nginx
        .arg("-e")
        .arg(dir.path().join("errors"))
        .spawn()
        .expect("nginx starts");
    eventually(DEADLINE, "nginx listens", || {
        let ended = child.try_wait().expect("a child can be asked");
        assert!(
            ended.is_none(),
            "{ended:?}: {:?}",
            std::fs::read_to_string(dir.path().join("errors"))
        );
        async move { when(TcpStream::connect(address).await.is_ok()) }
    })
    .await;
    child
}
