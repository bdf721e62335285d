//! One process takes over from another, and nobody is turned away.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::load::Load;
use crate::support::process::{Process, free_address};
use crate::support::tools::program;
use crate::support::{Conversation, DEADLINE, Reply, Upstream, eventually, usual_routes, when};

const ASK: &str = "GET /public/x HTTP/1.1\r\nHost: x\r\n\r\n";

fn with_handover(upstream: &Upstream) -> String {
    format!(
        "[server]\nhandover = \"handover.sock\"\nworkers = 2\n{}",
        usual_routes(upstream)
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_one_process_after_another_takes_over() {
    let upstream = Upstream::echo().await;
    let mut process = Process::serve(&with_handover(&upstream)).await;
    let load = Load::on(process.address);
    for round in 1..=5 {
        let next = process.beside(&format!("log{round}"));
        assert!(process.ended().await.success(), "{}", process.log());
        let before = load.answered();
        eventually(DEADLINE, "the next one serves", || async {
            when(load.answered() > before + 20)
        })
        .await;
        process = next;
    }
    assert!(load.end().await > 100);
    process.signal("TERM").await;
    assert!(process.ended().await.success(), "{}", process.log());
    let log = process.log();
    assert!(log.contains("took over from another process"), "{log}");
}

#[tokio::test]
async fn requests_in_flight_finish_in_the_process_that_goes() {
    let upstream = Upstream::start(|_| {
        let late = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone".to_vec();
        Reply::Late(Duration::from_secs(1), late)
    })
    .await;
    let mut process = Process::serve(&with_handover(&upstream)).await;
    let mut busy = Conversation::open(process.address).await;
    busy.send(ASK).await;
    eventually(DEADLINE, "the request is upstream", || async {
        when(upstream.seen().len() == 1)
    })
    .await;
    let next = process.beside("next");
    assert_eq!(busy.answer().await.status, 200);
    assert!(process.ended().await.success(), "{}", process.log());
    let mut after = Conversation::open(next.address).await;
    after.send(ASK).await;
    assert_eq!(after.answer().await.status, 200);
    assert_eq!(next.ready().await["ready"], true);
}

#[tokio::test]
async fn a_connection_that_idled_when_another_process_took_over_may_bring_one_more_request() {
    let upstream = Upstream::echo().await;
    let mut process = Process::serve(&with_handover(&upstream)).await;
    let mut idle = Conversation::open(process.address).await;
    idle.send(ASK).await;
    let before = idle.answer().await;
    assert_eq!((before.status, before.header("connection")), (200, None));
    let _next = process.beside("next");
    eventually(DEADLINE, "another process takes over", || async {
        when(process.log().contains("draining"))
    })
    .await;
    // The log says so just before it is so.
    let said = loop {
        idle.send("POST /public/x HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345")
            .await;
        idle.send("67890").await;
        let answer = idle.answer().await;
        assert_eq!(answer.status, 200);
        if let Some(said) = answer.header("connection") {
            break said.to_owned();
        }
    };
    assert_eq!(said, "close");
    assert!(idle.until_end().await.answers.is_empty());
    assert!(process.ended().await.success(), "{}", process.log());
}

#[tokio::test]
async fn one_that_does_not_come_up_changes_nothing() {
    let upstream = Upstream::echo().await;
    let process = Process::serve(&with_handover(&upstream)).await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    // The next one gets the sockets, and can't bind one that is new.
    let listen = format!(
        "[server]\nhandover = \"handover.sock\"\nlisten = [\"{}\", \"{}\"]\n{}",
        process.address,
        taken.local_addr().unwrap(),
        usual_routes(&upstream)
    );
    process.rewrite(&listen);
    let mut next = process.beside("next");
    assert!(!next.ended().await.success());
    assert!(next.log().contains("can't be listened on"), "{}", next.log());
    for _ in 0..20 {
        let mut conversation = Conversation::open(process.address).await;
        conversation.send(ASK).await;
        assert_eq!(conversation.answer().await.status, 200);
    }
    // What was offered is offered still.
    process.rewrite(&with_handover(&upstream));
    let mut process = process;
    let next = process.beside("another");
    assert!(process.ended().await.success(), "{}", process.log());
    assert_eq!(next.ready().await["ready"], true);
}

#[tokio::test]
async fn while_one_process_takes_over_another_is_refused() {
    let upstream = Upstream::echo().await;
    let mut process = Process::serve(&with_handover(&upstream)).await;
    let path = process.config_file().with_file_name("handover.sock");
    // One that asks for the sockets and takes its time to serve. They are offered once the gateway serves, and not before.
    let slow = eventually(DEADLINE, "the sockets are offered", || async {
        tokio::net::UnixStream::connect(&path).await.ok()
    })
    .await;
    eventually(DEADLINE, "it has its turn", || async {
        when(process.log().contains("another process takes over"))
    })
    .await;
    let mut second = process.beside("second");
    assert!(!second.ended().await.success());
    let why = second.log();
    assert!(
        why.contains("handover.sock can't be used") && why.contains("another process is taking over"),
        "{why}"
    );
    let mut conversation = Conversation::open(process.address).await;
    conversation.send(ASK).await;
    assert_eq!(conversation.answer().await.status, 200);
    // It does not come up: the next one has its turn.
    drop(slow);
    eventually(DEADLINE, "the turn is given back", || async {
        when(
            process
                .log()
                .matches("a process wanted to take over and did not")
                .count()
                == 2,
        )
    })
    .await;
    let next = process.beside("next");
    assert!(process.ended().await.success(), "{}", process.log());
    assert_eq!(next.ready().await["ready"], true);
}

#[tokio::test]
async fn without_handover_a_second_process_is_refused_the_address() {
    let upstream = Upstream::echo().await;
    let process = Process::serve(&usual_routes(&upstream)).await;
    let mut next = process.beside("next");
    assert!(!next.ended().await.success());
    assert!(next.log().contains("can't be listened on"), "{}", next.log());
}

#[tokio::test]
async fn what_a_killed_process_has_left_is_no_hindrance() {
    let upstream = Upstream::echo().await;
    let mut process = Process::serve(&with_handover(&upstream)).await;
    process.signal("KILL").await;
    process.ended().await;
    let next = process.beside("next");
    eventually(DEADLINE, "the next one serves", || async {
        let mut conversation = tokio::net::TcpStream::connect(next.address).await.is_ok();
        conversation &= next.log().contains("ready");
        when(conversation)
    })
    .await;
    assert_eq!(next.ready().await["ready"], true);
}

/// Runs the binary with sockets bound to these addresses, as a service manager does: the launcher keeps them when the
/// binary is gone, and runs it again.
fn launcher(addresses: &[String]) -> Command {
    let script = r#"
import os, socket, subprocess, sys
addresses, command = sys.argv[1].split(","), sys.argv[2:]
sockets = []
for address in addresses:
    host, port = address.rsplit(":", 1)
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((host, int(port)))
    s.listen(4096)
    sockets.append(s)
for index, s in enumerate(sockets):
    os.dup2(s.fileno(), 100 + index)
while True:
    pid = os.fork()
    if pid == 0:
        for index in range(len(sockets)):
            os.dup2(100 + index, 3 + index, inheritable=True)
        os.environ.update(LISTEN_FDS=str(len(sockets)), LISTEN_PID=str(os.getpid()))
        os.execv(command[0], command)
    print(pid, flush=True)
    os.waitpid(pid, 0)
"#;
    let mut command = program("python3");
    command
        .arg("-c")
        .arg(script)
        .arg(addresses.join(","))
        .arg(env!("CARGO_BIN_EXE_doorward"));
    command.kill_on_drop(true);
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_the_service_manager_restarts_the_gateway() {
    let upstream = Upstream::echo().await;
    let (address, admin) = (free_address(), free_address());
    let dir = tempfile::tempdir().unwrap();
    let toml = crate::support::gateway::complete(
        &format!(
            "[server]\nlisten = \"{address}\"\nworkers = 2\n[admin]\nlisten = \"{admin}\"\n{}",
            usual_routes(&upstream)
        ),
        None,
    );
    std::fs::write(dir.path().join("gateway.toml"), toml).unwrap();
    let mut command = launcher(&[address.to_string(), admin.to_string()]);
    command
        .arg("--config")
        .arg(dir.path().join("gateway.toml"))
        .arg("serve");
    let log = std::fs::File::create(dir.path().join("log")).unwrap();
    let pids = dir.path().join("pids");
    let mut manager = command
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(&pids).unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    let pids = || -> Vec<String> {
        std::fs::read_to_string(&pids)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect()
    };
    eventually(DEADLINE, "the sockets are there", || async { when(pids().len() == 1) }).await;
    let load = Load::on_one_that_drains(address);
    for round in 1..=4 {
        eventually(DEADLINE, "it runs", || async { when(pids().len() == round) }).await;
        let before = load.answered();
        eventually(DEADLINE, "clients are served", || async {
            when(load.answered() > before + 20)
        })
        .await;
        let mut kill = program("kill");
        kill.arg(pids().last().unwrap());
        crate::support::tools::stdout_of(kill).await;
    }
    eventually(DEADLINE, "it runs", || async { when(pids().len() == 5) }).await;
    assert!(load.end().await > 80);
    manager.kill().await.unwrap();
    let mut kill = program("kill");
    kill.arg(pids().last().unwrap());
    crate::support::tools::stdout_of(kill).await;
}
