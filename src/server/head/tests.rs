use super::*;
use proptest::prelude::*;

const LIMITS: Limits = Limits {
    bytes: 4096,
    lines: 10,
    target: 64,
};

fn read(head: &str) -> Result<Framing, Refusal> {
    super::read(&Bytes::copy_from_slice(head.as_bytes()), &LIMITS).map(|head| head.framing)
}

#[test]
fn a_plain_head_is_framed_as_it_says() {
    assert_eq!(read("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Ok(Framing::None));
    assert_eq!(read("GET / HTTP/1.0\r\n\r\n"), Ok(Framing::None));
    assert_eq!(
        read("POST / HTTP/1.1\r\nHost: a\r\ncontent-length:  7 \r\n\r\n"),
        Ok(Framing::Length(7))
    );
    assert_eq!(
        read("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n"),
        Ok(Framing::Chunked)
    );
    assert_eq!(read("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"), Ok(Framing::None));
    assert_eq!(read("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"), Ok(Framing::None));
}

#[test]
fn a_head_that_two_programs_could_read_differently_is_refused() {
    for bad in [
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: y\rZ: w\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX[1]: y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n: y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: \x07\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.2\r\nHost: a\r\n\r\n",
        "GET / http/1.1\r\nHost: a\r\n\r\n",
        "GET /\r\nHost: a\r\n\r\n",
        "G=T / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET x HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET * HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /#x HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /\\x HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /é HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0cchunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\x0c\r\n\r\n",
        "GET /`x HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /?<x> HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n",
        "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        assert!(
            matches!(read(bad), Err(Refusal::Bad(_))),
            "{bad:?} gave {:?}",
            read(bad)
        );
    }
}

#[test]
fn tunnels_and_echoes_are_never_served() {
    assert_eq!(read("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n"), Err(Refusal::Method));
    assert_eq!(read("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n"), Err(Refusal::Method));
}

#[test]
fn limits_hold_to_the_byte_and_the_line() {
    let target = format!("/{}", "x".repeat(63));
    assert_eq!(
        read(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")),
        Ok(Framing::None)
    );
    assert_eq!(
        read(&format!("GET {target}x HTTP/1.1\r\nHost: a\r\n\r\n")),
        Err(Refusal::TargetTooLong)
    );
    let lines = |n: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(n - 1));
    assert_eq!(read(&lines(10)), Ok(Framing::None));
    assert_eq!(read(&lines(11)), Err(Refusal::TooLarge));
    let padded = |n: usize| format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(n - 32));
    assert_eq!(padded(4096).len(), 4096);
    assert_eq!(read(&padded(4096)), Ok(Framing::None));
    assert_eq!(read(&padded(4097)), Err(Refusal::TooLarge));
}

#[test]
fn what_the_client_says_of_the_connection_is_heard() {
    let head = |text: &str| super::read(&Bytes::copy_from_slice(text.as_bytes()), &LIMITS).unwrap();
    for (version, connection, keeps) in [
        ("1.1", "", true),
        ("1.1", "Connection: Close\r\n", false),
        ("1.1", "Connection: x ,\tclose\r\n", false),
        ("1.1", "Connection: closed\r\n", true),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: keep-alive\r\nConnection: close\r\n", false),
    ] {
        let text = format!("GET / HTTP/{version}\r\nHost: a\r\n{connection}\r\n");
        assert_eq!(head(&text).wishes.keep_alive, keeps, "{text:?}");
    }
    let post = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nTE: x, trailers\r\n";
    let (with, without) = (
        head(&format!("{post}Content-Length: 1\r\n\r\n")),
        head(&format!("{post}\r\n")),
    );
    assert!(with.expects && with.wishes.trailers && !without.expects);
    let asks = |version| head(&format!("GET / HTTP/{version}\r\nHost: a\r\nUpgrade: x\r\n\r\n")).upgrade;
    // In HTTP/1.0 the field means nothing (RFC 9110, section 7.8).
    assert!(asks("1.1") && !asks("1.0"));
}

proptest! {
    /// Whatever passes, httparse reads too, and reads the same.
    #[test]
    fn what_passes_is_read_alike_by_httparse(
        method in "[A-Z]{1,7}", target in "/[ -~]{0,12}",
        fields in proptest::collection::vec("[a-zA-Z0-9_:\\- \t\r\n]{0,24}", 0..6),
    ) {
        let head = format!("{method} {target} HTTP/1.1\r\nHost: a\r\n{}\r\n\r\n", fields.join("\r\n"));
        // Only the bytes up to the first empty line are a head.
        let end = head.find("\r\n\r\n").unwrap() + 4;
        let head = Bytes::copy_from_slice(&head.as_bytes()[..end]);
        if let Ok(read) = super::read(&head, &LIMITS) {
            let mut space = [httparse::EMPTY_HEADER; 32];
            let mut parsed = httparse::Request::new(&mut space);
            prop_assert_eq!(parsed.parse(&head), Ok(httparse::Status::Complete(head.len())));
            prop_assert_eq!(parsed.method, Some(read.parts.method.as_str()));
            prop_assert_eq!(parsed.path, Some(target.as_str()));
            prop_assert_eq!(read.parts.uri.to_string(), target);
            let line = |name: &str, value: &[u8]| (name.to_ascii_lowercase(), value.to_vec());
            let mut theirs: Vec<_> = parsed.headers.iter().map(|header| line(header.name, header.value)).collect();
            let mut ours: Vec<_> = read.parts.headers.iter().map(|(name, value)| line(name.as_str(), value.as_bytes())).collect();
            // Those of one name keep their order.
            theirs.sort_by(|one, other| one.0.cmp(&other.0));
            ours.sort_by(|one, other| one.0.cmp(&other.0));
            prop_assert_eq!(ours, theirs);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = super::read(&Bytes::from(bytes), &LIMITS);
    }
}

#[test]
fn a_control_character_is_found_anywhere_in_a_value() {
    for at in 0..100 {
        for byte in 0..=u8::MAX {
            let mut value = [b'v'; 100];
            value[at] = byte;
            let head = [&b"GET / HTTP/1.1\r\nHost: a\r\nX: "[..], &value, b"\r\n\r\n"].concat();
            let fine = byte == b'\t' || (byte >= 0x20 && byte != 0x7f);
            assert_eq!(super::read(&Bytes::from(head), &LIMITS).is_ok(), fine, "{byte} at {at}");
        }
    }
}
