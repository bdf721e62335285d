//! Reading HTTP/1.1 answers from raw bytes, strictly, so that nothing is hidden by a forgiving client.

use std::fmt;

/// One answer, as it stood in the bytes.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case, in the order received.
    pub(crate) headers: Vec<(String, String)>,
    /// Chunks joined.
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
}

/// The body as text, so that a failure can be read and a search in it finds what the bytes say.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("headers", &self.headers)
            .field("body", &String::from_utf8_lossy(&self.body))
            .field("trailers", &self.trailers)
            .finish()
    }
}

impl Answer {
    /// The value of the only header of this name; panics if there are several.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str());
        let value = values.next();
        assert!(values.next().is_none(), "several {name} in {self:?}");
        value
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in the body of {self:?}"))
    }

    /// The `code` of a problem that the gateway made; panics if it is not a whole and proper one.
    pub(crate) fn problem(&self) -> String {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "not a problem: {self:?}"
        );
        let body = self.json();
        let code = body["code"].as_str().expect("a problem has a code").to_owned();
        assert_eq!(body["status"], self.status, "{body}");
        assert_eq!(body["type"], format!("urn:doorward:problem:{code}"), "{body}");
        assert_eq!(self.header("x-doorward-error"), Some(code.as_str()), "{body}");
        code
    }
}

/// What stands at the front of `bytes`.
pub(crate) enum Parsed {
    /// An answer, and how many bytes it took.
    Whole(Answer, usize),
    /// The beginning of one.
    Incomplete,
    /// Something else.
    Broken(String),
}

/// Reads one answer. `to_head`: the request was a HEAD. `ended`: no more bytes will come.
pub(crate) fn parse(bytes: &[u8], to_head: bool, ended: bool) -> Parsed {
    let Some(head_end) = find(bytes, b"\r\n\r\n") else {
        return Parsed::Incomplete;
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let mut lines = head.split("\r\n");
    let status_line = lines.next().unwrap_or_default();
    let Some(status) = status_line
        .strip_prefix("HTTP/1.1 ")
        .or_else(|| status_line.strip_prefix("HTTP/1.0 "))
        .and_then(|rest| rest.get(..3))
        .and_then(|code| code.parse::<u16>().ok())
    else {
        return Parsed::Broken(format!("status line {status_line:?}"));
    };
    let mut headers = Vec::new();
    for line in lines {
        match field(line) {
            Some(field) => headers.push(field),
            None => return Parsed::Broken(format!("header line {line:?}")),
        }
    }
    let mut answer = Answer {
        status,
        headers,
        body: Vec::new(),
        trailers: Vec::new(),
    };
    let body = &bytes[head_end + 4..];
    if status < 200 || status == 204 || status == 304 || to_head {
        return Parsed::Whole(answer, head_end + 4);
    }
    let chunked = answer.header("transfer-encoding").map(str::to_owned);
    let length = answer.header("content-length").map(str::to_owned);
    let taken = match (chunked, length) {
        (Some(_), Some(_)) => return Parsed::Broken("both Transfer-Encoding and Content-Length".into()),
        (Some(coding), None) if coding != "chunked" => return Parsed::Broken(format!("coding {coding:?}")),
        (Some(_), None) => match parse_chunks(body) {
            Chunks::Whole { data, trailers, taken } => {
                answer.body = data;
                answer.trailers = trailers;
                taken
            }
            Chunks::Incomplete => return Parsed::Incomplete,
            Chunks::Broken(why) => return Parsed::Broken(why),
        },
        (None, Some(length)) => match length.parse::<usize>() {
            Ok(length) if body.len() >= length => {
                answer.body = body[..length].to_vec();
                length
            }
            Ok(_) => return Parsed::Incomplete,
            Err(_) => return Parsed::Broken(format!("Content-Length {length:?}")),
        },
        (None, None) if ended => {
            answer.body = body.to_vec();
            body.len()
        }
        (None, None) => return Parsed::Incomplete,
    };
    Parsed::Whole(answer, head_end + 4 + taken)
}

/// What a chunked body (RFC 9112, section 7.1) at the front of some bytes is.
pub(crate) enum Chunks {
    Whole {
        data: Vec<u8>,
        trailers: Vec<(String, String)>,
        taken: usize,
    },
    Incomplete,
    Broken(String),
}

/// Reads a chunked body, without extensions, which the gateway has no reason to send.
pub(crate) fn parse_chunks(bytes: &[u8]) -> Chunks {
    let mut data = Vec::new();
    let mut at = 0;
    loop {
        let Some(line_end) = find(&bytes[at..], b"\r\n") else {
            return Chunks::Incomplete;
        };
        let line = String::from_utf8_lossy(&bytes[at..at + line_end]).into_owned();
        let Ok(size) = usize::from_str_radix(&line, 16) else {
            return Chunks::Broken(format!("chunk size {line:?}"));
        };
        at += line_end + 2;
        if size == 0 {
            break;
        }
        if bytes.len() < at + size + 2 {
            return Chunks::Incomplete;
        }
        data.extend_from_slice(&bytes[at..at + size]);
        if &bytes[at + size..at + size + 2] != b"\r\n" {
            return Chunks::Broken("no line end after a chunk".into());
        }
        at += size + 2;
    }
    let mut trailers = Vec::new();
    loop {
        let Some(line_end) = find(&bytes[at..], b"\r\n") else {
            return Chunks::Incomplete;
        };
        let line = String::from_utf8_lossy(&bytes[at..at + line_end]).into_owned();
        at += line_end + 2;
        if line.is_empty() {
            let taken = at;
            return Chunks::Whole { data, trailers, taken };
        }
        match field(&line) {
            Some(field) => trailers.push(field),
            None => return Chunks::Broken(format!("trailer line {line:?}")),
        }
    }
}

/// One header line as name in lower case and value, strictly.
pub(crate) fn field(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let proper = !name.is_empty() && name.chars().all(token) && !value.contains(['\r', '\n', '\0']);
    proper.then(|| (name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned()))
}

/// Where `needle` first stands in `bytes`.
pub(crate) fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}
