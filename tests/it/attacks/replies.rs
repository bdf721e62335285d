//! Answers that no upstream should give, at `/r/NAME`.

use crate::support::{Reply, Seen};

/// The answer of this name; 200 for any other request but a handshake, which is granted.
pub(super) fn hostile(seen: &Seen) -> Option<Reply> {
    if let Some(key) = seen.header("sec-websocket-key") {
        let head = format!("\r\nsec-websocket-key: {key}\r\n");
        let granted = crate::streams::sockets::granted(&head);
        return Some(Reply::Bytes((granted + "PONG").into_bytes()));
    }
    let (_, name) = seen.target.split_once("/r/")?;
    let ok = |fields: &str| format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 2\r\n\r\nok");
    let poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON";
    let chunked = |body: &str| format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
    let text = match name {
        "fine" => ok(""),
        "length-and-chunks" => {
            format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{poison}")
        }
        "two-lengths" => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 8\r\n\r\nokPOISON".to_owned(),
        "negative-length" => "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nok".to_owned(),
        "plus-length" => ok("").replace(": 2", ": +2"),
        "second-answer" => ok("") + poison,
        "body-to-head" => poison.to_owned(),
        "no-content-with-body" => poison.replace("200 OK", "204 No Content"),
        "not-modified-with-body" => poison.replace("200 OK", "304 Not Modified"),
        "nul" => ok("X-A: a\0b\r\n"),
        "bare-line-feeds" => ok("X-A: a\r\n").replace("\r\n", "\n"),
        "bare-return" => ok("X-A: a\rSet-Cookie: evil=1\r\n"),
        "folded-line" => ok("X-A: a\r\n b\r\n"),
        "space-before-colon" => ok("X-A: a\r\n").replace("Content-Length:", "Content-Length :"),
        "long-field" => ok(&format!("X-A: {}\r\n", "A".repeat(560_000))),
        "many-fields" => ok(&"X-A: 1\r\n".repeat(5000)),
        "hundreds-of-100s" => "HTTP/1.1 100 Continue\r\n\r\n".repeat(1000) + &ok(""),
        "early-hints" => "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".to_owned() + &ok(""),
        "status-000" => ok("").replace("200 OK", "000 Zero"),
        "status-20" => ok("").replace("200 OK", "20 OK"),
        "status-1000" => ok("").replace("200 OK", "1000 Big"),
        "http-3" => ok("").replace("HTTP/1.1", "HTTP/3.7"),
        "hop-by-hop" => ok(
            "Connection: close, X-Secret\r\nX-Secret: leak\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\n",
        ),
        "identity" => ok("X-Auth-User-Id: 999\r\n"),
        "trailers" => chunked("2\r\nok\r\n0\r\nX-T: 1\r\nContent-Length: 9\r\nSet-Cookie: evil=b\r\n\r\n"),
        "second-answer-behind-chunks" => chunked("2\r\nok\r\n0\r\n\r\n") + poison,
        "no-next-chunk-size" => chunked("5\r\nshort\r\nZZ\r\nok\r\n0\r\n\r\n"),
        "huge-next-chunk-size" => chunked("5\r\nshort\r\nFFFFFFFFFFFFFFFF1\r\nok\r\n0\r\n\r\n"),
        "short-chunks" => return Some(Reply::Last(chunked("5\r\nshort\r\n").into_bytes())),
        "no-chunk-size" => chunked("ZZ\r\nok\r\n0\r\n\r\n"),
        "huge-chunk-size" => chunked("FFFFFFFFFFFFFFFF1\r\nok\r\n0\r\n\r\n"),
        "chunked-twice" => chunked("2\r\nok\r\n0\r\n\r\n").replace("chunked", "chunked, chunked"),
        "gzip-chunked" => chunked("2\r\nok\r\n0\r\n\r\n").replace("chunked", "gzip, chunked"),
        // More than every buffer on the way holds.
        "much" => format!(
            "HTTP/1.1 200 OK\r\nContent-Length: 16777216\r\n\r\n{}",
            "x".repeat(1 << 24)
        ),
        "unasked-101" => {
            let text = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: foo\r\nConnection: Upgrade\r\n\r\nTUNNEL";
            return Some(Reply::Last(text.into()));
        }
        "no-status-line" => return Some(Reply::Last(b"POISON raw body without status line".to_vec())),
        "short-body" => return Some(Reply::Last(ok("").replace(": 2", ": 100").into_bytes())),
        "nothing" => return Some(Reply::Last(Vec::new())),
        "half-a-head" => return Some(Reply::Last(b"HTTP/1.1 200 OK\r\nContent-Le".to_vec())),
        _ => return None,
    };
    Some(Reply::Bytes(text.into_bytes()))
}
