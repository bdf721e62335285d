//! What an upstream may answer, and what of it reaches a client.

use std::time::Duration;

use crate::support::{Account, Conversation, Reply, TestGateway, Upstream, usual_routes};

/// An upstream that answers `/c/NAME` with the bytes of that name, and anything else with 200.
async fn hostile(replies: &'static [(&'static str, &'static [u8], End)]) -> (Upstream, TestGateway, Account) {
    let upstream = Upstream::start(|seen| {
        let name = seen.target.trim_start_matches("/c/");
        match replies.iter().find(|(known, _, _)| *known == name) {
            Some((_, bytes, End::Open)) => Reply::Bytes(bytes.to_vec()),
            Some((_, bytes, End::Closed)) => Reply::Last(bytes.to_vec()),
            None => Reply::ok("own"),
        }
    })
    .await;
    let gateway = TestGateway::start(&usual_routes(&upstream)).await;
    let user = Account::sign_up(&gateway).await;
    (upstream, gateway, user)
}

/// What the upstream does with the connection after its bytes.
#[derive(Clone, Copy)]
enum End {
    Open,
    Closed,
}

fn get(gateway: &TestGateway, name: &str, user: &Account) -> String {
    let raw = format!("GET /c/{name} HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer TOKEN\r\n\r\n");
    gateway.fill(&raw, &user.token)
}

/// Answers that are not HTTP, or could be cut apart in two ways.
const NOT_TO_BE_RELAYED: &[(&str, &[u8], End)] = {
    use End::{Closed, Open};
    &[
        (
            "length-and-chunks",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n\
              HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON",
            Open,
        ),
        (
            "two-lengths",
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 8\r\n\r\nokPOISON",
            Open,
        ),
        (
            "negative-length",
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nok",
            Open,
        ),
        ("plus-length", b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok", Open),
        (
            "nul",
            b"HTTP/1.1 200 OK\r\nX-A: a\0b\r\nContent-Length: 2\r\n\r\nok",
            Open,
        ),
        (
            "bare-cr",
            b"HTTP/1.1 200 OK\r\nX-A: a\rSet-Cookie: evil=1\r\nContent-Length: 2\r\n\r\nok",
            Open,
        ),
        (
            "space-before-colon",
            b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok",
            Open,
        ),
        ("status-000", b"HTTP/1.1 000 Zero\r\nContent-Length: 2\r\n\r\nok", Open),
        ("status-1000", b"HTTP/1.1 1000 Big\r\nContent-Length: 2\r\n\r\nok", Open),
        ("status-20", b"HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok", Open),
        ("no-http", b"POISON raw body without a status line\r\n\r\n", Closed),
        ("http-3", b"HTTP/3.7 200 OK\r\nContent-Length: 2\r\n\r\nok", Open),
        (
            "unasked-101",
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: foo\r\nConnection: Upgrade\r\n\r\nTUNNEL",
            Open,
        ),
        ("nothing", b"", Closed),
        ("half-a-head", b"HTTP/1.1 200 OK\r\nContent-Le", Closed),
        (
            "gzip-chunked",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            Open,
        ),
        (
            "chunked-twice",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            Open,
        ),
        (
            "obs-fold",
            b"HTTP/1.1 200 OK\r\nX-A: a\r\n b\r\nContent-Length: 2\r\n\r\nok",
            Open,
        ),
    ]
};

#[tokio::test]
async fn an_answer_that_is_not_proper_is_502_and_nothing_of_it_reaches_a_client() {
    let (upstream, gateway, user) = hostile(NOT_TO_BE_RELAYED).await;
    for (name, _, _) in NOT_TO_BE_RELAYED {
        let mut conversation = Conversation::open(gateway.address).await;
        conversation.send(get(&gateway, name, &user)).await;
        let answer = conversation.answer().await;
        assert_eq!(answer.status, 502, "{name}: {answer:?}");
        let code = answer.problem();
        assert!(
            ["upstream_invalid", "upstream_unreachable"].contains(&code.as_str()),
            "{name}: {code}"
        );
        for forbidden in ["POISON", "TUNNEL", "evil"] {
            assert!(!format!("{answer:?}").contains(forbidden), "{name}: {answer:?}");
        }
        // The next answer is the next request's own, on this connection and on another.
        conversation.send(get(&gateway, "after", &user)).await;
        assert_eq!(conversation.answer().await.body, b"own", "{name}");
        let (status, body) = gateway.get("/c/after", Some(&user.token)).await;
        assert_eq!((status, body.as_str()), (200, "own"), "{name}");
    }
    assert!(upstream.faults().is_empty(), "{:?}", upstream.faults());
}

#[tokio::test]
async fn a_head_of_megabytes_or_of_thousands_of_lines_is_502() {
    let upstream = Upstream::start(|seen| match seen.target.as_str() {
        "/c/long" => Reply::Bytes(
            format!(
                "HTTP/1.1 200 OK\r\nX-A: {}\r\nContent-Length: 2\r\n\r\nok",
                "A".repeat(2_000_000)
            )
            .into_bytes(),
        ),
        "/c/many" => {
            let lines = "X: 1\r\n".repeat(5000);
            Reply::Bytes(format!("HTTP/1.1 200 OK\r\n{lines}Content-Length: 2\r\n\r\nok").into_bytes())
        }
        _ => Reply::ok("own"),
    })
    .await;
    let gateway = TestGateway::start(&usual_routes(&upstream)).await;
    let user = Account::sign_up(&gateway).await;
    for path in ["/c/long", "/c/many"] {
        let (status, body) = gateway.get(path, Some(&user.token)).await;
        assert_eq!(status, 502, "{path}: {body}");
        assert_eq!(
            gateway.get("/c/after", Some(&user.token)).await,
            (200, "own".to_owned())
        );
    }
}

/// A second answer behind the first, where none belongs.
const WITH_MORE_BEHIND: &[(&str, &[u8], End)] = &[
    (
        "extra",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON",
        End::Open,
    ),
    ("no-content", b"HTTP/1.1 204 No Content\r\nContent-Length: 6\r\n\r\nPOISON", End::Open),
    ("not-modified", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\nPOISON", End::Open),
    (
        "chunked",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON",
        End::Open,
    ),
];

#[tokio::test]
async fn an_answer_hidden_behind_another_reaches_nobody() {
    let (_upstream, gateway, user) = hostile(WITH_MORE_BEHIND).await;
    for (name, _, _) in WITH_MORE_BEHIND {
        for _ in 0..3 {
            let mut conversation = Conversation::open(gateway.address).await;
            conversation.send(get(&gateway, name, &user)).await;
            let answer = conversation.answer().await;
            assert!([200, 204, 304, 502].contains(&answer.status), "{name}: {answer:?}");
            assert!(!format!("{answer:?}").contains("POISON"), "{name}: {answer:?}");
            for _ in 0..2 {
                conversation.send(get(&gateway, "after", &user)).await;
                assert_eq!(conversation.answer().await.body, b"own", "{name}");
            }
        }
    }
}

#[tokio::test]
async fn a_body_to_a_head_request_reaches_nobody() {
    let upstream = Upstream::start(|seen| match seen.method.as_str() {
        "HEAD" => Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON"),
        _ => Reply::ok("own"),
    })
    .await;
    let gateway = TestGateway::start(&usual_routes(&upstream)).await;
    let user = Account::sign_up(&gateway).await;
    let mut conversation = Conversation::open(gateway.address).await;
    conversation
        .send(get(&gateway, "x", &user).replacen("GET", "HEAD", 1))
        .await;
    let answer = conversation.answer_to_head().await;
    assert_eq!((answer.status, answer.header("content-length")), (200, Some("6")));
    conversation.send(get(&gateway, "after", &user)).await;
    assert_eq!(conversation.answer().await.body, b"own");
}

/// Bodies that end too early.
const CUT_SHORT: &[(&str, &[u8], End)] = &[
    (
        "length",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        End::Closed,
    ),
    (
        "chunks",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n",
        End::Closed,
    ),
    (
        "bad-chunk",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\nZZ\r\nok\r\n0\r\n\r\n",
        End::Open,
    ),
    (
        "huge-chunk",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\nFFFFFFFFFFFFFFFF1\r\nok\r\n0\r\n\r\n",
        End::Open,
    ),
];

#[tokio::test]
async fn a_body_cut_short_is_seen_as_broken_and_not_as_whole() {
    let (_upstream, gateway, user) = hostile(CUT_SHORT).await;
    for (name, _, _) in CUT_SHORT {
        let mut conversation = Conversation::open(gateway.address).await;
        conversation.send(get(&gateway, name, &user)).await;
        let ended = conversation.until_end().await;
        let got = String::from_utf8_lossy(&ended.rest).into_owned();
        match ended.answers.first() {
            Some(answer) => assert_eq!(answer.status, 502, "{name}: passed as whole: {answer:?}"),
            None => assert!(got.starts_with("HTTP/1.1 200 OK\r\n"), "{name}: {got:?}"),
        }
        assert!(!got.contains("\r\n0\r\n\r\n"), "{name}: {got:?}");
        assert_eq!(gateway.get("/c/after", Some(&user.token)).await.0, 200, "{name}");
    }
}

#[tokio::test]
async fn answers_without_a_body_have_none_and_the_connection_goes_on() {
    let upstream = Upstream::start(|seen| match (seen.method.as_str(), seen.target.as_str()) {
        ("HEAD", _) => Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\nETag: \"a\"\r\n\r\n"),
        (_, "/c/204") => Reply::raw("HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n"),
        (_, "/c/304") => Reply::raw("HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 1234\r\n\r\n"),
        (_, "/c/205") => Reply::raw("HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n"),
        (_, "/c/empty") => Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        _ => Reply::ok("own"),
    })
    .await;
    let gateway = TestGateway::start(&usual_routes(&upstream)).await;
    let user = Account::sign_up(&gateway).await;
    let mut conversation = Conversation::open(gateway.address).await;
    for status in [204, 304, 205] {
        conversation.send(get(&gateway, &status.to_string(), &user)).await;
        let answer = conversation.answer().await;
        assert_eq!((answer.status, &answer.body[..]), (status, &b""[..]));
        assert_eq!(answer.header("x-doorward-error"), None);
    }
    conversation.send(get(&gateway, "empty", &user)).await;
    assert_eq!(conversation.answer().await.header("content-length"), Some("0"));
    conversation
        .send(get(&gateway, "head", &user).replacen("GET", "HEAD", 1))
        .await;
    let answer = conversation.answer_to_head().await;
    assert_eq!(answer.header("content-length"), Some("1234"), "what a GET would have");
    assert_eq!(answer.header("etag"), Some("\"a\""));
    conversation.send(get(&gateway, "last", &user)).await;
    assert_eq!(conversation.answer().await.body, b"own");
}

#[tokio::test]
async fn early_hints_pass_and_a_hundred_continues_nobody_asked_for_do_not() {
    let upstream = Upstream::start(|seen| match seen.target.as_str() {
        "/c/hints" => {
            Reply::raw("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        }
        "/c/hundreds" => Reply::Bytes(
            format!(
                "{}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
                "HTTP/1.1 100 Continue\r\n\r\n".repeat(100)
            )
            .into_bytes(),
        ),
        _ => Reply::ok("own"),
    })
    .await;
    let gateway = TestGateway::start(&usual_routes(&upstream)).await;
    let user = Account::sign_up(&gateway).await;
    for (name, passed) in [("hints", 1), ("hundreds", 0)] {
        let mut conversation = Conversation::open(gateway.address).await;
        conversation.send(get(&gateway, name, &user)).await;
        let mut informational = 0;
        let answer = loop {
            let answer = conversation.answer().await;
            if answer.status >= 200 {
                break answer;
            }
            informational += 1;
        };
        assert_eq!((answer.status, &answer.body[..]), (200, &b"ok"[..]), "{name}");
        assert_eq!(informational, passed, "{name}");
        conversation.send(get(&gateway, "after", &user)).await;
        assert_eq!(conversation.answer().await.body, b"own", "{name}");
    }
}

#[tokio::test]
async fn an_upstream_error_is_passed_on_as_its_own() {
    let upstream = Upstream::start(|_| {
        Reply::raw(
            "HTTP/1.1 503 Come Back\r\nContent-Type: text/plain\r\nX-Doorward-Error: busy\r\nRetry-After: 7\r\n\
             Content-Length: 4\r\n\r\nbusy",
        )
    })
    .await;
    let gateway = TestGateway::start(&usual_routes(&upstream)).await;
    let user = Account::sign_up(&gateway).await;
    let mut conversation = Conversation::open(gateway.address).await;
    conversation.send(get(&gateway, "x", &user)).await;
    let answer = conversation.answer().await;
    assert_eq!((answer.status, &answer.body[..]), (503, &b"busy"[..]));
    assert_eq!(answer.header("retry-after"), Some("7"));
    assert_eq!(
        answer.header("x-doorward-error"),
        None,
        "the gateway's header is the gateway's"
    );
}

#[tokio::test]
async fn an_answer_before_the_body_is_sent_ends_the_upload() {
    // An upstream that answers 413 to the head alone and hangs up.
    let (address, _task) = crate::support::upstream::each(|mut stream| async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut head = Vec::new();
        while crate::support::answer::find(&head, b"\r\n\r\n").is_none() {
            let mut buffer = [0; 1024];
            let n = stream.read(&mut buffer).await.unwrap();
            head.extend_from_slice(&buffer[..n]);
        }
        let answer = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig";
        stream.write_all(answer).await.unwrap();
        stream.shutdown().await.unwrap();
        // Read on a little: a server that closes with bytes unread resets the connection.
        while matches!(tokio::time::timeout(Duration::from_secs(5), stream.read(&mut [0; 4096])).await, Ok(Ok(n)) if n > 0) {}
    })
    .await;
    let gateway = TestGateway::start(&format!(
        "[upstreams.app]\nservers = [\"http://{address}\"]\n[[routes]]\npath = \"/up\"\nupstream = \"app\"\nauth = \"none\"\n"
    ))
    .await;
    let mut conversation = Conversation::open(gateway.address).await;
    let head = "POST /up HTTP/1.1\r\nHost: HOST\r\nContent-Length: 100000000\r\n\r\n";
    conversation.send(gateway.fill(head, "")).await;
    conversation.send(vec![b'x'; 200_000]).await;
    let answer = conversation.answer().await;
    assert_eq!((answer.status, &answer.body[..]), (413, &b"big"[..]));
}
