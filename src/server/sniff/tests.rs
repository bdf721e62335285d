use std::time::Duration;

use proptest::prelude::*;
use tokio::io::AsyncWriteExt;

use super::*;

const TIMEOUTS: Timeouts = Timeouts::of(
    Duration::from_secs(75),
    Duration::from_secs(10),
    Duration::from_secs(30),
);

/// What a client that sends these pieces and then its end is taken for, and what is handed on.
async fn sniffed(pieces: Vec<Vec<u8>>) -> Option<(bool, Vec<u8>)> {
    let (mut client, server) = tokio::io::duplex(4096);
    let (_serving, mut phase) = watch::channel(Phase::Serving);
    let sending = async move {
        for piece in pieces {
            client.write_all(&piece).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let ((), sniffed) = tokio::join!(sending, sniff(server, &TIMEOUTS, &mut phase));
    let (http2, mut rewound) = match sniffed {
        Sniffed::Http1(rewound) => (false, rewound),
        Sniffed::Http2(rewound) => (true, rewound),
        Sniffed::Nothing => return None,
    };
    let mut all = Vec::new();
    rewound.read_to_end(&mut all).await.unwrap();
    Some((http2, all))
}

fn run(pieces: Vec<Vec<u8>>) -> Option<(bool, Vec<u8>)> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(true).build().unwrap();
    runtime.block_on(sniffed(pieces))
}

proptest! {
    #[test]
    fn all_bytes_are_handed_on_however_they_arrive(
        preface in 0..=PREFACE.len(),
        rest in proptest::collection::vec(any::<u8>(), 0..64),
        size in 1_usize..40,
    ) {
        let sent = [&PREFACE[..preface], &rest].concat();
        let told = run(sent.chunks(size).map(<[u8]>::to_vec).collect());
        let expected = (!sent.is_empty()).then(|| (sent.starts_with(PREFACE), sent.clone()));
        prop_assert_eq!(told, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stalls_within_the_preface_is_left_to_http_1() {
    let (mut client, server) = tokio::io::duplex(64);
    let (_serving, mut phase) = watch::channel(Phase::Serving);
    client.write_all(&PREFACE[..10]).await.unwrap();
    let begun = Instant::now();
    assert!(matches!(sniff(server, &TIMEOUTS, &mut phase).await, Sniffed::Http1(_)));
    assert_eq!(begun.elapsed(), Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_nothing_is_given_up_when_it_has_idled_or_the_gateway_stops() {
    let (_client, server) = tokio::io::duplex(64);
    let (_serving, mut phase) = watch::channel(Phase::Serving);
    let begun = Instant::now();
    assert!(matches!(sniff(server, &TIMEOUTS, &mut phase).await, Sniffed::Nothing));
    assert_eq!(begun.elapsed(), Duration::from_secs(75));

    let (_client, server) = tokio::io::duplex(64);
    let (_stopping, mut phase) = watch::channel(Phase::Draining(Duration::from_secs(3)));
    let begun = Instant::now();
    assert!(matches!(sniff(server, &TIMEOUTS, &mut phase).await, Sniffed::Nothing));
    assert_eq!(begun.elapsed(), Duration::from_secs(3));
}
