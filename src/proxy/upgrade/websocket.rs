//! What is particular to a `WebSocket` (RFC 6455): the key and its answer, a token among the subprotocols, and where frames end.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL};
use http::{HeaderMap, HeaderValue, Method};

use crate::proxy::Refused;
use crate::rules::bearer::InvalidBearer;

/// The upgrade token.
pub(super) const NAME: &str = "websocket";

/// RFC 6455, section 1.3.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// How a token is told from other subprotocols.
const TOKEN_PREFIX: &str = "bearer.";

/// What a server has to answer to the key of this handshake (RFC 6455, section 4.2.2).
pub(super) fn expected(method: &Method, headers: &HeaderMap, extended: bool) -> Result<HeaderValue, Refused> {
    if !extended && *method != Method::GET {
        return Err(Refused::Handshake("a WebSocket is asked for with GET"));
    }
    let mut keys = headers.get_all(SEC_WEBSOCKET_KEY).iter();
    let (Some(key), None) = (keys.next(), keys.next()) else {
        return Err(Refused::Handshake("there is not one Sec-WebSocket-Key"));
    };
    if !STANDARD.decode(key.as_bytes()).is_ok_and(|key| key.len() == 16) {
        return Err(Refused::Handshake("the Sec-WebSocket-Key is not 16 bytes in base64"));
    }
    let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, &[key.as_bytes(), GUID].concat());
    HeaderValue::try_from(STANDARD.encode(digest)).map_err(|_| Refused::Upgrade)
}

/// Gives a handshake that came without one, as it does in HTTP/2, a key.
pub(super) fn make_key(headers: &mut HeaderMap) -> Result<(), Refused> {
    let mut key = [0; 16];
    aws_lc_rs::rand::fill(&mut key).map_err(|_| Refused::Upgrade)?;
    let key = HeaderValue::try_from(STANDARD.encode(key)).map_err(|_| Refused::Upgrade)?;
    headers.insert(SEC_WEBSOCKET_KEY, key);
    Ok(())
}

/// Takes the token out of the subprotocols that are offered, where browsers put it, which can't set `Authorization` on a
/// WebSocket: `bearer.TOKEN`. An upstream never sees it. Of two of them, neither is believed.
pub(in crate::proxy) fn take_token(headers: &mut HeaderMap) -> Result<Option<String>, InvalidBearer> {
    let lines = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    let lines: Result<Vec<&str>, _> = lines.map(HeaderValue::to_str).collect();
    let lines = lines.map_err(|_| InvalidBearer::Malformed)?;
    let offered = lines.iter().flat_map(|line| line.split(',')).map(str::trim);
    let is_token = |name: &&str| {
        let prefix = name.get(..TOKEN_PREFIX.len());
        prefix.is_some_and(|prefix| prefix.eq_ignore_ascii_case(TOKEN_PREFIX))
    };
    let (tokens, others): (Vec<&str>, Vec<&str>) = offered.filter(|name| !name.is_empty()).partition(is_token);
    let token = match tokens[..] {
        [] => return Ok(None),
        [token] => token[TOKEN_PREFIX.len()..].to_owned(),
        [..] => return Err(InvalidBearer::Several),
    };
    if token.is_empty() {
        return Err(InvalidBearer::Malformed);
    }
    let others = others.join(", ");
    headers.remove(SEC_WEBSOCKET_PROTOCOL);
    if !others.is_empty()
        && let Ok(others) = HeaderValue::try_from(others)
    {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, others);
    }
    Ok(Some(token))
}

/// Follows frames (RFC 6455, section 5.2), to know where one may be put between them.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Frames {
    /// The beginning of a frame's head.
    head: [u8; 14],
    have: usize,
    /// Bytes of the payload that are still to come.
    left: u64,
    /// A Close has passed: nothing may follow.
    closed: bool,
}

impl Frames {
    /// Follows bytes that continue what was given before.
    pub(in crate::proxy) fn advance(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let taken = bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
                self.left -= taken as u64;
                bytes = &bytes[taken..];
                continue;
            }
            self.head[self.have] = bytes[0];
            self.have += 1;
            bytes = &bytes[1..];
            if self.have == head_length(&self.head, self.have) {
                self.left = payload_length(&self.head);
                self.closed |= self.head[0] & 0x0f == 0x8;
                self.have = 0;
            }
        }
    }

    /// Whether a frame may follow here.
    pub(in crate::proxy) fn between(&self) -> bool {
        self.have == 0 && self.left == 0 && !self.closed
    }

    /// A Close frame of a server: a status code and a reason of at most 100 bytes.
    pub(in crate::proxy) fn close(code: u16, reason: &str) -> Vec<u8> {
        let length = u8::try_from(reason.len().min(100)).unwrap_or(0);
        let mut frame = vec![0x88, length + 2];
        frame.extend_from_slice(&code.to_be_bytes());
        frame.extend_from_slice(&reason.as_bytes()[..usize::from(length)]);
        frame
    }
}

/// How long the head is, as far as its first bytes tell.
fn head_length(head: &[u8; 14], have: usize) -> usize {
    if have < 2 {
        return 2;
    }
    let mask = if head[1] & 0x80 == 0 { 0 } else { 4 };
    mask + match head[1] & 0x7f {
        126 => 4,
        127 => 10,
        _ => 2,
    }
}

fn payload_length(head: &[u8; 14]) -> u64 {
    match head[1] & 0x7f {
        126 => u64::from(u16::from_be_bytes([head[2], head[3]])),
        127 => head[2..10].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
        short => u64::from(short),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_answer_to_a_key_is_that_of_the_standard() {
        let mut headers = HeaderMap::new();
        headers.insert(SEC_WEBSOCKET_KEY, HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ=="));
        let answer = expected(&Method::GET, &headers, false).unwrap();
        assert_eq!(answer, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        headers.insert(SEC_WEBSOCKET_KEY, HeaderValue::from_static("dGhl"));
        assert!(expected(&Method::GET, &headers, false).is_err());
        headers.remove(SEC_WEBSOCKET_KEY);
        make_key(&mut headers).unwrap();
        assert!(expected(&Method::GET, &headers, false).is_ok());
    }

    #[test]
    fn a_token_is_taken_out_of_the_subprotocols() {
        let taken = |lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(line));
            }
            let token = take_token(&mut headers).unwrap();
            let left = headers
                .get(SEC_WEBSOCKET_PROTOCOL)
                .map(|left| left.to_str().unwrap().to_owned());
            (token.unwrap_or_default(), left.unwrap_or_default())
        };
        let pair = |token: &str, left: &str| (token.to_owned(), left.to_owned());
        assert_eq!(taken(&["chat, bearer.a.b-c._d", "v2"]), pair("a.b-c._d", "chat, v2"));
        assert_eq!(taken(&["Bearer.x"]), pair("x", ""));
        assert_eq!(taken(&["chat"]), pair("", "chat"));
        assert_eq!(taken(&[]), pair("", ""));
        let mut two = HeaderMap::new();
        two.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("bearer.x, bearer.y"));
        assert_eq!(take_token(&mut two), Err(InvalidBearer::Several));
    }

    fn frame(opcode: u8, masked: bool, length: usize) -> Vec<u8> {
        let mask = if masked { 0x80 } else { 0 };
        let mut frame = vec![0x80 | opcode];
        match u16::try_from(length) {
            Ok(short @ ..126) => frame.push(mask | u8::try_from(short).unwrap()),
            Ok(medium) => {
                frame.push(mask | 0x7e);
                frame.extend(medium.to_be_bytes());
            }
            Err(_) => {
                frame.push(mask | 0x7f);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        let rest = frame.len() + length + if masked { 4 } else { 0 };
        frame.resize(rest, 0x88);
        frame
    }

    proptest! {
        #[test]
        fn frames_are_followed_however_they_are_cut(
            frames in proptest::collection::vec((0_u8..8, any::<bool>(), 0_usize..70_000), 1..6),
            cut in 1_usize..5_000,
        ) {
            let bytes: Vec<u8> = frames.iter().flat_map(|(opcode, masked, length)| frame(*opcode, *masked, *length)).collect();
            let mut follower = Frames::default();
            for piece in bytes.chunks(cut) {
                follower.advance(piece);
            }
            prop_assert!(follower.between());
            follower.advance(&frame(2, false, 300)[..150]);
            prop_assert!(!follower.between());
        }
    }

    #[test]
    fn nothing_follows_a_close() {
        let close = Frames::close(1008, "token_revoked");
        assert_eq!(close[..4], [0x88, 15, 0x03, 0xf0]);
        let mut follower = Frames::default();
        follower.advance(&close);
        assert!(!follower.between());
    }
}
