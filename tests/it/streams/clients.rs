//! Programs of others on both ends of a tunnel and of a stream.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};

use super::sockets::Echo;
use super::support::Events;
use crate::support::nginx::Nginx;
use crate::support::tools::{installed, program, root};
use crate::support::{Account, TestGateway, within};

/// A program whose output is read line by line.
pub(super) struct Talker {
    lines: tokio::io::Lines<BufReader<ChildStdout>>,
    _process: Child,
}

impl Talker {
    fn start(mut command: Command) -> Self {
        command.stderr(std::process::Stdio::inherit());
        let mut process = command.spawn().expect("it runs");
        let stdout = process.stdout.take().expect("it is piped");
        Self {
            lines: BufReader::new(stdout).lines(),
            _process: process,
        }
    }

    pub(super) fn python(arguments: &[&str]) -> Self {
        let mut python = installed("python/bin/python3");
        python.arg(root().join("tests/it/streams/clients.py")).args(arguments);
        Self::start(python)
    }

    pub(super) async fn line(&mut self) -> String {
        let line = within("a line", self.lines.next_line()).await.expect("text");
        line.expect("it does not end yet")
    }

    /// Waits for a line.
    async fn says(&mut self, wanted: &str) {
        while self.line().await != wanted {}
    }
}

#[tokio::test]
async fn a_websocket_client_and_server_talk_until_the_logout() {
    let mut server = Talker::python(&["serve"]);
    let port = server.line().await;
    let echo = Echo::start().await;
    let routes = echo.routes("websocket_token = \"protocol\"");
    let routes = routes.replace(&echo.address.to_string(), &format!("127.0.0.1:{port}"));
    let gateway = TestGateway::start(&routes).await;
    let user = Account::sign_up(&gateway).await;
    let mut client = Talker::python(&["talk", &gateway.address.port().to_string(), &user.token]);
    assert_eq!(client.line().await, format!("ready {}", user.id));
    gateway.log_out(&user.token).await;
    assert_eq!(client.line().await, "1008 token_revoked");
}

#[tokio::test]
async fn curl_sees_each_event_before_the_next_is_sent_and_the_end_with_the_logout() {
    let events = Events::start().await;
    each_event_is_seen(&events, &events.url).await;
}

#[tokio::test]
async fn curl_sees_each_event_of_an_application_behind_nginx_and_the_end_with_the_logout() {
    let events = Events::start().await;
    // As its own documentation has it for such streams; what nginx makes of the answer is not what the application sent.
    let proxy = format!(
        "proxy_pass {}; proxy_http_version 1.1; proxy_buffering off;",
        events.url
    );
    let nginx = Nginx::start(&format!("location / {{ {proxy} proxy_set_header Connection \"\"; }}")).await;
    each_event_is_seen(&events, &format!("http://{}", nginx.address)).await;
}

/// By curl, through a gateway in front of this server, over HTTP/1.1 and HTTP/2.
async fn each_event_is_seen(events: &Events, server: &str) {
    let routes = events.routes().replace(&events.url, server);
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let gateway = TestGateway::start(&format!("[server]\nh2c = true\n{routes}")).await;
        let user = Account::sign_up(&gateway).await;
        let mut curl = program("curl");
        curl.args(["-sN", "-w", "exit %{exitcode}\\n", version, "-H"]);
        curl.arg(format!("Authorization: {}", user.bearer()))
            .arg(gateway.url("/e/1"));
        let mut curl = Talker::start(curl);
        events.until_open(1).await;
        for event in ["one", "two", "three"] {
            events.send(event);
            curl.says(&format!("data: {event}")).await;
        }
        gateway.log_out(&user.token).await;
        let end = loop {
            let line = curl.line().await;
            if !line.is_empty() {
                break line;
            }
        };
        // Partial transfer, or a stream that was reset: no end that looks whole.
        assert!(
            ["exit 18", "exit 92", "exit 56"].contains(&end.as_str()),
            "{version}: {end}"
        );
        events.until_open(0).await;
    }
}

#[tokio::test]
async fn a_quiet_stream_is_not_a_client_that_stopped() {
    let limit = Duration::from_millis(300);
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let events = Events::start().await;
        let server = format!(
            "[server]\nh2c = true\nbody_idle_timeout = \"{}ms\"\n",
            limit.as_millis()
        );
        let gateway = TestGateway::start(&format!("{server}{}", events.routes())).await;
        let user = Account::sign_up(&gateway).await;
        let mut curl = program("curl");
        curl.args(["-sN", version, "-H"]);
        curl.arg(format!("Authorization: {}", user.bearer()))
            .arg(gateway.url("/e/1"));
        let mut curl = Talker::start(curl);
        events.until_open(1).await;
        for event in ["one", "two"] {
            // It is the upstream that is waited for, and it may take its time, at the beginning and later.
            tokio::time::sleep(limit * 4).await;
            events.send(event);
            curl.says(&format!("data: {event}")).await;
        }
    }
}
