//! The guard, on connections in memory and with time that tests move.

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
const PING: &[u8] = b"\0\0\x08\x06\0\0\0\0\0pingpong";
const HALF_A_HEAD: &[u8] = b"\0\0\x01\x01\0\0\0\0\x01\x82";

fn guarded() -> (DuplexStream, Guard<DuplexStream>) {
    let (client, server) = tokio::io::duplex(1 << 20);
    let second = Duration::from_secs(1);
    let timeouts = Timeouts::of(600 * second, 10 * second, 30 * second);
    (
        client,
        Guard::new(server, timeouts, Arc::new(Streams::new()), Arc::default()),
    )
}

async fn read_all(guard: &mut Guard<DuplexStream>) -> (Vec<u8>, io::Error) {
    let mut all = Vec::new();
    let error = guard.read_to_end(&mut all).await.unwrap_err();
    (all, error)
}

/// What the client gets until the end of the connection.
async fn received(mut client: DuplexStream) -> Vec<u8> {
    let mut all = Vec::new();
    client.read_to_end(&mut all).await.unwrap();
    all
}

const CALM: &[u8] = &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xb];

#[tokio::test(start_paused = true)]
async fn a_flood_is_answered_with_goaway_and_not_handed_on() {
    let (mut client, mut guard) = guarded();
    client.write_all(PREFACE).await.unwrap();
    client.write_all(&PING.repeat(10_000)).await.unwrap();
    let (handed_on, error) = read_all(&mut guard).await;
    assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
    assert!(
        handed_on.len() < PREFACE.len() + 1000 * PING.len(),
        "{}",
        handed_on.len()
    );
    drop(guard);
    assert_eq!(received(client).await, CALM);
}

#[tokio::test(start_paused = true)]
async fn what_follows_a_goaway_of_hyper_s_is_read_away_for_a_moment() {
    for (code, waits) in [(0xb, true), (0, false)] {
        let (mut client, mut guard) = guarded();
        let goaway = goaway(1, code);
        for byte in &goaway {
            guard.write_all(&[*byte]).await.unwrap();
        }
        client.write_all(&PING.repeat(1000)).await.unwrap();
        let from = tokio::time::Instant::now();
        guard.shutdown().await.unwrap();
        assert_eq!(from.elapsed() >= LINGER, waits);
        let mut left = Vec::new();
        if waits {
            drop(client);
            assert_eq!(guard.io.read_to_end(&mut left).await.unwrap(), 0, "all has been read");
        } else {
            let mut told = vec![0; goaway.len()];
            client.read_exact(&mut told).await.unwrap();
            assert_eq!(told, goaway);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_goaway_never_stands_within_a_frame() {
    let (mut client, mut guard) = guarded();
    client.write_all(PREFACE).await.unwrap();
    client.write_all(&PING.repeat(10_000)).await.unwrap();
    guard.write_all(&PING[..10]).await.unwrap();
    read_all(&mut guard).await;
    drop(guard);
    assert_eq!(received(client).await, &PING[..10]);
}

#[tokio::test(start_paused = true)]
async fn a_header_block_that_does_not_end_is_given_up_when_its_time_is_over() {
    let (mut client, mut guard) = guarded();
    client.write_all(&[PREFACE, HALF_A_HEAD].concat()).await.unwrap();
    let begun = tokio::time::Instant::now();
    let dribbling = tokio::spawn(async move {
        // An empty CONTINUATION each second.
        while client.write_all(b"\0\0\0\x09\0\0\0\0\x01").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if begun.elapsed() > Duration::from_secs(15) {
                break;
            }
        }
        client
    });
    read_all(&mut guard).await;
    let took = begun.elapsed().as_secs();
    assert!((10..=11).contains(&took), "{took}");
    drop(guard);
    let told = received(dribbling.await.unwrap()).await;
    assert_eq!(told.last(), CALM.last());
    assert_eq!(told[12], 1, "the stream that was begun");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_does_not_begin_is_given_up() {
    let (mut client, mut guard) = guarded();
    client.write_all(&PREFACE[..24]).await.unwrap();
    let begun = tokio::time::Instant::now();
    read_all(&mut guard).await;
    assert!(begun.elapsed() >= Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_is_given_up() {
    let (client, server) = tokio::io::duplex(16);
    let second = Duration::from_secs(1);
    let timeouts = Timeouts::of(600 * second, 10 * second, 30 * second);
    let mut guard = Guard::new(server, timeouts, Arc::new(Streams::new()), Arc::default());
    let begun = tokio::time::Instant::now();
    let error = guard.write_all(&PING.repeat(10)).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert_eq!(begun.elapsed(), 30 * second);
    drop(client);
}
