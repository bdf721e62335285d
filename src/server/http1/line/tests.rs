//! Lines, on connections in memory and with time that tests move.

use std::future::{pending, poll_fn};
use std::pin::pin;

use super::*;
use proptest::prelude::*;
use tokio::io::{AsyncWriteExt, DuplexStream};

const GOOD: &[u8] = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
const BAD: &[u8] = b"GET /b HTTP/1.1\r\nHost: a\nX: y\r\n\r\n";
const LONG: Duration = Duration::from_secs(600);
const LIMITS: Limits = Limits {
    bytes: 1024,
    lines: 20,
    target: 512,
};

fn line(keep_alive: Duration, head: Duration, body: Duration) -> (DuplexStream, Line<DuplexStream>) {
    let (client, server) = tokio::io::duplex(4096);
    (client, Line::new(server, LIMITS, Timeouts::of(keep_alive, head, body)))
}

async fn next(line: &mut Line<DuplexStream>) -> Next {
    let mut never = pin!(pending());
    let mut ending = Ending::new(never.as_mut());
    poll_fn(|cx| line.poll_next(&mut ending, cx)).await.unwrap()
}

fn target(next: &Next) -> Option<&str> {
    match next {
        Next::Request(head) => Some(head.parts.uri.path()),
        Next::Refused(_) | Next::End => None,
    }
}

#[tokio::test]
async fn a_bad_head_after_a_good_one_is_refused_in_its_turn() {
    let (mut client, mut line) = line(LONG, LONG, LONG);
    client.write_all(&[GOOD, BAD].concat()).await.unwrap();
    assert_eq!(target(&next(&mut line).await), Some("/a"));
    assert!(matches!(next(&mut line).await, Next::Refused(Refusal::Bad(_))));
}

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_end_is_refused_when_its_time_is_over() {
    let (mut client, mut line) = line(LONG, Duration::from_secs(10), LONG);
    client.write_all(b"GET /").await.unwrap();
    let begun = Instant::now();
    assert!(matches!(next(&mut line).await, Next::Refused(Refusal::Timeout)));
    assert_eq!(begun.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_trickles_gets_no_more_time() {
    let (mut client, mut line) = line(LONG, Duration::from_secs(10), LONG);
    let trickle = async {
        for byte in GOOD {
            client.write_all(&[*byte]).await.unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::select! {
        next = next(&mut line) => assert!(matches!(next, Next::Refused(Refusal::Timeout))),
        () = trickle => panic!("it was waited for"),
    }
}

#[tokio::test(start_paused = true)]
async fn heads_that_follow_one_another_in_pieces_have_a_time_each() {
    let (mut client, mut line) = line(LONG, Duration::from_secs(10), LONG);
    client.write_all(&GOOD[..5]).await.unwrap();
    for _ in 0..5 {
        let waited = tokio::time::timeout(Duration::from_secs(6), next(&mut line)).await;
        assert!(waited.is_err(), "nothing is whole yet");
        // The rest of one head, and the beginning of the next.
        client.write_all(&GOOD[5..]).await.unwrap();
        client.write_all(&GOOD[..5]).await.unwrap();
        assert_eq!(target(&next(&mut line).await), Some("/a"));
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_ends_and_its_time_begins_with_the_last_answer() {
    let (mut client, mut line) = line(Duration::from_secs(10), LONG, LONG);
    client.write_all(GOOD).await.unwrap();
    assert_eq!(target(&next(&mut line).await), Some("/a"));
    tokio::time::sleep(Duration::from_secs(3600)).await;
    line.idle();
    let begun = Instant::now();
    assert!(matches!(next(&mut line).await, Next::End));
    assert_eq!(begun.elapsed().as_secs(), 10);
    assert_eq!(line.input.capacity(), 0, "a connection that idles holds no buffer");
}

#[tokio::test(start_paused = true)]
async fn when_the_gateway_stops_an_idle_connection_has_a_moment_left_and_one_in_use_has_it_after_its_answer() {
    for used in [false, true] {
        let (mut client, mut line) = line(LONG, LONG, LONG);
        let stops = Instant::now() + Duration::from_secs(100);
        let mut stopping = pin!(async move {
            tokio::time::sleep_until(stops).await;
            Duration::from_secs(2)
        });
        let mut ending = Ending::new(stopping.as_mut());
        if used {
            client.write_all(GOOD).await.unwrap();
            let first = poll_fn(|cx| line.poll_next(&mut ending, cx)).await.unwrap();
            assert_eq!(target(&first), Some("/a"));
            tokio::time::sleep(Duration::from_secs(200)).await;
            line.idle();
        }
        let begun = Instant::now();
        let end = poll_fn(|cx| line.poll_next(&mut ending, cx)).await.unwrap();
        assert!(matches!(end, Next::End) && ending.has_begun());
        assert_eq!(begun.elapsed().as_secs(), if used { 2 } else { 102 });
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stops_within_a_body_is_given_up_and_one_that_trickles_is_not() {
    let (mut client, mut line) = line(LONG, LONG, Duration::from_secs(10));
    let sending = async {
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_secs(9)).await;
            client.write_all(b"x").await.unwrap();
        }
        client
    };
    let reading = async {
        for _ in 0..5 {
            assert_eq!(poll_fn(|cx| line.poll_read_body(100_000, cx)).await.unwrap(), 1);
        }
        poll_fn(|cx| line.poll_read_body(5, cx)).await.unwrap_err()
    };
    let (_client, error) = tokio::join!(sending, reading);
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_has_begun_gets_no_more_time_when_the_gateway_stops() {
    let (mut client, mut line) = line(LONG, Duration::from_secs(10), LONG);
    client.write_all(&GOOD[..5]).await.unwrap();
    let begun = Instant::now();
    let mut stopping = pin!(async move {
        tokio::time::sleep_until(begun + Duration::from_secs(7)).await;
        Duration::from_secs(1)
    });
    let mut ending = Ending::new(stopping.as_mut());
    let next = poll_fn(|cx| line.poll_next(&mut ending, cx)).await.unwrap();
    assert!(matches!(next, Next::Refused(Refusal::Timeout)));
    assert_eq!(begun.elapsed().as_secs(), 10);
}

#[tokio::test]
async fn a_body_that_was_read_leaves_no_buffer_behind_and_loses_nothing_of_what_follows() {
    for rest in [&b""[..], GOOD] {
        let (mut client, mut line) = line(LONG, LONG, LONG);
        let sending = tokio::spawn(async move {
            client.write_all(&vec![7; 1_000_000]).await.unwrap();
            client.write_all(rest).await.unwrap();
            client
        });
        let mut left = 1_000_000;
        while left > 0 {
            poll_fn(|cx| line.poll_read_body(left as u64, cx)).await.unwrap();
            left -= line.input.split_to(left.min(line.input.len())).len();
        }
        line.body_ended();
        assert!(line.input.capacity() <= GOOD.len(), "{}", line.input.capacity());
        line.idle();
        let _client = sending.await.unwrap();
        if rest == GOOD {
            assert_eq!(target(&next(&mut line).await), Some("/a"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_given_up() {
    let (_client, mut line) = line(LONG, LONG, Duration::from_secs(10));
    line.out.text().extend_from_slice(&[0; 10_000]);
    let error = poll_fn(|cx| line.poll_flush(cx)).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn what_a_client_still_sends_is_read_away_for_a_moment_and_no_longer() {
    let (mut client, mut line) = line(LONG, LONG, LONG);
    let flood = tokio::spawn(async move {
        let mut sent = 0;
        while client.write_all(&[0; 1000]).await.is_ok() {
            sent += 1000;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        sent
    });
    let begun = Instant::now();
    poll_fn(|cx| line.poll_close(true, cx)).await.unwrap();
    assert_eq!(begun.elapsed().as_millis(), 1000);
    drop(line);
    assert!(flood.await.unwrap() >= 90_000);
}

#[tokio::test(start_paused = true)]
async fn what_came_with_the_last_answer_is_read_away_and_where_nothing_came_nobody_waits() {
    for (sent, waited) in [(&b""[..], 0), (GOOD, 1)] {
        let (mut client, mut line) = line(LONG, LONG, LONG);
        client.write_all(sent).await.unwrap();
        let begun = Instant::now();
        poll_fn(|cx| line.poll_close(false, cx)).await.unwrap();
        assert_eq!(begun.elapsed().as_secs(), waited);
    }
}

#[tokio::test]
async fn garbage_without_an_end_is_refused_once_nothing_can_mend_it() {
    for garbage in ["A".repeat(2000), "GET / HTTP/1.1\nHost: a\n\n".to_owned()] {
        let (mut client, mut line) = line(LONG, LONG, LONG);
        client.write_all(garbage.as_bytes()).await.unwrap();
        assert!(matches!(next(&mut line).await, Next::Refused(_)), "{garbage:?}");
    }
}

proptest! {
    /// However the bytes are cut into reads, the same heads come out, and the same verdict.
    #[test]
    fn the_cut_into_reads_changes_nothing(
        cuts in proptest::collection::vec(1usize..40, 1..40),
        blank in any::<bool>(),
        bad in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let tail = if bad { BAD } else { GOOD };
        let text = [GOOD, if blank { b"\r\n" } else { b"" }, GOOD, tail].concat();
        runtime.block_on(async {
            let (mut client, mut line) = line(LONG, LONG, LONG);
            let writing = async {
                let mut rest = &text[..];
                for cut in cuts.iter().cycle() {
                    let (now, later) = rest.split_at((*cut).min(rest.len()));
                    client.write_all(now).await.unwrap();
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    rest = later;
                    if rest.is_empty() { break; }
                }
                client
            };
            let reading = async {
                for _ in 0..2 {
                    assert_eq!(target(&next(&mut line).await), Some("/a"));
                }
                matches!(next(&mut line).await, Next::Refused(Refusal::Bad(_)))
            };
            let (_client, refused) = tokio::join!(writing, reading);
            assert_eq!(refused, bad);
        });
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 1..300)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let (mut client, mut line) = line(LONG, LONG, LONG);
            client.write_all(&bytes).await.unwrap();
            drop(client);
            while let Next::Request(_) = next(&mut line).await {}
        });
    }
}
