use http_body_util::{BodyExt, Full};

use super::*;

#[tokio::test]
async fn an_answer_is_given_in_pieces_and_whole() {
    let text: Vec<u8> = (0..100_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let mut paced = Paced::new(Full::new(Bytes::from(text.clone())), Arc::default());
    let mut all = Vec::new();
    while let Some(frame) = paced.frame().await {
        let data = frame.unwrap().into_data().unwrap();
        assert!(data.len() <= PIECE);
        all.extend_from_slice(&data);
        assert_eq!(paced.size_hint().exact(), Some((text.len() - all.len()) as u64));
        assert_eq!(paced.is_end_stream(), all.len() == text.len());
    }
    assert_eq!(all, text);
}

/// A stream that takes this many pieces, each after a while, and then no more.
async fn taking(mut body: Paced<Full<Bytes>>, count: usize, each: Duration) {
    for _ in 0..count {
        body.frame().await.unwrap().unwrap();
        tokio::time::sleep(each).await;
    }
    std::future::pending::<()>().await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_whose_client_stops_taking_is_given_up_and_a_slow_one_is_not() {
    let limit = Duration::from_secs(30);
    let pace = Arc::new(Pace::default());
    let body = Paced::new(Full::new(Bytes::from(vec![0; 10 * PIECE])), Arc::clone(&pace));
    let begun = tokio::time::Instant::now();
    attend(taking(body, 5, Duration::from_secs(20)), pace, limit).await;
    // Four pieces of twenty seconds, and then the last one is not taken.
    assert_eq!(begun.elapsed(), Duration::from_secs(4 * 20 + 30));
}

#[tokio::test(start_paused = true)]
async fn a_stream_whose_upstream_is_slow_is_not_given_up() {
    let pace = Arc::new(Pace::default());
    let attended = attend(std::future::pending(), pace, Duration::from_secs(30));
    let limit = Duration::from_secs(3600);
    assert!(tokio::time::timeout(limit, attended).await.is_err());
}
