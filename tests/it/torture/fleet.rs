//! The gateways: real processes that can be paused, killed and started again.

use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use doorward::time::monotonic;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use toml::Table;

use super::plan::Plan;
use super::world::World;
use crate::support::gateway::complete;
use crate::support::process::free_address;
use crate::support::{eventually, tools, when};

/// How long a gateway may take to start, while its database may be away.
const PATIENCE: Duration = Duration::from_secs(180);

/// All gateways of a run, on one world.
pub(super) struct Fleet {
    pub(super) gateways: Vec<Gateway>,
    _dir: TempDir,
}

/// One gateway, which lives several times.
pub(super) struct Gateway {
    address: SocketAddr,
    admin: SocketAddr,
    config: PathBuf,
    log: PathBuf,
    /// By how many seconds its wall clock is wrong.
    clock: i64,
    probe: reqwest::Client,
    child: Mutex<Option<Child>>,
    /// When each of its lives began, the last one last.
    lives: Mutex<Vec<Instant>>,
}

impl Fleet {
    pub(super) async fn start(plan: &Plan, world: &World) -> Arc<Self> {
        let dir = tempfile::tempdir().expect("a folder for the test");
        let mut gateways = Vec::new();
        for (index, clock) in plan.clocks.iter().enumerate() {
            let gateway = Gateway::new(index, *clock, &configuration(plan, world, index), &dir);
            // One after the other: the first makes the schema and the key.
            gateway.start().await;
            gateways.push(gateway);
        }
        Arc::new(Self { gateways, _dir: dir })
    }
}

fn configuration(plan: &Plan, world: &World, index: usize) -> String {
    let url = &world.urls[index % world.urls.len()];
    let (poll, staleness) = (plan.poll_interval.as_millis(), plan.max_staleness.as_millis());
    let toml = &world.toml;
    complete(
        &format!(
            r#"
            [store]
            url = {url:?}
            migrate_on_start = true
            [keys]
            create = true
            [tokens]
            access_ttl = "12h"
            [passwords]
            queue = 1000
            queue_per_address = 1000
            [throttle]
            free_failures = 1000
            [log]
            access = false
            [upstreams.app]
            servers = ["builtin:whoami"]
            [[routes]]
            path = "/guarded"
            upstream = "app"
            [revocation]
            poll_interval = "{poll}ms"
            max_staleness = "{staleness}ms"
            {toml}
            "#
        ),
        None,
    )
}

impl Gateway {
    fn new(index: usize, clock: i64, toml: &str, dir: &TempDir) -> Self {
        let (address, admin) = (free_address(), free_address());
        let mut config: Table = toml.parse().expect("what was written can be parsed");
        config["server"]["listen"] = address.to_string().into();
        config["admin"]["listen"] = admin.to_string().into();
        // The issuer is a default made of the address otherwise, and they are to take each other's tokens.
        config["tokens"]
            .as_table_mut()
            .expect("a section")
            .insert("issuer".into(), "http://doorward.test/auth".into());
        let file = dir.path().join(format!("gateway-{index}.toml"));
        std::fs::write(&file, toml::to_string(&config).expect("it can be written")).expect("the folder takes a file");
        Self {
            address,
            admin,
            config: file,
            log: dir.path().join(format!("gateway-{index}.log")),
            clock,
            probe: reqwest::Client::builder()
                .no_proxy()
                .timeout(Duration::from_secs(5))
                .build()
                .expect("a client"),
            child: Mutex::new(None),
            lives: Mutex::new(Vec::new()),
        }
    }

    /// Starts it, again and again until its database lets it, and waits until it is ready.
    pub(super) async fn start(&self) {
        let ready = format!("http://{}/readyz", self.admin);
        eventually(PATIENCE, "a gateway is ready", || async {
            if self.has_ended() {
                self.spawn();
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            when(
                self.probe
                    .get(&ready)
                    .send()
                    .await
                    .is_ok_and(|answer| answer.status() == 200),
            )
        })
        .await;
    }

    fn has_ended(&self) -> bool {
        match &mut *self.child.lock().expect("nobody panicked") {
            None => true,
            Some(child) => child.try_wait().expect("a child can be asked").is_some(),
        }
    }

    fn spawn(&self) {
        let log = File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .expect("a log");
        // It ends with this process, also when that is killed.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--", "env"]);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("DOORWARD_")) {
            command.env_remove(name);
        }
        if self.clock != 0 {
            // The wall clock alone: durations are by the monotonic one, which no machine sets.
            command
                .arg(format!("LD_PRELOAD={}", tools::faketime().display()))
                .arg(format!("FAKETIME={:+}s", self.clock))
                .arg("FAKETIME_DONT_FAKE_MONOTONIC=1");
        }
        command
            .args([env!("CARGO_BIN_EXE_doorward"), "--config"])
            .arg(&self.config)
            .arg("serve")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true);
        let mut lives = self.lives.lock().expect("nobody panicked");
        lives.push(monotonic());
        *self.child.lock().expect("nobody panicked") = Some(command.spawn().expect("the binary starts"));
    }

    /// Stops its clock.
    pub(super) fn pause(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    pub(super) fn resume(&self) {
        self.signal("CONT");
    }

    /// Ends it as a power cut would.
    pub(super) async fn kill(&self) {
        let child = self.child.lock().expect("nobody panicked").take();
        let mut child = child.expect("it runs");
        let id = child.id();
        child.kill().await.expect("a child can be killed");
        id.into_iter().for_each(tools::forget_faketime);
    }

    fn signal(&self, name: &str) {
        let id = self.child.lock().expect("nobody panicked").as_ref().and_then(Child::id);
        let sent = std::process::Command::new("kill")
            .args([format!("-{name}"), id.expect("it runs").to_string()])
            .status()
            .expect("kill runs");
        assert!(sent.success(), "no signal {name}");
    }

    /// When the life began that it lives now, or lived last.
    pub(super) fn life_began(&self) -> Instant {
        *self
            .lives
            .lock()
            .expect("nobody panicked")
            .last()
            .expect("it was started")
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What it wrote, for a failure's sake.
    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.get_mut().ok().and_then(Option::take) {
            let id = child.id();
            drop(child.start_kill());
            id.into_iter().for_each(tools::forget_faketime);
        }
    }
}
