//! `doorward serve` and `doorward try`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command};
use std::sync::mpsc;
use std::thread;

use super::{CONFIG, Folder, assert_holds};

/// A gateway in a process of its own, killed when dropped.
pub(super) struct Served {
    child: Child,
    pub(super) url: String,
    /// What it says on standard error after it began to listen.
    err: mpsc::Receiver<String>,
}

impl Served {
    pub(super) fn start(folder: &Folder) -> Self {
        let mut child = folder.command(["serve"]).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (tell, err) = mpsc::channel();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| tell.send(line)));
        let mut said = Vec::new();
        let url = loop {
            let line = err.recv().unwrap_or_else(|_| panic!("it ended: {said:#?}"));
            // Standard error is no terminal here, so each line is a JSON object.
            let event: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}"));
            if event["message"] == "listening" {
                break event["url"].as_str().unwrap().to_owned();
            }
            said.push(line);
        };
        Self { child, url, err }
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args(["-s", name, &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_walk_through_a_running_gateway_ends_green_and_leaves_no_account() {
    let folder = Folder::new();
    let gateway = Served::start(&folder);
    let out = folder.run(&format!("try --url {}", gateway.url)).good();
    assert_holds(
        &out,
        &[
            "no token: refused (token_missing)",
            "x-auth-user-id: ",
            "a spoofed x-auth-user-id did not arrive",
            "a tampered token: refused (token_invalid)",
            "the same token: refused (token_revoked)",
            "the account is removed",
            "All 9 steps are as they should be.",
        ],
    );
    assert_eq!(folder.json("users list --json"), serde_json::json!([]));
}

#[test]
fn the_gateway_says_what_it_serves_and_stops_in_order() {
    let folder = Folder::new();
    let mut gateway = Served::start(&folder);
    let mut said = String::new();
    while !said.contains("\"ready\"") {
        said += &gateway.err.recv().unwrap();
    }
    assert_holds(&said, &["/whoami", "guarded", "/public", "public", "doorward try"]);
    gateway.signal("TERM");
    assert_eq!(gateway.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_second_signal_ends_the_gateway_at_once() {
    let folder = Folder::new();
    let mut gateway = Served::start(&folder);
    // A request whose body does not end keeps the gateway draining.
    let mut client = TcpStream::connect(gateway.url.trim_start_matches("http://")).unwrap();
    client
        .write_all(b"POST /public HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 10\r\n\r\n")
        .unwrap();
    // `100 Continue` tells that the request is in flight.
    client.read_exact(&mut [0; 12]).unwrap();
    gateway.signal("TERM");
    while !gateway.err.recv().unwrap().contains("draining") {}
    gateway.signal("INT");
    assert_eq!(gateway.child.wait().unwrap().code(), Some(1));
}

/// Answers every request with 200 and an empty object: a gateway that guards nothing.
fn open_door() -> String {
    answering(|_| "200 OK\r\ncontent-length: 2\r\n\r\n{}".to_owned())
}

/// Answers every request with what `answer` makes of its head: status, headers and body.
fn answering(answer: impl Fn(&str) -> String + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut stream = stream;
            let mut head = [0; 4096];
            if let Ok(length) = stream.read(&mut head) {
                let answer = answer(&String::from_utf8_lossy(&head[..length]).to_lowercase());
                let _ = stream.write_all(format!("HTTP/1.1 {answer}").as_bytes());
            }
        }
    });
    url
}

#[test]
fn a_gateway_that_lets_everybody_in_fails_the_walk() {
    let done = Folder::new().run(&format!("try --url {}", open_door()));
    assert_eq!(done.code, Some(1), "{done:#?}");
    assert_holds(
        &done.out,
        &[
            "✗ GET /whoami",
            "expected 401 token_missing, got 200",
            "not as they should be",
        ],
    );
    assert_holds(&done.out, &["may still be there"]);
}

/// A status and a JSON body.
fn json(status: &str, body: &str) -> String {
    format!("{status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

#[test]
fn an_account_that_was_made_and_cannot_be_logged_in_to_is_said_to_be_left_behind() {
    let url = answering(|head| match head {
        head if head.starts_with("post /auth/signup") => json("201 Created", "{}"),
        _ => json("401 Unauthorized", r#"{"code":"token_missing"}"#),
    });
    let done = Folder::new().run(&format!("try --url {url}"));
    assert_eq!(done.code, Some(1), "{done:#?}");
    assert_holds(&done.out, &["✓ POST /auth/signup", "may still be there"]);
}

#[test]
fn where_no_tampered_token_can_be_made_the_step_is_not_passed() {
    let url = answering(|head| match head {
        head if head.starts_with("post /auth/signup") => json("201 Created", "{}"),
        head if head.starts_with("post /auth/login") => {
            json("200 OK", r#"{"access_token":"opaque","user":{"id":"7"}}"#)
        }
        head if head.starts_with("delete ") => "204 No Content\r\n\r\n".to_owned(),
        _ => json("401 Unauthorized", r#"{"code":"token_invalid"}"#),
    });
    let done = Folder::new().run(&format!("try --url {url}"));
    assert_eq!(done.code, Some(1), "{done:#?}");
    assert_holds(&done.out, &["a tampered token can't be made"]);
    assert!(!done.out.contains("a tampered token: refused"), "{done:#?}");
}

#[test]
fn a_gateway_that_is_not_running_is_said_so() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let done = Folder::new().run(&format!("try --url http://{address}"));
    assert_eq!(done.code, Some(1), "{done:#?}");
    assert_holds(&done.out, &["is the gateway running?"]);
}

#[test]
fn without_a_guarded_route_to_whoami_there_is_nothing_to_try() {
    let folder = Folder::with_config(&CONFIG.replacen("path = \"/whoami\"", "path = \"/whoami\"\nroles = [\"x\"]", 1));
    let err = folder.run("try --url http://127.0.0.1:9").bad(1);
    assert_holds(&err, &["builtin:whoami", "gateway.toml"]);
}
