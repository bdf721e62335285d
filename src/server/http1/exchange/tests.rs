//! Exchanges whose request is never answered: what is read meanwhile, and what the client is told.

use std::future::{Pending, pending, poll_fn};
use std::pin::pin;

use super::*;
use crate::server::head::{Framing, Limits, Wishes};
use crate::server::timeouts::Timeouts;
use http_body::Body as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

const LONG: Duration = Duration::from_secs(600);
const ASKED: Asked = Asked {
    is_head: false,
    is_http11: true,
    wishes: Wishes {
        keep_alive: true,
        trailers: false,
    },
};

fn line() -> (DuplexStream, Line<DuplexStream>) {
    let (client, server) = tokio::io::duplex(64 * 1024);
    let limits = Limits {
        bytes: 1024,
        lines: 20,
        target: 512,
    };
    (client, Line::new(server, limits, Timeouts::of(LONG, LONG, LONG)))
}

/// Goes on with `exchange` for as long as `meanwhile` takes; the error that ended it, if it ended.
async fn run<H: Future<Output = Response<Body<Alone>>>>(
    exchange: &mut Exchange<H>,
    line: &mut Line<DuplexStream>,
    interims: &Interims,
    meanwhile: impl Future<Output = ()>,
) -> Option<io::Error> {
    let mut never = pin!(pending());
    let mut ending = Ending::new(never.as_mut());
    tokio::select! {
        biased;
        end = poll_fn(|cx| exchange.poll(line, interims, &mut ending, cx)) => end.err(),
        () = meanwhile => None,
    }
}

fn waiting(upload: Option<Upload>) -> Exchange<Pending<Response<Body<Alone>>>> {
    Exchange::new(Box::pin(pending()), upload, ASKED)
}

#[tokio::test(start_paused = true)]
async fn a_client_that_hangs_up_wants_no_answer() {
    let (client, mut line) = line();
    let hang_up = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        drop(client);
        tokio::time::sleep(LONG).await;
    };
    let error = run(&mut waiting(None), &mut line, &Interims::default(), hang_up).await;
    assert_eq!(error.map(|error| error.kind()), Some(io::ErrorKind::UnexpectedEof));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_waits_for_its_answer_is_waited_for_and_what_it_sends_meanwhile_is_bounded() {
    let (mut client, mut line) = line();
    let flood = async {
        for _ in 0..100 {
            let writing = client.write_all(&[0; 4096]);
            if tokio::time::timeout(Duration::from_secs(1), writing).await.is_err() {
                break;
            }
        }
        tokio::time::sleep(LONG * 10).await;
    };
    let error = run(&mut waiting(None), &mut line, &Interims::default(), flood).await;
    assert!(error.is_none(), "{error:?}");
    assert!((1..=8 * 1024).contains(&line.input.len()), "{}", line.input.len());
}

#[tokio::test(start_paused = true)]
async fn a_client_is_told_to_go_on_once_its_body_is_wanted_and_sends_it_then() {
    let (mut client, mut line) = line();
    let (upload, mut body) = Upload::new(Framing::Length(4), true);
    let mut exchange = waiting(upload);
    let interims = Interims::default();
    let mut told = [0; 25];
    let quiet = tokio::time::timeout(Duration::from_secs(1), client.read_exact(&mut told));
    let error = run(&mut exchange, &mut line, &interims, async {
        assert!(quiet.await.is_err());
    })
    .await;
    assert!(error.is_none(), "nobody wants it yet");
    // In a task of its own, as the connection looks after its own body by itself.
    let reading = tokio::spawn(async move {
        let frame = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
        (frame.unwrap().unwrap().into_data().unwrap(), body.is_end_stream())
    });
    let talk = async {
        client.read_exact(&mut told).await.unwrap();
        client.write_all(b"abcd").await.unwrap();
        let (data, ended) = reading.await.unwrap();
        assert!(data == "abcd" && ended);
    };
    let error = run(&mut exchange, &mut line, &interims, talk).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
    assert!(exchange.upload.is_some_and(|upload| upload.has_ended()));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_nobody_takes_stays_where_it_is() {
    let (mut client, mut line) = line();
    let (upload, body) = Upload::new(Framing::Length(1_000_000), false);
    let mut exchange = waiting(upload);
    let interims = Interims::default();
    let flood = async {
        let sent = tokio::time::timeout(LONG, client.write_all(&vec![7; 1_000_000])).await;
        assert!(sent.is_err(), "somebody reads it");
    };
    let error = run(&mut exchange, &mut line, &interims, flood).await;
    assert!(error.is_none() && line.is_drained());
    drop(body);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_breaks_off_or_is_badly_framed_or_stalls_says_how() {
    for (framing, sent, kind) in [
        (Framing::Chunked, &b"Z\r\n"[..], io::ErrorKind::InvalidData),
        (Framing::Length(9), b"abc", io::ErrorKind::UnexpectedEof),
        (Framing::Length(9), b"", io::ErrorKind::TimedOut),
    ] {
        let (mut client, mut line) = line();
        let (upload, mut body) = Upload::new(framing, false);
        let mut exchange = waiting(upload);
        client.write_all(sent).await.unwrap();
        let client = (kind == io::ErrorKind::TimedOut).then_some(client);
        let reading = tokio::spawn(async move {
            loop {
                let frame = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
                if let Err(error) = frame.unwrap() {
                    break error.kind();
                }
            }
        });
        let reading = async { assert_eq!(reading.await.unwrap(), kind) };
        let error = run(&mut exchange, &mut line, &Interims::default(), reading).await;
        assert!(error.is_none(), "it is for whoever reads the body to answer: {error:?}");
        drop(client);
    }
}
