//! HTTP/1.1 requests in the strictest reading of RFC 9112: what is not written exactly as it says is not read at all, and nor
//! is what follows it.

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    pub target: String,
    pub is_http11: bool,
    /// Names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// As far as it came.
    pub body: Vec<u8>,
    pub trailers: Vec<(String, Vec<u8>)>,
    /// Whether the body came to its end.
    pub is_whole: bool,
}

impl Request {
    /// All values of the header of this name, which is in lower case.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.headers
            .iter()
            .filter(move |(known, _)| known == name)
            .map(|(_, value)| &value[..])
    }

    /// The elements of a comma-separated list, in lower case.
    #[must_use]
    pub fn elements(&self, name: &str) -> Vec<String> {
        let lines = self
            .all(name)
            .map(|line| String::from_utf8_lossy(line).to_ascii_lowercase());
        let elements: Vec<String> = lines
            .flat_map(|line| {
                line.split(',')
                    .map(|one| one.trim_matches([' ', '\t']).to_owned())
                    .collect::<Vec<_>>()
            })
            .collect();
        elements.into_iter().filter(|one| !one.is_empty()).collect()
    }
}

/// How a body in chunks goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chunked {
    /// To its end, after so many bytes.
    Whole {
        data: Vec<u8>,
        trailers: Vec<(String, Vec<u8>)>,
        length: usize,
    },
    /// It is good so far.
    Open { data: Vec<u8> },
    /// Nothing makes it good.
    Broken { data: Vec<u8> },
}

/// The requests of a connection, up to the first that is not plain. The last may have come in part.
#[must_use]
pub fn requests(bytes: &[u8]) -> Vec<Request> {
    let (mut rest, mut requests) = (bytes, Vec::new());
    while let Some((mut request, length)) = head(rest) {
        rest = &rest[length..];
        let (Some(lengths), codings) = (
            content_lengths(&request),
            request.all("transfer-encoding").collect::<Vec<_>>(),
        ) else {
            break;
        };
        let hosts = request.all("host").count();
        if hosts > 1 || (request.is_http11 && hosts == 0) {
            break;
        }
        match (&lengths[..], &codings[..]) {
            ([], []) => {}
            ([length], []) => {
                let size = usize::try_from(*length).unwrap_or(usize::MAX).min(rest.len());
                request.is_whole = size as u64 == *length;
                request.body = rest[..size].to_vec();
                rest = &rest[size..];
            }
            ([], [coding]) if coding.eq_ignore_ascii_case(b"chunked") && request.is_http11 => match chunks(rest) {
                Chunked::Whole { data, trailers, length } => {
                    (request.body, request.trailers) = (data, trailers);
                    rest = &rest[length..];
                }
                Chunked::Open { data } | Chunked::Broken { data } => {
                    (request.body, request.is_whole) = (data, false);
                }
            },
            _ => break,
        }
        let is_whole = request.is_whole;
        requests.push(request);
        if !is_whole {
            break;
        }
    }
    requests
}

fn content_lengths(request: &Request) -> Option<Vec<u64>> {
    let number = |value: &[u8]| {
        let digits = value
            .iter()
            .all(u8::is_ascii_digit)
            .then(|| std::str::from_utf8(value).ok())??;
        digits.parse().ok()
    };
    request.all("content-length").map(number).collect()
}

/// The head at the beginning, and its length. One empty line may come before it.
#[must_use]
pub fn head(bytes: &[u8]) -> Option<(Request, usize)> {
    let skipped = if bytes.starts_with(b"\r\n") { 2 } else { 0 };
    let end = skipped + bytes[skipped..].windows(4).position(|four| four == b"\r\n\r\n")?;
    let mut lines = split_lines(&bytes[skipped..end])?.into_iter();
    let line = std::str::from_utf8(lines.next()?).ok()?;
    let [method, target, version] = line.split(' ').collect::<Vec<_>>().try_into().ok()?;
    let is_target = !target.is_empty() && target.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_token(method.as_bytes()) || !is_target {
        return None;
    }
    let request = Request {
        method: method.to_owned(),
        target: target.to_owned(),
        is_http11: match version {
            "HTTP/1.1" => true,
            "HTTP/1.0" => false,
            _ => return None,
        },
        headers: lines.map(field).collect::<Option<_>>()?,
        body: Vec::new(),
        trailers: Vec::new(),
        is_whole: true,
    };
    Some((request, end + 4))
}

/// What stands between line ends; `None` where half of one is there.
fn split_lines(bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let (mut lines, mut rest) = (Vec::new(), bytes);
    loop {
        let Some(at) = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else {
            lines.push(rest);
            return Some(lines);
        };
        rest[at..].starts_with(b"\r\n").then_some(())?;
        lines.push(&rest[..at]);
        rest = &rest[at + 2..];
    }
}

fn is_token(text: &[u8]) -> bool {
    !text.is_empty()
        && text
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

fn field(line: &[u8]) -> Option<(String, Vec<u8>)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, mut value) = (&line[..colon], &line[colon + 1..]);
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    let is_value = value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~' | 0x80..));
    let name = is_token(name).then(|| String::from_utf8_lossy(name).to_ascii_lowercase())?;
    is_value.then(|| (name, value.to_vec()))
}

/// Reads a body in chunks (RFC 9112, section 7.1). Any extension is one that begins with a semicolon.
#[must_use]
pub fn chunks(bytes: &[u8]) -> Chunked {
    let (mut data, mut at) = (Vec::new(), 0);
    loop {
        let line = match line(&bytes[at..]) {
            Some(Ok(line)) => line,
            Some(Err(())) => return Chunked::Broken { data },
            None => {
                let is_open = is_size_line(&bytes[at..])
                    || bytes[at..]
                        .strip_suffix(b"\r")
                        .is_some_and(|line| is_size_line(line) && !line.is_empty());
                return if is_open {
                    Chunked::Open { data }
                } else {
                    Chunked::Broken { data }
                };
            }
        };
        let size = line
            .split(|byte| *byte == b';')
            .next()
            .and_then(|digits| std::str::from_utf8(digits).ok());
        let size = size
            .filter(|_| is_size_line(line))
            .and_then(|size| usize::from_str_radix(size, 16).ok());
        let Some(size) = size else {
            return Chunked::Broken { data };
        };
        at += line.len() + 2;
        if size == 0 {
            break;
        }
        let chunk = &bytes[at..bytes.len().min(at.saturating_add(size))];
        data.extend_from_slice(chunk);
        at += chunk.len();
        match &bytes[at..] {
            [] | [b'\r'] if chunk.len() == size => return Chunked::Open { data },
            [] => return Chunked::Open { data },
            [b'\r', b'\n', ..] => at += 2,
            _ => return Chunked::Broken { data },
        }
    }
    let mut trailers = Vec::new();
    loop {
        match line(&bytes[at..]) {
            None => return Chunked::Open { data },
            Some(Ok([])) => {
                return Chunked::Whole {
                    data,
                    trailers,
                    length: at + 2,
                };
            }
            Some(Ok(line)) => {
                at += line.len() + 2;
                let Some(field) = field(line) else {
                    return Chunked::Broken { data };
                };
                trailers.push(field);
            }
            Some(Err(())) => return Chunked::Broken { data },
        }
    }
}

/// The first line; `None`: it has no end yet.
fn line(bytes: &[u8]) -> Option<Result<&[u8], ()>> {
    let at = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n'))?;
    match &bytes[at..] {
        [b'\r', b'\n', ..] => Some(Ok(&bytes[..at])),
        [b'\r'] => None,
        _ => Some(Err(())),
    }
}

/// Whether it is a chunk's size and extensions, or the beginning of that.
fn is_size_line(line: &[u8]) -> bool {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let rest = &line[digits..];
    let is_clean = rest.iter().all(|byte| *byte >= b' ' && *byte != 0x7f);
    (digits > 0 || line.is_empty()) && (rest.is_empty() || (rest[0] == b';' && is_clean))
}
