use std::convert::Infallible;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Default)]
struct Told(Vec<(Header, Vec<u8>)>);

impl Reader for Told {
    type Stop = Infallible;

    fn begins(&mut self, header: Header) -> Result<(), Infallible> {
        self.0.push((header, Vec::new()));
        Ok(())
    }

    fn payload(&mut self, header: Header, piece: &[u8]) -> Result<(), Infallible> {
        let (current, payload) = self.0.last_mut().unwrap();
        assert_eq!(*current, header);
        payload.extend_from_slice(piece);
        Ok(())
    }
}

fn written((header, payload): &(Header, Vec<u8>)) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[header.kind, header.flags], &header.stream.to_be_bytes()].concat();
    [head, payload.clone()].concat()
}

fn frame() -> impl Strategy<Value = (Header, Vec<u8>)> {
    let payload = proptest::collection::vec(any::<u8>(), 0..300);
    (any::<u8>(), any::<u8>(), 0_u32..0x8000_0000, payload).prop_map(|(kind, flags, stream, payload)| {
        let header = Header {
            length: payload.len(),
            kind,
            flags,
            stream,
        };
        (header, payload)
    })
}

proptest! {
    #[test]
    fn frames_are_found_however_they_arrive(sent in proptest::collection::vec(frame(), 0..8), size in 1_usize..400) {
        let bytes: Vec<u8> = b"preface".iter().copied().chain(sent.iter().flat_map(written)).collect();
        let (mut frames, mut told) = (Frames::after(7), Told::default());
        for piece in bytes.chunks(size) {
            let Ok(()) = frames.advance(piece, &mut told);
        }
        prop_assert!(frames.is_between());
        prop_assert_eq!(told.0, sent);
    }

    #[test]
    fn within_a_frame_is_not_between_two(sent in frame(), cut in 1_usize..300) {
        let bytes = written(&sent);
        let cut = cut.min(bytes.len() - 1);
        let (mut frames, mut told) = (Frames::after(0), Told::default());
        let Ok(()) = frames.advance(&bytes[..cut], &mut told);
        prop_assert!(!frames.is_between());
    }
}
