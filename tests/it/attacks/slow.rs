//! Slow clients in a short form: a few hundred of each kind are cut, and whoever behaves does not notice. How thousands of them
//! fare is told in `limits/crowd.rs`.

use std::time::Duration;

use super::place::{Place, Way};
use crate::support::{Backend, Conversation, DEADLINE, eventually, when};

/// How many of each kind come to a listener.
const EACH: usize = 60;

/// How many of those that ask for much and take nothing: each costs as much as the system's buffers hold.
const READERS: usize = 5;

/// What a slow client says, and nothing more.
const KINDS: &[(&str, &str)] = &[
    ("nothing", ""),
    ("half a head", "GET /c/slow HTTP/1.1\r\nHost: a\r\n"),
    ("half a line", "GET /c/sl"),
    (
        "half a body",
        "POST /c/slow HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer TOKEN\r\nContent-Length: 100000\r\n\r\na",
    ),
    (
        "half a body in chunks",
        "POST /c/slow HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer TOKEN\r\nTransfer-Encoding: chunked\r\n\r\n5\r\na",
    ),
];

/// Comes to a listener in every slow way, and waits until all who can see it were cut: what they were answered.
async fn slow_at(way: &Way<'_>) -> Vec<String> {
    let token = &way.place.user.token;
    let mut all: Vec<(&str, Conversation)> = Vec::new();
    for (name, said) in KINDS {
        for _ in 0..EACH {
            let mut conversation = way.open().await;
            conversation.send(said.replace("TOKEN", token)).await;
            all.push((*name, conversation));
        }
    }
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let mut conversation = way.open().await;
        let head = format!("GET /r/much HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n");
        conversation.send(head).await;
        readers.push(conversation);
    }
    let mut told = Vec::new();
    for (name, conversation) in all {
        let ended = conversation.until_end().await;
        // Cut without a word, or told why.
        if !matches!(ended.statuses()[..], [] | [408]) {
            told.push(format!("{}, {name}: {ended:?}", way.name()));
        }
    }
    eventually(DEADLINE, "those who take nothing are cut", || async {
        // The one who behaves may be there.
        when(
            way.place
                .gateway
                .metric("doorward_connections")
                .await
                .is_some_and(|count| count <= 1.0),
        )
    })
    .await;
    drop(readers);
    told
}

/// A good request on a connection of its own: its status.
async fn behave(way: &Way<'_>) -> u16 {
    let mut conversation = way.open().await;
    let token = &way.place.user.token;
    let head = format!("GET /c/x HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n");
    conversation.send(head).await;
    conversation.answer().await.status
}

async fn cut(backend: Backend) {
    let impatient = "header_timeout = \"2s\"\nkeep_alive = \"2s\"\nbody_idle_timeout = \"2s\"\n";
    let place = Place::serving(backend, impatient, "").await;
    for way in place.ways() {
        let mut crowd = std::pin::pin!(slow_at(&way));
        let mut served = 0;
        let told = loop {
            let behaves = async {
                assert_eq!(behave(&way).await, 200, "{}", way.name());
                tokio::time::sleep(Duration::from_millis(20)).await;
            };
            tokio::select! {
                told = &mut crowd => break told,
                () = behaves => served += 1,
            }
        };
        assert!(told.is_empty(), "{told:#?}");
        assert!(served > 3, "{served} requests were answered meanwhile");
    }
    assert!(place.upstream.seen_with("slow").is_empty(), "{backend:?}");
}

#[tokio::test]
async fn slow_clients_are_cut_and_whoever_behaves_does_not_notice() {
    tokio::join!(cut(Backend::Sqlite), cut(Backend::MariaDb));
}
