//! What a gateway answers, tells and keeps while something that it needs is slow, full, wrong or gone, and how soon all is well
//! again by itself. The README has a table of it (When a part breaks).
//!
//! In each of them, what does not need it goes on, what does is refused in time and has not happened, and what was promised
//! before holds. Upstreams are in `upstream_faults` and `resilience`.

mod clock;
mod database;
mod files;
mod galera;
mod log;
mod names;
mod panics;
mod redis;
mod writes;

use serde_json::{Value, json};

use crate::support::account::PASSWORD;
use crate::support::process::Process;
use crate::support::{Account, DEADLINE, TestGateway, eventually, when};

/// Fails fast where the database does, but takes no part of a slow machine for a slow database.
const PATIENCE: &str = "[store]\nconnect_timeout = \"2s\"\nquery_timeout = \"2s\"\n\
                        [revocation]\npoll_interval = \"100ms\"\nmax_staleness = \"1m\"\n";

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

    /// While nothing can be written: everything that writes is refused and undone, everything else goes on.
    async fn nothing_is_written_and_the_rest_goes_on(&self, user: &Account) {
        let unavailable = (503, json!("store_unavailable"));
        let refused = |(status, body): (u16, Value)| assert_eq!((status, body["code"].clone()), unavailable, "{body}");
        refused(self.post("/auth/logout", Some(&user.token), &Value::Null).await);
        refused(self.log_in(user).await);
        let refresh = json!({"refresh_token": user.refresh_token});
        refused(self.post("/auth/refresh", None, &refresh).await);
        let signup = json!({"email": "late@example.com", "password": PASSWORD, "name": "Late"});
        refused(self.post("/auth/signup", None, &signup).await);
        assert_eq!(self.get("/c/x", &user.token).await, 200, "no logout has happened");
        assert_eq!(self.get("/public/x", "").await, 200);
    }

    /// Once it can be written again: all of it happens, and none of it had happened before.
    async fn all_of_it_happens_now(&self, user: &Account) {
        eventually(DEADLINE, "a login succeeds again", || async {
            when(self.log_in(user).await.0 == 200)
        })
        .await;
        let signup = json!({"email": "late@example.com", "password": PASSWORD, "name": "Late"});
        assert_eq!(self.post("/auth/signup", None, &signup).await.0, 201);
        let refresh = json!({"refresh_token": user.refresh_token});
        let (status, body) = self.post("/auth/refresh", None, &refresh).await;
        assert_eq!(status, 200, "{body}");
        let refreshed = Account::from_tokens(&body);
        assert_eq!(self.log_out(&refreshed.token).await, 204);
        for token in [&user.token, &refreshed.token] {
            assert_eq!(self.get("/c/x", token).await, 401);
        }
    }
}
