//! Interim answers (1xx) on streams.

use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use crate::support::tools::program;
use crate::support::{Account, TestGateway, within};

/// What a client of Node saw on two connections, on the second of which it keeps less than the usual table of headers. The server
/// behind holds each answer on the first until the client has seen the hint.
async fn seen_by_node() -> Value {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/http2/interim/hints.mjs");
    let mut command = program("node");
    command.arg(script).stdin(Stdio::piped()).stderr(Stdio::inherit());
    let mut node = command.spawn().unwrap();
    let mut lines = BufReader::new(node.stdout.take().unwrap()).lines();
    let port = within("node listens", lines.next_line()).await.unwrap().unwrap();
    let gateway = TestGateway::start(&format!(
        "[server]\nh2c = true\n[upstreams.app]\nservers = [\"http://127.0.0.1:{port}\"]\n\
         [[routes]]\npath = \"/c\"\nupstream = \"app\"\n"
    ))
    .await;
    let user = Account::sign_up(&gateway).await;
    let told = format!("{} {}\n", gateway.url(""), user.token);
    node.stdin.take().unwrap().write_all(told.as_bytes()).await.unwrap();
    let line = within("node's client has its answers", lines.next_line()).await;
    serde_json::from_str(&line.unwrap().unwrap()).unwrap()
}

#[tokio::test]
async fn each_stream_gets_its_own_hint_before_its_answer_and_no_table_gets_out_of_step() {
    let seen = seen_by_node().await;
    let answers = seen["usual"].as_array().unwrap();
    assert_eq!(answers.len(), 60, "{seen}");
    for answer in answers {
        let number = answer["number"].as_str().unwrap();
        assert_eq!(answer["status"], 200, "{answer}");
        assert_eq!((&answer["said"], &answer["body"]), (&number.into(), &number.into()));
        let hints = answer["hints"].as_array().unwrap();
        assert_eq!(hints.len(), 1, "{answer}");
        assert_eq!(hints[0][":status"], 103);
        assert_eq!(hints[0]["link"], format!("</{number}.css>; rel=preload"));
        assert_eq!(hints[0].get("connection"), None, "{answer}");
    }
    let answers = seen["small"].as_array().unwrap();
    assert_eq!(answers.len(), 20, "{seen}");
    for answer in answers {
        assert_eq!((&answer["status"], &answer["said"]), (&200.into(), &answer["number"]));
        assert_eq!(answer["hints"], Value::Array(Vec::new()), "{answer}");
    }
}
