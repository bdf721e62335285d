//! Framing followed: good streams in any cut, bad ones to where they break.

use super::*;
use proptest::prelude::*;

const LIMITS: Limits = Limits {
    bytes: 1024,
    lines: 20,
    target: 512,
};
const GET: &str = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
const CHUNKED: &str = "POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

fn feed(text: &str) -> (Progress, u64) {
    let mut tracker = Tracker::new(LIMITS);
    let progress = tracker.advance(text.as_bytes());
    (progress, tracker.heads())
}

#[test]
fn pipelined_requests_are_followed_one_after_the_other() {
    let text = format!(
        "{GET}POST /c HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nGET /{CHUNKED}3\r\nabc\r\n0\r\nX: y\r\n\r\n{GET}"
    );
    assert_eq!(feed(&text), (Progress::All, 4));
}

#[test]
fn a_head_that_is_not_complete_waits() {
    let text = format!("{GET}GET /b HTT");
    assert_eq!(feed(&text), (Progress::Partial { good: GET.len() }, 1));
}

#[test]
fn a_bad_head_after_a_good_one_is_refused_where_it_begins() {
    let (progress, heads) = feed(&format!("{GET}GET / HTTP/1.1\r\n\r\n"));
    assert!(matches!(progress, Progress::Refused { good, .. } if good == GET.len()));
    assert_eq!(heads, 1);
}

#[test]
fn bad_chunks_break_the_body() {
    let long = format!("5;{}\r\nAAAAA\r\n0\r\n\r\n", "x".repeat(300));
    let many = format!("{}0\r\n\r\n", format!("1;{}\r\nA\r\n", "x".repeat(200)).repeat(30));
    for bad in [
        "5\r\nAAAAA\r\n0_2e\r\n\r\n",
        "0x5\r\nAAAAA\r\n",
        "-5\r\nAAAAA\r\n",
        " 5\r\nAAAAA\r\n",
        "+5\r\nAAAAA\r\n",
        "\r\nAAAAA\r\n",
        "FFFFFFFFFFFFFFFF\r\nAAAAA",
        "5\nAAAAA\n0\n\n",
        "5\rAAAAA\r0\r\r",
        "5;a=\"\n\"\r\nAAAAA\r\n0\r\n\r\n",
        "5\r\r;ABCD\r\n",
        "5\r\nAAAAAXX0\r\n\r\n",
        "5\r\nAAAAA0\r\n\r\n",
        "G\r\nx\r\n",
        "5\0\r\nAAAAA\r\n",
        "5 \r\nAAAAA\r\n",
        "0\r\n X: y\r\n\r\n",
        "0\r\nno colon\r\n\r\n",
        "0\r\nX: y\n\r\n",
        "0000000000000000005\r\nAAAAA\r\n0\r\n\r\n",
        &long,
        &many,
    ] {
        assert!(
            matches!(feed(&format!("{CHUNKED}{bad}")).0, Progress::Broken { .. }),
            "{bad:?}"
        );
    }
}

#[test]
fn good_chunks_pass_with_extensions_and_trailers() {
    for good in [
        "0\r\n\r\n",
        "5\r\nAAAAA\r\n0\r\n\r\n",
        "5;a=b\r\nAAAAA\r\n0\r\nX: y\r\nZ:\r\n\r\n",
        "a\r\n0123456789\r\n00\r\n\r\n",
    ] {
        assert_eq!(feed(&format!("{CHUNKED}{good}{GET}")), (Progress::All, 2), "{good:?}");
    }
}

#[test]
fn garbage_without_an_end_is_refused_once_it_is_too_long() {
    assert!(matches!(
        feed(&"A".repeat(2000)).0,
        Progress::Refused {
            why: Refusal::TooLarge,
            ..
        }
    ));
    assert!(matches!(
        feed("GET / HTTP/1.1\nHost: a\n\n").0,
        Progress::Refused {
            why: Refusal::Bad(_),
            ..
        }
    ));
}

proptest! {
    /// However the bytes are cut into reads, the same heads pass and the same verdict comes out.
    #[test]
    fn the_cut_into_reads_changes_nothing(cuts in proptest::collection::vec(1usize..40, 1..40), bad in any::<bool>()) {
        let tail = if bad { "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" } else { GET };
        let text = format!("{CHUNKED}5;x\r\nAAAAA\r\n0\r\nX: y\r\n\r\n\r\n{GET}{tail}");
        let whole = feed(&text);
        let mut tracker = Tracker::new(LIMITS);
        let (mut held, mut last) = (Vec::new(), Progress::All);
        let mut rest = text.as_bytes();
        for cut in cuts.iter().cycle() {
            let (now, later) = rest.split_at((*cut).min(rest.len()));
            held.extend_from_slice(now);
            last = tracker.advance(&held);
            match last {
                Progress::All => held.clear(),
                Progress::Partial { good } => drop(held.drain(..good)),
                Progress::Refused { .. } | Progress::Broken { .. } => break,
            }
            rest = later;
            if rest.is_empty() { break; }
        }
        prop_assert_eq!(tracker.heads(), whole.1);
        prop_assert_eq!(matches!(last, Progress::Refused { .. }), matches!(whole.0, Progress::Refused { .. }));
        prop_assert_eq!(last == Progress::All, whole.0 == Progress::All);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        Tracker::new(LIMITS).advance(&bytes);
        let mut tracker = Tracker::new(LIMITS);
        tracker.advance(CHUNKED.as_bytes());
        tracker.advance(&bytes);
    }
}
