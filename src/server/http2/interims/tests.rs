//! Which interim answers get out, on which stream, and how they read.

use super::*;
use http::{HeaderName, HeaderValue};
use proptest::prelude::*;

fn link(length: usize) -> HeaderMap {
    let value = HeaderValue::try_from("a".repeat(length)).unwrap();
    [(http::header::LINK, value)].into_iter().collect()
}

/// A frame, as somebody who knows only literals reads it: stream, fields.
fn read(bytes: &mut &[u8]) -> (u32, Vec<(String, Vec<u8>)>) {
    let length = usize::from(bytes[0]) << 16 | usize::from(bytes[1]) << 8 | usize::from(bytes[2]);
    assert_eq!(bytes[3..5], [kind::HEADERS, flag::END_HEADERS]);
    let stream = u32::from_be_bytes(bytes[5..9].try_into().unwrap());
    let (mut block, rest) = bytes[9..].split_at(length);
    *bytes = rest;
    let mut fields = Vec::new();
    while let [first, left @ ..] = block {
        block = left;
        let name = match first {
            8 => ":status".to_owned(),
            0 => String::from_utf8(text(&mut block)).unwrap(),
            other => panic!("{other:#x} may change a table"),
        };
        fields.push((name, text(&mut block)));
    }
    (stream, fields)
}

fn text(block: &mut &[u8]) -> Vec<u8> {
    let mut length = usize::from(block[0]);
    assert!(length < 0x80, "Huffman");
    *block = &block[1..];
    if length == 0x7f {
        for place in 0.. {
            let byte = usize::from(block[0]);
            *block = &block[1..];
            length += (byte & 0x7f) << (7 * place);
            if byte < 0x80 {
                break;
            }
        }
    }
    let (text, rest) = block.split_at(length);
    *block = rest;
    text.to_vec()
}

/// The streams of what is to be written.
fn streams(interims: &Interims) -> Vec<u32> {
    let bytes = interims.take();
    let mut rest = &bytes[..];
    let mut streams = Vec::new();
    while !rest.is_empty() {
        streams.push(read(&mut rest).0);
    }
    streams
}

fn hint(interims: &Interims, stream: u32) {
    interims.interim(u64::from(stream), StatusCode::EARLY_HINTS, &link(10));
}

#[test]
fn calls_are_known_by_their_place_once_all_streams_have_one() {
    let interims = Interims::default();
    interims.opened([1, 3, 7].into_iter());
    assert_eq!((interims.begin(), interims.begin()), (1, 3));
    hint(&interims, 3);
    assert_eq!(streams(&interims), [0; 0], "a call may be of a later stream");
    assert!(interims.wait(), "it may still get out");
    assert_eq!(interims.begin(), 7);
    hint(&interims, 1);
    assert_eq!(streams(&interims), [3, 1]);
    assert!(!interims.wait());
}

#[test]
fn a_stream_that_no_call_came_of_ends_all_interim_answers() {
    let interims = Interims::default();
    interims.opened([1, 3].into_iter());
    assert_eq!(interims.begin(), 1);
    hint(&interims, 1);
    for stream in (5..99).step_by(2) {
        interims.opened(std::iter::once(stream));
        let likely = interims.begin();
        hint(&interims, likely);
        assert_eq!(streams(&interims), [0; 0]);
        interims.settle(likely);
    }
}

#[test]
fn none_comes_after_the_answer() {
    let interims = Interims::default();
    interims.opened([1, 3].into_iter());
    let _ = (interims.begin(), interims.begin());
    for stream in [1, 3, 1] {
        hint(&interims, stream);
    }
    interims.settle(1);
    hint(&interims, 1);
    assert_eq!(streams(&interims), [3]);
}

#[test]
fn none_comes_where_a_table_may_have_to_shrink_first() {
    let interims = Interims::default();
    interims.opened(std::iter::once(1));
    assert_eq!(interims.begin(), 1);
    hint(&interims, 1);
    interims.stop();
    hint(&interims, 1);
    interims.opened(std::iter::once(3));
    hint(&interims, interims.begin());
    assert_eq!(streams(&interims), [0; 0]);
}

#[test]
fn their_number_and_their_bytes_are_bounded() {
    let interims = Interims::default();
    let all = || (1..200).step_by(2);
    interims.opened(all());
    for stream in all() {
        assert_eq!(interims.begin(), stream);
    }
    for _ in 0..1000 {
        hint(&interims, 1);
        interims.interim(3, StatusCode::EARLY_HINTS, &link(BLOCK));
    }
    assert_eq!(streams(&interims), [1; 16], "one that is too long for a frame is none");
    for stream in all() {
        interims.interim(u64::from(stream), StatusCode::EARLY_HINTS, &link(16_000));
    }
    assert!((BYTES - BLOCK..=BYTES).contains(&interims.take().len()));
}

proptest! {
    #[test]
    fn a_frame_says_what_was_said(
        stream in 1u32..0x7fff_ffff,
        status in 102u16..200,
        lines in proptest::collection::vec(("[a-z][a-z0-9-]{0,200}", "[!-~]{0,600}"), 0..10),
    ) {
        let status = StatusCode::from_u16(status).unwrap();
        let mut headers = HeaderMap::new();
        for (name, value) in &lines {
            headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        let frame = encode(stream, status, &headers).unwrap();
        let mut rest = &frame[..];
        let (of, fields) = read(&mut rest);
        prop_assert!(rest.is_empty());
        prop_assert_eq!(of, stream);
        prop_assert_eq!(&fields[0], &(":status".to_owned(), status.as_str().into()));
        let mut again = HeaderMap::new();
        for (name, value) in &fields[1..] {
            again.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value).unwrap());
        }
        prop_assert_eq!(again, headers);
    }
}
