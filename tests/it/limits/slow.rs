//! A client that is slow on purpose: it is given up. How thousands of them fare is told in `crowd`.

use std::time::Duration;

use crate::support::{Conversation, DEADLINE, TestGateway, Upstream, eventually, when};

#[tokio::test]
async fn a_body_that_only_trickles_is_given_up() {
    let upstream = Upstream::echo().await;
    let gateway = TestGateway::start(&format!(
        "[server]\nbody_idle_timeout = \"1s\"\nmin_body_rate = \"1KiB\"\n\
         [upstreams.app]\nservers = [\"{}\"]\n[[routes]]\npath = \"/\"\nupstream = \"app\"\nauth = \"none\"\n",
        upstream.url()
    ))
    .await;
    let mut conversation = Conversation::open(gateway.address).await;
    conversation
        .send("POST /c HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
        .await;
    // Never still for a second, and always far too slow.
    let trickle = async {
        let (mut conversation, mut sent) = (conversation, 0);
        loop {
            conversation.send("x").await;
            sent += 1;
            tokio::select! {
                more = conversation.read_some() => if !more || !conversation.pending().is_empty() { break },
                () = tokio::time::sleep(Duration::from_millis(50)) => {}
            }
        }
        (conversation, sent)
    };
    let (conversation, sent) = tokio::time::timeout(DEADLINE, trickle).await.expect("it is cut");
    assert!(sent > 5, "{sent}");
    for answer in conversation.until_end().await.answers {
        assert_eq!(answer.problem(), "request_timeout");
    }
    eventually(DEADLINE, "the upstream is let go", || async {
        when(upstream.open_connections() == 0)
    })
    .await;
    assert!(upstream.seen().is_empty());
}
