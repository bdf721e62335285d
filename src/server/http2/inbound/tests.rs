use proptest::prelude::*;

use super::*;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A client that has sent its preface, its settings and the head of a request with a body on stream 1.
fn begun() -> Inbound {
    let mut inbound = Inbound::new();
    inbound.advance(&[0; PREFACE]).unwrap();
    inbound.advance(&frame(kind::SETTINGS, 0, 0, &[])).unwrap();
    inbound
        .advance(&frame(kind::HEADERS, flag::END_HEADERS, 1, &[0x83]))
        .unwrap();
    inbound
}

fn trailers(block: &[u8]) -> Result<(), Fault> {
    begun().advance(&frame(kind::HEADERS, 5, 1, block))
}

#[tokio::test(start_paused = true)]
async fn every_flood_ends_within_the_budget() {
    for (name, flood) in [
        ("SETTINGS", frame(kind::SETTINGS, 0, 0, &[0, 4, 0, 0, 255, 255])),
        ("PING", frame(6, 0, 0, b"12345678")),
        ("an answered PING", frame(6, 1, 0, b"12345678")),
        ("PRIORITY", frame(2, 0, 1, &[0, 0, 0, 0, 1])),
        ("WINDOW_UPDATE", frame(8, 0, 0, &[0, 0, 0, 1])),
        ("RST_STREAM", frame(kind::RST_STREAM, 0, 1, &[0, 0, 0, 8])),
        ("an unknown frame", frame(0xee, 0, 1, &[])),
        ("empty DATA", frame(kind::DATA, 0, 1, &[])),
        ("padding alone", frame(kind::DATA, flag::PADDED, 1, &[3, 0, 0, 0])),
        ("CONTINUATION", frame(kind::CONTINUATION, 0, 1, &[])),
    ] {
        let mut inbound = begun();
        let mut faults = (0..10_000).map(|_| inbound.advance(&flood).err());
        let count = faults.position(|fault| fault == Some(Fault::Flood));
        assert!(
            count.is_some_and(|count| (20..=1000).contains(&count)),
            "{name}: {count:?}"
        );
    }
}

#[tokio::test]
async fn data_and_what_an_answer_earns_are_no_flood() {
    let mut inbound = begun();
    for _ in 0..100_000 {
        inbound.advance(&frame(kind::DATA, 0, 1, b"x")).unwrap();
        inbound.earn(5);
        inbound.advance(&frame(8, 0, 0, &[0, 0, 0, 1])).unwrap();
        inbound.advance(&frame(8, 0, 1, &[0, 0, 0, 1])).unwrap();
    }
}

#[tokio::test]
async fn trailers_that_begin_with_a_pseudo_header_are_found() {
    for (name, block) in [
        ("indexed", &[0x84][..]),
        ("literal", b"\0\x05:path\x01/"),
        ("never indexed", b"\x10\x05:path\x01/"),
        ("to be indexed", b"\x40\x05:path\x01/"),
        ("of an indexed name", b"\x04\x01/"),
        ("of Huffman", b"\0\x84\xb9\x58\xd3\x3f\x01/"),
        (
            "after a change of the table's size",
            b"\x20\x3f\xe1\x1f\0\x05:path\x01/",
        ),
        ("after too many of them", &[0x20; 64]),
    ] {
        assert_eq!(trailers(block), Err(Fault::Trailers), "{name}");
    }
    for (name, block) in [
        ("none", &[][..]),
        ("literal", b"\0\x01x\x01y"),
        ("of an indexed name", b"\x0f\x13\x01y"),
        ("of Huffman", b"\0\x81\xf3\x01y"),
        ("indexed", &[0xbe]),
    ] {
        assert_eq!(trailers(block), Ok(()), "{name}");
    }
    // A request begins so, and must.
    let request = frame(kind::HEADERS, 5, 3, &[0x82, 0x84]);
    assert_eq!(begun().advance(&request), Ok(()));
}

#[tokio::test]
async fn a_header_block_is_unfinished_until_its_end() {
    let mut inbound = Inbound::new();
    let fresh = inbound.unfinished();
    assert!(fresh.is_some());
    inbound.advance(&[0; PREFACE]).unwrap();
    assert_eq!(inbound.unfinished(), fresh);
    inbound.advance(&frame(kind::SETTINGS, 0, 0, &[])).unwrap();
    assert_eq!(inbound.unfinished(), None);
    inbound.advance(&frame(kind::HEADERS, 0, 1, &[0x82])).unwrap();
    let first = inbound.unfinished();
    assert!(first.is_some() && first != fresh);
    inbound.advance(&frame(kind::CONTINUATION, 0, 1, &[0x84])).unwrap();
    assert_eq!(inbound.unfinished(), first, "it is the same one");
    inbound
        .advance(&frame(kind::CONTINUATION, flag::END_HEADERS, 1, &[]))
        .unwrap();
    assert_eq!(inbound.unfinished(), None);
    assert_eq!(inbound.highest(), 1);
}

proptest! {
    /// However the block of `:path: /` is padded, weighted, split into frames and read in pieces.
    #[test]
    fn a_pseudo_header_is_found_in_trailers_however_they_are_framed(
        padding in proptest::option::of(0_u8..20),
        weighted: bool,
        cut in 0_usize..9,
        size in 1_usize..60,
    ) {
        let (first, second) = b"\0\x05:path\x01/".split_at(cut);
        let mut payload = Vec::new();
        payload.extend(padding);
        payload.extend(weighted.then_some([0, 0, 0, 0, 7]).into_iter().flatten());
        payload.extend_from_slice(first);
        payload.extend(vec![0; padding.unwrap_or_default().into()]);
        let padded = if padding.is_some() { flag::PADDED } else { 0 };
        let flags = flag::END_STREAM | padded | if weighted { flag::PRIORITY } else { 0 };
        let bytes = [
            frame(kind::HEADERS, flags, 1, &payload),
            frame(kind::CONTINUATION, flag::END_HEADERS, 1, second),
        ]
        .concat();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _entered = runtime.enter();
        let mut inbound = begun();
        let told = bytes.chunks(size).try_for_each(|piece| inbound.advance(piece));
        prop_assert_eq!(told, Err(Fault::Trailers));
    }
}
