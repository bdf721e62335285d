//! A client that asks for what users ask for, and holds each answer to the time that it may take.

use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use doorward::time::monotonic;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::support::account::PASSWORD;
use crate::support::process::Process;
use crate::support::{Account, DEADLINE, asked_recovery};

/// How long an answer may take that waits for nothing, on a machine that has little else to do.
const AT_ONCE: Duration = Duration::from_secs(1);

/// What is asked for, as the README's table has it.
#[derive(Clone, Copy)]
enum Kind {
    Guarded,
    Open,
    Auth,
}

impl Kind {
    fn of(path: &str) -> Self {
        match path.split('/').nth(1) {
            Some("auth") => Self::Auth,
            Some("c") => Self::Guarded,
            _ => Self::Open,
        }
    }
}

/// The longest answers to requests of each kind.
#[derive(Clone, Copy, Default)]
pub(super) struct Longest([Duration; 3]);

impl fmt::Display for Longest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [guarded, open, auth] = self.0.map(|took| took.as_secs_f64());
        write!(f, "guarded {guarded:.3} s, open {open:.3} s, /auth {auth:.3} s")
    }
}

/// What the tests ask, wherever the gateway runs. Each answer must be there within what its kind may take where times are
/// held to bounds, and before the patience of `http` ends anywhere.
pub(super) struct Client {
    pub(super) base: String,
    pub(super) http: reqwest::Client,
    bounds: [Duration; 3],
    longest: Mutex<Longest>,
}

impl Client {
    /// One that has everything answered at once.
    pub(super) fn new(base: String, http: reqwest::Client) -> Self {
        Self {
            base,
            http,
            bounds: [AT_ONCE; 3],
            longest: Mutex::default(),
        }
    }

    pub(super) fn at(process: &Process) -> Self {
        let http = reqwest::Client::builder().no_proxy().timeout(DEADLINE * 2).build();
        Self::new(format!("http://{}", process.address), http.expect("a client"))
    }

    /// What `/auth` answers may wait for these timeouts.
    pub(super) fn auth_waits(&mut self, timeouts: Duration) {
        self.bounds[Kind::Auth as usize] = timeouts + AT_ONCE;
    }

    /// What open routes answer may wait for these timeouts.
    pub(super) fn open_waits(&mut self, timeouts: Duration) {
        self.bounds[Kind::Open as usize] = timeouts + AT_ONCE;
    }

    /// The longest answers since this was last asked.
    pub(super) fn longest(&self) -> Longest {
        std::mem::take(&mut *self.longest.lock().unwrap())
    }

    /// Waits for the answer to a request for this path.
    pub(super) async fn timed<T>(&self, path: &str, answer: impl Future<Output = T>) -> T {
        let since = monotonic();
        let answer = answer.await;
        let (took, kind) = (since.elapsed(), Kind::of(path) as usize);
        {
            let longest = &mut self.longest.lock().unwrap().0[kind];
            *longest = took.max(*longest);
        }
        let bound = self.bounds[kind];
        assert!(
            asked_recovery().is_none() || took <= bound,
            "{path} is answered after {took:?}, and not within {bound:?}"
        );
        answer
    }

    async fn ask(&self, path: &str, request: RequestBuilder) -> (u16, bool, String) {
        let answer = async {
            let answer = request.send().await.expect("an answer");
            let (status, retry) = (answer.status().as_u16(), answer.headers().contains_key("retry-after"));
            // An answer of an upstream ends with its token, also one that is on its way.
            let may_break_off = status == 200 && matches!(Kind::of(path), Kind::Guarded);
            let text = answer.text().await;
            (
                status,
                retry,
                text.or_else(|error| may_break_off.then(String::new).ok_or(error))
                    .expect("a whole body"),
            )
        };
        self.timed(path, answer).await
    }

    pub(super) async fn get(&self, path: &str, token: &str) -> u16 {
        self.get_whole(path, token).await.0
    }

    pub(super) async fn get_whole(&self, path: &str, token: &str) -> (u16, Value) {
        let request = self.http.get(format!("{}{path}", self.base)).bearer_auth(token);
        let (status, _, text) = self.ask(path, request).await;
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    pub(super) async fn post(&self, path: &str, token: Option<&str>, body: &Value) -> (u16, Value) {
        let mut request = self.http.post(format!("{}{path}", self.base)).json(body);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let (status, retry, text) = self.ask(path, request).await;
        assert_eq!(retry, status == 503, "{status}");
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// Whether a guarded route refuses the token as one that was revoked.
    pub(super) async fn is_revoked(&self, token: &str) -> bool {
        let (status, body) = self.get_whole("/c/x", token).await;
        (status, body["code"].as_str()) == (401, Some("token_revoked"))
    }

    pub(super) async fn change_password(&self, token: &str, from: &str, to: &str) -> (u16, Value) {
        let change = json!({"current_password": from, "new_password": to});
        self.post("/auth/user/password", Some(token), &change).await
    }

    pub(super) async fn log_in(&self, user: &Account) -> (u16, Value) {
        let login = json!({"email": user.email, "password": PASSWORD});
        self.post("/auth/login", None, &login).await
    }

    pub(super) async fn log_out(&self, token: &str) -> u16 {
        self.post("/auth/logout", Some(token), &Value::Null).await.0
    }
}
