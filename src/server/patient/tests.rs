use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::Instant;

use super::*;

const LIMIT: Duration = Duration::from_secs(30);

/// A client, and a connection on which it has to take something this often, and so many bytes a second.
fn connection(rate: u64) -> (DuplexStream, Patient<DuplexStream>) {
    let (client, io) = tokio::io::duplex(32);
    (
        client,
        Patient::new(io, &Timeouts::of(LIMIT, LIMIT, LIMIT).at_rate(rate)),
    )
}

/// Writes what the client takes this much of every twenty seconds: how that ends, and when.
async fn serve(rate: u64, bite: usize) -> (io::Result<()>, Duration) {
    let (mut client, mut io) = connection(rate);
    let start = Instant::now();
    let taking = async {
        let mut bite = vec![0; bite];
        loop {
            tokio::time::sleep(Duration::from_secs(20)).await;
            client.read_exact(&mut bite).await.unwrap();
        }
    };
    let result = tokio::select! {
        result = io.write_all(&[0; 400]) => result,
        () = taking => Ok(()),
    };
    (result, start.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_is_given_up() {
    let (_client, mut io) = connection(0);
    let start = Instant::now();
    let error = io.write_all(&[0; 33]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert_eq!(start.elapsed().as_secs(), LIMIT.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_a_byte_just_in_time_is_given_up_where_a_pace_is_asked() {
    let (result, after) = serve(1, 1).await;
    assert_eq!(result.unwrap_err().kind(), io::ErrorKind::TimedOut);
    // Each wait of 20 s costs 19 of the 30.
    assert!(after < Duration::from_secs(60), "{after:?}");
    let (result, after) = serve(1, 20).await;
    assert!(
        result.is_ok() && after > Duration::from_secs(300),
        "{result:?} {after:?}"
    );
    assert!(serve(0, 1).await.0.is_ok());
}
