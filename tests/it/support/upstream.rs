//! An upstream that keeps every byte that reaches it and answers what the test says, proper or not.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use super::answer::{Chunks, field, find, parse_chunks};

/// One whole request, as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) target: String,
    /// Names as they were spelled.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Names in lower case.
    pub(crate) trailers: Vec<(String, String)>,
    /// Which connection it came on, from 0.
    pub(crate) connection: usize,
}

impl Seen {
    /// Every value of this header, in order.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let same = |(n, _): &&(String, String)| n.eq_ignore_ascii_case(name);
        self.headers
            .iter()
            .filter(same)
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// The value of the only header of this name; panics if there are several.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() <= 1, "several {name} in {self:?}");
        all.first().copied()
    }
}

/// What to answer.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// These bytes; then the next request on the connection.
    Bytes(Vec<u8>),
    /// These bytes, and the connection ends.
    Last(Vec<u8>),
    /// These bytes, and then nothing for as long as the gateway cares to wait.
    Stall(Vec<u8>),
    /// After a while, these bytes.
    Late(Duration, Vec<u8>),
}

impl Reply {
    /// 200 with this text.
    pub(crate) fn ok(text: &str) -> Self {
        Self::Bytes(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len()).into_bytes())
    }

    /// These bytes, verbatim.
    pub(crate) fn raw(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }
}

#[derive(Default)]
struct Log {
    connections: Vec<Vec<u8>>,
    open: usize,
    seen: Vec<Seen>,
    faults: Vec<String>,
}

/// A moment in what an upstream saw.
pub(crate) struct Mark {
    seen: usize,
    bytes: Vec<usize>,
}

/// The upstream. It stops when dropped.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    log: Arc<Mutex<Log>>,
    task: JoinHandle<()>,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Upstream {
    /// One that answers every request with what it saw, as JSON.
    pub(crate) async fn echo() -> Self {
        Self::start(|seen| Reply::ok(&describe(seen))).await
    }

    /// One that answers as `script` says.
    pub(crate) async fn start(script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.expect("a free port"), script)
    }

    /// One that listens here and answers as `script` says.
    pub(crate) fn on(listener: TcpListener, script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let address = listener.local_addr().expect("a bound socket has an address");
        let log = Arc::new(Mutex::new(Log::default()));
        let script: Arc<dyn Fn(&Seen) -> Reply + Send + Sync> = Arc::new(script);
        let shared = Arc::clone(&log);
        let task = tokio::spawn(async move {
            // Dropped with the task: its connections end with it.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (log, script) = (Arc::clone(&shared), Arc::clone(&script));
                connections.spawn(async move {
                    let id = {
                        let mut log = log.lock().unwrap();
                        log.connections.push(Vec::new());
                        log.open += 1;
                        log.connections.len() - 1
                    };
                    if let Err(fault) = serve(stream, id, &log, script.as_ref()).await {
                        log.lock().unwrap().faults.push(fault);
                    }
                    log.lock().unwrap().open -= 1;
                });
            }
        });
        Self { address, log, task }
    }

    /// `http://127.0.0.1:PORT`
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The whole requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.log.lock().unwrap().seen.clone()
    }

    /// The whole requests with `marker` in their target.
    pub(crate) fn seen_with(&self, marker: &str) -> Vec<Seen> {
        self.seen()
            .into_iter()
            .filter(|seen| seen.target.contains(marker))
            .collect()
    }

    /// The only request so far.
    pub(crate) fn only(&self) -> Seen {
        let mut seen = self.seen();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen.remove(0)
    }

    /// Every byte that arrived, connection by connection.
    pub(crate) fn raw(&self) -> Vec<Vec<u8>> {
        self.log.lock().unwrap().connections.clone()
    }

    /// This moment.
    pub(crate) fn mark(&self) -> Mark {
        let log = self.log.lock().unwrap();
        Mark {
            seen: log.seen.len(),
            bytes: log.connections.iter().map(Vec::len).collect(),
        }
    }

    /// The whole requests since then, and every byte, one connection after the other.
    pub(crate) fn since(&self, mark: &Mark) -> (Vec<Seen>, Vec<u8>) {
        let log = self.log.lock().unwrap();
        let from = |number: usize| mark.bytes.get(number).copied().unwrap_or_default();
        let bytes = log.connections.iter().enumerate();
        let bytes = bytes.flat_map(|(number, bytes)| bytes[from(number)..].iter().copied());
        (log.seen[mark.seen..].to_vec(), bytes.collect())
    }

    /// How many connections are open now.
    pub(crate) fn open_connections(&self) -> usize {
        self.log.lock().unwrap().open
    }

    /// What arrived that no gateway may send.
    pub(crate) fn faults(&self) -> Vec<String> {
        self.log.lock().unwrap().faults.clone()
    }
}

/// The request as JSON: method, target, headers (names in lower case, values of the same name joined by `|`), body.
pub(crate) fn describe(seen: &Seen) -> String {
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in &seen.headers {
        headers
            .entry(name.to_ascii_lowercase())
            .and_modify(|all| {
                all.push('|');
                all.push_str(value);
            })
            .or_insert_with(|| value.clone());
    }
    serde_json::json!({
        "method": seen.method,
        "target": seen.target,
        "headers": headers,
        "body": String::from_utf8_lossy(&seen.body),
    })
    .to_string()
}

async fn serve(
    mut stream: TcpStream,
    id: usize,
    log: &Mutex<Log>,
    script: &(dyn Fn(&Seen) -> Reply + Send + Sync),
) -> Result<(), String> {
    let mut pending = Vec::new();
    loop {
        let seen = loop {
            if let Some((seen, taken)) = request(&pending, id)? {
                pending.drain(..taken);
                break seen;
            }
            let mut buffer = vec![0; 64 * 1024];
            match stream.read(&mut buffer).await {
                // Cut short by the gateway: what came is in the raw log, and no request.
                Ok(0) | Err(_) => return Ok(()),
                Ok(n) => {
                    pending.extend_from_slice(&buffer[..n]);
                    log.lock().unwrap().connections[id].extend_from_slice(&buffer[..n]);
                }
            }
        };
        let reply = script(&seen);
        log.lock().unwrap().seen.push(seen);
        let (bytes, goes_on) = match reply {
            Reply::Bytes(bytes) => (bytes, true),
            Reply::Last(bytes) => (bytes, false),
            Reply::Stall(bytes) => {
                let _ = stream.write_all(&bytes).await;
                // Until the gateway hangs up.
                while matches!(stream.read(&mut [0; 1024]).await, Ok(n) if n > 0) {}
                return Ok(());
            }
            Reply::Late(after, bytes) => {
                tokio::time::sleep(after).await;
                (bytes, true)
            }
        };
        if stream.write_all(&bytes).await.is_err() || !goes_on {
            let _ = stream.shutdown().await;
            return Ok(());
        }
    }
}

/// Reads one request from the front of `bytes`, more strictly than any server does.
fn request(bytes: &[u8], connection: usize) -> Result<Option<(Seen, usize)>, String> {
    let Some(head_end) = find(bytes, b"\r\n\r\n") else {
        return Ok(None);
    };
    let head: String = bytes[..head_end].iter().copied().map(char::from).collect();
    let mut lines = head.split("\r\n");
    let request_line = lines.next().unwrap_or_default();
    let parts: Vec<&str> = request_line.split(' ').collect();
    let [method, target, "HTTP/1.1"] = parts[..] else {
        return Err(format!("request line {request_line:?}"));
    };
    let mut headers = Vec::new();
    for line in lines {
        let (_, value) = field(line).ok_or_else(|| format!("header line {line:?}"))?;
        let (name, _) = line.split_once(':').unwrap_or_default();
        headers.push((name.to_owned(), value));
    }
    let mut seen = Seen {
        method: method.to_owned(),
        target: target.to_owned(),
        headers,
        body: Vec::new(),
        trailers: Vec::new(),
        connection,
    };
    if seen.all("host").len() != 1 {
        return Err(format!("not exactly one Host: {head:?}"));
    }
    let body = &bytes[head_end + 4..];
    let taken = match (&seen.all("transfer-encoding")[..], &seen.all("content-length")[..]) {
        ([], []) => 0,
        (["chunked"], []) => match parse_chunks(body) {
            Chunks::Whole { data, trailers, taken } => {
                seen.body = data;
                seen.trailers = trailers;
                taken
            }
            Chunks::Incomplete => return Ok(None),
            Chunks::Broken(why) => return Err(why),
        },
        ([], [length]) => {
            let length: usize = length.parse().map_err(|_| format!("Content-Length {length:?}"))?;
            if body.len() < length {
                return Ok(None);
            }
            seen.body = body[..length].to_vec();
            length
        }
        _ => return Err(format!("framing: {head:?}")),
    };
    Ok(Some((seen, head_end + 4 + taken)))
}

/// A server that does with each connection what `handle` says; it stops when the task is dropped.
pub(crate) async fn each<F>(handle: impl Fn(TcpStream) -> F + Send + 'static) -> (SocketAddr, Aborting)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound socket has an address");
    let task = tokio::spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(handle(stream));
        }
    });
    (address, Aborting(task))
}

/// A task that ends when this is dropped.
pub(crate) struct Aborting(JoinHandle<()>);

impl Drop for Aborting {
    fn drop(&mut self) {
        self.0.abort();
    }
}
