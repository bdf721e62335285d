//! A user of a gateway under test, made through its own endpoints.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use super::TestGateway;

/// A password that no strength check minds.
pub(crate) const PASSWORD: &str = "wistful-otter-47-lantern";

static NEXT: AtomicU32 = AtomicU32::new(1);

/// A user with a session.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) id: String,
    pub(crate) email: String,
    pub(crate) name: String,
    pub(crate) token: String,
    pub(crate) refresh_token: String,
}

impl Account {
    /// Signs a new user up.
    pub(crate) async fn sign_up(gateway: &TestGateway) -> Self {
        let email = format!("user{}@example.com", NEXT.fetch_add(1, Ordering::Relaxed));
        Self::sign_up_as(gateway, &email, "Ada Lovelace").await
    }

    /// Signs a new user of this address and name up.
    pub(crate) async fn sign_up_as(gateway: &TestGateway, email: &str, name: &str) -> Self {
        let body = json!({"email": email, "password": PASSWORD, "name": name});
        let (status, answer) = gateway.post("/auth/signup", &body).await;
        assert_eq!(status, 201, "{answer}");
        Self::from_tokens(&answer)
    }

    /// Signs a new user up at a gateway that is a process.
    pub(crate) async fn sign_up_at(http: &reqwest::Client, base: &str) -> Self {
        let email = format!("user{}@example.com", NEXT.fetch_add(1, Ordering::Relaxed));
        let body = json!({"email": email, "password": PASSWORD, "name": "Ada Lovelace"});
        let request = http.post(format!("{base}/auth/signup")).json(&body);
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), 201);
        Self::from_tokens(&answer.json().await.expect("JSON"))
    }

    /// Logs the same user in again: another session.
    pub(crate) async fn log_in(&self, gateway: &TestGateway) -> Self {
        let body = json!({"email": self.email, "password": PASSWORD});
        let (status, answer) = gateway.post("/auth/login", &body).await;
        assert_eq!(status, 200, "{answer}");
        Self::from_tokens(&answer)
    }

    /// `Bearer TOKEN`
    pub(crate) fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }

    /// What a token answer says.
    pub(crate) fn from_tokens(answer: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("in {answer}")).to_owned();
        assert_eq!(answer["token_type"], "Bearer", "{answer}");
        Self {
            id: text(&answer["user"]["id"]),
            email: text(&answer["user"]["email"]),
            name: text(&answer["user"]["name"]),
            token: text(&answer["access_token"]),
            refresh_token: text(&answer["refresh_token"]),
        }
    }
}
