//! The guard, on connections in memory and with time that tests move.

use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const GOOD: &[u8] = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
const BAD: &[u8] = b"GET /b HTTP/1.1\r\nHost: a\nX: y\r\n\r\n";

fn guarded(head: Duration) -> (tokio::io::DuplexStream, Guard<tokio::io::DuplexStream>, Arc<Shared>) {
    let (client, server) = tokio::io::duplex(4096);
    let shared = Arc::new(Shared::new());
    let timeouts = Timeouts {
        keep_alive: Duration::from_secs(600),
        head,
        body: Duration::from_secs(600),
    };
    let limits = Limits {
        bytes: 1024,
        lines: 20,
        target: 512,
    };
    (
        client,
        Guard::new(server, limits, timeouts, Arc::clone(&shared)),
        shared,
    )
}

async fn read_exactly(guard: &mut Guard<tokio::io::DuplexStream>, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    guard.read_exact(&mut bytes).await.unwrap();
    bytes
}

#[tokio::test]
async fn a_refused_head_becomes_the_stand_in_and_only_its_call_is_told_why() {
    let (mut client, mut guard, shared) = guarded(Duration::from_secs(600));
    client.write_all(GOOD).await.unwrap();
    client.write_all(BAD).await.unwrap();
    let seen = read_exactly(&mut guard, GOOD.len() + STAND_IN.len()).await;
    assert_eq!(seen, [GOOD, STAND_IN].concat());
    assert_eq!(shared.begin(), None);
    assert!(matches!(shared.begin(), Some(Refusal::Bad(_))));
}

#[tokio::test]
async fn a_head_in_pieces_comes_out_whole() {
    let (mut client, mut guard, _) = guarded(Duration::from_secs(600));
    let writer = async {
        for byte in GOOD {
            client.write_all(&[*byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let ((), seen) = tokio::join!(writer, read_exactly(&mut guard, GOOD.len()));
    assert_eq!(seen, GOOD);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_end_is_refused_when_its_time_is_over() {
    let (mut client, mut guard, shared) = guarded(Duration::from_secs(10));
    client.write_all(b"GET /").await.unwrap();
    assert_eq!(read_exactly(&mut guard, STAND_IN.len()).await, STAND_IN);
    assert_eq!(shared.begin(), Some(Refusal::Timeout));
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_ends_and_a_busy_one_does_not() {
    let (_client, mut guard, shared) = guarded(Duration::from_secs(10));
    shared.begin();
    let mut byte = [0];
    let busy = tokio::time::timeout(Duration::from_secs(3600), guard.read(&mut byte)).await;
    assert!(busy.is_err(), "a client that waits for its answer was given up");
    shared.finish();
    assert_eq!(guard.read(&mut byte).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stops_within_a_body_is_given_up() {
    let (mut client, mut guard, shared) = guarded(Duration::from_secs(10));
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab";
    client.write_all(head).await.unwrap();
    shared.begin();
    read_exactly(&mut guard, head.len()).await;
    let error = guard.read(&mut [0; 8]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_given_up() {
    let (_client, mut guard, _) = guarded(Duration::from_secs(10));
    let error = guard.write_all(&[0; 10_000]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn heads_that_follow_one_another_in_pieces_have_a_time_each() {
    let (mut client, mut guard, _) = guarded(Duration::from_secs(10));
    client.write_all(&GOOD[..5]).await.unwrap();
    for _ in 0..5 {
        let mut early = [0; 1];
        let waited = tokio::time::timeout(Duration::from_secs(6), guard.read(&mut early)).await;
        assert!(waited.is_err(), "nothing is whole yet");
        // The rest of one head, and the beginning of the next.
        client.write_all(&GOOD[5..]).await.unwrap();
        client.write_all(&GOOD[..5]).await.unwrap();
        assert_eq!(read_exactly(&mut guard, GOOD.len()).await, GOOD);
    }
}

#[tokio::test]
async fn what_came_before_a_broken_chunk_is_still_used() {
    let (mut client, mut guard, shared) = guarded(Duration::from_secs(600));
    let post = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.write_all(&[GOOD, post, b"Z\r\n"].concat()).await.unwrap();
    assert_eq!(
        read_exactly(&mut guard, GOOD.len() + post.len()).await,
        [GOOD, post].concat()
    );
    shared.begin();
    let probing = tokio::time::timeout(Duration::from_millis(1), guard.read(&mut [0; 1])).await;
    assert!(probing.is_err(), "the first request is still being answered");
    shared.begin();
    let error = guard.read(&mut [0; 1]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
}
