//! The gateway's endpoints, as one client uses them.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

/// Longer than anything that the gateway bounds here: who waits so long has met a hang, and is told so by the test.
const PATIENCE: Duration = Duration::from_secs(15);

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Success, and what was answered.
    Done(Value),
    /// The gateway says no, by this code: nothing has happened.
    Refused(String),
    /// No answer, or one that the store could not be asked (503): it may have happened.
    Unknown,
}

impl Outcome {
    pub(super) fn is_done(&self) -> bool {
        matches!(self, Self::Done(_))
    }

    /// Whether it is a refusal with this code.
    pub(super) fn is_refused(&self, with: &str) -> bool {
        matches!(self, Self::Refused(code) if code == with)
    }
}

/// One client of one gateway.
#[derive(Clone)]
pub(super) struct Api {
    base: String,
    http: reqwest::Client,
}

impl Api {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self {
            base: format!("http://{address}"),
            http: reqwest::Client::builder()
                .no_proxy()
                .timeout(PATIENCE)
                .build()
                .expect("a client"),
        }
    }

    pub(super) async fn sign_up(&self, email: &str, password: &str) -> Outcome {
        let body = json!({"email": email, "password": password, "name": "Ada"});
        self.post("/auth/signup", None, Some(&body)).await
    }

    pub(super) async fn log_in(&self, email: &str, password: &str) -> Outcome {
        let body = json!({"email": email, "password": password});
        self.post("/auth/login", None, Some(&body)).await
    }

    pub(super) async fn refresh(&self, refresh_token: &str) -> Outcome {
        let body = json!({"refresh_token": refresh_token});
        self.post("/auth/refresh", None, Some(&body)).await
    }

    pub(super) async fn change_password(&self, token: &str, current: &str, new: &str) -> Outcome {
        let body = json!({"current_password": current, "new_password": new});
        self.post("/auth/user/password", Some(token), Some(&body)).await
    }

    /// Logs out: `this`, `others` or `all`.
    pub(super) async fn log_out(&self, token: &str, scope: &str) -> Outcome {
        self.post(&format!("/auth/logout?scope={scope}"), Some(token), None)
            .await
    }

    /// Ends one session of the user of the token.
    pub(super) async fn end_session(&self, token: &str, session: &str) -> Outcome {
        let path = format!("/auth/sessions/{session}");
        told(self.request(Method::DELETE, &path, Some(token))).await
    }

    /// Shows a token on a guarded route: what the upstream saw.
    pub(super) async fn guarded(&self, token: &str) -> Outcome {
        told(self.request(Method::GET, "/guarded", Some(token))).await
    }

    async fn post(&self, path: &str, token: Option<&str>, body: Option<&Value>) -> Outcome {
        let request = self.request(Method::POST, path, token);
        told(match body {
            Some(body) => request.json(body),
            None => request,
        })
        .await
    }

    fn request(&self, method: Method, path: &str, token: Option<&str>) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }
}

async fn told(request: RequestBuilder) -> Outcome {
    let answer = match request.send().await {
        Ok(answer) => answer,
        Err(error) if error.is_timeout() => return Outcome::Refused("hangs".to_owned()),
        Err(_) => return Outcome::Unknown,
    };
    let status = answer.status();
    // A success is one once its body is there: whoever lost the tokens in it knows nothing.
    let Ok(text) = answer.text().await else {
        return Outcome::Unknown;
    };
    let body: Value = serde_json::from_str(&text).unwrap_or_default();
    if status.is_success() {
        return Outcome::Done(body);
    }
    match (status.as_u16(), body["code"].as_str()) {
        (503, Some("store_unavailable")) => Outcome::Unknown,
        (_, Some(code)) => Outcome::Refused(code.to_owned()),
        (status, None) => Outcome::Refused(format!("{status} without a code: {text}")),
    }
}
