//! Listeners come, go and stay, and nobody who was let in is turned away.

use std::net::{SocketAddr, TcpListener};

use tokio::net::TcpStream;

use super::load::Load;
use crate::support::process::{Process, free_address};
use crate::support::{Conversation, DEADLINE, Upstream, eventually, usual_routes, when};

const ASK: &str = "GET /public/x HTTP/1.1\r\nHost: x\r\n\r\n";

fn listening(addresses: &[SocketAddr], upstream: &Upstream) -> String {
    let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    format!(
        "[server]\nlisten = {addresses:?}\nworkers = 2\n{}",
        usual_routes(upstream)
    )
}

async fn is_open(address: SocketAddr) -> bool {
    TcpStream::connect(address).await.is_ok()
}

async fn is_served(address: SocketAddr) -> bool {
    let mut conversation = Conversation::open(address).await;
    conversation.send(ASK).await;
    conversation.answer().await.status == 200
}

#[tokio::test]
async fn a_listener_that_is_new_is_open_and_one_that_is_gone_is_closed() {
    let upstream = Upstream::echo().await;
    let (stays, goes, comes) = (free_address(), free_address(), free_address());
    let mut process = Process::serve(&listening(&[goes, stays], &upstream)).await;
    let mut on_the_old = Conversation::open(goes).await;
    on_the_old.send(ASK).await;
    assert_eq!(on_the_old.answer().await.status, 200);
    process.reload(&listening(&[stays, comes], &upstream)).await;
    assert!(is_served(comes).await && is_served(stays).await);
    eventually(DEADLINE, "the old listener is closed", || async {
        when(!is_open(goes).await)
    })
    .await;
    // What was connected there goes on.
    on_the_old.send(ASK).await;
    assert_eq!(on_the_old.answer().await.status, 200);
    process.signal("TERM").await;
    assert!(process.ended().await.success(), "{}", process.log());
}

#[tokio::test]
async fn a_listener_that_can_t_be_bound_refuses_the_whole_configuration() {
    let upstream = Upstream::echo().await;
    let (here, comes, elsewhere) = (free_address(), free_address(), free_address());
    let taken = TcpListener::bind(elsewhere).unwrap();
    let process = Process::serve(&listening(&[here], &upstream)).await;
    process.rewrite(&listening(&[comes, elsewhere], &upstream));
    process.signal("HUP").await;
    let why = eventually(DEADLINE, "it is refused", || async {
        process.ready().await["reasons"][0].as_str().map(str::to_owned)
    })
    .await;
    assert!(why.contains(&format!("{elsewhere} can't be listened on")), "{why}");
    assert!(is_served(here).await);
    assert!(!is_open(comes).await, "what was bound for it is closed again");
    drop(taken);
    process.reload(&listening(&[comes, elsewhere], &upstream)).await;
    assert!(is_served(comes).await && is_served(elsewhere).await);
}

#[tokio::test]
async fn the_private_listener_moves() {
    let upstream = Upstream::echo().await;
    let mut process = Process::serve(&usual_routes(&upstream)).await;
    let before = process.admin;
    process.admin = free_address();
    process.rewrite(&usual_routes(&upstream));
    process.signal("HUP").await;
    eventually(DEADLINE, "it has moved", || async {
        when(is_open(process.admin).await && !is_open(before).await)
    })
    .await;
    assert_eq!(process.generation().await, 2);
    process.rewrite(&format!("[admin]\nlisten = \"\"\n{}", usual_routes(&upstream)));
    process.signal("HUP").await;
    eventually(DEADLINE, "it is closed", || async {
        when(!is_open(process.admin).await)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_on_a_listener_that_stays_while_others_move() {
    let upstream = Upstream::echo().await;
    let stays = free_address();
    let process = Process::serve(&listening(&[stays], &upstream)).await;
    let load = Load::on(stays);
    for _ in 0..20 {
        process.reload(&listening(&[free_address(), stays], &upstream)).await;
    }
    assert!(load.end().await > 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_a_listener_is_widened_to_all_addresses_and_back() {
    let upstream = Upstream::echo().await;
    let narrow = free_address();
    let wide = SocketAddr::from(([0, 0, 0, 0], narrow.port()));
    let process = Process::serve(&listening(&[narrow], &upstream)).await;
    let load = Load::on(narrow);
    for _ in 0..5 {
        process.reload(&listening(&[wide], &upstream)).await;
        let before = load.answered();
        eventually(DEADLINE, "clients are served", || async {
            when(load.answered() > before + 20)
        })
        .await;
        process.reload(&listening(&[narrow], &upstream)).await;
        let before = load.answered();
        eventually(DEADLINE, "clients are served", || async {
            when(load.answered() > before + 20)
        })
        .await;
    }
    load.end().await;
}
