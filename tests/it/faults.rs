//! What a gateway answers, tells and keeps while something that it needs is slow, full, wrong or gone, and how soon all is well
//! again by itself. The README has a table of it (When a part breaks).
//!
//! In each of them, what does not need it goes on, what does is refused in time and has not happened, and what was promised
//! before holds. Of upstreams only how soon they are back is here: see `upstream_faults` and `resilience`.

mod clock;
mod database;
mod files;
mod galera;
mod kept;
mod log;
mod names;
mod panics;
mod redis;
mod told;
mod upstreams;
mod writes;

use std::time::Duration;

use doorward::time::monotonic;
use serde_json::{Value, json};

use crate::support::account::PASSWORD;
use crate::support::process::Process;
use crate::support::{Account, DEADLINE, TestGateway, eventually};

/// Fails fast where the database does, but takes no part of a slow machine for a slow database.
const PATIENCE: &str = "[store]\nconnect_timeout = \"2s\"\nquery_timeout = \"2s\"\n\
                        [revocation]\npoll_interval = \"100ms\"\nmax_staleness = \"1m\"\n";

/// How soon all must be well again once the cause is over: as long as any wait, or as many seconds as `tools/faults` asks for.
fn recovery() -> Duration {
    let seconds = std::env::var("RECOVERY_SECONDS").ok();
    seconds.map_or(DEADLINE, |seconds| {
        Duration::from_secs(seconds.parse().expect("a number of seconds"))
    })
}

/// Waits until it is, by [`recovery`], and says how long that took: it is called as soon as the cause is over.
async fn recovers<F: Future<Output = Option<()>>>(cause: &str, condition: impl FnMut() -> F) {
    let since = monotonic();
    eventually(recovery(), &format!("{cause}: all is well again"), condition).await;
    eprintln!("{cause}: all is well again after {:?}", since.elapsed());
}

/// What the tests ask, wherever the gateway runs.
struct Client {
    base: String,
    http: reqwest::Client,
}

impl Client {
    fn of(gateway: &TestGateway) -> Self {
        Self {
            base: gateway.url(""),
            http: gateway.http.clone(),
        }
    }

    fn at(process: &Process) -> Self {
        let http = reqwest::Client::builder().no_proxy().timeout(DEADLINE * 2).build();
        Self {
            base: format!("http://{}", process.address),
            http: http.expect("a client"),
        }
    }

    async fn get(&self, path: &str, token: &str) -> u16 {
        let request = self.http.get(format!("{}{path}", self.base)).bearer_auth(token);
        request.send().await.expect("an answer").status().as_u16()
    }

    async fn post(&self, path: &str, token: Option<&str>, body: &Value) -> (u16, Value) {
        let mut request = self.http.post(format!("{}{path}", self.base)).json(body);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.expect("an answer");
        let (status, retry) = (answer.status().as_u16(), answer.headers().contains_key("retry-after"));
        assert_eq!(retry, status == 503, "{status}");
        let text = answer.text().await.expect("a whole body");
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    async fn get_whole(&self, path: &str, token: &str) -> (u16, Value) {
        let request = self.http.get(format!("{}{path}", self.base)).bearer_auth(token);
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        let text = answer.text().await.expect("a whole body");
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// Whether a guarded route refuses the token as one that was revoked.
    async fn is_revoked(&self, token: &str) -> bool {
        let (status, body) = self.get_whole("/c/x", token).await;
        (status, body["code"].as_str()) == (401, Some("token_revoked"))
    }

    async fn change_password(&self, token: &str, from: &str, to: &str) -> (u16, Value) {
        let change = json!({"current_password": from, "new_password": to});
        self.post("/auth/user/password", Some(token), &change).await
    }

    async fn log_in(&self, user: &Account) -> (u16, Value) {
        let login = json!({"email": user.email, "password": PASSWORD});
        self.post("/auth/login", None, &login).await
    }

    async fn log_out(&self, token: &str) -> u16 {
        self.post("/auth/logout", Some(token), &Value::Null).await.0
    }
}
