//! HAProxy as the upstream, reloaded as its own service file does it: a new process that tells the old one to finish (`-sf`).

use std::net::SocketAddr;
use std::path::Path;

use tokio::process::Child;

use super::load::both;
use super::route_to;
use crate::support::process::free_address;
use crate::support::tools::program;
use crate::support::{DEADLINE, TestGateway, eventually, when, within};

/// Starts one that answers with its number, and has the one before finish.
async fn haproxy(dir: &Path, address: SocketAddr, number: u32, before: Option<&mut Child>) -> Child {
    let text = format!(
        "global\n  maxconn 200\ndefaults\n  mode http\n  timeout connect 5s\n  timeout client 20s\n  timeout server 20s\n\
         frontend f\n  bind {address}\n  http-request return status 200 content-type text/plain string \"{number}\"\n"
    );
    let file = dir.join(format!("{number}.cfg"));
    std::fs::write(&file, text).unwrap();
    let mut haproxy = program("haproxy");
    haproxy.arg("-f").arg(file);
    let Some(before) = before else {
        return haproxy.spawn().unwrap();
    };
    let child = haproxy
        .arg("-sf")
        .arg(before.id().unwrap().to_string())
        .spawn()
        .unwrap();
    assert!(within("the one before ends", before.wait()).await.unwrap().success());
    child
}

#[tokio::test]
async fn while_haproxy_is_reloaded_no_get_fails() {
    let (dir, address) = (tempfile::tempdir().unwrap(), free_address());
    let mut running = haproxy(dir.path(), address, 0, None).await;
    let gateway = TestGateway::start(&route_to(&[address], "")).await;
    let answered_by = async |number: u32| {
        eventually(DEADLINE, "it answers", || async {
            when(gateway.get("/x", None).await == (200, number.to_string()))
        })
        .await;
    };
    answered_by(0).await;
    let clients = both(&gateway, "GET", "/x", 3, 4000);
    for number in 1..=4 {
        running = haproxy(dir.path(), address, number, Some(&mut running)).await;
        answered_by(number).await;
    }
    assert!(
        clients.iter().all(|client| !client.is_finished()),
        "they were busy all the while"
    );
    for client in clients {
        let seen = within("the client", client).await.unwrap();
        assert!(seen.bad == 0 && seen.broken == 0 && seen.good > 200, "{seen:?}");
    }
}
