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
        rate: 0,
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

const UPGRADE: &[u8] = b"GET /c HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\n\r\n";

/// Whether nothing is to be read now.
async fn is_still(guard: &mut Guard<tokio::io::DuplexStream>) -> bool {
    tokio::time::timeout(Duration::from_millis(1), guard.read_u8())
        .await
        .is_err()
}

#[tokio::test(start_paused = true)]
async fn what_follows_a_head_that_asks_for_an_upgrade_waits_for_the_answer_to_that_head() {
    let (mut client, mut guard, shared) = guarded(Duration::from_secs(1));
    client
        .write_all(&[GOOD, UPGRADE, b"GET", b"\0"].concat())
        .await
        .unwrap();
    read_exactly(&mut guard, GOOD.len() + UPGRADE.len()).await;
    assert!(is_still(&mut guard).await);
    // The answer to the request before it says nothing of it.
    shared.begin();
    shared.settle(false);
    assert!(is_still(&mut guard).await);
    shared.begin();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(is_still(&mut guard).await, "what is held is not late");
    shared.settle(true);
    assert_eq!(read_exactly(&mut guard, 4).await, b"GET\0");
    client.write_all(BAD).await.unwrap();
    assert_eq!(read_exactly(&mut guard, BAD.len()).await, BAD);
}

#[tokio::test(start_paused = true)]
async fn what_follows_an_upgrade_that_is_not_granted_is_checked_as_ever() {
    let (mut client, mut guard, shared) = guarded(Duration::from_secs(1));
    client.write_all(&[UPGRADE, GOOD, BAD].concat()).await.unwrap();
    read_exactly(&mut guard, UPGRADE.len()).await;
    shared.begin();
    let waiting = async { read_exactly(&mut guard, GOOD.len() + STAND_IN.len()).await };
    let answer = async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        shared.settle(false);
    };
    let (seen, ()) = tokio::join!(waiting, answer);
    assert_eq!(seen, [GOOD, STAND_IN].concat());
    shared.begin();
    assert!(shared.begin().is_some());
}

#[tokio::test(start_paused = true)]
async fn what_is_held_is_bounded() {
    let (mut client, mut guard, shared) = guarded(Duration::from_secs(1));
    client.write_all(UPGRADE).await.unwrap();
    read_exactly(&mut guard, UPGRADE.len()).await;
    let flood = tokio::spawn(async move {
        let mut sent = 0;
        while let Ok(Ok(n)) = tokio::time::timeout(Duration::from_secs(1), client.write(&[0; 4096])).await {
            sent += n;
        }
        (client, sent)
    });
    for _ in 0..100 {
        assert!(is_still(&mut guard).await);
    }
    let (_client, sent) = flood.await.unwrap();
    assert!(sent <= HELD + 3 * 4096 && guard.held.len() <= HELD + 4096, "{sent}");
    shared.begin();
    shared.settle(true);
    assert_eq!(read_exactly(&mut guard, sent).await, vec![0; sent]);
}

#[tokio::test]
async fn an_interim_answer_stands_after_all_that_was_written_before_and_never_after_its_own_answer() {
    use crate::upstream::InterimClient;
    let (mut client, mut guard, shared) = guarded(Duration::from_secs(600));
    // More than the pipe holds, so that it goes out in parts.
    let long = http::HeaderValue::try_from("a".repeat(9000)).unwrap();
    let long: http::HeaderMap = [(http::header::LINK, long)].into_iter().collect();
    let hint = |request| shared.interim(request, http::StatusCode::EARLY_HINTS, &long);
    hint(1);
    assert_eq!(shared.begin(), None);
    let writer = async {
        guard.write_all(b"<a former").await.unwrap();
        hint(1);
        guard.write_all(b" answer>").await.unwrap();
        guard.flush().await.unwrap();
        hint(1);
        hint(2);
        shared.settle(false);
        hint(1);
        guard.write_all(b"<its answer>").await.unwrap();
        guard.flush().await.unwrap();
        assert_eq!(shared.begin(), None);
        hint(2);
        shared.settle(false);
        guard.write_all(b"<next>").await.unwrap();
        guard.flush().await.unwrap();
        drop(guard);
    };
    let mut seen = String::new();
    let ((), read) = tokio::join!(writer, client.read_to_string(&mut seen));
    read.unwrap();
    let hint = format!("HTTP/1.1 103 Early Hints\r\nlink: {}\r\n\r\n", "a".repeat(9000));
    assert_eq!(
        seen,
        ["<a former answer>", &hint, &hint, "<its answer>", "<next>"].concat()
    );
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_idles_is_parked_between_requests_and_only_there() {
    // Nothing came yet; a request was answered; an answer is on its way; half a head is there.
    for (sent, answered, flushed, parked) in [
        (&b""[..], 0, true, true),
        (GOOD, 1, true, true),
        (GOOD, 1, false, false),
        (GOOD, 0, true, false),
        (&GOOD[..5], 0, true, false),
    ] {
        let (mut client, guard, shared) = guarded(Duration::from_secs(600));
        let (to, mut back) = oneshot::channel();
        let mut guard = guard.parking(to, None);
        client.write_all(sent).await.unwrap();
        if sent == GOOD {
            read_exactly(&mut guard, GOOD.len()).await;
            assert_eq!(shared.begin(), None);
        }
        if answered > 0 {
            guard.write_all(b"<answer>").await.unwrap();
            shared.settle(false);
            shared.finish();
        }
        if flushed {
            guard.flush().await.unwrap();
        }
        let reading = tokio::time::timeout(PARK_AFTER * 3, read_exactly(&mut guard, 1));
        assert!(reading.await.is_err(), "nothing came");
        assert_eq!(back.try_recv().is_ok(), parked, "{sent:?} {answered} {flushed}");
    }
}

#[tokio::test]
async fn the_byte_that_ended_the_parking_is_the_first_of_the_next_head() {
    let (mut client, guard, _) = guarded(Duration::from_secs(600));
    let (to, _back) = oneshot::channel();
    let mut guard = guard.parking(to, Some(GOOD[0]));
    let writer = async {
        tokio::task::yield_now().await;
        client.write_all(&GOOD[1..]).await.unwrap();
        client.write_all(GOOD).await.unwrap();
    };
    let ((), seen) = tokio::join!(writer, read_exactly(&mut guard, 2 * GOOD.len()));
    assert_eq!(seen, [GOOD, GOOD].concat());
}
