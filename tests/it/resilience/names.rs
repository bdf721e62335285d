//! Servers that are given by name.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::net::TcpListener;

use super::{metrics, reasons, route_to};
use crate::support::dns::{NameServer, Says};
use crate::support::{DEADLINE, Reply, TestGateway, Upstream, eventually, when};

const HOSTS: [Ipv4Addr; 3] = [
    Ipv4Addr::new(127, 0, 0, 21),
    Ipv4Addr::new(127, 0, 0, 22),
    Ipv4Addr::new(127, 0, 0, 23),
];

/// Servers on these addresses of the loopback, all on the same port.
async fn servers() -> (u16, Vec<Upstream>) {
    eventually(DEADLINE, "a port that is free on all of them", || async {
        let first = TcpListener::bind((HOSTS[0], 0)).await.ok()?;
        let port = first.local_addr().ok()?.port();
        let mut listeners = vec![first];
        for host in &HOSTS[1..] {
            listeners.push(TcpListener::bind((*host, port)).await.ok()?);
        }
        let start = |listener| {
            Upstream::on(listener, |seen| match seen.target.as_str() {
                "/up/late" => Reply::Late(
                    Duration::from_secs(2),
                    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec(),
                ),
                _ => Reply::ok("ok"),
            })
        };
        Some((port, listeners.into_iter().map(start).collect()))
    })
    .await
}

/// A gateway in front of `app.example`, which this name server knows.
async fn in_front_of(port: u16, names: &NameServer, more: &str) -> TestGateway {
    let settings = format!(
        "dns.servers = \"{}\"\ndns.min_ttl = \"100ms\"\ndns.max_ttl = \"1s\"\n{more}",
        names.address
    );
    TestGateway::start(&route_to(&[format!("http://app.example:{port}")], &settings)).await
}

/// Waits until exactly these servers get requests.
async fn only(gateway: &TestGateway, servers: &[Upstream], wanted: &[bool]) {
    eventually(DEADLINE, &format!("requests go to {wanted:?}"), || async {
        let before: Vec<usize> = servers.iter().map(|server| server.seen().len()).collect();
        for _ in 0..servers.len() * 2 {
            gateway.get("/up", None).await;
        }
        let got = servers
            .iter()
            .zip(before)
            .map(|(server, before)| server.seen().len() > before);
        when(got.eq(wanted.iter().copied()))
    })
    .await;
}

#[tokio::test]
async fn all_addresses_of_a_name_are_used_and_a_change_is_followed_by_its_ttl() {
    let (port, servers) = servers().await;
    let names = NameServer::start(Says::Addresses(HOSTS[..2].to_vec(), 0)).await;
    let gateway = in_front_of(port, &names, "balance = \"round-robin\"\n").await;
    only(&gateway, &servers, &[true, true, false]).await;
    let up = metrics(&gateway).await;
    let label = format!("server=\"http://app.example:{port} (127.0.0.21)\"");
    assert!(up.keys().any(|name| name.contains(&label)), "each is told of: {up:?}");

    // One address goes, another comes; what is under way at the one that goes is finished there.
    let slow = [0, 1].map(|_| tokio::spawn(gateway.http.get(gateway.url("/up/late")).send()));
    eventually(DEADLINE, "both have one", || async {
        when(servers[..2].iter().all(|server| server.seen_with("late").len() == 1))
    })
    .await;
    names.say(Says::Addresses(HOSTS[1..].to_vec(), 0));
    only(&gateway, &servers, &[false, true, true]).await;
    for slow in slow {
        assert_eq!(slow.await.unwrap().unwrap().status(), 200);
    }
}

#[tokio::test]
async fn what_is_known_stays_while_the_name_server_fails() {
    let (port, servers) = servers().await;
    let names = NameServer::start(Says::Addresses(HOSTS[..1].to_vec(), 0)).await;
    let gateway = in_front_of(port, &names, "").await;
    only(&gateway, &servers, &[true, false, false]).await;
    for failing in [Says::Failure, Says::Silence] {
        names.say(failing);
        let asked = names.asked();
        eventually(DEADLINE, "it was asked again", || async {
            when(names.asked() > asked + 4)
        })
        .await;
        assert_eq!(gateway.get("/up", None).await.0, 200);
    }
    names.say(Says::Addresses(HOSTS[1..2].to_vec(), 0));
    only(&gateway, &servers, &[false, true, false]).await;
}

#[tokio::test]
async fn a_name_that_is_gone_has_no_servers_until_it_is_back() {
    let (port, servers) = servers().await;
    let names = NameServer::start(Says::Addresses(HOSTS[..1].to_vec(), 0)).await;
    let gateway = in_front_of(port, &names, "").await;
    only(&gateway, &servers, &[true, false, false]).await;
    names.say(Says::NoSuchName);
    eventually(DEADLINE, "it is believed", || async {
        when(gateway.get("/up", None).await.0 == 503)
    })
    .await;
    names.say(Says::Addresses(HOSTS[..1].to_vec(), 0));
    only(&gateway, &servers, &[true, false, false]).await;
}

#[tokio::test]
async fn a_dead_address_is_ejected_and_the_others_of_its_name_are_not() {
    let (port, mut servers) = servers().await;
    let names = NameServer::start(Says::Addresses(HOSTS.to_vec(), 3600)).await;
    let gateway = in_front_of(port, &names, "").await;
    only(&gateway, &servers, &[true, true, true]).await;
    servers.truncate(2);
    for _ in 0..60 {
        assert_eq!(gateway.get("/up", None).await.0, 200);
    }
    let told = reasons(&gateway).await;
    assert!(
        told.contains("(127.0.0.23)") && told.matches("ejected").count() == 1,
        "{told}"
    );
}
