//! Bodies in any cut, good ones to their end and bad ones to where they break.

use super::*;
use proptest::prelude::*;

const LIMITS: Limits = Limits {
    bytes: 1024,
    lines: 20,
    target: 512,
};

/// What came of a body: its data and trailers, and what follows it.
#[derive(Debug, Default, PartialEq)]
struct Read {
    data: Vec<u8>,
    trailers: Option<HeaderMap>,
    ended: bool,
    broken: bool,
    left: Vec<u8>,
}

impl Read {
    fn all(framing: Framing, parts: impl Iterator<Item = impl AsRef<[u8]>>) -> Self {
        let (mut decoder, mut input, mut read) = (Decoder::new(framing), BytesMut::new(), Self::default());
        for part in parts {
            input.extend_from_slice(part.as_ref());
            while !read.ended && !read.broken {
                match decoder.step(&mut input, &LIMITS) {
                    Ok(Step::Frame(frame)) => match frame.into_data() {
                        Ok(data) => read.data.extend_from_slice(&data),
                        Err(frame) => read.trailers = frame.into_trailers().ok(),
                    },
                    Ok(Step::Ended) => read.ended = true,
                    Ok(Step::More) => break,
                    Err(Broken) => read.broken = true,
                }
            }
        }
        read.left = input.to_vec();
        read
    }

    fn chunked(text: &str) -> Self {
        Self::all(Framing::Chunked, [text].into_iter())
    }
}

#[test]
fn a_body_of_a_length_ends_there_and_leaves_what_follows() {
    let read = Read::all(Framing::Length(5), ["abc", "deGET"].into_iter());
    assert_eq!(
        (&read.data[..], read.ended, &read.left[..]),
        (&b"abcde"[..], true, &b"GET"[..])
    );
}

#[test]
fn bad_chunks_break_the_body() {
    let long = format!("5;{}\r\nAAAAA\r\n0\r\n\r\n", "x".repeat(300));
    let endless = format!("5;{}", "x".repeat(300));
    let many = format!("{}0\r\n\r\n", format!("1;{}\r\nA\r\n", "x".repeat(200)).repeat(30));
    let fat = format!("0\r\nX: {}", "y".repeat(2000));
    let lines = format!("0\r\n{}\r\n", "X: y\r\n".repeat(21));
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
        "0\r\nX: y\rz\r\n\r\n",
        "0\r\nX y: z\r\n\r\n",
        "0\r\nX: \x01\r\n\r\n",
        "0000000000000000005\r\nAAAAA\r\n0\r\n\r\n",
        &long,
        &endless,
        &many,
        &fat,
        &lines,
    ] {
        let read = Read::chunked(bad);
        assert!(read.broken && !read.ended, "{bad:?} gave {read:?}");
    }
}

#[test]
fn good_chunks_pass_with_extensions_and_trailers() {
    for (good, data) in [
        ("0\r\n\r\n", ""),
        ("5\r\nAAAAA\r\n0\r\n\r\n", "AAAAA"),
        ("5;a=b\r\nAAAAA\r\n0\r\nX: y\r\nZ:\r\n\r\n", "AAAAA"),
        ("a\r\n0123456789\r\n1;;;\r\nB\r\n00\r\n\r\n", "0123456789B"),
    ] {
        let read = Read::chunked(&format!("{good}GET"));
        assert_eq!(String::from_utf8_lossy(&read.data), data, "{good:?}");
        assert_eq!((read.ended, &read.left[..]), (true, &b"GET"[..]), "{good:?}");
        assert_eq!(read.trailers.is_some_and(|all| all["x"] == "y"), good.contains('X'));
    }
}

#[test]
fn trailers_are_bounded_alike_wherever_they_are_cut() {
    for length in LIMITS.bytes - 3..LIMITS.bytes + 6 {
        let text = format!("0\r\nX: {}\r\n\r\n", "y".repeat(length - "X: \r\n\r\n".len()));
        assert_eq!(Read::chunked(&text).ended, length <= LIMITS.bytes, "{length}");
        for less in 0..5 {
            let text = &text[..text.len() - less];
            let [whole, cut] = [
                Read::chunked(text),
                Read::all(Framing::Chunked, text.as_bytes().chunks(1)),
            ];
            assert_eq!((whole.ended, whole.broken), (cut.ended, cut.broken), "{length} {less}");
        }
    }
}

#[test]
fn what_is_not_complete_waits() {
    for part in [
        "",
        "5",
        "5;a",
        "5\r",
        "5\r\nAA",
        "5\r\nAAAAA\r",
        "0\r\n",
        "0\r\nX: y\r",
        "0\r\nX: y\r\n\r",
    ] {
        let read = Read::chunked(part);
        assert!(!read.broken && !read.ended, "{part:?} gave {read:?}");
    }
}

proptest! {
    /// However the bytes are cut into reads, the same comes out.
    #[test]
    fn the_cut_into_reads_changes_nothing(
        cuts in proptest::collection::vec(1usize..10, 1..40),
        chunks in proptest::collection::vec(("[ -~]{1,20}", "(;[ -~]{0,9})?"), 0..6),
        tail in "(0\r\n\r\nGET)|(0\r\nX: y\r\n\r\nGET)|(0\r\nX\r\n)|([ -~\r\n]{0,8})",
    ) {
        let chunk = |(data, extension): &(String, String)| format!("{:x}{extension}\r\n{data}\r\n", data.len());
        let text = chunks.iter().map(chunk).collect::<String>() + &tail;
        let mut rest = text.as_bytes();
        let parts = cuts.iter().cycle().map_while(|cut| {
            let part = rest.split_off(..(*cut).min(rest.len()))?;
            (!part.is_empty()).then_some(part)
        });
        let cut = Read::all(Framing::Chunked, parts);
        let whole = Read::chunked(&text);
        prop_assert_eq!((cut.broken, cut.ended), (whole.broken, whole.ended));
        prop_assert_eq!(&cut.data, &whole.data);
        prop_assert_eq!(&cut.trailers, &whole.trailers);
        if whole.ended {
            prop_assert_eq!(&cut.left, &whole.left);
            let sent: String = chunks.iter().map(|(data, _)| data.as_str()).collect();
            prop_assert!(whole.data.starts_with(sent.as_bytes()));
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        Read::all(Framing::Chunked, [&bytes].into_iter());
        let read = Read::all(Framing::Length(100), [&bytes].into_iter());
        prop_assert_eq!(read.data.len(), bytes.len().min(100));
    }
}
