//! What a service manager is told, over a socket as systemd has it.

use std::os::unix::net::UnixDatagram;

use crate::support::process::{Process, doorward_with_open_files};
use crate::support::{DEADLINE, Upstream, usual_routes};

struct Manager {
    socket: UnixDatagram,
    heard: String,
}

impl Manager {
    /// Waits until it has been told this.
    fn hears(&mut self, what: &str) {
        let mut message = [0; 4096];
        while !self.heard.contains(what) {
            let length = self.socket.recv(&mut message);
            let length = length.unwrap_or_else(|error| panic!("{error}: not {what:?}, but {}", self.heard));
            self.heard.push_str(std::str::from_utf8(&message[..length]).unwrap());
            self.heard.push('\n');
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_manager_hears_of_the_start_of_reloads_of_life_and_of_the_end() {
    let upstream = Upstream::echo().await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut manager = Manager {
        socket,
        heard: String::new(),
    };
    let mut command = doorward_with_open_files(128);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000");
    let mut process = Process::serve_by(&usual_routes(&upstream), command).await;
    manager.hears("READY=1\n");
    manager.hears(&format!("MAINPID={}\n", process.id()));
    // Workers and all: it is told again and again.
    for _ in 0..3 {
        manager.heard.clear();
        manager.hears("WATCHDOG=1");
    }
    process.signal("HUP").await;
    manager.hears("RELOADING=1\nMONOTONIC_USEC=");
    manager.hears("READY=1");
    manager.hears("configuration 2");
    std::fs::write(process.config_file(), "nonsense").unwrap();
    process.signal("HUP").await;
    manager.hears("refused");
    process.signal("TERM").await;
    manager.hears("STOPPING=1");
    assert!(process.ended().await.success(), "{}", process.log());
}
