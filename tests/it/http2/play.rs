//! The player of frames, as tests use it.

use std::net::SocketAddr;
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::support::tools::{installed, root};
use crate::support::within;

/// One connection: the steps that are played on it. See play.py.
#[derive(Default)]
pub(crate) struct Play(Vec<Value>);

/// What came back on one stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) status: Option<u64>,
    pub(crate) reset: Option<u64>,
    pub(crate) body: String,
}

impl Play {
    /// A request without a body on stream 1, and the wait for its end. Names and values go out as they are.
    pub(crate) fn request(fields: &[(&str, &str)]) -> Self {
        Self::default()
            .step(json!(["headers", 1, fields, true]))
            .step(json!(["end", 1]))
    }

    pub(crate) fn step(mut self, step: Value) -> Self {
        self.0.push(step);
        self
    }
}

/// The pseudo-headers of a GET and the authorization.
pub(crate) fn get<'a>(gateway: &'a str, path: &'a str, authorization: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", gateway),
        (":path", path),
        ("authorization", authorization),
    ]
}

/// Plays each on a connection of its own; gives what came back on each.
pub(crate) async fn play(gateway: SocketAddr, plays: Vec<Play>) -> Vec<Value> {
    play_at(gateway, false, plays).await
}

/// The same, over TLS or not.
pub(crate) async fn play_at(gateway: SocketAddr, tls: bool, plays: Vec<Play>) -> Vec<Value> {
    let count = plays.len();
    let mut python = installed("python/bin/python3");
    python
        .arg(root().join("tests/it/http2/play.py"))
        .arg(gateway.port().to_string())
        .args(tls.then_some("tls"))
        .stdin(Stdio::piped());
    let mut child = python.spawn().expect("Python runs");
    let steps: Vec<Value> = plays.into_iter().map(|play| Value::Array(play.0)).collect();
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin
        .write_all(Value::Array(steps).to_string().as_bytes())
        .await
        .expect("Python reads");
    drop(stdin);
    let output = within("the play ends", child.wait_with_output())
        .await
        .expect("Python ends");
    let errors = String::from_utf8_lossy(&output.stderr);
    let told: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{errors}"));
    assert_eq!(told.len(), count, "{errors}");
    told
}

/// What came back on a stream.
pub(crate) fn stream(told: &Value, number: u32) -> Told {
    let stream = &told["streams"][number.to_string()];
    Told {
        status: stream["status"].as_u64(),
        reset: stream["reset"].as_u64(),
        body: stream["body"].as_str().unwrap_or_default().to_owned(),
    }
}

/// The code of the problem that a stream was answered with.
pub(crate) fn code(told: &Value, number: u32) -> String {
    let problem: Value = serde_json::from_str(&stream(told, number).body).unwrap_or_default();
    problem["code"].as_str().unwrap_or_default().to_owned()
}
