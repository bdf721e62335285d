//! Clients of HTTP/2 that ask for more than they take, frame by frame (RFC 9113, section 4.1).

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_STREAM_AND_HEADERS: u8 = 5;

/// Which windows stay closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Windows {
    /// That of each stream, from the beginning on.
    Streams,
    /// That of the connection, once the first 64 KiB have come.
    Connection,
    /// None as far as the client says: it does not read at all.
    Open,
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Begins with HTTP/2 and asks for the big answer on so many streams.
pub(super) async fn ask<S: AsyncWrite + Unpin>(stream: &mut S, scheme: &str, windows: Windows, streams: u32) {
    let window: u32 = match windows {
        Windows::Streams => 0,
        Windows::Connection | Windows::Open => 0x7fff_ffff,
    };
    // SETTINGS_INITIAL_WINDOW_SIZE
    let settings = [&[0, 4][..], &window.to_be_bytes()].concat();
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &settings));
    if windows == Windows::Open {
        bytes.extend(frame(WINDOW_UPDATE, 0, 0, &0x7fff_0000_u32.to_be_bytes()));
    }
    // From HPACK's static table: GET, the scheme; literally: the path, the authority.
    let scheme = if scheme == "https" { 0x87 } else { 0x86 };
    let head = [&[0x82, scheme, 0x04, 4][..], b"/big", &[0x01, 1, b'a']].concat();
    for number in 0..streams {
        bytes.extend(frame(HEADERS, END_STREAM_AND_HEADERS, 2 * number + 1, &head));
    }
    stream.write_all(&bytes).await.unwrap();
    stream.flush().await.unwrap();
}

/// Reads all frames and opens no window: how many streams were reset before the connection ended.
pub(super) async fn resets<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> u32 {
    let mut resets = 0;
    loop {
        let mut head = [0; 9];
        if stream.read_exact(&mut head).await.is_err() {
            return resets;
        }
        let mut payload = vec![0; usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2])];
        if stream.read_exact(&mut payload).await.is_err() {
            return resets;
        }
        let (kind, flags) = (head[3], head[4]);
        match kind {
            RST_STREAM => resets += 1,
            SETTINGS if flags & ACK == 0 => drop(stream.write_all(&frame(SETTINGS, ACK, 0, &[])).await),
            PING if flags & ACK == 0 => drop(stream.write_all(&frame(PING, ACK, 0, &payload)).await),
            DATA => assert_eq!(flags & END_STREAM, 0, "no answer is whole"),
            _ => {}
        }
        let _ = stream.flush().await;
    }
}
