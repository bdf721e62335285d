//! Interim answers (1xx): what of them reaches a client, and where among its answers.

use std::process::Stdio;
use std::sync::Arc;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc};

use crate::support::tools::program;
use crate::support::upstream::{Aborting, each};
use crate::support::{Account, Conversation, TestGateway, within};

/// An upstream that answers with what the test says, when it says so.
struct Prompted {
    says: mpsc::UnboundedSender<Vec<u8>>,
    toml: String,
    _task: Aborting,
}

impl Prompted {
    async fn start() -> Self {
        let (says, said) = mpsc::unbounded_channel();
        let said = Arc::new(Mutex::new(said));
        let (address, task) = each(move |stream| answer(stream, Arc::clone(&said))).await;
        let toml = format!(
            "[upstreams.app]\nservers = [\"http://{address}\"]\n\
             [[routes]]\npath = \"/c\"\nupstream = \"app\"\n"
        );
        Self {
            says,
            toml,
            _task: task,
        }
    }

    fn say(&self, bytes: impl AsRef<[u8]>) {
        self.says.send(bytes.as_ref().to_vec()).unwrap();
    }
}

/// Reads heads, and after each writes what is said up to a final answer.
async fn answer(mut stream: TcpStream, said: Arc<Mutex<mpsc::UnboundedReceiver<Vec<u8>>>>) {
    let mut came = Vec::new();
    loop {
        while !came.ends_with(b"\r\n\r\n") {
            if !matches!(stream.read_buf(&mut came).await, Ok(1..)) {
                return;
            }
        }
        came.clear();
        loop {
            let Some(bytes) = said.lock().await.recv().await else {
                return;
            };
            if stream.write_all(&bytes).await.is_err() {
                return;
            }
            if bytes.starts_with(b"HTTP/1.1 2") {
                break;
            }
        }
    }
}

fn get(gateway: &TestGateway, user: &Account, version: &str) -> String {
    let raw = format!("GET /c/x HTTP/{version}\r\nHost: HOST\r\nAuthorization: Bearer TOKEN\r\n\r\n");
    gateway.fill(&raw, &user.token)
}

const HINT: &str = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[tokio::test]
async fn a_hint_is_there_before_the_upstream_has_its_answer_and_says_only_what_an_answer_may() {
    let upstream = Prompted::start().await;
    let gateway = TestGateway::start(&upstream.toml).await;
    let user = Account::sign_up(&gateway).await;
    let mut conversation = Conversation::open(gateway.address).await;
    conversation.send(get(&gateway, &user, "1.1")).await;
    upstream.say(
        "HTTP/1.1 103 Anything\r\nLink: </a.css>; rel=preload\r\nlink: </b.js>\r\nConnection: keep-alive, x-own\r\n\
         X-Own: 1\r\nKeep-Alive: timeout=5\r\nTransfer-Encoding: chunked\r\nUpgrade: h2c\r\nX-Auth-User-Id: 1\r\n\
         X-Auth_Roles: admin\r\nX-Doorward-Error: forbidden\r\nX-Other: 2\r\n\r\n",
    );
    let hint = conversation.answer().await;
    assert_eq!(hint.status, 103);
    let links = hint.headers.iter().filter(|(name, _)| name == "link");
    let links: Vec<_> = links.map(|(_, value)| value.as_str()).collect();
    assert_eq!(links, ["</a.css>; rel=preload", "</b.js>"]);
    assert_eq!(hint.header("x-other"), Some("2"));
    assert_eq!(hint.header("via"), Some("1.1 doorward"));
    assert_eq!(hint.headers.len(), 4, "{hint:?}");
    upstream.say("HTTP/1.1 102 Processing\r\nContent-Length: 5\r\nTrailer: x\r\n\r\n");
    let another = conversation.answer().await;
    assert_eq!((another.status, another.headers.len()), (102, 1), "{another:?}");
    upstream.say(OK);
    let answer = conversation.answer().await;
    assert_eq!((answer.status, &answer.body[..]), (200, &b"ok"[..]));
    // The next request on the connection has hints of its own.
    conversation.send(get(&gateway, &user, "1.1")).await;
    upstream.say(HINT);
    assert_eq!(conversation.answer().await.status, 103);
    upstream.say(OK);
    assert_eq!(conversation.answer().await.status, 200);
}

#[tokio::test]
async fn hints_of_pipelined_requests_stand_before_their_own_answers() {
    let upstream = Prompted::start().await;
    let gateway = TestGateway::start(&upstream.toml).await;
    let user = Account::sign_up(&gateway).await;
    let mut conversation = Conversation::open(gateway.address).await;
    let request = get(&gateway, &user, "1.1");
    conversation.send(request.repeat(5)).await;
    let body = "x".repeat(3_000_000);
    for number in 0..5 {
        upstream.say(format!("HTTP/1.1 103 Early Hints\r\nX-Number: {number}\r\n\r\n"));
        upstream.say(format!("HTTP/1.1 103 Early Hints\r\nX-Number: {number}\r\n\r\n"));
        upstream.say(format!(
            "HTTP/1.1 200 OK\r\nX-Number: {number}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ));
    }
    for number in ["0", "1", "2", "3", "4"] {
        for (status, length) in [(103, 0), (103, 0), (200, body.len())] {
            let answer = conversation.answer().await;
            assert_eq!((answer.status, answer.header("x-number")), (status, Some(number)));
            assert_eq!(answer.body.len(), length);
        }
    }
}

#[tokio::test]
async fn a_client_of_http_1_0_gets_no_hints() {
    let upstream = Prompted::start().await;
    let gateway = TestGateway::start(&upstream.toml).await;
    let user = Account::sign_up(&gateway).await;
    upstream.say(HINT);
    upstream.say(OK);
    let mut conversation = Conversation::open(gateway.address).await;
    conversation.send(get(&gateway, &user, "1.0")).await;
    let ended = conversation.until_end().await;
    assert_eq!(ended.answers.len(), 1, "{ended:?}");
    assert_eq!(ended.statuses(), [200]);
}

#[tokio::test]
async fn a_request_that_is_refused_gets_no_hints_beside_one_that_does() {
    let upstream = Prompted::start().await;
    let gateway = TestGateway::start(&upstream.toml).await;
    let user = Account::sign_up(&gateway).await;
    let mut conversation = Conversation::open(gateway.address).await;
    let good = get(&gateway, &user, "1.1");
    let bad = good.replace(&user.token, "no.to.ken");
    conversation.send([good.as_str(), &bad, &good].concat()).await;
    for bytes in [HINT, OK, HINT, OK] {
        upstream.say(bytes);
    }
    let mut statuses = Vec::new();
    while statuses.len() < 5 {
        statuses.push(conversation.answer().await.status);
    }
    assert_eq!(statuses, [103, 200, 401, 103, 200]);
}

#[tokio::test]
async fn of_thousands_of_interim_answers_a_client_gets_the_first_few() {
    let upstream = Prompted::start().await;
    let gateway = TestGateway::start(&upstream.toml).await;
    let user = Account::sign_up(&gateway).await;
    let mut conversation = Conversation::open(gateway.address).await;
    // Twice: each request has as many.
    for _ in 0..2 {
        conversation.send(get(&gateway, &user, "1.1")).await;
        upstream.say(HINT.repeat(5000));
        upstream.say(OK);
        let mut hints = 0;
        while conversation.answer().await.status == 103 {
            hints += 1;
        }
        assert_eq!(hints, 16);
    }
}

#[tokio::test]
async fn an_upstream_and_a_client_of_node_understand_each_other_through_the_gateway() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/proxy/interim/hints.mjs");
    let mut command = program("node");
    command.arg(script).stdin(Stdio::piped()).stderr(Stdio::inherit());
    let mut node = command.spawn().unwrap();
    let mut lines = BufReader::new(node.stdout.take().unwrap()).lines();
    let port = within("node listens", lines.next_line()).await.unwrap().unwrap();
    let gateway = TestGateway::start(&format!(
        "[upstreams.app]\nservers = [\"http://127.0.0.1:{port}\"]\n[[routes]]\npath = \"/c\"\nupstream = \"app\"\n"
    ))
    .await;
    let user = Account::sign_up(&gateway).await;
    let told = format!("{} {}\n", gateway.url("/c/page"), user.token);
    node.stdin.take().unwrap().write_all(told.as_bytes()).await.unwrap();
    let line = within("node's client has its answer", lines.next_line()).await;
    let seen: Value = serde_json::from_str(&line.unwrap().unwrap()).unwrap();
    assert_eq!(seen["hints"][0]["statusCode"], 103, "{seen}");
    assert_eq!(seen["hints"][0]["headers"]["link"], "</a.css>; rel=preload; as=style");
    assert_eq!(seen["hints"][0]["headers"]["x-trace"], "t1");
    assert_eq!(
        (&seen["status"], &seen["body"]),
        (&200.into(), &"page".into()),
        "{seen}"
    );
}
