use super::*;
use http::Response;
use proptest::prelude::*;

const ASKED: Asked = Asked {
    is_head: false,
    is_http11: true,
    wishes: Wishes {
        keep_alive: true,
        trailers: false,
    },
};

/// The head without the date, how the body follows, and whether another answer may.
fn written(status: u16, header: &str, exact: Option<u64>, asked: Asked) -> String {
    let mut response = Response::builder().status(status).header("date", "today");
    for line in header.split_terminator('|') {
        let (name, value) = line.split_once(": ").unwrap();
        response = response.header(name, value);
    }
    let (parts, ()) = response.body(()).unwrap().into_parts();
    let mut out = Vec::new();
    let (framing, keeps) = write(&parts, exact, asked, false, &mut out);
    let text = String::from_utf8(out).unwrap().replace("date: today\r\n", "");
    let after = if keeps { "and more" } else { "and no more" };
    format!("{} {framing:?} {after}", text.replace("\r\n", "|"))
}

#[test]
fn a_body_is_framed_by_its_length_or_else_by_chunks() {
    for (status, header, exact, expected) in [
        (200, "", Some(5), "200 OK|content-length: 5|| Length(5) and more"),
        (
            200,
            "a: b",
            None,
            "200 OK|a: b|transfer-encoding: chunked|| Chunked and more",
        ),
        (
            200,
            "content-length: 7",
            None,
            "200 OK|content-length: 7|| Length(7) and more",
        ),
        (
            200,
            "content-length: x",
            None,
            "200 OK|transfer-encoding: chunked|| Chunked and more",
        ),
        // What is there counts more than what is said.
        (
            200,
            "content-length: 7",
            Some(5),
            "200 OK|content-length: 5|| Length(5) and more",
        ),
        (
            200,
            "transfer-encoding: gzip",
            Some(0),
            "200 OK|content-length: 0|| Length(0) and more",
        ),
        (204, "content-length: 0", Some(0), "204 No Content|| None and more"),
        (
            304,
            "content-length: 7",
            Some(0),
            "304 Not Modified|content-length: 7|| None and more",
        ),
        (
            599,
            "connection: close",
            Some(1),
            "599 |content-length: 1|connection: close|| Length(1) and no more",
        ),
        (
            101,
            "connection: upgrade|upgrade: x|content-length: 5",
            Some(0),
            "101 Switching Protocols|connection: upgrade|upgrade: x|| None and more",
        ),
    ] {
        assert_eq!(written(status, header, exact, ASKED), format!("HTTP/1.1 {expected}"));
    }
}

#[test]
fn a_client_of_http_1_0_gets_no_chunks_and_is_told_what_it_wished() {
    let asked = Asked {
        is_http11: false,
        ..ASKED
    };
    for (exact, expected) in [
        (Some(5), "content-length: 5|connection: keep-alive|| Length(5) and more"),
        (None, "connection: close|| Close and no more"),
    ] {
        assert_eq!(written(200, "", exact, asked), format!("HTTP/1.0 200 OK|{expected}"));
    }
}

#[test]
fn an_answer_to_head_says_how_long_the_body_would_be_and_has_none() {
    let asked = Asked { is_head: true, ..ASKED };
    for (header, exact, said) in [
        ("content-length: 7", Some(0), "content-length: 7|"),
        ("", Some(9), "content-length: 9|"),
        ("", Some(0), ""),
        ("", None, ""),
    ] {
        let expected = format!("HTTP/1.1 200 OK|{said}| None and more");
        assert_eq!(written(200, header, exact, asked), expected);
    }
}

#[test]
fn an_answer_without_a_date_gets_one() {
    let (parts, ()) = Response::new(()).into_parts();
    let mut out = Vec::new();
    write(&parts, Some(0), ASKED, true, &mut out);
    let text = String::from_utf8(out).unwrap();
    let date = text.lines().find_map(|line| line.strip_prefix("date: ")).unwrap();
    assert!(date.ends_with(" GMT") && date.len() == 29, "{date:?}");
    assert!(text.ends_with("connection: close\r\n\r\n"));
}

proptest! {
    #[test]
    fn another_parser_reads_what_was_said(
        status in 200u16..600,
        lines in proptest::collection::vec(("x-[a-z0-9-]{0,20}", "[!-~][ -~]{0,30}[!-~]"), 0..20),
        exact in any::<Option<u64>>(),
    ) {
        let mut response = Response::builder().status(status);
        for (name, value) in &lines {
            response = response.header(name, value);
        }
        let (parts, ()) = response.body(()).unwrap().into_parts();
        let mut bytes = Vec::new();
        write(&parts, exact, ASKED, false, &mut bytes);
        let mut room = [httparse::EMPTY_HEADER; 30];
        let mut read = httparse::Response::new(&mut room);
        prop_assert_eq!(read.parse(&bytes).unwrap(), httparse::Status::Complete(bytes.len()));
        prop_assert_eq!((read.version, read.code), (Some(1), Some(status)));
        let mut theirs: Vec<_> = read.headers.iter().filter(|line| line.name.starts_with("x-")).map(|line| (line.name, line.value)).collect();
        let mut ours: Vec<_> = lines.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        // Those of one name keep their order.
        theirs.sort_by(|one, other| one.0.cmp(other.0));
        ours.sort_by(|one, other| one.0.cmp(other.0));
        prop_assert_eq!(ours, theirs);
    }
}
