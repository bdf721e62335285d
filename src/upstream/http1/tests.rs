//! What is read of answers however they come, and what is sent of requests.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request, Version};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::decode::Step;
use super::{Decoder, Http1, Stream, head};
use crate::rules::headers::IdentityHeaders;
use crate::time::monotonic;
use crate::upstream::{Fault, RequestBody};

/// A body that was read to its end: its bytes, its trailers, and what follows it.
type Read = Result<(Vec<u8>, HeaderMap, Vec<u8>), Fault>;

/// Reads the answer to a GET that comes in pieces of these sizes, over and over, and then ends.
fn read(answer: &[u8], sizes: &[usize]) -> Read {
    let (mut input, mut rest, mut at) = (BytesMut::new(), answer, 0);
    let mut more = |input: &mut BytesMut| {
        let size = sizes
            .get(at % sizes.len().max(1))
            .copied()
            .unwrap_or(usize::MAX)
            .min(rest.len());
        at += 1;
        input.extend_from_slice(&rest[..size]);
        rest = &rest[size..];
        size > 0
    };
    let mut body = loop {
        if let Some(head) = head::take(&mut input, &Method::GET)? {
            break head.body;
        }
        if !more(&mut input) {
            return Err(Fault::Closed);
        }
    };
    let (mut bytes, mut trailers) = (Vec::new(), HeaderMap::new());
    loop {
        match body.step(&mut input)? {
            Step::Ended => break,
            Step::More if more(&mut input) => {}
            Step::More => body.close()?,
            Step::Frame(frame) => match frame.into_data() {
                Ok(data) => bytes.extend_from_slice(&data),
                Err(frame) => trailers.extend(frame.into_trailers().unwrap_or_default()),
            },
        }
    }
    while more(&mut input) {}
    Ok((bytes, trailers, input.to_vec()))
}

fn whole(answer: &str) -> Read {
    read(answer.as_bytes(), &[usize::MAX])
}

#[test]
fn a_body_ends_where_its_framing_says_and_what_follows_is_left() {
    for (answer, body, left) in [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabHTTP/1.1",
            "ab",
            "HTTP/1.1",
        ),
        ("HTTP/1.1 204 No Content\r\n\r\nab", "", "ab"),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\nab", "", "ab"),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x=\"y\"\r\nc\r\n0\r\n\r\nHTTP",
            "abc",
            "HTTP",
        ),
        ("HTTP/1.1 200 OK\r\n\r\nuntil the end", "until the end", ""),
        ("HTTP/1.0 200 OK\r\n\r\nuntil the end", "until the end", ""),
    ] {
        let (bytes, _, rest) = whole(answer).unwrap();
        assert_eq!(
            (bytes.as_slice(), rest.as_slice()),
            (body.as_bytes(), left.as_bytes()),
            "{answer}"
        );
    }
}

#[test]
fn an_answer_that_breaks_off_is_never_whole() {
    let answers = [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n3\r\nabc\r\n0\r\nA: b\r\n\r\n",
    ];
    for answer in answers {
        for end in 0..answer.len() {
            let broken = &answer[..end];
            assert!(matches!(whole(broken), Err(Fault::Closed)), "{broken:?}");
        }
    }
}

#[test]
fn chunks_that_two_programs_could_read_differently_are_refused() {
    for chunks in [
        "2\nab\r\n0\r\n\r\n",
        "2\r\nabc\r\n0\r\n\r\n",
        "2\r\nab\n0\r\n\r\n",
        "+2\r\nab\r\n0\r\n\r\n",
        "0x2\r\nab\r\n0\r\n\r\n",
        "2 2\r\nab\r\n0\r\n\r\n",
        "\r\nab\r\n0\r\n\r\n",
        ";x\r\nab\r\n0\r\n\r\n",
        "2\0\r\nab\r\n0\r\n\r\n",
        "2;\x01\r\nab\r\n0\r\n\r\n",
        "10000000000000002\r\nab\r\n0\r\n\r\n",
        "0\r\nno colon\r\n\r\n",
    ] {
        let answer = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
        let read = whole(&answer);
        assert!(matches!(read, Err(Fault::NotHttp(_))), "{chunks:?}: {read:?}");
    }
}

#[test]
fn lines_between_chunks_and_trailers_are_bounded() {
    let begin = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let extension = format!("{begin}1;{}", "x".repeat(5000));
    let trailers = format!("{begin}0\r\n{}", "a: b\r\n".repeat(65));
    let trailer = format!("{begin}0\r\na: {}", "b".repeat(17 * 1024));
    for answer in [extension, trailers, trailer] {
        assert!(matches!(whole(&answer), Err(Fault::NotHttp(_))));
    }
}

#[test]
fn heads_that_are_none_or_too_large_are_refused() {
    let long = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "b".repeat(129 * 1024));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(129));
    let given = [
        "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
        long.as_str(),
        many.as_str(),
    ];
    for answer in given {
        let read = whole(answer);
        assert!(matches!(read, Err(Fault::NotHttp(_))), "{answer:?}: {read:?}");
    }
}

#[test]
fn a_connection_goes_on_only_where_both_ends_know_where_the_answer_ends() {
    for (answer, keep) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: x, Close\r\n\r\n",
            false,
        ),
        ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", false),
        (
            "HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n",
            true,
        ),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", true),
        (
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n",
            false,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
            false,
        ),
        ("HTTP/1.1 200 OK\r\n\r\n", false),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n", false),
        (
            "HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive, close\r\n\r\n",
            false,
        ),
    ] {
        let head = head::take(&mut BytesMut::from(answer), &Method::GET).unwrap().unwrap();
        assert_eq!(head.keep, keep, "{answer}");
    }
}

proptest! {
    #[test]
    fn a_body_is_the_same_however_it_comes(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6),
        sizes in prop::collection::vec(1_usize..30, 1..8),
        trailer in prop::option::of("[a-z]{1,9}"),
    ) {
        let mut answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n".to_vec();
        for chunk in &chunks {
            answer.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            answer.extend_from_slice(chunk);
            answer.extend_from_slice(b"\r\n");
        }
        answer.extend_from_slice(b"0\r\n");
        if let Some(value) = &trailer {
            answer.extend_from_slice(format!("x-end: {value}\r\n").as_bytes());
        }
        answer.extend_from_slice(b"\r\nNEXT");
        let (bytes, trailers, rest) = read(&answer, &sizes).unwrap();
        prop_assert_eq!(bytes, chunks.concat());
        prop_assert_eq!(trailers.get("x-end").map(|value| value.to_str().unwrap().to_owned()), trailer);
        prop_assert_eq!(rest, b"NEXT");
    }

    #[test]
    fn nothing_that_a_server_says_is_a_panic(answer in prop::collection::vec(any::<u8>(), 0..300), size in 1_usize..40) {
        let mut chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        chunked.extend_from_slice(&answer);
        let _ = read(&chunked, &[size]);
        let _ = read(&answer, &[size]);
    }
}

/// A connection and the server's end of it.
async fn pair() -> (Http1, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    (Http1::new(Stream::Tcp(client), monotonic(), None), server)
}

fn no_body() -> RequestBody {
    RequestBody::empty(Arc::new(IdentityHeaders::new("X-Auth-").unwrap()))
}

async fn until_empty_line(server: &mut TcpStream) -> String {
    let mut seen = Vec::new();
    while !seen.ends_with(b"\r\n\r\n") {
        seen.push(server.read_u8().await.unwrap());
    }
    String::from_utf8(seen).unwrap()
}

#[tokio::test]
async fn exchanges_follow_each_other_and_interim_answers_are_none() {
    let (mut connection, mut server) = pair().await;
    let request = Request::get("/a?b")
        .header("host", "x")
        .body(())
        .unwrap()
        .into_parts()
        .0;
    for round in 0..3 {
        assert!(connection.is_ready());
        let answer = async {
            let seen = until_empty_line(&mut server).await;
            assert_eq!(seen, "GET /a?b HTTP/1.1\r\nhost: x\r\n\r\n");
            let interim = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
            let answer = format!("{interim}HTTP/1.1 200 OK\r\nContent-Length: 1\r\nX-Round: {round}\r\n\r\n{round}");
            server.write_all(answer.as_bytes()).await.unwrap();
        };
        let (sent, ()) = tokio::join!(connection.send(&request, no_body(), None), answer);
        let (head, mut body) = sent.unwrap();
        assert_eq!((head.status.as_u16(), head.version), (200, Version::HTTP_11));
        assert_eq!(head.headers["x-round"], round.to_string());
        let frame = std::future::poll_fn(|cx| connection.poll_frame(&mut body, cx)).await;
        assert_eq!(frame.unwrap().unwrap().into_data().unwrap(), round.to_string());
        assert!(matches!(body, Decoder::Done));
    }
}

#[tokio::test]
async fn a_connection_that_the_server_closed_or_spoke_on_is_not_ready() {
    for word in [&b""[..], b"HTTP/1.1 408 Request Timeout\r\n\r\n"] {
        let (mut connection, mut server) = pair().await;
        assert!(connection.is_ready());
        server.write_all(word).await.unwrap();
        server.shutdown().await.unwrap();
        while connection.is_ready() {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_server_that_never_comes_to_its_answer_is_given_up() {
    let (mut connection, mut server) = pair().await;
    let request = Request::get("/").header("host", "x").body(()).unwrap().into_parts().0;
    let talk = async {
        until_empty_line(&mut server).await;
        // It ends when the connection is dropped.
        while server.write_all(b"HTTP/1.1 102 Processing\r\n\r\n").await.is_ok() {}
    };
    let ask = async {
        let sent = connection.send(&request, no_body(), None).await;
        drop(connection);
        sent
    };
    let (sent, ()) = tokio::join!(ask, talk);
    assert!(matches!(sent, Err(Fault::NotHttp(_))), "{sent:?}");
}

#[tokio::test]
async fn a_body_follows_as_it_is_framed() {
    let identity = Arc::new(IdentityHeaders::new("X-Auth-").unwrap());
    for (header, expected) in [
        (
            ("content-length", "6"),
            "POST / HTTP/1.1\r\ncontent-length: 6\r\n\r\nabcdef",
        ),
        (
            ("transfer-encoding", "chunked"),
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n",
        ),
    ] {
        let (mut connection, mut server) = pair().await;
        let body = RequestBody::of_parts([Bytes::from_static(b"abc"), Bytes::from_static(b"def")], &identity);
        let request = Request::post("/")
            .header(header.0, header.1)
            .body(())
            .unwrap()
            .into_parts()
            .0;
        let answer = async {
            let mut seen = vec![0; expected.len()];
            server.read_exact(&mut seen).await.unwrap();
            assert_eq!(String::from_utf8_lossy(&seen), expected);
            server
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                .await
                .unwrap();
        };
        let (sent, ()) = tokio::join!(connection.send(&request, body, None), answer);
        assert_eq!(sent.unwrap().0.status.as_u16(), 200);
        assert!(connection.is_ready());
    }
}

#[tokio::test]
async fn an_answer_without_length_is_not_whole_where_the_server_resets_the_connection_during_the_upload() {
    let (mut connection, mut server) = pair().await;
    let identity = Arc::new(IdentityHeaders::new("X-Auth-").unwrap());
    let large = Bytes::from(vec![b'a'; 16 << 20]);
    let body = RequestBody::of_parts([large.clone(), large], &identity);
    let request = Request::post("/")
        .header("transfer-encoding", "chunked")
        .body(())
        .unwrap()
        .into_parts()
        .0;
    let answer = async {
        until_empty_line(&mut server).await;
        server.write_all(b"HTTP/1.1 200 OK\r\n\r\npart").await.unwrap();
    };
    let (sent, ()) = tokio::join!(connection.send(&request, body, None), answer);
    let (_, mut body) = sent.unwrap();
    let part = std::future::poll_fn(|cx| connection.poll_frame(&mut body, cx)).await;
    assert_eq!(part.unwrap().unwrap().into_data().unwrap(), "part");
    // With bytes that it has not read: its end is a reset.
    let hang_up = async { drop(server) };
    let next = std::future::poll_fn(|cx| connection.poll_frame(&mut body, cx));
    let (next, ()) = tokio::join!(next, hang_up);
    assert!(matches!(next, Some(Err(_))), "{next:?}");
}
