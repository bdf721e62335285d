//! Servers in Python, which is neither our language nor our libraries.

use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;

use crate::support::tools::{installed, root};
use crate::support::{TestGateway, within};

/// A running script of this folder. It stops when dropped.
pub(crate) struct Script {
    pub(crate) port: u16,
    _child: Child,
}

impl Script {
    /// Starts the script and waits for the port that it prints.
    pub(super) async fn start(name: &str, arguments: &[&str]) -> Self {
        let mut command = installed("python/bin/python");
        command
            .arg(root().join("tests/it/upstream_protocols").join(name))
            .args(arguments);
        let mut child = command.stderr(Stdio::inherit()).spawn().expect("python starts");
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let line = within("a port from the script", lines.next_line())
            .await
            .expect("text")
            .expect("a line");
        let port = line.trim().parse().expect("a port");
        Self { port, _child: child }
    }

    /// The server of HTTP/2 that does what the path says.
    pub(crate) async fn h2() -> Self {
        Self::start("h2_server.py", &[]).await
    }

    /// `h2://127.0.0.1:PORT`
    pub(super) fn h2_url(&self) -> String {
        format!("h2://127.0.0.1:{}", self.port)
    }
}

/// What the server counted, and what it has to say of us.
pub(super) async fn counts(gateway: &TestGateway) -> Value {
    let (status, text) = gateway.get("/up/counts", None).await;
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).expect("JSON")
}
